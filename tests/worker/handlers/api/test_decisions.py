"""POST and DELETE on a job that stands: retry, approve, cancel."""

from typing import Any

import pytest

from statemachine import Execution, Patch, PermanentError
from statemachine.errors import PatchError, StoreUnavailableError, VersionConflictError
from tests.worker.fakes import planned_job_data
from tests.worker.handlers.api.desk import ADA, BOB, VIDEO, Desk
from worker.after_work import AfterWork
from worker.handlers.api.decisions import TRIES
from worker.handlers.api.responses import DryRunView, JobView
from worker.limits import Limits
from worker.ports import Clip, Refused
from worker.rows import Row

FILTERED = Refused("CONTENT_FILTERED", "support code 1", is_retryable=False, category="violence")


def act(desk: Desk, action: str, *, key: str | None = None, user: str = ADA, **body: Any) -> Any:  # noqa: ANN401  an answer
    headers = {} if key is None else {"Idempotency-Key": key}
    return desk.post({"videoId": VIDEO, "action": action, **body}, user=user, headers=headers)


def in_review(desk: Desk) -> Desk:
    desk.post({"videoId": VIDEO, "options": {"reviewBeforeRender": True}})
    desk.run()
    assert desk.job().state == "reviewing"
    return desk


def failed(desk: Desk, refused: Refused | None = None) -> Desk:
    """A job whose second scene failed, and the others have their clips; the next order succeeds."""
    refused = refused or Refused("PROVIDER_ERROR", "broken", is_retryable=False)
    desk.renderer.answers[1] = [refused, Clip("second")]
    desk.post()
    desk.run()
    assert desk.job().state == "failed"
    return desk


# --- retry --------------------------------------------------------------------------------------------------------


def test_a_retry_pays_only_for_what_is_missing(desk: Desk) -> None:
    failed(desk)

    answer = act(desk, "retry")

    assert answer.status == 202
    assert JobView.model_validate_json(answer.text).root.phase == "rendering"
    assert desk.run().state == "completed"
    *at_first, again = [scene for scene, _ in desk.renderer.bill]
    assert (sorted(at_first), again) == ([0, 1, 2], 1), "the first three are ordered side by side, in any order"


def test_a_filtered_scene_has_to_be_changed_first(desk: Desk) -> None:
    answer = act(failed(desk, FILTERED), "retry")

    assert (answer.status, answer.body["code"], answer.body["scene_index"]) == (422, "EDIT_NEEDED", 1)


def test_a_retry_takes_edited_scenes(desk: Desk) -> None:
    failed(desk, FILTERED)

    answer = act(desk, "retry", sceneBeats=[{"scene_index": 1, "visual_prompt": "a calm sea"}])

    assert answer.status == 202
    assert answer.body["scenes"][1]["visual_prompt"] == "a calm sea"
    assert answer.body["scenes"][1]["revision"] == 2
    assert desk.run().state == "completed"


def test_a_scene_that_has_its_clip_cannot_be_changed(desk: Desk) -> None:
    failed(desk)

    answer = act(desk, "retry", sceneBeats=[{"scene_index": 0, "visual_prompt": "other"}])

    assert (answer.status, answer.body["code"]) == (422, "EDIT_INVALID")
    assert desk.job().state == "failed"


def test_a_retry_beyond_the_cost_limit_is_refused_until_it_is_raised(desk: Desk) -> None:
    """Clips of 8, 8 and 6 s at $0.10 are spent; the second one again would be $3.00 in all."""
    desk.renderer.answers[1] = [Refused("PROVIDER_ERROR", "broken", is_retryable=False), Clip("second")]
    desk.post({"videoId": VIDEO, "options": {"maxCostUsd": 2.5}})
    desk.run()

    refused = act(desk, "retry")
    accepted = act(desk, "retry", options={"maxCostUsd": 3.0})

    assert (refused.status, refused.body["code"]) == (422, "COST_LIMIT_EXCEEDED")
    assert (refused.body["accrued_usd"], refused.body["remaining_usd"]) == (2.2, 0.8)
    assert accepted.status == 202
    assert accepted.body["cost"]["limit_usd"] == 3.0
    assert desk.run().state == "completed"


