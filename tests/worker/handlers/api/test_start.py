"""POST: starting a job, and everything that is refused before anything is spent."""

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from statemachine import PermanentError, TransientError
from statemachine.errors import StoreUnavailableError
from tests.worker.fakes import FAKE_MODEL
from tests.worker.handlers.api.desk import ADA, BOB, BUCKET, KEY, VIDEO, Desk, http_event, rest_event
from worker.after_work import AfterWork
from worker.handlers.api.responses import DryRunView, JobView
from worker.limits import Limits, Slot, Usage
from worker.models import VEO_2
from worker.rows import AudioHeader
from worker.settings import Settings


def start(desk: Desk, *, key: str | None = None, user: str = ADA, **body: Any) -> Any:  # noqa: ANN401  an answer
    headers = {} if key is None else {"Idempotency-Key": key}
    return desk.post({"videoId": VIDEO, **body}, user=user, headers=headers)


def refusal(answer: Any) -> tuple[int, str]:  # noqa: ANN401  as above
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["type"] == f"urn:ai-video:problem:{answer.body['code'].lower().replace('_', '-')}"
    assert answer.body["status"] == answer.status
    assert answer.body["detail"]
    return answer.status, answer.body["code"]


# --- accepted --------------------------------------------------------------


def test_a_start_is_accepted_with_the_job_as_get_would_show_it(desk: Desk) -> None:
    answer = start(desk)

    assert answer.status == 202
    assert answer.headers["Location"] == "/ai-video?videoId=video-1"
    assert answer.headers["Retry-After"] == "3"
    assert JobView.model_validate_json(answer.text).root.phase == "transcribing"
    assert answer.text == desk.get().text
    assert len(desk.dispatcher.events) == 1


def test_what_was_asked_for_is_what_is_made(desk: Desk) -> None:
    start(desk, options={"aspectRatio": "9:16", "style": "noir", "language": "de-DE", "captions": False})

    job = desk.data()
    assert (job.options.aspect_ratio, job.options.style, job.options.language) == ("9:16", "noir", "de-DE")
    assert job.options.captions is False
    assert (job.recording.key, job.recording.filename, job.owner_id) == (KEY, "story.mp3", ADA)


def test_the_location_of_a_strange_id_is_one_line(desk: Desk) -> None:
    strange = 'a b/../?&#"é\u2028Set-Cookie: x'
    desk.rows.owners[strange], desk.rows.sources[strange] = ADA, KEY

    answer = desk.post({"videoId": strange})

    assert answer.status == 202
    assert answer.headers["Location"].startswith("/ai-video?videoId=a%20b%2F..%2F%3F%26%23%22")
    assert answer.headers["Location"].isascii()


@pytest.mark.parametrize("video_id", ["..", ".", "../../etc", "a//b", "%2e%2e", "/x", "-"])
def test_no_id_leads_out_of_the_folder_of_its_own_run(desk: Desk, video_id: str) -> None:
    desk.rows.owners[video_id], desk.rows.sources[video_id] = ADA, KEY

    assert desk.post({"videoId": video_id}).status == 202

    first, folder, run_id, rest = desk.data(video_id).prefix.split("/")
    assert (first, rest) == ("ai-video", "")
    assert folder not in {"", ".", ".."}
    assert run_id == desk.job(video_id).run_id


def test_an_address_in_the_platforms_bucket_is_as_good_as_a_key(desk: Desk) -> None:
    desk.rows.sources[VIDEO] = f"s3://{BUCKET}/{KEY}"

    assert start(desk).status == 202
    assert desk.data().recording.key == KEY


def test_a_recording_that_does_not_say_how_long_it_is_is_measured_later(desk: Desk) -> None:
    """Browsers' recordings never say; refusing them would refuse most of what people record."""
    desk.header = AudioHeader("opus", None, 48000, 1, 100_000)

    assert start(desk).status == 202


def test_nobody_is_refused_for_a_guess_of_the_media_library(desk: Desk) -> None:
    desk.header = AudioHeader("mp3", 1200.0, 44100, 2, 5_000_000, is_guess=True)

    assert start(desk).status == 202


# --- a dry run --------------------------------------------------------------


