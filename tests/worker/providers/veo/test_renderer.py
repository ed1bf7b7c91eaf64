from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue

from statemachine import PermanentError, TransientError
from statemachine.testing.clock import VirtualClock
from tests.simulators.scenario import (
    Answer,
    Drop,
    Filtered,
    Lost,
    NoVideo,
    OperationFailed,
    Place,
    Rule,
    Takes,
    Trouble,
)
from tests.simulators.vendors import Vendors
from tests.worker.providers.veo.orders import ORDER, MakeRenderer, key_of, order
from worker.models import VEO_2, VEO_3_1_FAST
from worker.ports import AmbiguousSubmissionError, Clip, NotAcceptedError, OperationLost, Refused
from worker.providers.google_credentials import from_key
from worker.providers.veo import VeoRenderer, VertexProject

CODES = (61493863,)  # violence


def refused(renderer: VeoRenderer, operation: str) -> Refused:
    answer = renderer.poll(operation)
    assert isinstance(answer, Refused)
    return answer


# --- ordering --------------------------------------------------------------------------------------------------------


def test_an_order_says_everything_that_costs_or_saves_money(renderer: VeoRenderer, vendors: Vendors) -> None:
    renderer.submit(ORDER)

    (sent,) = vendors.journal.at("veo.submit")
    assert sent.path.startswith("/v1/projects/proj-1/locations/us-central1/publishers/google/models/veo-3.1-fast")
    assert sent.body == {
        "instances": [{"prompt": ORDER.prompt}],
        "parameters": {
            "sampleCount": 1,
            "storageUri": "gs://clips/ai-video/Video.1/run-1/renders/002/intent-1/",
            "durationSeconds": 4,
            "seed": 7,
            "aspectRatio": "16:9",
            "resolution": "720p",
            "personGeneration": "allow_adult",
            "negativePrompt": "text, watermark",
            "generateAudio": False,
        },
        "labels": {"job": "ai-video-video-1-run-1"},
    }


def test_a_folder_in_the_bucket_comes_before_the_prefix(make_renderer: MakeRenderer, vendors: Vendors) -> None:
    make_renderer(output_uri="gs://clips/team-a").submit(ORDER)

    assert vendors.bill.clips[0].prefix == f"gs://clips/team-a/{ORDER.prefix}"


def test_a_clip_is_billed_at_the_price_of_the_table(renderer: VeoRenderer, vendors: Vendors) -> None:
    renderer.submit(ORDER)

    (charge,) = vendors.bill.clips
    assert charge.usd == pytest.approx(ORDER.seconds * VEO_3_1_FAST.usd_per_second)


@pytest.mark.parametrize(
    "impossible",
    [order(seconds=5.0), order(seconds=4.5), order(seconds=10.0), order(aspect_ratio="1:1")],
    ids=["between_two_lengths", "no_whole_second", "too_long", "square"],
)
def test_what_the_model_cannot_make_is_refused_before_anything_is_sent(
    renderer: VeoRenderer, vendors: Vendors, impossible: object
) -> None:
    with pytest.raises(NotAcceptedError, match="MODEL_UNAVAILABLE") as caught:
        renderer.submit(impossible)  # type: ignore[arg-type]  # parametrize gives object

    assert not caught.value.is_retryable
    assert vendors.journal.requests == []


def test_a_retired_model_is_refused_before_anything_is_sent(make_renderer: MakeRenderer, vendors: Vendors) -> None:
    with pytest.raises(NotAcceptedError, match=r"retired on 2026-06-30.*AI_VIDEO_VEO_MODEL"):
        make_renderer(VEO_2).submit(order(seconds=5.0))

    assert vendors.journal.requests == []


def test_a_region_without_the_model_is_refused_before_anything_is_sent(
    make_renderer: MakeRenderer, vendors: Vendors
) -> None:
    with pytest.raises(NotAcceptedError, match="us-central1 and not in europe-west4"):
        make_renderer(location="europe-west4").submit(ORDER)

    assert vendors.journal.requests == []