def test_a_retry_cannot_raise_the_limit_beyond_the_deployments(desk: Desk) -> None:
    failed(desk)
    desk.limits = Limits(max_cost_usd=2.9)

    assert act(desk, "retry", options={"maxCostUsd": 100}).body["code"] == "COST_LIMIT_EXCEEDED"


def test_a_retry_books_again_what_it_may_still_cost(desk: Desk) -> None:
    desk.limits = Limits(daily_usd=5, concurrent_jobs=1)
    desk.after_work = AfterWork(rows=desk.rows, notifiers=[])
    failed(desk)
    assert desk.rows.usage(ADA).slots == {}
    assert desk.rows.usage(ADA).spent_usd == pytest.approx(2.2)

    act(desk, "retry")
    booked = desk.rows.usage(ADA)
    desk.run()

    assert len(booked.slots) == 1
    assert booked.spent_usd == pytest.approx(3.0)
    assert desk.rows.usage(ADA).slots == {}
    assert desk.rows.usage(ADA).spent_usd == pytest.approx(3.0)


def test_a_retry_within_the_users_limits_only(desk: Desk) -> None:
    failed(desk)
    desk.limits = Limits(daily_usd=0.5)

    assert act(desk, "retry").body["code"] == "DAILY_LIMIT_EXCEEDED"


@pytest.mark.parametrize(("limit", "usd"), [(None, 2.4), (50.0, 2.4), (2.3, 2.3)])
def test_a_retry_before_there_are_scenes_books_what_the_recording_may_cost(
    desk: Desk, limit: float | None, usd: float
) -> None:
    """Else a user without a limit for each video would pass the day's, and one with a high limit never reach it."""
    desk.post({"videoId": VIDEO, "options": {} if limit is None else {"maxCostUsd": limit}})
    desk.run(turns=1)
    desk.delete()
    assert not desk.data().scene_beats
    desk.limits = Limits(daily_usd=5)

    answer = act(desk, "retry")

    assert answer.status == 202
    assert desk.rows.usage(ADA).spent_usd == pytest.approx(usd)


def test_a_retry_before_there_are_scenes_is_refused_where_the_least_passes_the_limit(desk: Desk) -> None:
    desk.post()
    desk.run(turns=1)
    desk.delete()

    answer = act(desk, "retry", options={"maxCostUsd": 1})

    assert (answer.status, answer.body["code"]) == (422, "COST_LIMIT_EXCEEDED")
    assert desk.job().state == "failed"


@pytest.mark.parametrize("state", ["processing", "reviewing", "completed"])
def test_only_a_failed_job_can_be_retried(desk: Desk, state: str) -> None:
    if state == "reviewing":
        in_review(desk)
    else:
        desk.post()
    if state == "completed":
        desk.run()

    answer = act(desk, "retry")

    assert (answer.status, answer.body["code"]) == (409, "INVALID_STATE")
    assert answer.body["current"]["phase"] == desk.job().state


