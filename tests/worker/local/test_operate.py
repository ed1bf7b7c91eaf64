"""Somebody on call, at a table with jobs of every kind; whole nights are in tests/nights."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from statemachine import Execution, Failure, PermanentError
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.errors import VersionConflictError
from statemachine.execution import Lease
from statemachine.testing.clock import VirtualClock
from tests.dynamodb_tables import ONE_PART, client_of, created, named, row
from tests.mocked_aws import mock_aws
from tests.worker.fakes import planned_job_data
from worker.__main__ import app
from worker.local import operate
from worker.local.operate import moment, settings_of
from worker.providers.aws_function import environment_of
from worker.providers.dynamodb_jobs import DynamoJobs

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Desk:
    """The table, and a terminal."""

    clock: VirtualClock
    store: DynamoStore = field(default_factory=lambda: DynamoStore(client_of(None)))
    exit_code: int = 0
    err: str = ""

    def put(self, video_id: str, **changed: Any) -> Execution:  # noqa: ANN401  fields of an execution
        """A row with a job that failed an hour ago, unless something else is said."""
        client = client_of(None)
        client.put_item(TableName=ONE_PART.table_name, Item={"video_id": {"S": video_id}})
        given: dict[str, Any] = {
            "state": "failed",
            "status": "failed",
            "failed_in": "rendering",
            "failure": failure("PROVIDER_ERROR"),
            "data": {
                **planned_job_data(),
                "video_id": video_id,
                "owner_id": "ada",
                "processing_steps": {"rendering": {}},
            },
            **changed,
        }
        execution = Execution(
            execution_id=video_id,
            machine="ai-video",
            graph="graph",
            run_id="run-1",
            started_at=NOW - 2 * HOUR,
            entered_at=NOW - HOUR,
            updated_at=NOW - HOUR,
            **given,
        )
        self.store.start(execution, replace=False)
        return execution

    def working(self, video_id: str, **changed: Any) -> Execution:  # noqa: ANN401  as above
        given = {"state": "rendering", "status": "processing", "failed_in": None, "failure": None, "due_at": NOW}
        return self.put(video_id, **{**given, **changed})

    def do(self, *words: str) -> list[dict[str, Any]]:
        result = CliRunner().invoke(app, ["operate", *words, "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.exit_code, self.err = result.exit_code, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def state(self, video_id: str) -> str:
        return self.store.get(video_id).state


def failure(code: str, **more: Any) -> Failure:  # noqa: ANN401  fields of a failure
    return Failure(code, "it did not work", **{"occurred_at": NOW - HOUR, **more})


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    clock = VirtualClock(NOW)
    monkeypatch.setattr(operate, "SystemClock", lambda: clock)
    with mock_aws():
        created(client_of(None), ONE_PART)
        yield Desk(clock)


def ids(lines: list[dict[str, Any]]) -> list[str]:
    return sorted(line["id"] for line in lines if "id" in line)


# --- looking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["a", "b", "c"]),
        (("--status", "failed"), ["a", "b"]),
        (("--code", "CRASHED"), ["b"]),
        (("--code", "CRASHED", "--code", "PROVIDER_ERROR"), ["a", "b"]),
        (("--state", "planning"), ["b"]),
        (("--state", "rendering"), ["a", "c"]),
        (("--state", "rendering", "--state", "planning"), ["a", "b", "c"]),
        (("--since", "90m"), ["a", "c"]),
        (("--until", "90m"), ["b"]),
        (("--since", "2026-11-21T23:00", "--until", "2026-11-22T01:30+00:00"), ["b"]),
        (("--owner", "bob"), ["c"]),
        (("--video", "b"), ["b"]),
        (("--owner", "nobody"), []),
    ],
)
def test_jobs_are_found_by_what_is_known_of_them(desk: Desk, options: tuple[str, ...], expected: list[str]) -> None:
    desk.put("a")
    desk.put("b", failed_in="planning", failure=failure("CRASHED", occurred_at=NOW - 2 * HOUR))
    desk.working("c", data={**planned_job_data(), "video_id": "c", "owner_id": "bob"})
    client_of(None).put_item(TableName=ONE_PART.table_name, Item={"video_id": {"S": "old row"}})

    assert ids(desk.do("find", *options)) == expected
    assert "read units" in desk.err


def test_what_is_due_is_listed_from_the_index_the_longest_due_first(desk: Desk) -> None:
    desk.put("ended")
    desk.working("soon", due_at=NOW + timedelta(minutes=5), waiting_for="quota")
    desk.working("late", due_at=NOW - HOUR)
    desk.working("parked", due_at=NOW + timedelta(hours=20), parked_at=NOW - HOUR)

    lines = desk.do("due")

    assert [(line["id"], line["late_seconds"]) for line in lines] == [
        ("late", 3600.0),
        ("soon", -300.0),
        ("parked", -72000.0),
    ]
    assert "parked since" in lines[2]["trouble"]


def test_a_list_that_was_cut_off_says_so(desk: Desk) -> None:
    """Whoever waits until nobody is at work any more, or nobody renders, looks at all of them or at none."""
    for name in ("a", "b", "c"):
        desk.working(name)

    assert len(desk.do("due", "--limit", "2")) == 2
    assert "more than 2 are active: --limit" in desk.err
    assert len(desk.do("due", "--limit", "3")) == 3
    assert desk.err == ""


def test_a_list_tells_who_spends_and_how_much(desk: Desk) -> None:
    """The alarm of the day's spend is answered with this."""
    data = {**planned_job_data(), "owner_id": "bob"}
    tasks: Any = data["vertex_ai_tasks"]
    for key, operation in (("001", "operation-1"), ("002", "not_accepted")):
        attempt = {"intent_id": key, "seconds": 8.0, "price_usd": 0.64, "operation": operation, "intended_at": 0}
        tasks[key] |= {"attempts": {"001": attempt}}
    desk.working("a", data=data)
    desk.working("b", data={"scene_beats": "not a list"})

    by_id = {line["id"]: (line["owner_id"], line["ordered_usd"]) for line in desk.do("due")}
    assert by_id == {"a": ("bob", 0.64), "b": ("", None)}
    for command in ("due", "find"):
        header, *lines = CliRunner().invoke(app, ["operate", command]).stdout.splitlines()
        assert {"OWNER", "ORDERED"} <= set(header.split())
        assert {"bob", "$0.64"} <= set(next(line for line in lines if "bob" in line).split())


