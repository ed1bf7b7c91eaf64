"""Google's part, tried with Google's own SDKs: what they cannot tell from the real thing, the worker cannot either."""

import base64
import io
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import av
import google.auth.transport.requests
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google import genai
from google.auth import aws
from google.auth.exceptions import RefreshError
from google.auth.transport import Request as TokenRequest
from google.genai import errors, types
from google.oauth2 import credentials, service_account

from statemachine.testing.clock import VirtualClock
from tests.s3_buckets import moto_bucket
from tests.simulators.clips import FRAMES_PER_SECOND, Mark, mark_of
from tests.simulators.fixtures import NO_TLS
from tests.simulators.google_tokens import AWS_REQUEST, CLOUD_PLATFORM, IAM_SCOPE, SERVICE_ACCOUNT
from tests.simulators.scenario import (
    Answer,
    Cut,
    Drop,
    Filtered,
    Hang,
    Lost,
    NoVideo,
    OperationFailed,
    Rule,
    Takes,
)
from tests.simulators.vendors import Vendors
from tests.simulators.veo import clip_label

FAST = "veo-3.1-fast-generate-001"
PARENT = f"projects/proj-1/locations/us-central1/publishers/google/models/{FAST}"
PREFIX = "gs://clips/ai-video/v1/r1/renders/003/i1/"


class Vertex:
    """The genai SDK's client of the simulator, and plain HTTP with the same token beside it."""

    def __init__(self, vendors: Vendors, *, version: str = "v1") -> None:
        self.token = vendors.google.issue_token()
        self.http = httpx.Client(
            base_url=vendors.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
            verify=NO_TLS,
            trust_env=False,
        )
        self.client = genai.Client(
            vertexai=True,
            project="proj-1",
            location="us-central1",
            credentials=credentials.Credentials(token=self.token),  # type: ignore[no-untyped-call]  # no hints there
            http_options=types.HttpOptions(base_url=vendors.url, api_version=version, timeout=30_000),
        )

    def order(self, *, model: str = FAST, prompt: str = "a cat", timeout_ms: int = 30_000, **config: Any) -> str:  # noqa: ANN401  (the SDK's own configuration)
        settings: dict[str, Any] = {
            "number_of_videos": 1,
            "duration_seconds": 4,
            "generate_audio": False,
            "output_gcs_uri": PREFIX,
            "http_options": types.HttpOptions(timeout=timeout_ms),
        }
        operation = self.client.models.generate_videos(
            model=model,
            source=types.GenerateVideosSource(prompt=prompt),
            config=types.GenerateVideosConfig(**{**settings, **config}),
        )
        assert operation.name
        return operation.name

    def look(self, name: str) -> types.GenerateVideosOperation:
        return self.client.operations.get(types.GenerateVideosOperation.model_validate({"name": name}))

    def poll(self, name: str) -> Any:  # noqa: ANN401  (JSON as it came)
        return self.http.post(f"/v1/{PARENT}:fetchPredictOperation", json={"operationName": name}).json()

    def listed(self, prefix: str) -> list[str]:
        answer = self.http.get("/storage/v1/b/clips/o", params={"prefix": prefix}).json()
        return [item["name"] for item in answer.get("items", [])]

    def download(self, uri: str, **headers: str) -> httpx.Response:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        path = f"/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}"
        return self.http.get(path, params={"alt": "media"}, headers=headers)


@pytest.fixture
def vertex(vendors: Vendors) -> Iterator[Vertex]:
    vertex = Vertex(vendors)
    yield vertex
    vertex.client.close()
    vertex.http.close()


def frames_of(data: bytes) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(data), "r") as container:
        return list(container.decode(video=0))


def google_session() -> Iterator[TokenRequest]:
    request = google.auth.transport.requests.Request()
    yield request
    request.session.close()


token_request = pytest.fixture(google_session)


# --- Google's tokens -------------------------------------------------------------------------------------------------


def key_file_credentials(info: Mapping[str, str]) -> service_account.Credentials:
    made = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # as above
        info, scopes=[CLOUD_PLATFORM]
    )
    assert isinstance(made, service_account.Credentials)
    return made