def test_a_retry_sent_twice_with_its_key_is_one_retry(desk: Desk) -> None:
    failed(desk)

    act(desk, "retry", key="click-2")
    again = act(desk, "retry", key="click-2")

    assert (again.status, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert desk.job().retries == 1


def test_a_retry_with_the_key_of_another_request_is_refused(desk: Desk) -> None:
    failed(desk)
    act(desk, "retry", key="click-2")

    answer = act(desk, "retry", key="click-2", options={"maxCostUsd": 30})

    assert (answer.status, answer.body["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_cancelled_job_can_be_taken_up_again(desk: Desk) -> None:
    desk.post()
    desk.run(turns=2)
    desk.delete()

    assert act(desk, "retry").status == 202
    assert desk.run().state == "completed"


def test_a_dry_run_of_a_retry_tells_what_is_missing_and_writes_nothing(desk: Desk) -> None:
    """Of clips of 8, 8 and 6 s at $0.10 all are paid; the second one has to be made again."""
    before = failed(desk, FILTERED).job()
    edits = [{"scene_index": 1, "visual_prompt": "a calm sea"}]

    answer = act(desk, "retry", dryRun=True, sceneBeats=edits, options={"maxCostUsd": 9.0})

    assert answer.status == 200
    told = DryRunView.model_validate_json(answer.text)
    assert (told.action, told.accrued_usd, told.limit_usd, told.recording) == ("retry", 2.2, 9.0, None)
    assert told.estimate is not None
    assert (told.estimate.scenes, told.estimate.clip_seconds.low, told.estimate.clip_seconds.high) == (1, 8, 8)
    assert (told.estimate.cost_usd.low, told.estimate.cost_usd.high) == (0.8, 0.8)
    assert told.estimate.eta_seconds is not None
    assert 45 <= told.estimate.eta_seconds.low <= told.estimate.eta_seconds.high
    assert desk.job() == before
    assert not desk.dispatcher.events


def test_what_a_dry_run_of_a_retry_tells_is_what_the_retry_costs(desk: Desk) -> None:
    failed(desk)

    told = act(desk, "retry", dryRun=True).body
    act(desk, "retry")
    desk.run()

    spent = desk.get().body["cost"]["accrued_usd"]
    assert spent == pytest.approx(told["accrued_usd"] + told["estimate"]["cost_usd"]["high"])


def test_a_dry_run_of_an_approval_tells_the_exact_price_and_writes_nothing(desk: Desk) -> None:
    before = in_review(desk).job()

    answer = act(desk, "approve", dryRun=True)

    assert (answer.status, answer.body["action"]) == (200, "approve")
    assert answer.body["estimate"]["scenes"] == 3
    assert answer.body["estimate"]["cost_usd"]["low"] == answer.body["estimate"]["cost_usd"]["high"] == 2.2
    assert answer.body["accrued_usd"] == 0.0
    assert desk.job() == before


@pytest.mark.parametrize(("turns", "scenes"), [(0, None), (1, 3)], ids=["before it is measured", "once it is"])
def test_a_dry_run_of_a_retry_before_there_are_scenes_estimates_by_the_recording(
    desk: Desk, turns: int, scenes: int | None
) -> None:
    desk.post()
    desk.run(turns=turns)
    desk.delete()
    assert not desk.data().scene_beats

    answer = act(desk, "retry", dryRun=True)

    assert answer.status == 200
    assert (answer.body["estimate"] or {}).get("scenes") == scenes


@pytest.mark.parametrize(
    ("limits", "body", "code"),
    [
        (Limits(starts=False), {}, "STARTS_PAUSED"),
        (Limits(daily_usd=0.5), {}, "DAILY_LIMIT_EXCEEDED"),
        (Limits(concurrent_jobs=0), {}, "TOO_MANY_JOBS"),
        (Limits(max_cost_usd=2.9), {"options": {"maxCostUsd": 50}}, "COST_LIMIT_EXCEEDED"),
        (Limits(), {"sceneBeats": [{"scene_index": 0, "visual_prompt": "x"}]}, "EDIT_INVALID"),
    ],
)
def test_a_dry_run_of_a_retry_is_refused_as_the_retry_would_be(
    desk: Desk, limits: Limits, body: dict[str, Any], code: str
) -> None:
    failed(desk)
    desk.limits = limits

    dry, wet = act(desk, "retry", dryRun=True, **body), act(desk, "retry", **body)

    assert dry.body["code"] == code
    assert (dry.status, dry.text) == (wet.status, wet.text)


def test_a_dry_run_takes_no_idempotency_key_away_from_the_retry(desk: Desk) -> None:
    failed(desk)

    dry = act(desk, "retry", key="click-2", dryRun=True)
    wet = act(desk, "retry", key="click-2")

    assert (dry.status, wet.status) == (200, 202)
    assert "Idempotent-Replayed" not in wet.headers


def test_a_refused_retry_shows_what_it_would_have_cost(desk: Desk) -> None:
    failed(desk)
    desk.limits = Limits(max_cost_usd=2.9)

    answer = act(desk, "retry", options={"maxCostUsd": 50})

    assert answer.body["estimate"]["cost_usd"]["high"] == 0.8
    assert answer.body["limit_usd"] == 2.9


# --- approve ------------------------------------------------------------------------------------------------------


def test_an_approval_lets_the_clips_be_made(desk: Desk) -> None:
    answer = act(in_review(desk), "approve")

    assert (answer.status, answer.body["phase"]) == (202, "rendering")
    assert desk.run().state == "completed"


def test_an_approval_takes_edited_scenes_and_a_new_limit(desk: Desk) -> None:
    in_review(desk)

    answer = act(
        desk,
        "approve",
        sceneBeats=[{"scene_index": 2, "visual_prompt": "a whale", "negative_prompt": "text"}],
        options={"maxCostUsd": 7},
    )
    desk.run()

    assert answer.body["scenes"][2]["visual_prompt"] == "a whale"
    assert answer.body["cost"]["limit_usd"] == 7
    assert any("a whale" in prompt for prompt in desk.renderer.prompts)


@pytest.mark.parametrize(
    "edits",
    [
        [{"scene_index": 9, "visual_prompt": "x"}],
        [{"scene_index": 0, "visual_prompt": "x"}, {"scene_index": 0, "visual_prompt": "y"}],
    ],
    ids=["no such scene", "twice"],
)
def test_an_edit_that_cannot_be_leaves_the_job_in_review(desk: Desk, edits: object) -> None:
    answer = act(in_review(desk), "approve", sceneBeats=edits)

    assert (answer.status, answer.body["code"]) == (422, "EDIT_INVALID")
    assert desk.job().state == "reviewing"


def test_an_approval_beyond_the_limit_is_refused_with_the_exact_price(desk: Desk) -> None:
    in_review(desk)

    answer = act(desk, "approve", options={"maxCostUsd": 2.19})

    assert answer.body["code"] == "COST_LIMIT_EXCEEDED"
    assert answer.body["remaining_usd"] == pytest.approx(2.2)


def test_only_a_job_in_review_can_be_approved(desk: Desk) -> None:
    desk.post()

    assert act(desk, "approve").body["code"] == "INVALID_STATE"


@pytest.mark.parametrize("action", ["retry", "approve"])
def test_the_kill_switch_holds_for_everything_that_goes_on_to_spend(desk: Desk, action: str) -> None:
    (failed if action == "retry" else in_review)(desk)
    desk.limits = Limits(starts=False)

    assert act(desk, action).body["code"] == "STARTS_PAUSED"


@pytest.mark.parametrize("action", ["retry", "approve"])
def test_nobody_goes_on_to_spend_where_a_part_is_missing(desk: Desk, action: str) -> None:
    (failed if action == "retry" else in_review)(desk)
    before = desk.job()
    desk.missing_part = PermanentError("SETTING_MISSING", "no key", user_action="contact_admin")

    answer = act(desk, action)

    assert (answer.status, answer.body["code"]) == (503, "PART_UNAVAILABLE")
    assert desk.job() == before


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("retry", {"options": {"style": "noir"}}, "options.style"),
        ("approve", {"force": True}, "force"),
        ("cancel", {"dryRun": True}, "dryRun"),
        ("cancel", {"options": {"maxCostUsd": 1}}, "options.maxCostUsd"),
        ("cancel", {"sceneBeats": [{"scene_index": 0, "visual_prompt": "x"}]}, "sceneBeats"),
        ("start", {"sceneBeats": [{"scene_index": 0, "visual_prompt": "x"}]}, "sceneBeats"),
    ],
)
def test_what_belongs_to_another_action_is_a_mistake_that_is_told(
    desk: Desk, action: str, body: dict[str, Any], field: str
) -> None:
    answer = act(desk, action, **body)

    assert (answer.status, answer.body["code"]) == (422, "INVALID_OPTION")
    assert [error["field"] for error in answer.body["errors"]] == [field]


# --- cancel -------------------------------------------------------------------------------------------------------


def test_a_start_after_a_cancel_takes_over_its_place_though_its_end_was_not_told_yet(desk: Desk) -> None:
    """The function that tells it may start cold; replaced meanwhile, the run would keep its place for a day."""
    desk.limits = Limits(daily_usd=5, concurrent_jobs=1)
    desk.post()
    desk.delete()

    answer = desk.post()

    assert answer.status == 202
    usage = desk.rows.usage(ADA)
    assert list(usage.slots) == [desk.job().run_id]
    assert usage.spent_usd == pytest.approx(2.4)


@pytest.mark.parametrize("how", ["DELETE", "POST"])
def test_a_cancel_ends_the_job_at_once(desk: Desk, how: str) -> None:
    desk.post()

    answer = desk.delete() if how == "DELETE" else act(desk, "cancel")

    assert answer.status == 202
    assert answer.body["ai_generation_status"] == "failed"
    assert answer.body["error"]["code"] == "CANCELLED"
    assert desk.job().state == "failed"


@pytest.mark.parametrize("http_api", [False, True], ids=["REST API", "HTTP API"])
def test_cancelling_again_changes_nothing(desk: Desk, *, http_api: bool) -> None:
    desk.post()
    desk.delete()
    version = desk.job().version

    answer = desk.delete(http_api=http_api)

    assert answer.status == 200
    assert desk.job().version == version


def test_cancelling_a_finished_job_keeps_the_video(desk: Desk) -> None:
    desk.post()
    desk.run()

    answer = desk.delete()

    assert (answer.status, answer.body["phase"]) == (200, "completed")
    assert answer.body["media"]["video_url"]


def test_a_review_can_be_cancelled(desk: Desk) -> None:
    assert in_review(desk).delete().status == 202
    assert desk.renderer.bill == []


# --- whose, and when others write too --------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["start", "retry", "approve", "cancel"])
def test_somebody_elses_job_answers_every_action_exactly_as_none(desk: Desk, action: str) -> None:
    in_review(desk)
    before = desk.job()

    theirs = act(desk, action, user=BOB)
    nobodys = desk.post({"videoId": "video-9", "action": action}, user=BOB)

    assert theirs.status == 404
    assert (theirs.text, theirs.headers) == (nobodys.text, nobodys.headers)
    assert desk.job() == before


def test_somebody_elses_job_answers_delete_exactly_as_none(desk: Desk) -> None:
    desk.post()

    theirs, nobodys = desk.delete(user=BOB), desk.delete("video-9", user=BOB)

    assert theirs.status == 404
    assert (theirs.text, theirs.headers) == (nobodys.text, nobodys.headers)
    assert desk.job().state == "transcribing"


@pytest.mark.parametrize("action", ["retry", "approve", "cancel"])
def test_a_video_without_a_job_has_nothing_to_decide(desk: Desk, action: str) -> None:
    assert act(desk, action).body["code"] == "JOB_NOT_FOUND"


def test_a_decision_that_always_meets_another_write_gives_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    in_review(desk)
    tries = []

    def conflict(*_: object, **__: object) -> None:
        tries.append(1)
        raise VersionConflictError(VIDEO, expected=1, stored=2)

    monkeypatch.setattr(desk.store, "signal", conflict)

    answer = act(desk, "approve")

    assert (answer.status, answer.body["code"]) == (503, "BUSY")
    assert len(tries) == TRIES


def test_a_decision_whose_answer_was_lost_is_known_again_without_a_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever approves once must not be told that it is too late to approve."""
    in_review(desk)
    original, answers = desk.store.signal, iter(["lost"])

    def losing(execution: Execution, *, patch: Patch) -> None:
        original(execution, patch=patch)
        if next(answers, None):
            raise StoreUnavailableError("the answer was lost")

    monkeypatch.setattr(desk.store, "signal", losing)

    answer = act(desk, "approve")

    assert (answer.status, answer.body["phase"]) == (202, "rendering")
    assert "Idempotent-Replayed" not in answer.headers


def test_a_row_that_is_deleted_meanwhile_is_no_video_any_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    in_review(desk)
    original = desk.rows.deciding

    def deleted(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  as `deciding`
        desk.store.delete(VIDEO)
        return original(*arguments, **named)

    monkeypatch.setattr(desk.rows, "deciding", deleted)

    assert act(desk, "approve").body["code"] == "VIDEO_NOT_FOUND"
    assert desk.delete().body["code"] == "JOB_NOT_FOUND"


def test_a_job_that_ends_while_it_is_cancelled_stays_as_it_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.post()
    stale = desk.rows.find(VIDEO, user_id=ADA)
    desk.run()
    looks = [stale]
    original = desk.rows.find

    def find(video_id: str, *, user_id: str, any_owner: bool = False) -> Row | None:
        return looks.pop() if looks else original(video_id, user_id=user_id, any_owner=any_owner)

    monkeypatch.setattr(desk.rows, "find", find)

    answer = desk.delete()

    assert (answer.status, answer.body["phase"]) == (200, "completed")


def test_a_decision_on_a_state_that_is_over_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = in_review(desk).rows.find(VIDEO, user_id=ADA)
    desk.delete()
    monkeypatch.setattr(desk.rows, "find", lambda *_, **__: stale)

    answer = act(desk, "approve")

    assert (answer.status, answer.body["code"]) == (409, "INVALID_STATE")
    assert desk.job().state == "failed"


def long_review(desk: Desk, *, scenes: int = 75) -> dict[str, Any]:
    """A job in review with so many scenes, and its beats as they are stored."""
    begun = in_review(desk).job()
    desk.store.delete(VIDEO)
    data: Any = {**planned_job_data(scenes=scenes), "processing_steps": begun.data["processing_steps"]}
    for beat in data["scene_beats"].values():
        beat.pop("negative_prompt", None)  # as `planning` keeps it: once for all scenes
        beat["mood"] = {"of": ["a", "newer version"]}
    data["negative_prompt"] = "letters"
    desk.store.start(begun.changed(data=data), replace=False)
    return dict(data["scene_beats"])


def test_every_scene_of_the_longest_video_may_be_edited_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB takes an expression of 4 KB, some 250 paths; 75 edited scenes are 375."""
    scenes = len(long_review(desk))
    paths: list[int] = []
    original = desk.store.signal

    def signal(execution: Execution, *, patch: Patch) -> None:
        paths.append(len(patch))
        original(execution, patch=patch)

    monkeypatch.setattr(desk.store, "signal", signal)
    edits = [{"scene_index": i, "visual_prompt": f"edited {i}", "negative_prompt": "text"} for i in range(scenes)]

    answer = act(desk, "approve", sceneBeats=edits, options={"maxCostUsd": 100})

    assert answer.status == 202
    assert [scene["visual_prompt"] for scene in answer.body["scenes"]] == [f"edited {i}" for i in range(scenes)]
    assert paths
    assert max(paths) < 100


def test_editing_many_scenes_at_once_keeps_what_else_is_stored_of_them(desk: Desk) -> None:
    """As editing one does: a newer version's field stays, and what all scenes share is not written out 75 times."""
    before = long_review(desk)
    edits = [{"scene_index": i, "visual_prompt": f"edited {i}"} for i in range(len(before))]

    answer = act(desk, "approve", sceneBeats=edits, options={"maxCostUsd": 100})

    assert answer.status == 202
    stored: Any = desk.job().data["scene_beats"]
    assert dict(stored) == {
        key: {**beat, "visual_prompt": f"edited {int(key)}", "is_cut": False, "revision": 2}
        for key, beat in before.items()
    }
    assert {scene["negative_prompt"] for scene in answer.body["scenes"]} == {"letters"}


def test_a_patch_that_the_table_does_not_take_is_the_edits_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    in_review(desk)

    def refuse(*_: object, **__: object) -> None:
        raise PatchError("too large")

    monkeypatch.setattr(desk.store, "signal", refuse)

    answer = act(desk, "approve")

    assert (answer.status, answer.body["code"]) == (422, "EDIT_INVALID")