@pytest.mark.parametrize(
    ("trouble", "code", "is_retryable"),
    [
        (Answer(status=429), "PROVIDER_QUOTA", True),
        (Answer(status=403), "MODEL_UNAVAILABLE", False),
        (Answer(status=404), "MODEL_UNAVAILABLE", False),
        (Answer(status=400, reason="The request is malformed."), "PROVIDER_ERROR", False),
        (Answer(status=400, reason="The prompt was refused. Support codes: 61493863"), "CONTENT_FILTERED", False),
    ],
)
def test_an_order_that_was_refused_was_surely_not_accepted(
    renderer: VeoRenderer,
    vendors: Vendors,
    trouble: Trouble,
    code: str,
    is_retryable: bool,  # noqa: FBT001  parametrize
) -> None:
    vendors.scenario.add(Rule(place="veo.submit", effect=trouble))

    with pytest.raises(NotAcceptedError) as caught:
        renderer.submit(ORDER)

    assert (caught.value.code, caught.value.is_retryable) == (code, is_retryable)
    assert len(vendors.journal.at("veo.submit")) == 1, "nothing is sent twice"
    assert vendors.bill.clips == []


@pytest.mark.parametrize("is_done", [True, False], ids=["ordered", "not_ordered"])
@pytest.mark.parametrize(
    "trouble", [Answer(status=500), Answer(status=502), Answer(status=503), Answer(status=504), Drop()]
)
def test_an_answer_that_was_lost_leaves_it_open_and_the_order_is_not_repeated(
    renderer: VeoRenderer,
    vendors: Vendors,
    trouble: Trouble,
    is_done: bool,  # noqa: FBT001  parametrize
) -> None:
    effect = trouble.model_copy(update={"is_done": is_done})
    vendors.scenario.add(Rule(place="veo.submit", effect=effect))

    with pytest.raises(AmbiguousSubmissionError):
        renderer.submit(ORDER)

    assert len(vendors.journal.at("veo.submit")) == 1
    assert len(vendors.bill.clips) == int(is_done)


def test_a_vendor_that_cannot_be_reached_was_not_asked(make_renderer: MakeRenderer) -> None:
    nobody = "http://127.0.0.1:1"

    with pytest.raises(NotAcceptedError, match="PROVIDER_UNAVAILABLE") as caught:
        make_renderer(url=nobody).submit(ORDER)

    assert caught.value.is_retryable


def test_a_token_taken_back_is_renewed_once_and_the_order_stands(renderer: VeoRenderer, vendors: Vendors) -> None:
    renderer.submit(ORDER)
    vendors.google.expire_tokens()

    renderer.submit(order(intent_id="intent-2"))

    assert [request.status for request in vendors.journal.at("veo.submit")] == [200, 401, 200]
    assert len(vendors.journal.at("google.token")) == 2


def test_an_order_that_no_token_opens_is_refused_for_good(renderer: VeoRenderer, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="veo.submit", effect=Answer(status=401), times=None))

    with pytest.raises(NotAcceptedError) as caught:
        renderer.submit(ORDER)

    assert not caught.value.is_retryable
    assert len(vendors.journal.at("veo.submit")) == 2


def test_one_token_serves_a_whole_turn(renderer: VeoRenderer, vendors: Vendors, tmp_path: Path) -> None:
    for number in range(3):
        operation = renderer.submit(order(intent_id=f"intent-{number}", prefix=f"renders/00{number}/a/"))
        clip = renderer.poll(operation)
        assert isinstance(clip, Clip)
        renderer.fetch(clip, tmp_path / f"{number}.mp4")

    assert len(vendors.journal.at("google.token")) == 1


@pytest.mark.parametrize(
    ("status", "is_retryable"), [(503, True), (400, False)], ids=["token_service_down", "key_refused"]
)
def test_without_a_token_nothing_was_ordered(
    renderer: VeoRenderer,
    vendors: Vendors,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    is_retryable: bool,  # noqa: FBT001  parametrize
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    body: JsonValue = {"error": "invalid_grant" if status == 400 else "internal_failure"}
    vendors.scenario.add(Rule(place="google.token", effect=Answer(status=status, body=body), times=None))

    with pytest.raises(NotAcceptedError) as caught:
        renderer.submit(ORDER)

    assert caught.value.is_retryable == is_retryable
    assert vendors.journal.at("veo.submit") == []


# --- asking what became of it ----------------------------------------------------------------------------------------


def test_an_operation_is_none_while_it_runs_and_then_a_clip(
    renderer: VeoRenderer, vendors: Vendors, vendor_clock: VirtualClock
) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=Takes(seconds=50)))
    operation = renderer.submit(ORDER)

    early = renderer.poll(operation)
    vendor_clock.advance(timedelta(seconds=50))
    late = renderer.poll(operation)

    assert early is None
    assert isinstance(late, Clip)
    assert late.location.startswith(f"gs://clips/{ORDER.prefix}")