def status_of_a_list(vendors: Vendors, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{vendors.url}/storage/v1/b/clips/o", headers=headers, verify=NO_TLS, trust_env=False).status_code


def test_a_service_accounts_key_buys_a_token_that_is_accepted(vendors: Vendors, token_request: TokenRequest) -> None:
    account = key_file_credentials(vendors.google.service_account_info(vendors.url))

    account.refresh(token_request)  # type: ignore[no-untyped-call]  # as above

    assert status_of_a_list(vendors, str(account.token)) == 200


def test_moto_and_the_simulators_stand_side_by_side(vendors: Vendors, token_request: TokenRequest) -> None:
    """Moto takes over botocore and requests; google-auth speaks through requests."""
    account = key_file_credentials(vendors.google.service_account_info(vendors.url))

    with moto_bucket("media"):
        account.refresh(token_request)  # type: ignore[no-untyped-call]  # as above

    assert status_of_a_list(vendors, str(account.token)) == 200


def test_an_assertion_signed_with_another_key_is_refused(vendors: Vendors, token_request: TokenRequest) -> None:
    foreign = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )
    account = key_file_credentials({**vendors.google.service_account_info(vendors.url), "private_key": foreign})

    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        account.refresh(token_request)  # type: ignore[no-untyped-call]  # as above


class LambdaRole(aws.AwsSecurityCredentialsSupplier):
    """What a Lambda function's own role looks like to google-auth."""

    def get_aws_security_credentials(self, context: object, request: object) -> aws.AwsSecurityCredentials:
        return aws.AwsSecurityCredentials("AKIDEXAMPLE", "secret", "session")

    def get_aws_region(self, context: object, request: object) -> str:
        return "eu-central-1"


@pytest.mark.parametrize("is_impersonating", [False, True])
def test_an_aws_role_gets_a_token_without_a_key(
    vendors: Vendors, token_request: TokenRequest, *, is_impersonating: bool
) -> None:
    impersonation = f"{vendors.url}/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:generateAccessToken"
    role = aws.Credentials(  # type: ignore[no-untyped-call]  # as above
        audience="//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws",
        subject_token_type=AWS_REQUEST,
        token_url=f"{vendors.url}/v1/token",
        aws_security_credentials_supplier=LambdaRole(),
        scopes=[CLOUD_PLATFORM],
        service_account_impersonation_url=impersonation if is_impersonating else None,
    )

    role.refresh(token_request)  # type: ignore[no-untyped-call]  # as above

    assert status_of_a_list(vendors, str(role.token)) == 200
    assert len(vendors.journal.at("google.impersonate")) == is_impersonating


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [
        ("ya29.unheard-of", 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("expired", 401, "ACCESS_TOKEN_EXPIRED"),
        ("narrow", 403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    ],
)
def test_a_token_that_does_not_serve_is_refused_with_the_reason(
    vendors: Vendors, token: str, status: int, reason: str
) -> None:
    if token == "expired":  # noqa: S105 (names the case)
        token = vendors.google.issue_token()
        vendors.google.expire_tokens()
    elif token == "narrow":  # noqa: S105 (as above)
        token = vendors.google.issue_token(IAM_SCOPE)

    answer = httpx.post(
        f"{vendors.url}/v1/{PARENT}:predictLongRunning",
        headers={"Authorization": f"Bearer {token}"},
        json={"instances": [{"prompt": "a cat"}]},
        verify=NO_TLS,
        trust_env=False,
    )

    assert answer.status_code == status
    assert answer.json()["error"]["details"][0]["reason"] == reason
    assert vendors.bill.clips == []


def test_secrets_are_not_written_down(vendors: Vendors, vertex: Vertex, token_request: TokenRequest) -> None:
    key_file_credentials(vendors.google.service_account_info(vendors.url)).refresh(token_request)  # type: ignore[no-untyped-call]  # as above
    vertex.order()

    written = repr(vendors.journal.requests)

    assert "[redacted]" in written
    assert vertex.token not in written
    assert "eyJ" not in written  # how every signed assertion begins


# --- Veo -------------------------------------------------------------------------------------------------------------


def test_an_order_finishes_as_a_real_clip_of_the_ordered_length(vertex: Vertex) -> None:
    operation = vertex.look(vertex.order(duration_seconds=6))

    assert operation.done
    assert operation.response is not None
    assert operation.response.generated_videos
    video = operation.response.generated_videos[0].video
    assert video is not None
    assert video.uri is not None
    assert video.uri.startswith(PREFIX)
    frames = frames_of(vertex.download(video.uri).content)
    assert len(frames) == 6 * FRAMES_PER_SECOND
    assert [mark_of(frame) for frame in frames] == [Mark(clip_label(3, 1), place) for place in range(len(frames))]


def test_what_the_sdk_sends_is_what_the_reference_says(vendors: Vendors, vertex: Vertex) -> None:
    vertex.order(
        duration_seconds=8,
        seed=7,
        aspect_ratio="16:9",
        resolution="720p",
        person_generation="allow_adult",
        negative_prompt="text, watermark",
        enhance_prompt=True,
        labels={"job": "j1"},
    )

    assert vendors.journal.at("veo.submit")[0].body == {
        "instances": [{"prompt": "a cat"}],
        "parameters": {
            "sampleCount": 1,
            "storageUri": PREFIX,
            "durationSeconds": 8,
            "seed": 7,
            "aspectRatio": "16:9",
            "resolution": "720p",
            "personGeneration": "allow_adult",
            "negativePrompt": "text, watermark",
            "enhancePrompt": True,
            "generateAudio": False,
        },
        "labels": {"job": "j1"},
    }


def test_a_tall_clip_is_tall(vertex: Vertex) -> None:
    name = vertex.order(aspect_ratio="9:16", output_gcs_uri=None)

    clip_bytes = base64.b64decode(vertex.poll(name)["response"]["videos"][0]["bytesBase64Encoded"])

    first = frames_of(clip_bytes)[0]
    assert (first.width, first.height) == (180, 320)


def test_clips_have_frames_out_of_order_as_the_vendors_have(vertex: Vertex) -> None:
    video = vertex.poll(vertex.order())["response"]["videos"][0]

    with av.open(io.BytesIO(vertex.download(video["gcsUri"]).content), "r") as container:
        shown_at = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]

    assert shown_at != sorted(shown_at)


