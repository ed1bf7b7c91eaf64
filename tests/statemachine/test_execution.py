import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.errors import PatchError
from statemachine.execution import (
    AfterWork,
    Changes,
    Execution,
    Failure,
    JsonValue,
    Lease,
    Notice,
    Patch,
    Snapshot,
    apply_patch,
    check_patch,
    execution_from_json,
    from_ms,
    header_as_json,
    stored_copy,
    to_ms,
    value_at,
)
from tests.statemachine.store_contract import (
    MISFITS,
    NOT_JSON,
    NOW,
    an_execution,
    json_values,
    patches,
    some_data,
    trees,
)
from worker.job import Job

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  given apart
TROUBLE = Failure("BROKEN", "it broke", details={"scene_index": 3}, state="rendering", attempt=2, occurred_at=NOW)

NOTICE = Notice("job-1:7", "failed", NOW)


def read_back(execution: Execution) -> Execution:
    """Through JSON text, as a store keeps it."""
    return execution_from_json(
        json.loads(json.dumps(header_as_json(execution))),
        execution_id=execution.execution_id,
        version=execution.version,
        revision=execution.revision,
        status=execution.status,
        due_at=execution.due_at,
        data=execution.data,
    )


# --- records --------------------------------------------------------------------------------------------------------


def test_a_lease_has_expired_at_its_very_end() -> None:
    lease = Lease("owner-1", NOW)

    assert not lease.has_expired(NOW - timedelta(microseconds=1))
    assert lease.has_expired(NOW)


@pytest.mark.parametrize(
    ("unsaved", "is_leased", "crashes"), [(0, False, 0), (1, True, 0), (3, True, 2), (2, False, 2)]
)
def test_the_running_turn_is_no_crash(unsaved: int, is_leased: bool, crashes: int) -> None:  # noqa: FBT001  a column
    lease = Lease("owner-1", NOW) if is_leased else None

    assert an_execution("job-1").changed(unsaved_turns=unsaved, lease=lease).crashes == crashes


def test_a_header_is_read_back_as_it_was_written() -> None:
    full = an_execution("job-1").changed(
        attempt=2,
        unsaved_turns=1,
        turns=40,
        chain=5,
        retries=1,
        max_turn_seconds=12.5,
        lease=Lease("owner-1", NOW),
        last_turn="owner-0",
        freely_waited_seconds=90.125,
        waiting_for="quota",
        parked_at=NOW,
        last_error=TROUBLE,
        failure=TROUBLE,
        failed_in="planning",
        after_work=AfterWork(since=NOW, tries=2, notices=(Notice("job-1:7", "failed", NOW),), done=("topic job-1:7",)),
    )

    assert read_back(full) == full


def test_absent_fields_are_not_written() -> None:
    bare = an_execution("job-1").changed(deadline_at=None)

    header = header_as_json(bare)

    assert None not in header.values()
    assert read_back(bare) == bare


def test_fields_that_a_newer_version_wrote_are_ignored() -> None:
    """A roll-back must not stop the jobs."""
    execution = an_execution("job-1").changed(last_error=TROUBLE)
    header = {**header_as_json(execution), "invented_later": [1]}
    error = header["last_error"]
    assert isinstance(error, dict)
    error["invented_later"] = 1

    read = execution_from_json(
        header, execution_id="job-1", version=1, revision=1, status="processing", due_at=NOW, data=execution.data
    )

    assert read == execution


def test_a_failure_of_an_older_version_is_read_with_todays_defaults() -> None:
    assert Failure.from_json({"code": "BROKEN", "message": "it broke"}) == Failure("BROKEN", "it broke")


# --- changes --------------------------------------------------------------------------------------------------------


def test_a_change_makes_another_execution_and_leaves_the_first() -> None:
    execution = an_execution("job-1")

    changed = execution.changed(state="assembling", version=2)

    assert (changed.state, changed.version) == ("assembling", 2)
    assert changed == dataclasses.replace(execution, state="assembling", version=2)
    assert execution == an_execution("job-1")


def test_a_field_that_does_not_exist_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="sate"):
        an_execution("job-1").changed(sate="x")  # type: ignore[call-arg]  # wrong on purpose


def test_changes_know_every_field_with_its_type_but_whose_execution_it_is() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(Execution)}

    fixed = {name: fields.pop(name) for name in ("execution_id", "machine", "run_id", "started_at")}

    assert Changes.__annotations__ == fields
    assert set(fixed.values()) == {str, datetime}


# --- moments --------------------------------------------------------------------------------------------------------


