"""What every store must do.  A test class inherits `StoreContract` and gives the fixture `store`.

A store whose records exist before their executions also overrides `ids` (records made for the test) and `remove` (the
owner of the table deletes one).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statemachine.errors import (
    ExecutionExistsError,
    ExecutionNotFoundError,
    IntentNotFoundError,
    LeaseHeldError,
    LeaseLostError,
    PatchError,
    VersionConflictError,
)
from statemachine.execution import (
    NOT_ACCEPTED,
    AfterWork,
    Execution,
    Failure,
    JsonValue,
    Lease,
    Notice,
    Patch,
    apply_patch,
)
from statemachine.store import DueRow, Store

# Stores keep moments to the millisecond.
NOW = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
TURN = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
FOREVER = timedelta.max

ATTEMPT = ("tasks", "000", "attempts", "001")

# Everything that a path in DynamoDB, SQL or JSON could take for its own.
ODD_KEYS = (
    "a.b",
    'quo"te',
    "apo'strophe",
    "with space",
    "#hash",
    ":colon",
    "[0]",
    "ключ",
    "日本",
    "$",
    "back\\slash",
    "%s?",
)

NOT_JSON: dict[str, object] = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "a moment": NOW,
    "bytes": b"bytes",
    "a set": {1, 2},
    "an object": object(),
    "NaN deep inside": {"list": [1, {"deep": float("nan")}]},
    "a key that is no text": {1: "one"},
}

MISFITS: dict[str, Patch] = {
    "the parent is missing": {("absent", "leaf"): 1},
    "the grandparent is missing": {("tasks", "absent", "leaf"): 1},
    "the parent is missing far down": {("tasks", "000", "attempts", "009", "operation"): 1},
    "the parent is text": {("title", "leaf"): 1},
    "the parent is a list": {("list", "0"): 1},
    "the grandparent is text": {("tasks", "000", "status", "deep", "leaf"): 1},
    "one path leads through another": {("tasks", "000"): {}, ("tasks", "000", "status"): "x"},
    "one path leads through a whole name": {("tasks",): {}, ("tasks", "000", "status"): "x"},
    "an empty path": {(): {}},
    "an empty part": {("tasks", ""): 1},
}


class Remove(Protocol):
    """The owner of the data deletes a record, whatever the engine is doing with it."""

    def __call__(self, execution_id: str, /) -> None:
        """Delete it."""


class _DeletableStore(Store, Protocol):
    def delete(self, execution_id: str) -> None: ...


def some_data() -> dict[str, JsonValue]:
    """Data of every kind, new at every call."""
    return {
        "title": "A lighthouse",
        "count": 3,
        "list": [1, "two", {"three": 3.5}],
        "nothing": None,
        "yes": True,
        "empty": {},
        "nested": {"empty": {}, "deeper": {"empty": {}}},
        "tasks": {
            "000": {"status": "submitted", "attempts": {"001": {"intent_id": "intent-1"}}},
            "001": {"status": "waiting", "attempts": {}},
        },
    }


def an_execution(execution_id: str, *, run_id: str = "run-1", data: Mapping[str, JsonValue] | None = None) -> Execution:
    """An execution as `Engine.start` would make it."""
    return Execution(
        execution_id=execution_id,
        machine="video",
        graph="0a1b2c3d",
        state="rendering",
        status="processing",
        run_id=run_id,
        started_at=NOW,
        entered_at=NOW,
        updated_at=NOW,
        max_turn_seconds=TURN.total_seconds(),
        last_signal=run_id,
        deadline_at=NOW + timedelta(hours=1),
        due_at=NOW,
        data=some_data() if data is None else data,
    )


def lease(
    store: Store, execution_id: str, *, owner: str = "owner-1", version: int = 1, now: datetime = NOW
) -> Execution:
    """Lease for one turn of half a minute."""
    return store.lease(execution_id, version=version, owner=owner, now=now, at_most=FOREVER, margin=timedelta(0))


def saved(execution: Execution, *, owner: str = "owner-1") -> Execution:
    """What the engine would save after a turn of `owner`."""
    return execution.changed(
        version=execution.version + 1,
        lease=None,
        last_turn=owner,
        attempt=0,
        unsaved_turns=0,
        updated_at=NOW + SECOND,
        due_at=NOW + timedelta(minutes=1),
    )


def signalled(execution: Execution, *, signal_id: str = "signal-1") -> Execution:
    """What the engine would write for a cancel."""
    return execution.changed(
        version=execution.version + 1,
        lease=None,
        last_signal=signal_id,
        state="failed",
        status="failed",
        due_at=None,
        deadline_at=None,
    )


# Every operation that writes to an execution, for `owner-1`, as it would follow a lease at version 1.
WRITES: dict[str, Callable[[Store, Execution], object]] = {
    "renew": lambda store, leased: store.renew(leased.execution_id, owner="owner-1", expires_at=NOW + TURN),
    "checkpoint": lambda store, leased: store.checkpoint(leased.execution_id, owner="owner-1", patch={("title",): "x"}),
    "record_fact": lambda store, leased: store.record_fact(
        leased.execution_id, path=ATTEMPT, intent_id="intent-1", operation="op-1", owner="owner-1"
    ),
    "save": lambda store, leased: store.save(saved(leased), owner="owner-1", patch={("title",): "x"}),
    "signal": lambda store, leased: store.signal(signalled(leased), patch={("title",): "x"}),
    "revive": lambda store, leased: store.revive(leased.execution_id, now=NOW + timedelta(hours=1)),
    "lease": lambda store, leased: lease(store, leased.execution_id, owner="owner-2", now=NOW + timedelta(hours=1)),
}
FENCED = {name: WRITES[name] for name in ("renew", "checkpoint", "save")}
PATCHING: dict[str, Callable[[Store, Execution, Patch], None]] = {
    "checkpoint": lambda store, leased, patch: store.checkpoint(leased.execution_id, owner="owner-1", patch=patch),
    "save": lambda store, leased, patch: store.save(saved(leased), owner="owner-1", patch=patch),
    "signal": lambda store, leased, patch: store.signal(signalled(leased), patch=patch),
}

odd_text = st.text(alphabet="ab0.#:\"'[ é日", max_size=5)
numbers = st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9).map(lambda number: round(number, 6))
json_values = st.recursive(
    st.none() | st.booleans() | numbers | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text.filter(bool), inner, max_size=3),
    max_leaves=6,
)
# Few names, so that paths often meet what stands.
names = st.sampled_from(["a", "b.c", "#d", "é 0"])
trees = st.dictionaries(names, st.dictionaries(names, json_values | st.dictionaries(names, json_values)) | json_values)
patches = st.dictionaries(st.lists(names, min_size=1, max_size=4).map(tuple), json_values, max_size=4)


class StoreContract:
    """The contract.  Inherit it and give the fixture `store`."""

    @pytest.fixture
    def store(self) -> Store:
        """The store under test."""
        raise NotImplementedError

    @pytest.fixture
    def ids(self) -> tuple[str, str, str]:
        """Three ids, in order, on whose records no execution stands."""
        return "job-1", "job-2", "job-3"

    @pytest.fixture
    def remove(self, store: _DeletableStore) -> Remove:
        """Deletes a record behind the engine's back."""
        return store.delete

    @pytest.fixture
    def execution_id(self, store: Store, ids: tuple[str, str, str]) -> str:
        """An execution that has just been started."""
        store.start(an_execution(ids[0]), replace=False)
        return ids[0]

    # --- start ----------------------------------------------------------------------------------------------------

    def test_what_was_started_is_read_back_whole(self, store: Store, ids: tuple[str, str, str]) -> None:
        trouble = Failure(
            "PROVIDER_ERROR",
            "the vendor said: “no” ☂",
            user_action="contact_admin",
            is_retryable=False,
            details={"scene_index": 3, "seconds": 7.25},
            state="rendering",
            attempt=2,
            occurred_at=NOW,
        )
        full = an_execution(ids[0]).changed(
            version=7,
            revision=19,
            attempt=2,
            unsaved_turns=1,
            turns=40,
            chain=5,
            retries=1,
            max_turn_seconds=12.5,
            lease=Lease("owner-1", NOW + TURN),
            last_turn="owner-0",
            last_signal="run-1",
            freely_waited_seconds=90.125,
            waiting_for="quota",
            parked_at=NOW - SECOND,
            last_error=trouble,
            failure=trouble,
            failed_in="planning",
            after_work=AfterWork(
                since=NOW, tries=2, notices=(Notice("job-1:7", "failed", NOW),), done=("topic job-1:7",)
            ),
        )

        store.start(full, replace=False)

        assert store.get(ids[0]) == full

    def test_absent_fields_are_read_back_absent(self, store: Store, ids: tuple[str, str, str]) -> None:
        bare = an_execution(ids[0], data={}).changed(deadline_at=None, due_at=None)

        store.start(bare, replace=False)

        assert store.get(ids[0]) == bare

    def test_an_id_nobody_started_is_not_found(self, store: Store, ids: tuple[str, str, str]) -> None:
        with pytest.raises(ExecutionNotFoundError):
            store.get(ids[0])

    def test_starting_twice_with_one_run_id_succeeds_and_changes_nothing(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)
        standing = store.get(execution_id)

        store.start(an_execution(execution_id), replace=False)

        assert store.get(execution_id) == standing

    def test_a_second_run_is_refused_while_one_stands(self, store: Store, execution_id: str) -> None:
        with pytest.raises(ExecutionExistsError) as refused:
            store.start(an_execution(execution_id, run_id="run-2"), replace=False)

        assert refused.value.state == "rendering"
        assert store.get(execution_id).run_id == "run-1"

    def test_replacing_puts_the_new_run_and_its_data_in_the_place_of_the_old(
        self, store: Store, execution_id: str
    ) -> None:
        store.signal(signalled(store.get(execution_id)), patch={})
        new = an_execution(execution_id, run_id="run-2", data={"title": "Another"}).changed(version=3, revision=3)

        store.start(new, replace=True)

        assert store.get(execution_id) == new

    def test_replacing_twice_with_one_run_id_succeeds(self, store: Store, execution_id: str) -> None:
        new = an_execution(execution_id, run_id="run-2", data={}).changed(version=2, revision=2)

        store.start(new, replace=True)
        store.start(new, replace=True)

        assert store.get(execution_id) == new

    def test_replacing_what_has_moved_on_is_refused(self, store: Store, execution_id: str) -> None:
        store.signal(signalled(store.get(execution_id)), patch={})

        with pytest.raises(ExecutionExistsError):
            store.start(an_execution(execution_id, run_id="run-2").changed(version=2), replace=True)

        assert store.get(execution_id).run_id == "run-1"

    def test_an_event_of_the_old_run_matches_nothing_in_the_new(self, store: Store, execution_id: str) -> None:
        """The version continues across runs."""
        store.start(an_execution(execution_id, run_id="run-2").changed(version=2, revision=2), replace=True)

        with pytest.raises(VersionConflictError) as refused:
            lease(store, execution_id, version=1)

        assert (refused.value.expected, refused.value.stored) == (1, 2)

    def test_data_that_is_not_json_starts_nothing(self, store: Store, ids: tuple[str, str, str]) -> None:
        with pytest.raises(PatchError):
            store.start(an_execution(ids[0], data={"title": float("nan")}), replace=False)

        with pytest.raises(ExecutionNotFoundError):
            store.get(ids[0])

    # --- lease ----------------------------------------------------------------------------------------------------

    def test_a_lease_counts_the_turn_and_is_due_at_its_end(self, store: Store, execution_id: str) -> None:
        leased = lease(store, execution_id)

        assert leased.lease == Lease("owner-1", NOW + TURN)
        assert (leased.attempt, leased.unsaved_turns, leased.due_at) == (1, 1, NOW + TURN)
        assert (leased.version, leased.revision) == (1, 1)
        assert leased.data == some_data()
        assert store.get(execution_id) == leased

    @pytest.mark.parametrize(
        ("at_most", "margin", "expected"),
        [
            (FOREVER, timedelta(0), TURN),
            (FOREVER, 5 * SECOND, TURN + 5 * SECOND),
            (10 * SECOND, 5 * SECOND, 15 * SECOND),
        ],
    )
    def test_a_lease_lasts_as_long_as_both_state_and_caller_allow(
        self, store: Store, execution_id: str, at_most: timedelta, margin: timedelta, expected: timedelta
    ) -> None:
        leased = store.lease(execution_id, version=1, owner="owner-1", now=NOW, at_most=at_most, margin=margin)

        assert leased.lease == Lease("owner-1", NOW + expected)

    def test_a_lease_whose_answer_was_lost_is_counted_once(self, store: Store, execution_id: str) -> None:
        first = lease(store, execution_id)

        second = lease(store, execution_id, now=NOW + SECOND)

        assert second == first == store.get(execution_id)

    def test_a_stale_version_gets_no_lease(self, store: Store, execution_id: str) -> None:
        before = store.get(execution_id)

        with pytest.raises(VersionConflictError) as refused:
            lease(store, execution_id, version=2)

        assert (refused.value.expected, refused.value.stored) == (2, 1)
        assert store.get(execution_id) == before

    def test_a_second_owner_gets_no_lease_while_one_lasts(self, store: Store, execution_id: str) -> None:
        first = lease(store, execution_id)

        with pytest.raises(LeaseHeldError) as refused:
            lease(store, execution_id, owner="owner-2", now=NOW + TURN - timedelta(milliseconds=1))

        assert refused.value.expires_at == NOW + TURN
        assert store.get(execution_id) == first

    def test_a_lease_that_has_ended_goes_to_the_next_and_the_crash_is_counted(
        self, store: Store, execution_id: str
    ) -> None:
        lease(store, execution_id)

        second = lease(store, execution_id, owner="owner-2", now=NOW + TURN)

        assert second.lease == Lease("owner-2", NOW + 2 * TURN)
        assert (second.attempt, second.unsaved_turns, second.crashes) == (2, 2, 1)

    def test_a_lease_can_be_renewed_by_its_owner(self, store: Store, execution_id: str) -> None:
        leased = lease(store, execution_id)

        store.renew(execution_id, owner="owner-1", expires_at=NOW + 2 * TURN)

        renewed = leased.changed(lease=Lease("owner-1", NOW + 2 * TURN), due_at=NOW + 2 * TURN)
        assert store.get(execution_id) == renewed

    # --- fences ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("write", FENCED.values(), ids=FENCED)
    def test_nobody_writes_without_a_lease(
        self, store: Store, execution_id: str, write: Callable[[Store, Execution], object]
    ) -> None:
        before = store.get(execution_id)

        with pytest.raises(LeaseLostError):
            write(store, before)

        assert store.get(execution_id) == before

    @pytest.mark.parametrize("write", FENCED.values(), ids=FENCED)
    def test_an_owner_whose_lease_was_taken_over_writes_nothing(
        self, store: Store, execution_id: str, write: Callable[[Store, Execution], object]
    ) -> None:
        stale = lease(store, execution_id)
        lease(store, execution_id, owner="owner-2", now=NOW + TURN)
        before = store.get(execution_id)

        with pytest.raises(LeaseLostError):
            write(store, stale)

        assert store.get(execution_id) == before

    @pytest.mark.parametrize("write", FENCED.values(), ids=FENCED)
    def test_after_a_cancel_the_running_turn_writes_nothing(
        self, store: Store, execution_id: str, write: Callable[[Store, Execution], object]
    ) -> None:
        leased = lease(store, execution_id)
        store.signal(signalled(store.get(execution_id)), patch={})
        before = store.get(execution_id)

        with pytest.raises(LeaseLostError):
            write(store, leased)

        assert store.get(execution_id) == before
        assert before.lease is None

    @pytest.mark.parametrize("write", FENCED.values(), ids=FENCED)
    def test_after_the_next_turn_has_begun_the_last_one_writes_nothing(
        self, store: Store, execution_id: str, write: Callable[[Store, Execution], object]
    ) -> None:
        stale = lease(store, execution_id)
        second = lease(store, execution_id, owner="owner-2", now=NOW + TURN)
        store.save(saved(second, owner="owner-2"), owner="owner-2", patch={})
        lease(store, execution_id, owner="owner-3", version=2, now=NOW + 2 * TURN)
        before = store.get(execution_id)

        with pytest.raises(LeaseLostError):
            write(store, stale)

        assert store.get(execution_id) == before

    def test_an_ended_lease_that_nobody_took_may_still_save(self, store: Store, execution_id: str) -> None:
        """A store never asks the time, so only a successor takes the right away."""
        leased = lease(store, execution_id)

        store.save(saved(leased).changed(updated_at=NOW + timedelta(days=1)), owner="owner-1", patch={("title",): "x"})

        assert store.get(execution_id).version == 2
        assert store.get(execution_id).data["title"] == "x"

    # --- checkpoint, save, signal ----------------------------------------------------------------------------------

    def test_a_checkpoint_moves_the_revision_and_the_data_only(self, store: Store, execution_id: str) -> None:
        leased = lease(store, execution_id)

        store.checkpoint(execution_id, owner="owner-1", patch={("tasks", "001", "status"): "submitted"})

        expected = apply_patch(some_data(), {("tasks", "001", "status"): "submitted"})
        assert store.get(execution_id) == leased.changed(revision=2, data=expected)

    def test_a_checkpoint_that_is_repeated_leaves_the_same_data(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)
        patch: Patch = {("tasks", "002"): {"status": "waiting"}}

        store.checkpoint(execution_id, owner="owner-1", patch=patch)
        store.checkpoint(execution_id, owner="owner-1", patch=patch)

        assert store.get(execution_id).data == apply_patch(some_data(), patch)

    def test_a_save_writes_the_header_and_the_patch_and_ends_the_lease(self, store: Store, execution_id: str) -> None:
        after = saved(lease(store, execution_id)).changed(state="assembling", turns=1, waiting_for="clips")

        store.save(after, owner="owner-1", patch={("title",): "A storm"})

        expected = apply_patch(some_data(), {("title",): "A storm"})
        assert store.get(execution_id) == after.changed(revision=2, data=expected)

    def test_a_save_counts_the_checkpoints_before_it_into_the_revision(self, store: Store, execution_id: str) -> None:
        """The engine does not know how often the step wrote."""
        leased = lease(store, execution_id)
        store.checkpoint(execution_id, owner="owner-1", patch={("title",): "x"})
        store.checkpoint(execution_id, owner="owner-1", patch={("title",): "y"})

        store.save(saved(leased), owner="owner-1", patch={})

        assert (store.get(execution_id).version, store.get(execution_id).revision) == (2, 4)
        assert store.get(execution_id).data["title"] == "y"

    def test_a_save_whose_answer_was_lost_succeeds_again_and_writes_once(self, store: Store, execution_id: str) -> None:
        after = saved(lease(store, execution_id))
        store.save(after, owner="owner-1", patch={("title",): "x"})
        once = store.get(execution_id)

        store.save(after, owner="owner-1", patch={("title",): "x"})

        assert store.get(execution_id) == once

    def test_a_save_whose_answer_was_lost_succeeds_while_the_next_turn_runs(
        self, store: Store, execution_id: str
    ) -> None:
        after = saved(lease(store, execution_id))
        store.save(after, owner="owner-1", patch={})
        lease(store, execution_id, owner="owner-2", version=2)
        before = store.get(execution_id)

        store.save(after, owner="owner-1", patch={})

        assert store.get(execution_id) == before

    def test_a_signal_writes_its_header_and_patch_and_ends_the_lease(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)
        after = signalled(store.get(execution_id))

        store.signal(after, patch={("title",): "cancelled"})

        expected = apply_patch(some_data(), {("title",): "cancelled"})
        assert store.get(execution_id) == after.changed(revision=2, data=expected)

    def test_a_signal_whose_answer_was_lost_succeeds_again_and_writes_once(
        self, store: Store, execution_id: str
    ) -> None:
        after = signalled(store.get(execution_id))
        store.signal(after, patch={("title",): "x"})
        once = store.get(execution_id)

        store.signal(after, patch={("title",): "x"})

        assert store.get(execution_id) == once

    def test_a_signal_for_a_version_that_has_passed_is_refused(self, store: Store, execution_id: str) -> None:
        seen = store.get(execution_id)
        store.save(saved(lease(store, execution_id)), owner="owner-1", patch={})
        before = store.get(execution_id)

        with pytest.raises(VersionConflictError) as refused:
            store.signal(signalled(seen), patch={})

        assert (refused.value.expected, refused.value.stored) == (1, 2)
        assert store.get(execution_id) == before

    # --- facts ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("operation", ["operations/1", NOT_ACCEPTED])
    def test_a_fact_moves_the_revision_and_says_that_the_lease_is_ours(
        self, store: Store, execution_id: str, operation: str
    ) -> None:
        leased = lease(store, execution_id)

        is_ours = store.record_fact(
            execution_id, path=ATTEMPT, intent_id="intent-1", operation=operation, owner="owner-1"
        )

        expected = apply_patch(some_data(), {(*ATTEMPT, "operation"): operation})
        assert is_ours
        assert store.get(execution_id) == leased.changed(revision=2, data=expected)

    def test_a_fact_is_recorded_after_a_cancel_and_says_that_the_lease_is_gone(
        self, store: Store, execution_id: str
    ) -> None:
        """It was paid for: no fence may throw it away."""
        lease(store, execution_id)
        store.signal(signalled(store.get(execution_id)), patch={})
        cancelled = store.get(execution_id)

        is_ours = store.record_fact(execution_id, path=ATTEMPT, intent_id="intent-1", operation="op", owner="owner-1")

        expected = apply_patch(some_data(), {(*ATTEMPT, "operation"): "op"})
        assert not is_ours
        assert store.get(execution_id) == cancelled.changed(revision=3, data=expected)

    def test_a_fact_is_recorded_while_another_turn_holds_the_lease(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)
        taken = lease(store, execution_id, owner="owner-2", now=NOW + TURN)

        is_ours = store.record_fact(execution_id, path=ATTEMPT, intent_id="intent-1", operation="op", owner="owner-1")

        assert not is_ours
        assert store.get(execution_id).lease == taken.lease

    def test_a_fact_whose_answer_was_lost_succeeds_again_and_writes_once(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)
        store.record_fact(execution_id, path=ATTEMPT, intent_id="intent-1", operation="op", owner="owner-1")
        once = store.get(execution_id)

        again = store.record_fact(execution_id, path=ATTEMPT, intent_id="intent-1", operation="op", owner="owner-1")

        assert again
        assert store.get(execution_id) == once

    @pytest.mark.parametrize(
        ("place", "intent_id"),
        [
            (ATTEMPT, "intent-2"),
            (("tasks", "000", "attempts", "002"), "intent-1"),
            (("tasks", "009", "attempts", "001"), "intent-1"),
            (("absent", "000"), "intent-1"),
            (("title", "000"), "intent-1"),
            (("tasks", "000", "status"), "intent-1"),
            (("list",), "intent-1"),
        ],
    )
    def test_a_fact_is_matched_by_its_intent_and_never_by_the_path_alone(
        self, store: Store, execution_id: str, place: tuple[str, ...], intent_id: str
    ) -> None:
        leased = lease(store, execution_id)

        with pytest.raises(IntentNotFoundError):
            store.record_fact(execution_id, path=place, intent_id=intent_id, operation="op", owner="owner-1")

        assert store.get(execution_id) == leased

    def test_a_fact_does_not_replace_another(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)
        store.record_fact(execution_id, path=ATTEMPT, intent_id="intent-1", operation="op-1", owner="owner-1")
        before = store.get(execution_id)

        with pytest.raises(IntentNotFoundError):
            store.record_fact(execution_id, path=ATTEMPT, intent_id="intent-1", operation="op-2", owner="owner-1")

        assert store.get(execution_id) == before

    @pytest.mark.parametrize("place", [("intent",), ("intents", "001")])
    def test_a_fact_finds_its_intent_at_any_depth(
        self, store: Store, ids: tuple[str, str, str], place: tuple[str, ...]
    ) -> None:
        intent: JsonValue = {"intent_id": "intent-1", "operation": None}
        store.start(an_execution(ids[0], data={"intent": intent, "intents": {"001": intent}}), replace=False)

        store.record_fact(ids[0], path=place, intent_id="intent-1", operation="op", owner="owner-1")

        data = store.get(ids[0]).data
        assert data == apply_patch({"intent": intent, "intents": {"001": intent}}, {(*place, "operation"): "op"})

    # --- revive ---------------------------------------------------------------------------------------------------

    def test_reviving_makes_it_due_and_forgets_attempts_and_crashes(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)
        second = lease(store, execution_id, owner="owner-2", now=NOW + TURN)
        later = NOW + timedelta(hours=1)

        revived = store.revive(execution_id, now=later)

        assert revived == second.changed(lease=None, attempt=0, unsaved_turns=0, due_at=later)
        assert store.get(execution_id) == revived

    def test_nobody_is_revived_in_the_middle_of_a_turn(self, store: Store, execution_id: str) -> None:
        leased = lease(store, execution_id)

        with pytest.raises(LeaseHeldError):
            store.revive(execution_id, now=NOW + SECOND)

        assert store.get(execution_id) == leased

    def test_reviving_twice_succeeds(self, store: Store, execution_id: str) -> None:
        first = store.revive(execution_id, now=NOW + SECOND)

        assert store.revive(execution_id, now=NOW + SECOND) == first

    # --- due ------------------------------------------------------------------------------------------------------

    def test_what_is_due_comes_longest_due_first(self, store: Store, ids: tuple[str, str, str]) -> None:
        for execution_id, late in zip(ids, (1, 3, 2), strict=True):
            store.start(an_execution(execution_id).changed(due_at=NOW - late * SECOND), replace=False)

        rows = store.due(NOW, limit=10)

        assert list(rows) == [
            DueRow(ids[1], 1, NOW - 3 * SECOND),
            DueRow(ids[2], 1, NOW - 2 * SECOND),
            DueRow(ids[0], 1, NOW - 1 * SECOND),
        ]

    def test_no_more_rows_come_than_were_asked_for(self, store: Store, ids: tuple[str, str, str]) -> None:
        for execution_id, late in zip(ids, (1, 3, 2), strict=True):
            store.start(an_execution(execution_id).changed(due_at=NOW - late * SECOND), replace=False)

        assert [row.execution_id for row in store.due(NOW, limit=2)] == [ids[1], ids[2]]

    def test_due_includes_the_very_moment_and_nothing_after_it(self, store: Store, ids: tuple[str, str, str]) -> None:
        store.start(an_execution(ids[0]).changed(due_at=NOW), replace=False)
        store.start(an_execution(ids[1]).changed(due_at=NOW + timedelta(milliseconds=1)), replace=False)

        assert [row.execution_id for row in store.due(NOW, limit=10)] == [ids[0]]
        assert [row.execution_id for row in store.due(NOW + SECOND, limit=10)] == list(ids[:2])

    def test_what_waits_for_a_person_is_never_due(self, store: Store, ids: tuple[str, str, str]) -> None:
        store.start(an_execution(ids[0]).changed(due_at=None), replace=False)

        assert list(store.due(NOW + timedelta(days=3650), limit=10)) == []

    def test_a_leased_execution_is_due_when_its_lease_ends(self, store: Store, execution_id: str) -> None:
        """So a turn that died is found by the same question as one that waited."""
        lease(store, execution_id)

        assert list(store.due(NOW + TURN - SECOND, limit=10)) == []
        assert list(store.due(NOW + TURN, limit=10)) == [DueRow(execution_id, 1, NOW + TURN)]

    def test_a_save_moves_the_row_to_its_new_version_and_time(self, store: Store, execution_id: str) -> None:
        store.save(saved(lease(store, execution_id)), owner="owner-1", patch={})

        rows = store.due(NOW + timedelta(hours=1), limit=10)

        assert list(rows) == [DueRow(execution_id, 2, NOW + timedelta(minutes=1))]

    # --- data -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "number", [0.1, 1.0, -2.5, 12.345678901234567, 1e-9, 123456789.000001, 0, -7, 2**53, 9_007_199_254_740_993]
    )
    def test_numbers_survive_exactly(self, store: Store, execution_id: str, number: float) -> None:
        lease(store, execution_id)

        store.checkpoint(
            execution_id, owner="owner-1", patch={("count",): number, ("tasks", "000", "seconds"): [number]}
        )

        data = store.get(execution_id).data
        assert data["count"] == number
        assert (
            apply_patch(data, {})["tasks"] == apply_patch(some_data(), {("tasks", "000", "seconds"): [number]})["tasks"]
        )

    @pytest.mark.parametrize("depth", [1, 2, 3, 4])
    def test_any_text_is_a_key_at_any_depth(self, store: Store, ids: tuple[str, str, str], depth: int) -> None:
        data: dict[str, JsonValue] = {}
        for key in ODD_KEYS:
            branch: JsonValue = {"beside": key}
            for _ in range(depth - 1):
                branch = {key: branch, "other": {}}
            data[key] = branch
        store.start(an_execution(ids[0], data=data), replace=False)
        lease(store, ids[0])
        patch: Patch = {
            **{((key,) * depth + ("beside",)): "changed" for key in ODD_KEYS},
            **{((key,) * depth + (key,)): {key: [key]} for key in ODD_KEYS},
        }

        store.checkpoint(ids[0], owner="owner-1", patch=patch)

        assert store.get(ids[0]).data == apply_patch(data, patch)

    def test_a_map_that_becomes_empty_stays_a_map(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)

        store.checkpoint(execution_id, owner="owner-1", patch={("tasks",): {}, ("nested", "deeper"): {}})
        store.checkpoint(execution_id, owner="owner-1", patch={("tasks", "000"): {}, ("empty", "filled"): 1})

        data = store.get(execution_id).data
        assert data["tasks"] == {"000": {}}
        assert data["nested"] == {"empty": {}, "deeper": {}}
        assert data["empty"] == {"filled": 1}

    def test_a_value_may_change_its_kind(self, store: Store, execution_id: str) -> None:
        lease(store, execution_id)

        store.checkpoint(execution_id, owner="owner-1", patch={("tasks",): "text", ("title",): {"a": {"b": 1}}})
        store.checkpoint(execution_id, owner="owner-1", patch={("title", "a", "b"): 2, ("tasks",): [1]})

        data = store.get(execution_id).data
        assert data["tasks"] == [1]
        assert data["title"] == {"a": {"b": 2}}

    @pytest.mark.parametrize("write", PATCHING.values(), ids=PATCHING)
    @pytest.mark.parametrize("patch", MISFITS.values(), ids=MISFITS)
    def test_a_patch_that_does_not_fit_writes_nothing(
        self, store: Store, execution_id: str, patch: Patch, write: Callable[[Store, Execution, Patch], None]
    ) -> None:
        leased = lease(store, execution_id)

        with pytest.raises(PatchError):
            write(store, leased, {("count",): 99, **patch})

        assert store.get(execution_id) == leased

    @pytest.mark.parametrize("write", PATCHING.values(), ids=PATCHING)
    @pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
    def test_a_value_that_is_not_json_writes_nothing(
        self, store: Store, execution_id: str, value: JsonValue, write: Callable[[Store, Execution, Patch], None]
    ) -> None:
        leased = lease(store, execution_id)

        with pytest.raises(PatchError):
            write(store, leased, {("count",): 99, ("tasks", "000", "status"): value})

        assert store.get(execution_id) == leased

    def test_a_fence_is_asked_before_the_patch_is_looked_at(self, store: Store, execution_id: str) -> None:
        """A turn that has lost its lease must hear that, and not that its patch no longer fits."""
        with pytest.raises(LeaseLostError):
            store.checkpoint(execution_id, owner="owner-1", patch={("absent", "leaf"): 1})

    def test_what_was_passed_may_change_afterwards(self, store: Store, ids: tuple[str, str, str]) -> None:
        data = some_data()
        beat: dict[str, JsonValue] = {"words": ["a"]}
        store.start(an_execution(ids[0], data=data), replace=False)
        leased = lease(store, ids[0])
        store.checkpoint(ids[0], owner="owner-1", patch={("nested", "beat"): beat})
        store.save(saved(leased), owner="owner-1", patch={("beat",): beat})

        beat["words"] = "changed"
        data["title"] = "changed"
        assert isinstance(data["nested"], dict)
        data["nested"]["empty"] = "changed"

        expected = {**some_data(), "beat": {"words": ["a"]}}
        expected["nested"] = {"empty": {}, "deeper": {"empty": {}}, "beat": {"words": ["a"]}}
        assert store.get(ids[0]).data == expected

    @pytest.mark.parametrize("read", ["lease", "get", "revive"])
    def test_what_was_returned_may_be_changed_by_whoever_got_it(
        self, store: Store, execution_id: str, read: str
    ) -> None:
        returned = {
            "lease": lambda: lease(store, execution_id),
            "get": lambda: store.get(execution_id),
            "revive": lambda: store.revive(execution_id, now=NOW),
        }[read]().data
        tasks, numbers = returned["tasks"], returned["list"]
        assert isinstance(tasks, dict)
        assert isinstance(numbers, list)

        tasks["000"]["status"] = "changed"
        numbers.append("changed")

        assert store.get(execution_id).data == some_data()

    def test_what_was_returned_does_not_follow_later_writes(self, store: Store, execution_id: str) -> None:
        leased = lease(store, execution_id)

        store.checkpoint(execution_id, owner="owner-1", patch={("title",): "x", ("tasks", "000", "status"): "y"})

        assert leased.data == some_data()

    # Every example starts a run of its own, so the store may be shared; and no example is replayed from a database, so
    # the test may belong to several classes.
    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
        max_examples=60,
    )
    @given(tree=trees, changes=st.lists(patches, max_size=4))
    def test_any_patches_leave_what_apply_patch_makes_of_them(
        self, store: Store, ids: tuple[str, str, str], tree: dict[str, JsonValue], changes: list[Patch]
    ) -> None:
        execution_id = ids[1]
        version = _start_over(store, execution_id, tree)
        lease(store, execution_id, version=version)
        expected: Mapping[str, JsonValue] = tree

        for patch in changes:
            try:
                expected = apply_patch(expected, patch)
            except PatchError:
                with pytest.raises(PatchError):
                    store.checkpoint(execution_id, owner="owner-1", patch=patch)
            else:
                store.checkpoint(execution_id, owner="owner-1", patch=patch)

            assert store.get(execution_id).data == expected

    # --- the record is gone ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    def test_a_record_deleted_in_mid_turn_ends_the_job_and_is_never_recreated(
        self, store: Store, execution_id: str, remove: Remove, write: Callable[[Store, Execution], object]
    ) -> None:
        leased = lease(store, execution_id)
        remove(execution_id)

        with pytest.raises(ExecutionNotFoundError):
            write(store, leased)

        with pytest.raises(ExecutionNotFoundError):
            store.get(execution_id)
        assert list(store.due(NOW + timedelta(days=1), limit=10)) == []


def _start_over(store: Store, execution_id: str, data: Mapping[str, JsonValue]) -> int:
    """Start a new run with `data`, in the place of whatever stands; return its version."""
    try:
        version = store.get(execution_id).version + 1
    except ExecutionNotFoundError:
        version = 1
    fresh = an_execution(execution_id, run_id=f"run-{version}", data=data).changed(version=version)
    store.start(fresh, replace=version > 1)
    return version