def test_sound_that_was_not_declined_comes_and_costs_more(vendors: Vendors, vertex: Vertex) -> None:
    name = vertex.order(generate_audio=None)

    with av.open(
        io.BytesIO(vertex.download(vertex.poll(name)["response"]["videos"][0]["gcsUri"]).content)
    ) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]
    assert vendors.bill.clips[0].usd == pytest.approx(4 * 0.10)


def test_an_accepted_order_is_billed_once_with_what_it_was_for(vendors: Vendors, vertex: Vertex) -> None:
    name = vertex.order(duration_seconds=8)

    vertex.poll(name)
    vertex.poll(name)

    (charge,) = vendors.bill.clips
    assert (charge.operation, charge.scene, charge.prefix, charge.seconds) == (name, 3, PREFIX, 8)
    assert charge.usd == pytest.approx(0.64)
    assert vendors.bill.clips_of(3) == [charge]


def test_an_impossible_length_is_found_out_only_in_the_operation_and_was_billed(
    vendors: Vendors, vertex: Vertex
) -> None:
    name = vertex.order(duration_seconds=5)

    assert vertex.poll(name)["error"] == {
        "code": 3,
        "message": "Unsupported output video duration 5 seconds, supported durations are [8,4,6] for feature "
        "text_to_video.",
    }
    assert len(vendors.bill.clips) == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"sampleCount": 5},
        {"aspectRatio": "4:3"},
        {"resolution": "480p"},
        {"storageUri": "s3://bucket/x"},
        {"durationSeconds": "8"},
        {"length": 8},
    ],
)
def test_an_order_that_is_wrong_in_itself_is_refused_at_once(
    vendors: Vendors, vertex: Vertex, parameters: Mapping[str, object]
) -> None:
    answer = vertex.http.post(
        f"/v1/{PARENT}:predictLongRunning", json={"instances": [{"prompt": "a cat"}], "parameters": parameters}
    )

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert vendors.bill.clips == []


def test_a_retired_model_is_not_found(vertex: Vertex) -> None:
    with pytest.raises(errors.ClientError, match="was not found or your project does not have access") as refused:
        vertex.order(model="veo-2.0-generate-001")

    assert refused.value.code == 404


def test_both_versions_of_the_api_answer(vendors: Vendors) -> None:
    beta = Vertex(vendors, version="v1beta1")

    operation = beta.look(beta.order())

    beta.client.close()
    beta.http.close()
    assert operation.done