def test_a_turn_is_at_work_only_until_its_lease_ends(desk: Desk) -> None:
    """After the function was stopped somebody waits for this; one that was killed would be waited for in vain."""
    desk.working("a")
    desk.store.lease("a", version=1, owner="turn", now=NOW, at_most=HOUR, margin=timedelta(seconds=5))

    assert "a turn at work" in CliRunner().invoke(app, ["operate", "due"]).stdout
    desk.clock.advance(HOUR)

    assert "a turn at work" not in CliRunner().invoke(app, ["operate", "due"]).stdout


def test_a_job_is_shown_with_what_the_engine_knows_and_every_place_of_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_VIDEO_BUCKET", "media")
    monkeypatch.setenv("AI_VIDEO_VEO_OUTPUT_GCS_URI", "gs://clips/ours/")
    desk.put("a")

    (facts,) = desk.do("show", "a")

    assert (facts["code"], facts["lease"], facts["retries"]) == ("PROVIDER_ERROR", None, 0)
    assert facts["places"] == {
        "recording": "s3://media/uploads/story.mp3",
        "objects": "s3://media/ai-video/job-1/run-1/",
        "all_runs": "s3://media/ai-video/job-1/",
        "clips_at_vendor": "gs://clips/ours/ai-video/job-1/run-1/",
        "transcription_job": None,
    }


def test_a_job_whose_data_cannot_be_read_is_shown_all_the_same_without_quoting_it(desk: Desk) -> None:
    desk.put("a", data={"video_id": "a", "recording": "the plot of my novel", "processing_steps": {"rendering": {}}})

    (facts,) = desk.do("show", "a")

    assert "its data cannot be read: run_id" in facts["trouble"]
    assert "novel" not in json.dumps(facts)


def test_an_unknown_id_is_a_mistake_that_says_what_an_id_is(desk: Desk) -> None:
    desk.do("show", "nothing")

    assert desk.exit_code == 2
    assert "no job has the id 'nothing'" in desk.err
    assert "video_id" in desk.err