@pytest.mark.parametrize(
    ("code", "is_retryable"),
    [(3, False), (4, True), (5, False), (8, True), (10, True), (13, True), (14, True), (503, True)],
)
def test_an_operation_that_failed_says_whether_another_may_succeed(
    renderer: VeoRenderer,
    vendors: Vendors,
    code: int,
    is_retryable: bool,  # noqa: FBT001  parametrize
) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=OperationFailed(code=code, message="it did not work")))

    answer = refused(renderer, renderer.submit(ORDER))

    assert (answer.code, answer.is_retryable) == ("PROVIDER_ERROR", is_retryable)


def test_a_prompt_refused_in_the_operation_is_no_matter_of_chance(renderer: VeoRenderer, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=OperationFailed(code=3)))

    answer = refused(renderer, renderer.submit(ORDER))

    assert (answer.code, answer.category, answer.is_retryable) == ("CONTENT_FILTERED", "dangerous", False)


@pytest.mark.parametrize("is_nested", [False, True], ids=["outer_level", "inner_level"])
@pytest.mark.parametrize(
    ("codes", "category", "is_retryable"),
    [
        ((61493863,), "violence", True),
        ((29310472,), "celebrity", False),
        ((1,), "general", True),
        ((), "general", True),
    ],
)
def test_filtered_film_says_why_at_either_level(
    renderer: VeoRenderer,
    vendors: Vendors,
    codes: tuple[int, ...],
    category: str,
    is_retryable: bool,  # noqa: FBT001  parametrize
    is_nested: bool,  # noqa: FBT001  parametrize
) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=Filtered(support_codes=codes, is_nested=is_nested)))

    answer = refused(renderer, renderer.submit(ORDER))

    assert (answer.code, answer.category, answer.is_retryable) == ("CONTENT_FILTERED", category, is_retryable)
    assert all(str(code) in answer.message for code in codes)


def test_filtered_film_without_a_reason_is_still_filtered(renderer: VeoRenderer, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=Filtered(has_reasons=False, is_nested=True)))

    assert refused(renderer, renderer.submit(ORDER)).code == "CONTENT_FILTERED"


def test_done_without_a_video_or_a_reason_is_an_empty_result(renderer: VeoRenderer, vendors: Vendors) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=NoVideo()))

    answer = refused(renderer, renderer.submit(ORDER))

    assert (answer.code, answer.is_retryable) == ("PROVIDER_EMPTY_RESULT", True)