def test_an_operation_cannot_be_read_with_get(vertex: Vertex) -> None:
    name = vertex.order()
    short = f"projects/proj-1/locations/us-central1/operations/{name.rpartition('/')[2]}"

    assert vertex.http.get(f"/v1/{name}").status_code == 404
    assert "must be a Long" in vertex.http.get(f"/v1/{short}").json()["error"]["message"]


def test_a_minute_has_room_for_the_quota_and_no_more(
    vendors: Vendors, vertex: Vertex, vendor_clock: VirtualClock
) -> None:
    vendors.google.veo.quota_per_minute = 2
    vertex.order()
    vendor_clock.advance(timedelta(seconds=30))
    vertex.order()

    with pytest.raises(errors.ClientError, match="long_running_online_prediction_requests_per_base_model") as refused:
        vertex.order()
    vendor_clock.advance(timedelta(seconds=30))
    vertex.order()

    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert len(vendors.bill.clips) == 3


def test_a_clip_takes_its_time_by_the_given_clock(vendors: Vendors, vertex: Vertex, vendor_clock: VirtualClock) -> None:
    vendors.google.veo.clip_takes = Takes(seconds=90)
    name = vertex.order()
    vendor_clock.advance(timedelta(seconds=89))

    assert vertex.poll(name) == {"name": name}
    vendor_clock.advance(timedelta(seconds=1))
    assert vertex.poll(name)["done"] is True


def test_a_clip_takes_its_time_in_looks(vendors: Vendors, vertex: Vertex) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=Takes(polls=2)))
    name = vertex.order()

    assert ["done" in vertex.poll(name) for _ in range(3)] == [False, False, True]


def test_a_finished_clip_lies_in_the_bucket_though_nobody_polled(
    vendors: Vendors, vertex: Vertex, vendor_clock: VirtualClock
) -> None:
    vendors.google.veo.clip_takes = Takes(seconds=60)
    vertex.order()
    prefix = PREFIX.removeprefix("gs://clips/")

    before = vertex.listed(prefix)
    vendor_clock.advance(timedelta(minutes=1))
    after = vertex.listed(prefix)

    assert before == []
    (name,) = after
    assert name.startswith(prefix)
    folder, _, file = name.removeprefix(prefix).partition("/")
    assert folder.isdigit()
    assert file == "sample_0.mp4"


@pytest.mark.parametrize("code", [3, 8, 13, 14])
def test_an_operation_fails_with_the_code_of_the_scenario(vendors: Vendors, vertex: Vertex, code: int) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=OperationFailed(code=code)))

    operation = vertex.look(vertex.order())

    assert operation.done
    assert operation.error is not None
    assert operation.error["code"] == code
    assert ("Support codes: 62263041" in str(operation.error["message"])) == (code == 3)


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("support_codes", [(), (29310472, 15236754)])
def test_a_filtered_clip_is_told_at_either_level(
    vendors: Vendors, vertex: Vertex, support_codes: tuple[int, ...], *, is_nested: bool
) -> None:
    effect = Filtered(support_codes=support_codes, is_nested=is_nested)
    vendors.scenario.add(Rule(place="veo.clip", effect=effect))

    response = vertex.poll(vertex.order())["response"]

    verdict = response["generateVideoResponse"] if is_nested else response
    assert verdict["raiMediaFilteredCount"] == 1
    assert ("Support codes: 29310472, 15236754" in verdict["raiMediaFilteredReasons"][0]) == bool(support_codes)
    assert "videos" not in verdict
    assert vertex.listed("") == []


def test_part_of_an_order_is_filtered(vendors: Vendors, vertex: Vertex) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=Filtered(count=1)))

    response = vertex.poll(vertex.order(number_of_videos=2))["response"]

    assert (len(response["videos"]), response["raiMediaFilteredCount"]) == (1, 1)


def test_an_operation_is_done_without_a_video(vendors: Vendors, vertex: Vertex) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=NoVideo()))

    operation = vertex.look(vertex.order())

    assert operation.done
    assert operation.error is None
    assert operation.response is not None
    assert not operation.response.generated_videos