# --- doing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "video"), [("retry", "failed"), ("cancel", "working"), ("resume", "working")])
def test_nothing_is_done_until_somebody_says_go(desk: Desk, verb: str, video: str) -> None:
    desk.put("failed")
    desk.working("working", due_at=NOW + HOUR)
    before = desk.store.get(video)

    lines = desk.do(verb, video)

    assert lines[0]["event"] == f"would {verb}"
    assert lines[-1] == {"event": "operated", "verb": verb, "is_dry_run": True, "done": 1, "skipped": 0, "failed": 0}
    assert desk.store.get(video).revision == before.revision


def test_a_retry_sends_a_job_back_to_where_it_failed_and_does_it_once(desk: Desk) -> None:
    desk.put("a")

    first, second = desk.do("retry", "a", "--go"), desk.do("retry", "a", "--go")

    assert first[0]["event"] == "retried"
    assert second[0] == {"event": "skipped", "id": "a", "text": "it is processing"}
    standing = desk.store.get("a")
    assert (standing.state, standing.retries) == ("rendering", 1)
    assert standing.due_at == NOW + timedelta(seconds=75)


def test_only_jobs_that_are_meant_are_requeued_and_a_few_at_first(desk: Desk) -> None:
    for number in range(5):
        desk.put(f"video-{number}")
    desk.put("other", failure=failure("CRASHED"))

    assert len(desk.do("retry", "--code", "PROVIDER_ERROR", "--limit", "2", "--go")) == 3
    assert [desk.state(f"video-{number}") for number in range(5)].count("rendering") == 2
    desk.do("retry", "--code", "PROVIDER_ERROR", "--go", "--at-once", "2")

    assert {desk.state(f"video-{number}") for number in range(5)} == {"rendering"}
    assert desk.state("other") == "failed"


def test_what_a_person_stopped_or_what_would_fail_again_is_retried_only_by_its_name(desk: Desk) -> None:
    desk.put("stopped", failure=failure("CANCELLED"))
    desk.put("hopeless", failure=failure("MODEL_UNAVAILABLE", is_retryable=False))
    desk.put("unlucky")

    assert ids(desk.do("retry", "--since", "3h")) == ["unlucky"]
    assert ids(desk.do("retry", "--since", "3h", "--code", "CANCELLED")) == []
    assert ids(desk.do("retry", "stopped")) == ["stopped"]
    assert ids(desk.do("retry", "hopeless")) == ["hopeless"]


def test_what_an_operator_stopped_is_taken_up_again_without_what_its_owners_did(desk: Desk) -> None:
    """After the kill switch: nobody pays for a video that they have given up."""
    desk.put("given-up", failure=failure("CANCELLED"))
    desk.working("a")
    desk.do("cancel", "--state", "rendering", "--since", "3h", "--go")

    assert ids(desk.do("retry", "--since", "3h")) == []
    assert ids(desk.do("retry", "--since", "3h", "--code", "CANCELLED", "--go")) == ["a"]
    assert (desk.state("a"), desk.state("given-up")) == ("rendering", "failed")


@pytest.mark.parametrize("code", ["AMBIGUOUS", "PROVIDER_ERROR"])
def test_a_clip_that_may_have_been_paid_for_is_ordered_again_only_by_its_name(desk: Desk, code: str) -> None:
    """Whichever scene gave the job its code."""
    data = {**planned_job_data(), "processing_steps": {"rendering": {}}}
    tasks: Any = data["vertex_ai_tasks"]
    tasks["001"] |= {"status": "failed", "error_code": "AMBIGUOUS"}
    desk.put("a", data=data, failure=failure(code))

    assert ids(desk.do("retry", "--since", "3h")) == []
    assert ids(desk.do("retry", "--code", "PROVIDER_ERROR")) == []
    assert ids(desk.do("retry", "a")) == ["a"]
    assert ids(desk.do("retry", "--code", "AMBIGUOUS", "--code", "PROVIDER_ERROR")) == ["a"]


