"""GET: what a person who watches a job is told."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.worker.handlers.api.desk import ADA, BOB, KEY, OPERATOR, VIDEO, Desk
from worker.handlers.api.responses import JobView
from worker.ports import Clip, Refused

# Three scenes of a recording of 20 s; no vendor's word for anything may reach a person.
VENDORS_WORDS = "vendor says: projects/a-project/operations/42"


def started(desk: Desk, **options: object) -> Desk:
    assert desk.post({"videoId": VIDEO, "options": options}).status == 202
    return desk


def rendering(desk: Desk) -> Desk:
    """A job whose clips are ordered, and none is there."""
    desk.renderer.polls = 3
    started(desk).run(turns=3)
    assert desk.job().state == "rendering"
    return desk


def completed(desk: Desk) -> Desk:
    started(desk).run()
    return desk


def failed(desk: Desk, code: str = "PROVIDER_ERROR") -> Desk:
    """A job whose second scene failed."""
    desk.renderer.answers[1] = [Refused(code, VENDORS_WORDS, is_retryable=False)] * 5
    started(desk).run()
    assert desk.job().state == "failed"
    return desk


@pytest.mark.parametrize("http_api", [False, True], ids=["REST API", "HTTP API"])
def test_a_running_job_is_shown_with_how_far_it_is(desk: Desk, *, http_api: bool) -> None:
    rendering(desk)

    answer = desk.get(http_api=http_api)

    assert answer.status == 200
    assert answer.body["videoId"] == VIDEO
    assert answer.body["ai_generation_status"] == "processing"
    assert answer.body["phase"] == "rendering"
    assert answer.body["progress"]["scenes_total"] == 3
    assert [step["status"] for step in answer.body["steps"]] == ["completed", "completed", "processing", "waiting"]
    assert [scene["status"] for scene in answer.body["scenes"]] == ["submitted"] * 3
    assert answer.body["actions"] == ["cancel"]
    assert answer.headers["Retry-After"] == str(answer.body["poll_after_seconds"])
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_completed_job_has_signed_addresses_and_their_end(desk: Desk) -> None:
    started(desk).run()

    body = desk.get().body

    assert body["media"]["video_url"].startswith("https://signed/ai-video/video-1/")
    assert body["ai_generation_data"]["final_video_url"] == body["media"]["video_url"]
    assert "&as=A story.mp4" in body["media"]["download_url"]
    assert all(scene["thumbnail_url"] and scene["preview_url"] for scene in body["scenes"])
    assert body["urls_expire_at"] == "2026-11-22T13:00:00Z"
    assert body["progress"]["percent"] == 100
    assert body["poll_after_seconds"] is None
    assert body["actions"] == ["regenerate"]


def test_addresses_do_not_outlive_the_credentials_that_signed_them(desk: Desk) -> None:
    started(desk).run()
    desk.links.end_at = desk.clock.now() + timedelta(minutes=7)

    assert desk.get().body["urls_expire_at"] == "2026-11-22T12:07:30Z"


def test_a_failed_job_is_200_and_says_what_where_and_what_to_do(desk: Desk) -> None:
    answer = failed(desk).get()

    assert answer.status == 200
    error = answer.body["error"]
    assert error["code"] == "PROVIDER_ERROR"
    assert error["step"] == "rendering"
    assert error["scene_index"] == 1
    assert error["user_action"] == "retry"
    assert error["support_id"]
    assert answer.body["actions"] == ["retry", "regenerate"]
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(("category", "told"), [("violence", "violence"), (None, "general")])
def test_a_filtered_scene_tells_the_filters_category_and_what_was_refused(
    desk: Desk, category: str | None, told: str
) -> None:
    desk.renderer.answers[1] = [Refused("CONTENT_FILTERED", VENDORS_WORDS, is_retryable=False, category=category)]
    started(desk).run()

    error = desk.get().body["error"]

    assert (error["code"], error["category"], error["stage"]) == ("CONTENT_FILTERED", told, "output")
    assert (error["scene_index"], error["user_action"]) == (1, "edit_scene")


def test_another_failure_has_neither_category_nor_limit(desk: Desk) -> None:
    error = failed(desk).get().body["error"]

    assert [error[name] for name in ("category", "stage", "estimate_usd", "limit_usd")] == [None] * 4


def test_a_plan_beyond_the_limit_tells_both_so_that_the_right_raise_can_be_offered(desk: Desk) -> None:
    """At least 20 s at $0.10 pass the limit of $2.10; the scenes as planned take 22 s."""
    started(desk, maxCostUsd=2.1).run()
    error = desk.get().body["error"]

    raised = desk.post({"videoId": VIDEO, "action": "retry", "options": {"maxCostUsd": error["estimate_usd"]}})
    desk.run()

    assert (error["code"], error["estimate_usd"], error["limit_usd"]) == ("COST_LIMIT_REACHED", 2.2, 2.1)
    assert raised.status == 202
    assert desk.job().state == "completed"


def test_a_row_that_says_completed_and_names_no_video_is_our_fault_and_told_to_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    ended = completed(desk).job()
    desk.store.delete(VIDEO)
    desk.store.start(ended.changed(data={**ended.data, "media": {}}), replace=False)

    answer = desk.get()

    assert (answer.status, answer.body["code"]) == (500, "INTERNAL")
    assert any("names no video" in record.__dict__.get("words", "") for record in caplog.records)


def test_vendors_words_and_names_are_for_operators(desk: Desk) -> None:
    """Operation names, raw messages, intents, prefixes and seeds tell a person nothing, and others too much."""
    failed(desk)

    mine = desk.get().text
    operators = desk.get(user=OPERATOR, groups="operators").body

    for hidden in (VENDORS_WORDS, "intent-", "operations/", '"seed"', '"prefix"', "watch_from"):
        assert hidden not in mine, hidden
    assert VENDORS_WORDS in json.dumps(operators["operator"])
    assert operators["operator"]["vertex_ai_tasks"]["001"]["attempts"]["001"]["operation"] == "operations/intent-2"


@pytest.mark.parametrize("groups", ["operators", "[admins operators]", "admins,operators"])
def test_operators_may_read_any_job_and_do_nothing_to_it(desk: Desk, groups: str) -> None:
    started(desk)

    answer = desk.get(user=OPERATOR, groups=groups)

    assert answer.status == 200
    assert answer.body["operator"]["owner_id"] == ADA
    assert answer.body["actions"] == []
    assert desk.delete(user=OPERATOR, groups=groups).status == 404


@pytest.mark.parametrize("groups", [None, "admins", "[operators-of-another]", "operators2"])
def test_no_other_group_makes_an_operator(desk: Desk, groups: str | None) -> None:
    started(desk)

    assert desk.get(user=OPERATOR, groups=groups).status == 404


def test_a_video_of_somebody_else_answers_exactly_as_one_that_does_not_exist(desk: Desk) -> None:
    started(desk)

    theirs, nobodys = desk.get(user=BOB), desk.get("video-9", user=BOB)

    assert theirs.status == nobodys.status == 404
    assert (theirs.text, theirs.headers) == (nobodys.text, nobodys.headers)


def test_a_video_without_a_job_says_so_to_its_owner(desk: Desk) -> None:
    answer = desk.get()

    assert (answer.status, answer.body["code"]) == (404, "JOB_NOT_FOUND")


def test_one_look_is_one_read(desk: Desk) -> None:
    started(desk)
    desk.rows.reads = 0

    desk.get()

    assert desk.rows.reads == 1
    assert desk.probed == [KEY]  # by the start


def test_an_answer_that_is_known_is_not_sent_again(desk: Desk) -> None:
    started(desk).run()
    first = desk.get()
    desk.links.signed.clear()

    again = desk.get(headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status, again.text) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert desk.links.signed == []


@pytest.mark.parametrize("form", ["{}", '"other", {}', "*"])
def test_every_form_of_if_none_match_is_understood(desk: Desk, form: str) -> None:
    started(desk)
    etag = desk.get().headers["ETag"].removeprefix("W/")

    assert desk.get(headers={"If-None-Match": form.format(etag)}).status == 304


@pytest.mark.parametrize("change", ["revision", "percent", "window", "stalled", "operator"])
def test_the_etag_changes_with_what_a_person_would_see_change(desk: Desk, change: str) -> None:
    rendering(desk)
    before = desk.get().headers["ETag"]
    user, groups = ADA, None
    match change:
        case "revision":
            desk.run(turns=1)
        case "percent":
            desk.clock.moment += timedelta(seconds=20)
        case "window":
            desk.links.end_at = desk.clock.now() + timedelta(minutes=1)
        case "stalled":
            desk.clock.moment += timedelta(hours=3)
        case _:
            groups = "operators"

    assert desk.get(user=user, groups=groups).headers["ETag"] != before


def test_the_etag_stays_while_only_seconds_pass(desk: Desk) -> None:
    started(desk).run()
    before = desk.get()
    desk.clock.moment += timedelta(minutes=5)

    after = desk.get()

    assert after.headers["ETag"] == before.headers["ETag"]
    assert after.text == before.text


def test_a_job_that_nobody_looked_after_is_told_as_stalled_and_not_as_failed(desk: Desk) -> None:
    rendering(desk)
    desk.clock.moment += timedelta(hours=3)

    body = desk.get().body

    assert body["progress"]["pace"] == "stalled"
    assert body["ai_generation_status"] == "processing"


def test_the_cost_is_what_was_ordered_and_what_is_still_to_be_ordered(desk: Desk) -> None:
    """Clips of 8, 8 and 6 s at $0.10."""
    body = rendering(desk).get().body

    assert body["cost"]["accrued_usd"] == pytest.approx(2.2)
    assert body["cost"]["estimated_usd"] == pytest.approx(2.2)
    assert body["cost"]["is_exact"] is True


def test_a_review_shows_the_beats_and_their_exact_price_before_anything_is_spent(desk: Desk) -> None:
    started(desk, reviewBeforeRender=True).run()

    body = desk.get().body

    assert body["phase"] == "reviewing"
    assert body["ai_generation_status"] == "processing"
    assert body["actions"] == ["approve", "cancel"]
    assert body["cost"]["estimated_usd"] == pytest.approx(2.2)
    assert body["cost"]["accrued_usd"] == 0
    assert all(scene["is_editable"] for scene in body["scenes"])
    assert desk.renderer.bill == []


def test_the_stored_shape_keeps_its_maps_beside_the_ordered_lists(desk: Desk) -> None:
    started(desk).run()

    body = desk.get().body

    data = body["ai_generation_data"]
    assert list(data["scene_beats"]) == list(data["vertex_ai_tasks"]) == ["000", "001", "002"]
    assert set(data["processing_steps"]) == {"transcribing", "planning", "rendering", "assembling"}
    assert [scene["scene_index"] for scene in body["scenes"]] == [0, 1, 2]


@pytest.mark.parametrize("stage", [started, rendering, completed, failed])
def test_every_answer_is_of_the_documented_form(desk: Desk, stage: Callable[[Desk], Desk]) -> None:
    stage(desk)

    JobView.model_validate_json(desk.get().text)


def test_looking_never_calls_a_vendor_or_writes(desk: Desk) -> None:
    rendering(desk)
    before, bill = desk.job(), list(desk.renderer.bill)

    desk.get()

    assert (desk.job(), desk.renderer.bill) == (before, bill)


def test_a_clip_that_is_there_can_be_seen_while_others_are_made(desk: Desk) -> None:
    desk.renderer.answers[2] = [None, Clip("late")]
    rendering(desk)
    desk.renderer.polls = 0

    desk.run(turns=1)
    scenes = desk.get().body["scenes"]

    assert [scene["preview_url"] is not None for scene in scenes] == [True, True, False]