@pytest.mark.parametrize("is_made", [False, True])
def test_a_lost_operation_is_not_found_whether_its_clip_was_made_or_not(
    vendors: Vendors, vertex: Vertex, *, is_made: bool
) -> None:
    vendors.scenario.add(Rule(place="veo.clip", effect=Lost(is_made=is_made)))

    with pytest.raises(errors.ClientError) as refused:
        vertex.look(vertex.order())

    assert refused.value.code == 404
    assert len(vertex.listed("")) == is_made


LOST_ANSWERS = [Answer(status=503, is_done=True), Drop(is_done=True), Hang(is_done=True)]


@pytest.mark.parametrize("effect", LOST_ANSWERS, ids=lambda effect: effect.kind)
def test_an_order_is_accepted_and_billed_though_its_answer_is_lost(
    vendors: Vendors, vertex: Vertex, effect: Answer | Drop | Hang
) -> None:
    vendors.scenario.add(Rule(place="veo.submit", effect=effect))

    with pytest.raises((errors.ServerError, httpx.TransportError)):
        vertex.order(timeout_ms=200)

    assert len(vendors.bill.clips) == 1
    assert len(vertex.listed(PREFIX.removeprefix("gs://clips/"))) == 1


@pytest.mark.parametrize("effect", [Answer(status=503), Drop(), Hang()], ids=lambda effect: effect.kind)
def test_the_same_signs_may_mean_that_nothing_was_accepted(
    vendors: Vendors, vertex: Vertex, effect: Answer | Drop | Hang
) -> None:
    vendors.scenario.add(Rule(place="veo.submit", effect=effect))

    with pytest.raises((errors.ServerError, httpx.TransportError)):
        vertex.order(timeout_ms=200)

    assert vendors.bill.clips == []
    assert vertex.listed("") == []


def test_a_refused_order_is_not_done_even_if_its_answer_were_lost(vendors: Vendors, vertex: Vertex) -> None:
    vendors.scenario.add(Rule(place="veo.submit", effect=Drop(is_done=True)))

    with pytest.raises(errors.ClientError):
        vertex.order(model="veo-2.0-generate-001")

    assert vendors.bill.clips == []


# --- Cloud Storage ---------------------------------------------------------------------------------------------------


def test_a_range_of_an_object_is_downloaded(vendors: Vendors, vertex: Vertex) -> None:
    vendors.google.storage.put("clips", "a/b.mp4", b"0123456789")

    answer = vertex.download("gs://clips/a/b.mp4", Range="bytes=2-4")

    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["Content-Range"] == "bytes 2-4/10"


def test_a_download_may_break_off_in_the_middle(vendors: Vendors, vertex: Vertex) -> None:
    vendors.google.storage.put("clips", "a/b.mp4", b"0123456789")
    vendors.scenario.add(Rule(place="gcs.media", effect=Cut(keep=0.4)))

    with pytest.raises(httpx.RemoteProtocolError, match=r"received 4 bytes, expected 10"):
        vertex.download("gs://clips/a/b.mp4")

    assert vertex.download("gs://clips/a/b.mp4").content == b"0123456789"


def test_an_object_is_described_with_its_size(vendors: Vendors, vertex: Vertex) -> None:
    vendors.google.storage.put("clips", "a/b.mp4", b"0123456789")

    described = vertex.http.get("/storage/v1/b/clips/o/a%2Fb.mp4").json()

    assert (described["name"], described["size"], described["contentType"]) == ("a/b.mp4", "10", "video/mp4")


def test_a_list_comes_in_pages(vendors: Vendors, vertex: Vertex) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1"):
        vendors.google.storage.put("clips", name, b"")

    first = vertex.http.get("/storage/v1/b/clips/o", params={"prefix": "a/", "maxResults": 2}).json()
    second = vertex.http.get(
        "/storage/v1/b/clips/o", params={"prefix": "a/", "maxResults": 2, "pageToken": first["nextPageToken"]}
    ).json()

    assert [item["name"] for item in first["items"] + second["items"]] == ["a/1", "a/2", "a/3"]
    assert "nextPageToken" not in second


def test_a_deleted_object_is_gone(vendors: Vendors, vertex: Vertex) -> None:
    vendors.google.storage.put("clips", "a/b.mp4", b"")

    assert vertex.http.delete("/storage/v1/b/clips/o/a%2Fb.mp4").status_code == 204
    assert vertex.download("gs://clips/a/b.mp4").status_code == 404