def test_a_scene_that_needs_other_words_is_skipped_and_said(desk: Desk) -> None:
    data = {**planned_job_data(), "processing_steps": {"rendering": {}}}
    tasks: Any = data["vertex_ai_tasks"]
    tasks["001"] |= {"status": "failed", "error_code": "CONTENT_FILTERED"}
    desk.put("a", data=data, failure=failure("CONTENT_FILTERED"))

    (line, summary) = desk.do("retry", "a", "--go")

    assert line["event"] == "skipped"
    assert "EDIT_NEEDED: scene 2" in line["text"]
    assert (summary["skipped"], desk.exit_code) == (1, 0)


def test_a_retry_may_raise_the_limit_of_a_job(desk: Desk) -> None:
    desk.put("a")

    desk.do("retry", "a", "--max-cost", "12.5", "--go")

    options: Any = desk.store.get("a").data["options"]
    assert options["max_cost_usd"] == 12.5


def test_the_kill_switch_stops_retries_and_no_cancel(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_VIDEO_STARTS", "false")
    desk.put("a")
    desk.working("b")

    assert desk.do("retry", "a", "--go")[0]["error"]["code"] == "STARTS_CLOSED"
    desk.do("cancel", "b", "--go")

    assert (desk.exit_code, desk.state("a"), desk.state("b")) == (0, "failed", "failed")


def test_the_end_that_a_cancel_makes_is_left_for_the_function_to_tell(desk: Desk) -> None:
    """Whoever is on call need not know which notices are configured."""
    desk.working("a")

    desk.do("cancel", "a", "--go")

    standing = desk.store.get("a")
    assert standing.failure is not None
    assert (standing.failure.code, standing.failure.state) == ("CANCELLED", "rendering")
    assert standing.after_work is not None
    assert standing.due_at == NOW + timedelta(seconds=75)


def test_waking_forgets_attempts_and_leaves_alone_what_is_being_worked_on(desk: Desk) -> None:
    desk.working("waiting", due_at=NOW + HOUR, attempt=4)
    desk.working("busy")
    desk.store.lease("busy", version=1, owner="turn-1", now=NOW, at_most=HOUR, margin=timedelta(seconds=5))

    lines = desk.do("resume", "--state", "rendering", "--go")

    assert {line["id"]: line["event"] for line in lines[:-1]} == {"waiting": "resumed", "busy": "skipped"}
    woken = desk.store.get("waiting")
    assert (woken.due_at, woken.attempt) == (NOW, 0)


@pytest.mark.parametrize("words", [("retry",), ("cancel", "--limit", "3"), ("retry", "a", "--since", "2h")])
def test_it_has_to_be_said_which_jobs_are_meant(desk: Desk, words: tuple[str, ...]) -> None:
    desk.put("a")

    (refused,) = desk.do(*words, "--go")

    assert (refused["error"]["code"], desk.exit_code) == ("OPERATION_UNCLEAR", 2)
    assert desk.state("a") == "failed"


@pytest.mark.parametrize("verb", ["retry", "cancel", "resume"])
def test_an_id_that_is_wrong_keeps_everything_from_being_done(desk: Desk, verb: str) -> None:
    desk.put("a")
    desk.working("b", due_at=NOW + HOUR)
    before = [desk.store.get(video_id) for video_id in ("a", "b")]

    (refused,) = desk.do(verb, "a", "b", "c", "--go")

    assert (refused["error"]["code"], desk.exit_code) == ("JOB_UNKNOWN", 2)
    assert "'c'" in refused["error"]["message"]
    assert [desk.store.get(video_id) for video_id in ("a", "b")] == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("find", "--since", "1h", "--until", "2h"), "nothing lies between --since 1h and --until 2h"),
        (("cancel", "--since", "1h", "--until", "2h", "--go"), "nothing lies between --since 1h and --until 2h"),
        (("find", "--status", "completed", "--code", "CRASHED"), "only a failed job has a --code"),
        (("find", "--status", "done"), "'done' is not one of"),
        (("due", "--table", "nowhere"), "mend the table's name"),
        (("find", "--table", "nowhere"), "mend the table's name"),
        (("retry", "a", "--table", "nowhere"), "mend the table's name"),
        (("carry", "--from", "nowhere"), "mend the table's name"),
    ],
)
def test_what_cannot_be_meant_is_a_mistake_that_says_what_to_mend(
    desk: Desk, words: tuple[str, ...], said: str
) -> None:
    desk.do(*words)

    assert desk.exit_code == 2
    assert said in desk.err


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        ("ExpiredTokenException", 2, "renew the AWS credentials"),
        ("AccessDeniedException", 2, "allow it to whoever runs this"),
        ("ThrottlingException", 1, "ThrottlingException"),
    ],
)
def test_what_the_table_refuses_to_whoever_asks_is_theirs_to_mend(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, code: str, expected: int, said: str
) -> None:
    def refuse(_: object, operation: str, __: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)

    desk.do("find")

    assert (desk.exit_code, said in desk.err) == (expected, True)
    assert "what the role allows" not in desk.err