@given(MOMENTS)
def test_a_stored_moment_is_never_before_the_moment_itself(moment: datetime) -> None:
    """Or a row would be looked at before it is due."""
    stored = from_ms(to_ms(moment))

    assert timedelta(0) <= stored - moment < timedelta(milliseconds=1)


def test_a_whole_millisecond_is_stored_exactly_in_any_zone() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert from_ms(to_ms(NOW)) == NOW
    assert to_ms(elsewhere) == to_ms(NOW)


# --- patches --------------------------------------------------------------------------------------------------------


def test_a_patch_sets_leaves_and_shares_the_rest() -> None:
    data = some_data()

    changed = apply_patch(data, {("tasks", "000", "status"): "completed", ("new",): 1})

    assert value_at(changed, ("tasks", "000", "status")) == "completed"
    assert value_at(changed, ("tasks", "000", "attempts")) == value_at(some_data(), ("tasks", "000", "attempts"))
    assert changed["new"] == 1
    assert changed["nested"] is data["nested"]
    assert data == some_data()


@pytest.mark.parametrize("patch", MISFITS.values(), ids=MISFITS)
def test_a_patch_that_does_not_fit_is_refused(patch: Patch) -> None:
    with pytest.raises(PatchError):
        apply_patch(some_data(), patch)


@given(trees, patches)
def test_what_was_set_is_found_and_nothing_else_changes(tree: dict[str, JsonValue], patch: Patch) -> None:
    before = json.dumps(tree)
    try:
        changed = apply_patch(tree, patch)
    except PatchError:
        assert json.dumps(tree) == before
        return

    assert json.dumps(tree) == before
    for path, value in patch.items():
        assert value_at(changed, path) == value
    touched = {path[0] for path in patch}
    assert {name: value for name, value in changed.items() if name not in touched} == {
        name: value for name, value in tree.items() if name not in touched
    }


def test_overlapping_paths_are_refused_whatever_their_order() -> None:
    for patch in ({("a",): 1, ("a", "b"): 2}, {("a", "b"): 2, ("a",): 1}, {("a", "b", "c"): 1, ("a",): 1}):
        with pytest.raises(PatchError, match="overlaps"):
            check_patch(patch)


def test_nothing_stands_where_a_path_leads_nowhere() -> None:
    assert value_at(some_data(), ("tasks", "absent", "status")) is None
    assert value_at(some_data(), ("title", "leaf")) is None


# --- values ---------------------------------------------------------------------------------------------------------


@given(json_values)
def test_a_copy_is_equal_and_is_json(value: JsonValue) -> None:
    copy = stored_copy(value)

    assert copy == value
    assert json.loads(json.dumps(copy, allow_nan=False)) == value


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(PatchError):
        stored_copy(value)


def test_a_copy_is_made_of_plain_dicts_and_lists() -> None:
    snapshot = Snapshot({"list": (1, 2)}, read=stored_copy)

    assert stored_copy({"beat": snapshot, "pair": ("a", "b")}) == {"beat": {"list": [1, 2]}, "pair": ["a", "b"]}


# --- snapshots ------------------------------------------------------------------------------------------------------


def test_a_snapshot_reads_only_what_is_asked_for() -> None:
    read: list[str] = []

    def noted(text: str) -> JsonValue:
        read.append(text)
        value: JsonValue = json.loads(text)
        return value

    snapshot = Snapshot({"a": "[1]", "b": "broken"}, read=noted)

    assert snapshot["a"] == [1]
    assert "b" in snapshot
    assert list(snapshot) == ["a", "b"]
    assert len(snapshot) == 2
    assert read == ["[1]"]


def test_a_snapshot_equals_the_dictionary_that_it_shows() -> None:
    snapshot = Snapshot(some_data(), read=stored_copy)

    assert snapshot == some_data()
    assert some_data() == snapshot
    assert dict(snapshot) == some_data()
    assert repr(snapshot) == repr(some_data())
    assert snapshot != {**some_data(), "title": "another"}
    assert snapshot.get("absent") is None


def test_a_patch_applies_to_a_snapshot() -> None:
    snapshot = Snapshot(some_data(), read=stored_copy)
    patch: Patch = {("tasks", "000", "status"): "completed"}

    assert apply_patch(snapshot, patch) == apply_patch(some_data(), patch)


def test_a_model_reads_a_snapshot() -> None:
    """The worker's job is a pydantic model, and its input is whatever the store gives."""
    stored: Mapping[str, JsonValue] = {
        "video_id": "v1",
        "run_id": "r1",
        "prefix": "ai-video/v1/r1/",
        "recording": {"key": "a.wav", "filename": "a.wav"},
        "scene_beats": {},
    }

    assert Job.model_validate(Snapshot(stored, read=stored_copy)) == Job.model_validate(stored)