def test_a_dry_run_estimates_and_writes_nothing(desk: Desk) -> None:
    answer = start(desk, dryRun=True)

    assert answer.status == 200
    DryRunView.model_validate_json(answer.text)
    estimate = answer.body["estimate"]
    assert estimate["scenes"] == 3
    assert estimate["clip_seconds"] == {"low": 20, "high": 24}
    assert (estimate["cost_usd"]["low"], estimate["cost_usd"]["high"]) == (2.0, 2.4)
    assert estimate["eta_seconds"]["low"] < estimate["eta_seconds"]["high"]
    assert answer.body["model_profile"]["name"] == "fake"
    assert desk.get().body["code"] == "JOB_NOT_FOUND"
    assert not desk.dispatcher.events


def test_what_a_dry_run_estimates_is_what_the_job_costs(desk: Desk) -> None:
    estimate = start(desk, dryRun=True).body["estimate"]["cost_usd"]
    start(desk)
    desk.run()

    assert estimate["low"] <= desk.get().body["cost"]["accrued_usd"] <= estimate["high"]


def test_a_dry_run_is_refused_as_the_start_would_be(desk: Desk) -> None:
    desk.limits = Limits(concurrent_jobs=0)

    assert refusal(start(desk, dryRun=True)) == (429, "TOO_MANY_JOBS")


def test_a_dry_run_of_a_recording_of_unknown_length_has_no_estimate(desk: Desk) -> None:
    desk.header = AudioHeader("opus", None, 48000, 1, 100_000)

    assert start(desk, dryRun=True).body["estimate"] is None


# --- once --------------------------------------------------------------


def test_a_double_click_starts_one_job(desk: Desk) -> None:
    first, second = start(desk), start(desk)

    assert (first.status, second.status) == (202, 202)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(desk.dispatcher.events) == 1
    assert desk.probed == [KEY]


def test_other_options_for_a_running_job_are_a_conflict_that_shows_the_present_ones(desk: Desk) -> None:
    start(desk)

    answer = start(desk, options={"style": "noir"})

    assert refusal(answer) == (409, "JOB_IN_PROGRESS")
    assert answer.body["current"]["options"]["style"] == "cinematic"