@pytest.mark.parametrize("words", [("find",), ("cancel", "--go")])
def test_a_state_that_nobody_knows_is_told_when_no_job_is_found(desk: Desk, words: tuple[str, ...]) -> None:
    """A slip must not look like the answer that nothing is being rendered."""
    desk.working("a")

    desk.do(*words, "--state", "renderng")

    assert "this version knows no state 'renderng', only transcribing" in desk.err
    assert desk.state("a") == "rendering"


def test_a_code_may_be_given_in_small_letters(desk: Desk) -> None:
    desk.put("a")

    assert ids(desk.do("find", "--code", "provider_error")) == ["a"]


def test_a_damaged_row_is_named_and_keeps_nobody_from_the_others(desk: Desk) -> None:
    desk.put("a")
    desk.put("damaged")
    client_of(None).update_item(
        TableName=ONE_PART.table_name,
        Key={"video_id": {"S": "damaged"}},
        UpdateExpression="SET ai_execution = :spoilt",
        ExpressionAttributeValues={":spoilt": {"S": "spoilt"}},
    )

    assert ids(desk.do("find")) == ["a", "damaged"]
    assert ids(desk.do("retry", "--since", "2h", "--go")) == ["a"]
    assert desk.exit_code == 0
    assert "is not as the engine wrote it" in desk.do("retry", "damaged", "--go")[0]["text"]
    assert desk.exit_code == 1


def test_another_table_can_be_looked_at_one_that_was_restored(desk: Desk) -> None:
    desk.put("now")
    restored = created(client_of(None), named(ONE_PART, "restored"))
    client_of(None).put_item(TableName="restored", Item={"video_id": {"S": "then"}})
    DynamoStore(client_of(None), layout=restored).start(
        replace(desk.store.get("now"), execution_id="then"), replace=False
    )

    assert ids(desk.do("find", "--table", "restored")) == ["then"]


# --- carrying --------------------------------------------------------------------------------------------------------


@dataclass
class Restored:
    """A table that was restored, beside the one that the desk works at."""

    desk: Desk
    store: DynamoStore

    def put(self, execution: Execution) -> None:
        """The row with the job as it stood then."""
        self.upload(execution.execution_id)
        self.store.start(execution, replace=False)

    def upload(self, video_id: str) -> None:
        """The row without a job."""
        client_of(None).put_item(TableName="restored", Item={"video_id": {"S": video_id}, "title": {"S": "then"}})

    def carry(self, *words: str) -> dict[str, str]:
        """What was said of each job."""
        lines = self.desk.do("carry", *words, "--from", ONE_PART.table_name, "--table", "restored")
        return {line["id"]: line["event"] for line in lines if "id" in line}

    def row(self, video_id: str) -> dict[str, Any]:
        return row(client_of(None), self.store.layout, video_id)


@pytest.fixture
def restored(desk: Desk) -> Restored:
    layout = created(client_of(None), named(ONE_PART, "restored"))
    return Restored(desk, DynamoStore(client_of(None), layout=layout))


def test_a_job_that_has_gone_further_is_carried_with_everything_that_is_ours_and_nothing_else(
    desk: Desk, restored: Restored
) -> None:
    further = desk.put("a", version=9, revision=14)
    restored.put(replace(further, state="rendering", status="processing", version=4, revision=5, due_at=NOW))

    assert restored.carry("--go") == {"a": "carried"}

    there = row(client_of(None), ONE_PART, "a")
    assert restored.row("a") == {**there, "title": {"S": "then"}}
    assert restored.store.get("a") == desk.store.get("a")
    assert "ai_due_at" not in restored.row("a")