def test_a_forgotten_operation_is_lost_and_its_clip_is_found(
    renderer: VeoRenderer, vendors: Vendors, tmp_path: Path
) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=Lost(is_made=True)))
    operation = renderer.submit(ORDER)

    answer = renderer.poll(operation)
    found = renderer.find(ORDER)

    assert isinstance(answer, OperationLost)
    assert isinstance(found, Clip)
    renderer.fetch(found, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").stat().st_size > 1000


@pytest.mark.parametrize("trouble", [Answer(status=429), Answer(status=500), Answer(status=502), Drop()])
@pytest.mark.parametrize("place", ["veo.poll", "gcs.list", "gcs.media"])
def test_what_costs_nothing_is_simply_asked_again(
    renderer: VeoRenderer, vendors: Vendors, tmp_path: Path, place: Place, trouble: Trouble
) -> None:
    operation = renderer.submit(ORDER)
    clip = renderer.poll(operation)
    assert isinstance(clip, Clip)
    vendors.scenario.add(Rule(place=place, effect=trouble))
    calls: Mapping[Place, Callable[[], object]] = {
        "veo.poll": lambda: renderer.poll(operation),
        "gcs.list": lambda: renderer.find(ORDER),
        "gcs.media": lambda: renderer.fetch(clip, tmp_path / "clip.mp4"),
    }

    with pytest.raises(TransientError):
        calls[place]()

    assert not (tmp_path / "clip.mp4").exists()
    calls[place]()


@pytest.mark.parametrize("place", ["veo.poll", "gcs.list", "gcs.media"])
def test_a_token_taken_back_is_renewed_wherever_it_is_used(
    renderer: VeoRenderer, vendors: Vendors, tmp_path: Path, place: Place
) -> None:
    operation = renderer.submit(ORDER)
    clip = renderer.poll(operation)
    assert isinstance(clip, Clip)
    vendors.google.expire_tokens()

    match place:
        case "veo.poll":
            assert renderer.poll(operation) == clip
        case "gcs.list":
            assert renderer.find(ORDER) == clip
        case _:
            renderer.fetch(clip, tmp_path / "clip.mp4")

    assert [request.status for request in vendors.journal.at(place)][-2:] == [401, 200]


def test_finding_never_orders_and_another_attempts_clip_is_not_found(renderer: VeoRenderer, vendors: Vendors) -> None:
    renderer.submit(ORDER)

    found = renderer.find(order(intent_id="intent-2", prefix="ai-video/Video.1/run-1/renders/002/intent-2/"))

    assert found is None
    assert len(vendors.bill.clips) == 1


def test_a_clip_is_found_beyond_the_first_page(renderer: VeoRenderer, vendors: Vendors) -> None:
    for number in range(1001):
        vendors.google.storage.put("clips", f"{ORDER.prefix}0/{number:04d}.txt", b"x", "text/plain")
    vendors.google.storage.put("clips", f"{ORDER.prefix}1/sample_0.mp4", b"film")

    assert renderer.find(ORDER) == Clip(f"gs://clips/{ORDER.prefix}1/sample_0.mp4")


def test_a_clip_comes_home_byte_by_byte(renderer: VeoRenderer, vendors: Vendors, tmp_path: Path) -> None:
    clip = renderer.poll(renderer.submit(ORDER))
    assert isinstance(clip, Clip)

    renderer.fetch(clip, tmp_path / "clip.mp4")

    (stored,) = vendors.google.buckets["clips"].values()
    assert (tmp_path / "clip.mp4").read_bytes() == stored.data


def test_a_clip_that_was_removed_meanwhile_is_told_from_a_bucket_that_cannot_be_read(
    renderer: VeoRenderer, vendors: Vendors, tmp_path: Path
) -> None:
    clip = renderer.poll(renderer.submit(ORDER))
    assert isinstance(clip, Clip)
    vendors.google.buckets["clips"].clear()

    with pytest.raises(PermanentError, match="no longer in bucket clips") as refused:
        renderer.fetch(clip, tmp_path / "clip.mp4")

    assert refused.value.code == "CLIP_GONE"


# --- without a bucket ------------------------------------------------------------------------------------------------


def test_without_a_bucket_the_clip_comes_out_of_the_answer(
    make_renderer: MakeRenderer, vendors: Vendors, tmp_path: Path
) -> None:
    renderer = make_renderer(output_uri=None)
    clip = renderer.poll(renderer.submit(ORDER))
    assert isinstance(clip, Clip)

    renderer.fetch(clip, tmp_path / "clip.mp4")

    (operation,) = vendors.google.operations.values()
    assert (tmp_path / "clip.mp4").read_bytes() == operation.clips[0]
    assert vendors.bill.clips[0].prefix == ""


def test_without_a_bucket_nothing_can_be_found_and_it_says_so(make_renderer: MakeRenderer) -> None:
    with pytest.raises(PermanentError) as caught:
        make_renderer(output_uri=None).find(ORDER)

    assert caught.value.code == "AMBIGUOUS"


@pytest.mark.parametrize("output_uri", [None, "s3://clips", "gs://", "clips"])
def test_a_bucket_is_asked_for_unless_doing_without_is_allowed(
    vendors: Vendors, vendor_clock: VirtualClock, output_uri: str | None
) -> None:
    with pytest.raises(PermanentError, match="AI_VIDEO_VEO_OUTPUT_GCS_URI"):
        VeoRenderer(
            VEO_3_1_FAST,
            place=VertexProject("proj-1", "us-central1"),
            tokens=from_key(key_of(vendors)),
            output_uri=output_uri,
            clock=vendor_clock,
        )