def test_the_same_key_and_body_are_answered_as_before_whatever_became_of_the_job(desk: Desk) -> None:
    start(desk, key="click-1", force=True)
    desk.run()

    again = start(desk, key="click-1", force=True)

    assert (again.status, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert again.body["phase"] == "completed"
    assert len(desk.renderer.bill) == 3


def test_the_same_key_with_another_body_is_refused(desk: Desk) -> None:
    start(desk, key="click-1")

    assert refusal(start(desk, key="click-1", options={"style": "noir"})) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_the_same_key_of_another_user_is_another_key(desk: Desk) -> None:
    desk.rows.owners["video-2"], desk.rows.sources["video-2"] = BOB, KEY
    start(desk, key="click-1")

    answer = desk.post({"videoId": "video-2"}, user=BOB, headers={"Idempotency-Key": "click-1"})

    assert answer.status == 202
    assert "Idempotent-Replayed" not in answer.headers


def test_the_order_of_the_members_makes_no_other_request(desk: Desk) -> None:
    start(desk, key="click-1", options={"style": "noir", "captions": False})

    again = start(desk, key="click-1", options={"captions": False, "style": "noir"})

    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", [None, "one click", "a click of its own"])
def test_a_thousand_starts_at_once_start_one_job(key: str | None) -> None:
    """Whether it is one click sent again and again, or a thousand clicks.

    On a real table: test_dynamodb_rows.
    """
    desk = Desk(limits=Limits(concurrent_jobs=100))
    keys = [f"{key} {number}" if key == "a click of its own" else key for number in range(1000)]

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda key: start(desk, key=key), keys))

    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["created_at"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert len(desk.dispatcher.events) == 1
    assert len(desk.rows.usage(ADA).slots) == 1


def test_a_finished_video_is_not_paid_for_twice_by_accident(desk: Desk) -> None:
    start(desk)
    desk.run()

    assert refusal(start(desk)) == (409, "ALREADY_COMPLETED")


def test_force_makes_a_finished_video_anew(desk: Desk) -> None:
    start(desk)
    first = desk.run().run_id

    answer = start(desk, force=True)

    assert answer.status == 202
    assert desk.job().run_id != first
    assert desk.run().state == "completed"
    assert len(desk.renderer.bill) == 6


def test_a_failed_job_may_be_started_anew(desk: Desk) -> None:
    start(desk)
    desk.delete()

    assert start(desk, options={"style": "noir"}).status == 202
    assert desk.data().options.style == "noir"


# --- refused before anything is spent --------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (PermanentError("OBJECT_MISSING", "it is gone"), (422, "OBJECT_MISSING")),
        (PermanentError("EMPTY_FILE", "0 bytes"), (422, "EMPTY_FILE")),
        (PermanentError("NOT_AUDIO", "a cat"), (422, "NOT_AUDIO")),
        (PermanentError("NO_AUDIO_STREAM", "mute"), (422, "NO_AUDIO_STREAM")),
        (TransientError("STORAGE_UNAVAILABLE", "later"), (503, "STORAGE_UNAVAILABLE")),
        (ValueError("no key"), (422, "OBJECT_MISSING")),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused(desk: Desk, error: Exception, refused: tuple[int, str]) -> None:
    desk.probe_error = error

    assert refusal(start(desk)) == refused
    assert desk.get().body["code"] == "JOB_NOT_FOUND"


@pytest.mark.parametrize("source", [None, "", "s3://somebody-elses-bucket/x.mp3", "s3://"])
def test_a_row_that_names_no_recording_of_the_platform_is_refused(desk: Desk, source: str | None) -> None:
    desk.rows.sources[VIDEO] = source

    assert refusal(start(desk)) == (422, "OBJECT_MISSING")
    assert desk.probed == []


@pytest.mark.parametrize(("seconds", "code"), [(601.0, "TOO_LONG"), (0.4, "TOO_SHORT")])
def test_a_length_that_cannot_be_is_refused_by_the_header(desk: Desk, seconds: float, code: str) -> None:
    desk.header = replace(desk.header, duration_seconds=seconds)

    assert refusal(start(desk)) == (422, code)


def test_more_scenes_than_are_allowed_are_refused(desk: Desk) -> None:
    assert refusal(start(desk, options={"maxScenes": 2})) == (422, "TOO_LONG")


def test_more_than_the_cost_limit_is_refused_with_estimate_and_limit(desk: Desk) -> None:
    answer = start(desk, options={"maxCostUsd": 1.99})

    assert refusal(answer) == (422, "COST_LIMIT_EXCEEDED")
    assert answer.body["limit_usd"] == 1.99
    assert answer.body["estimate"]["cost_usd"]["low"] == 2.0


def test_nobody_may_allow_more_than_the_deployment_does(desk: Desk) -> None:
    desk.limits = Limits(max_cost_usd=1.5)

    assert refusal(start(desk, options={"maxCostUsd": 100})) == (422, "COST_LIMIT_EXCEEDED")


def test_the_deployments_limit_holds_for_whoever_names_none(desk: Desk) -> None:
    desk.limits = Limits(max_cost_usd=5.0)
    start(desk)

    assert desk.data().options.max_cost_usd == 5.0


def test_a_shape_that_the_model_cannot_make_is_refused() -> None:
    desk = Desk(model=replace(FAKE_MODEL, aspect_ratios=("16:9",)))

    assert refusal(start(desk, options={"aspectRatio": "9:16"})) == (422, "INVALID_OPTION")


def test_a_retired_model_is_refused_before_anything_is_spent() -> None:
    desk = Desk(model=VEO_2)

    assert refusal(start(desk)) == (503, "MODEL_UNAVAILABLE")
    assert desk.probed == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_job_that_could_only_fail_for_want_of_a_part_does_not_begin(desk: Desk, *, dry_run: bool) -> None:
    desk.missing_part = PermanentError(
        "PART_UNAVAILABLE", "AI_VIDEO_RENDERER=storyboard runs on one machine only", user_action="contact_admin"
    )

    answer = start(desk, dryRun=dry_run)

    assert refusal(answer) == (503, "PART_UNAVAILABLE")
    assert answer.body["user_action"] == "contact_admin"
    assert "AI_VIDEO_RENDERER" not in answer.text
    assert desk.probed == []
    assert desk.get().body["code"] == "JOB_NOT_FOUND"


def test_a_part_that_went_missing_keeps_nobody_from_what_runs_already(desk: Desk) -> None:
    start(desk)
    desk.missing_part = PermanentError("SETTING_MISSING", "no key", user_action="contact_admin")

    assert start(desk).headers["Idempotent-Replayed"] == "true"
    assert desk.get().status == 200
    assert desk.delete().status == 202


def test_the_kill_switch_refuses_whatever_would_cost_money(desk: Desk) -> None:
    desk.limits = Limits(starts=False)

    answer = start(desk)

    assert refusal(answer) == (503, "STARTS_PAUSED")
    assert answer.headers["Retry-After"] == "5"
    assert start(desk, dryRun=True).status == 503


def test_the_kill_switch_lets_people_watch_and_cancel(desk: Desk) -> None:
    start(desk)
    desk.limits = Limits(starts=False)

    assert desk.get().status == 200
    assert desk.delete().status == 202


def test_a_table_that_cannot_be_reached_is_503_and_asks_to_come_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: object, **__: object) -> None:
        raise StoreUnavailableError("throttled")

    monkeypatch.setattr(desk.rows, "find", throttled)

    answer = start(desk)

    assert refusal(answer) == (503, "STORE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"


def test_a_request_is_over_after_its_own_time_whatever_the_functions(desk: Desk) -> None:
    def slow(*_: object) -> None:
        desk.clock.moment += timedelta(seconds=21)

    desk.rows.find_with_usage = slow  # type: ignore[method-assign,assignment]  # never reached
    original = desk.rows.find

    def slow_find(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  as `find`
        slow()
        return original(*arguments, **named)

    desk.rows.find = slow_find  # type: ignore[method-assign]  # the table takes 21 s

    assert refusal(start(desk)) == (503, "TIMED_OUT")
    assert desk.probed == []


# --- users' limits --------------------------------------------------------------


def test_a_start_books_a_slot_and_its_price(desk: Desk) -> None:
    desk.limits = Limits(concurrent_jobs=2, daily_usd=10)
    start(desk)

    usage = desk.rows.usage(ADA)
    assert list(usage.slots) == [desk.job().run_id]
    assert usage.day == "2026-11-22"
    assert usage.spent_usd == pytest.approx(2.4)


def test_more_jobs_at_once_than_allowed_are_429_with_a_time_to_come_back(desk: Desk) -> None:
    desk.limits = Limits(concurrent_jobs=1)
    desk.rows.owners["video-2"], desk.rows.sources["video-2"] = ADA, KEY
    desk.post({"videoId": "video-2"})

    answer = start(desk)

    assert refusal(answer) == (429, "TOO_MANY_JOBS")
    assert answer.headers["Retry-After"] == "60"
    assert desk.get().body["code"] == "JOB_NOT_FOUND"


def test_the_daily_limit_counts_what_was_booked_today(desk: Desk) -> None:
    desk.limits = Limits(daily_usd=4.0)
    desk.rows.usages[ADA] = Usage(day="2026-11-22", spent_usd=1.7, revision=3)

    answer = start(desk)

    assert refusal(answer) == (422, "DAILY_LIMIT_EXCEEDED")
    assert answer.headers["Retry-After"] == str(12 * 3600)


def test_what_was_spent_yesterday_does_not_count(desk: Desk) -> None:
    desk.limits = Limits(daily_usd=4.0)
    desk.rows.usages[ADA] = Usage(day="2026-11-21", spent_usd=4.0, revision=3)

    assert start(desk).status == 202


def test_a_slot_that_nobody_gave_back_is_free_when_it_has_expired(desk: Desk) -> None:
    desk.limits = Limits(concurrent_jobs=1)
    long_ago = Slot(datetime(2026, 11, 22, 11, 59, tzinfo=UTC), 1, "2026-11-21", 1.0)
    desk.rows.usages[ADA] = Usage("2026-11-21", 1.0, {"lost": long_ago}, 7)

    assert start(desk).status == 202
    assert "lost" not in desk.rows.usage(ADA).slots


def test_one_users_jobs_do_not_count_for_another(desk: Desk) -> None:
    desk.limits = Limits(concurrent_jobs=1)
    desk.rows.owners["video-2"], desk.rows.sources["video-2"] = BOB, KEY
    start(desk)

    assert desk.post({"videoId": "video-2"}, user=BOB).status == 202


def test_the_end_of_a_job_frees_its_slot_and_leaves_what_it_really_cost(desk: Desk) -> None:
    desk.limits = Limits(concurrent_jobs=1, daily_usd=10)
    desk.after_work = AfterWork(rows=desk.rows, notifiers=[])
    start(desk)
    desk.run()

    usage = desk.rows.usage(ADA)
    assert usage.slots == {}
    assert usage.spent_usd == pytest.approx(2.2)


def test_a_control_row_that_changed_in_between_is_looked_at_again(desk: Desk) -> None:
    desk.limits = Limits(concurrent_jobs=5)
    original, meanwhile = desk.rows.find_with_usage, [True]

    def find_with_usage(video_id: str, *, user_id: str) -> Any:  # noqa: ANN401  as the real one
        row_and_usage = original(video_id, user_id=user_id)
        if meanwhile:
            meanwhile.clear()
            desk.set_usage(ADA, revision=1)
        return row_and_usage

    desk.rows.find_with_usage = find_with_usage  # type: ignore[method-assign]  # another request comes in between

    assert start(desk).status == 202
    assert desk.rows.usage(ADA).revision == 2
    assert desk.probed == [KEY]


# --- who, and how the gateways say it --------------------------------------------------------------


def test_starting_somebody_elses_video_answers_exactly_as_for_none(desk: Desk) -> None:
    theirs = start(desk, user=BOB)
    nobodys = desk.post({"videoId": "video-9"}, user=BOB)

    assert theirs.status == 404
    assert (theirs.text, theirs.headers) == (nobodys.text, nobodys.headers)
    assert desk.probed == []


def test_a_preflight_names_methods_and_headers(desk: Desk) -> None:
    answer = desk.ask("OPTIONS", user=None)

    assert answer.status == 204
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["Access-Control-Allow-Methods"].split(","))
    assert {"Authorization", "Idempotency-Key", "If-None-Match"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(",")
    )


@pytest.mark.parametrize("http_api", [False, True], ids=["REST API", "HTTP API"])
def test_a_browser_may_read_the_headers_that_clients_need(desk: Desk, *, http_api: bool) -> None:
    answer = desk.post(http_api=http_api)

    exposed = set(answer.headers["Access-Control-Expose-Headers"].split(","))
    assert {"Location", "Retry-After", "ETag", "Idempotent-Replayed"} <= exposed


def test_only_the_origins_of_the_settings_may_call_from_a_browser() -> None:
    desk = Desk(settings=Settings(bucket=BUCKET, cors_origins="https://gallery.example, https://beta.example"))

    assert desk.post().headers["Access-Control-Allow-Origin"] == "https://gallery.example"
    foreign = desk.post(headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in foreign.headers


def test_the_body_may_come_encoded(desk: Desk) -> None:
    event = rest_event("POST", "/ai-video", {"sub": ADA}, {}, None, {})
    encoded = b64encode(json.dumps({"videoId": VIDEO}).encode()).decode()

    assert desk.answer({**event, "body": encoded, "isBase64Encoded": True}).status == 202


def test_a_model_is_retired_from_its_day_on() -> None:
    desk = Desk(model=replace(FAKE_MODEL, retired_on=date(2026, 11, 23)))

    assert start(desk).status == 202
    desk.delete()
    desk.clock.moment += timedelta(days=1)
    assert refusal(start(desk)) == (503, "MODEL_UNAVAILABLE")


@pytest.mark.parametrize(
    ("raw_path", "stage"),
    [("/prod/ai-video", "prod"), ("/ai-video", "$default"), ("/ai-video", "prod")],
    ids=["its own address", "no stage", "a custom domain"],
)
def test_an_http_api_is_understood_wherever_it_puts_its_stage(desk: Desk, raw_path: str, stage: str) -> None:
    event = http_event("POST", "/ai-video", {"sub": ADA}, {}, json.dumps({"videoId": VIDEO}), {})
    context = {**event["requestContext"], "stage": stage}

    assert desk.answer({**event, "rawPath": raw_path, "requestContext": context}).status == 202