def test_a_job_that_was_begun_since_is_put_on_its_row_and_no_row_is_made(desk: Desk, restored: Restored) -> None:
    desk.working("begun")
    desk.working("uploaded")
    restored.upload("begun")

    assert restored.carry("--go") == {"begun": "carried", "uploaded": "skipped"}

    assert restored.store.get("begun") == desk.store.get("begun")
    assert restored.store.due(NOW, limit=9)[0].execution_id == "begun"
    assert "Item" not in client_of(None).get_item(TableName="restored", Key={"video_id": {"S": "uploaded"}})


def test_nothing_is_carried_until_somebody_says_go_and_nothing_twice(desk: Desk, restored: Restored) -> None:
    further = desk.put("a", version=9, revision=14)
    restored.put(replace(further, version=4, revision=5))

    assert restored.carry() == {"a": "would carry"}
    assert restored.store.get("a").revision == 5
    assert restored.carry("--go") == {"a": "carried"}
    assert restored.carry("--go") == {}
    assert "1 are the same in both" in desk.err


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        ({"revision": 15, "version": 5}, "it has not gone further there"),
        ({"updated_at": NOW, "version": 5}, "it has gone on here too"),
        ({"lease": Lease("turn", NOW + HOUR), "version": 5}, "it has gone on here too"),
        ({"run_id": "run-2", "started_at": NOW, "version": 1}, "another run was started later here"),
    ],
)
def test_what_is_newer_in_the_restored_table_is_never_overwritten(
    desk: Desk, restored: Restored, here: dict[str, Any], reason: str
) -> None:
    further = desk.put("a", version=9, revision=14)
    restored.put(replace(further, **{"revision": 5, **here}))
    before = restored.row("a")

    (line, _) = desk.do("carry", "--go", "--from", ONE_PART.table_name, "--table", "restored")

    assert (line["event"], restored.row("a")) == ("skipped", before)
    assert reason in line["text"]


def test_a_later_run_is_carried_whatever_its_versions_are(desk: Desk, restored: Restored) -> None:
    """Versions begin anew on a row whose attributes were removed between two runs."""
    later = desk.put("a")
    restored.put(replace(later, run_id="run-0", started_at=NOW - 9 * HOUR, version=30, revision=40))

    assert restored.carry("--go") == {"a": "carried"}
    assert restored.store.get("a").run_id == "run-1"


def test_a_job_at_which_a_turn_works_is_carried_when_that_has_ended(desk: Desk, restored: Restored) -> None:
    """It may be ordering clips, and writes them down in the old table."""
    restored.put(desk.working("a"))
    desk.store.lease("a", version=1, owner="turn", now=NOW, at_most=HOUR, margin=timedelta(seconds=5))
    desk.store.checkpoint("a", owner="turn", patch={("title",): "ordered"})

    assert restored.carry("a", "--go") == {"a": "skipped"}
    assert restored.carry("--go") == {"a": "skipped"}
    desk.clock.advance(HOUR)

    assert restored.carry("--go") == {"a": "carried"}
    assert restored.store.get("a").data["title"] == "ordered"


def test_a_write_in_between_wins_over_what_is_carried(desk: Desk, restored: Restored) -> None:
    there = desk.put("a", version=9, revision=14)
    seen = replace(there, version=4, revision=5)
    restored.put(replace(seen, revision=6))
    jobs, old = DynamoJobs(client_of(None), layout=restored.store.layout), DynamoJobs(client_of(None))

    with pytest.raises(VersionConflictError):
        jobs.carry(there, old.row("a"), over=seen)

    assert restored.store.get("a").revision == 6


def test_what_stands_only_in_the_restored_table_is_told_and_left(desk: Desk, restored: Restored) -> None:
    """Its owner may have had it deleted since, and a restored table brings it back."""
    restored.put(desk.put("a"))
    client_of(None).delete_item(TableName=ONE_PART.table_name, Key={"video_id": {"S": "a"}})
    before = restored.row("a")

    assert restored.carry("--go") == {"a": "only here"}
    assert restored.row("a") == before


def test_a_row_that_is_damaged_in_the_old_table_is_named_and_not_carried(desk: Desk, restored: Restored) -> None:
    for video_id in ("a", "b"):
        restored.put(replace(desk.put(video_id, version=9, revision=14), version=4, revision=5))
    client_of(None).update_item(
        TableName=ONE_PART.table_name,
        Key={"video_id": {"S": "a"}},
        UpdateExpression="SET ai_execution = :spoilt",
        ExpressionAttributeValues={":spoilt": {"S": "spoilt"}},
    )

    assert restored.carry("--go") == {"a": "failed", "b": "carried"}
    assert (desk.exit_code, restored.store.get("a").revision) == (1, 5)


def test_jobs_are_carried_between_two_tables(desk: Desk, restored: Restored) -> None:
    (refused,) = desk.do("carry", "--from", "restored", "--table", "restored")

    assert (refused["error"]["code"], desk.exit_code) == ("OPERATION_UNCLEAR", 2)


# --- settings --------------------------------------------------------------------------------------------------------


def test_the_settings_are_those_of_the_deployed_function() -> None:
    environment = {"AI_VIDEO_TABLE_NAME": "videos", "AI_VIDEO_STARTS": "false", "GOOGLE_CLOUD_PROJECT": "p"}

    settings = settings_of(environment, function_name="worker", table_name=None)

    assert (settings.table_name, settings.starts, settings.function_name) == ("videos", False, "worker")
    assert settings_of(environment, function_name="", table_name="other").table_name == "other"


def test_the_shell_of_whoever_operates_a_function_changes_nothing_of_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A table that a person has tried something on must not be taken for the function's."""
    monkeypatch.setenv("AI_VIDEO_TABLE_NAME", "mine")
    monkeypatch.setenv("AI_VIDEO_STARTS", "false")

    of_function = settings_of({"AI_VIDEO_BUCKET": "media"}, function_name="worker", table_name=None)
    of_shell = settings_of({}, function_name="", table_name=None)

    assert (of_function.table_name, of_function.starts, of_function.bucket) == ("video_metadata", True, "media")
    assert (of_shell.table_name, of_shell.starts) == ("mine", False)


def test_a_setting_that_is_wrong_is_named_without_its_value() -> None:
    with pytest.raises(PermanentError, match="AI_VIDEO_DUE_SHARDS") as caught:
        settings_of({"AI_VIDEO_DUE_SHARDS": "secret"}, function_name="", table_name=None)

    assert "secret" not in str(caught.value)


def test_a_function_that_is_not_the_worker_is_a_mistake() -> None:
    """Its settings would be the defaults, and an empty answer would look like peace."""
    with pytest.raises(PermanentError, match="function other has no variable AI_VIDEO_…: it is not the worker"):
        settings_of({"LOG_LEVEL": "INFO"}, function_name="other", table_name=None)


def test_a_function_that_does_not_exist_is_a_mistake() -> None:
    with mock_aws(), pytest.raises(PermanentError, match="mend its name or the region"):
        environment_of("nobody")


def test_the_environment_of_a_function_is_what_it_was_deployed_with() -> None:
    with mock_aws():
        role = boto3.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        boto3.client("lambda").create_function(
            FunctionName="worker",
            Runtime="python3.12",
            Handler="x.y",
            Role=role,
            Code={"ImageUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/x:y"},
            PackageType="Image",
            Environment={"Variables": {"AI_VIDEO_TABLE_NAME": "videos"}},
        )

        assert environment_of("worker") == {"AI_VIDEO_TABLE_NAME": "videos"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("2h", NOW - 2 * HOUR),
        ("3d", NOW - timedelta(days=3)),
        ("2026-11-22T01:30", datetime(2026, 11, 22, 1, 30, tzinfo=UTC)),
        ("2026-11-22T01:30+01:00", datetime(2026, 11, 22, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_span_before_now_or_said_in_full(text: str, expected: datetime) -> None:
    assert moment(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "2", "h", "99999999999d", ""])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="neither a span"):
        moment(text, now=NOW)
