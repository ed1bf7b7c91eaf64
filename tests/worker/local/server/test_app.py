"""What is served to whom, and what hostile requests get: a problem, never a traceback, nothing of anybody else."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from statemachine import TransientError
from statemachine.errors import StoreUnavailableError
from tests.worker.local.server.premises import BODY_LIMIT, Premises, minutes, premises
from worker.local.server.gateway import MAX_BODY_BYTES

PATHS = [("GET", "/api/videos"), ("POST", "/api/videos?filename=x.mp3"), ("GET", "/api/ai-video?videoId=x")]


def code_of(answer: Any) -> str:  # noqa: ANN401  the test client's answer
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


# --- signing in -------------------------------------------------------------------------------------------------------


def test_people_to_sign_in_as_are_told(house: Premises) -> None:
    answer = house.client.get("/api/users")

    assert answer.json() == {"users": [{"id": "ada", "name": "Ada"}, {"id": "ben", "name": "Ben"}]}


def test_signing_in_gives_a_token_and_its_end(house: Premises) -> None:
    answer = house.client.post("/api/session", json={"user": "ben"}).json()

    assert answer["user"] == {"id": "ben", "name": "Ben"}
    assert answer["expires_at"] == "2026-11-22T13:00:00Z"
    assert house.client.get("/api/videos", headers={"Authorization": f"Bearer {answer['token']}"}).json() == {
        "videos": []
    }


@pytest.mark.parametrize("body", ["", "{", "[]", '{"user": "eve"}', '{"user": 1}', '{"user": "ada", "admin": true}'])
def test_signing_in_as_nobody_is_refused(house: Premises, body: str) -> None:
    answer = house.client.post("/api/session", content=body)

    assert answer.status_code == 400
    assert code_of(answer) == "INVALID_REQUEST"


@pytest.mark.parametrize("body", ["[" * 4000, '{"a":' * 800])
def test_signing_in_with_deep_json_is_refused(house: Premises, body: str) -> None:
    assert house.client.post("/api/session", content=body).status_code == 400


def test_signing_in_with_a_large_body_is_refused(house: Premises) -> None:
    answer = house.client.post("/api/session", content=b" " * 5000)

    assert code_of(answer) == "BODY_TOO_LARGE"


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("token", [None, "Bearer x", "Bearer ", "ada", "Basic YWRhOmFkYQ=="])
def test_without_a_token_nothing_is_answered(house: Premises, method: str, path: str, token: str | None) -> None:
    answer = house.client.request(method, path, headers={} if token is None else {"Authorization": token})

    assert answer.status_code == 401
    assert code_of(answer) == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_an_expired_token_is_as_none(house: Premises, method: str, path: str) -> None:
    headers = house.as_user("ada")

    house.clock.sleep(minutes(60))

    assert house.client.request(method, path, headers=headers).status_code == 401


# --- videos -----------------------------------------------------------------------------------------------------------


def test_an_upload_is_listed_and_can_be_fetched(house: Premises) -> None:
    house.clock.sleep(timedelta(microseconds=1234))
    row = house.upload("story.wav")

    assert house.list() == [row]
    assert row["kind"] == "audio"
    assert row["title"] == "story.wav"
    assert row["duration_seconds"] == 1.5
    assert row["created_at"] == "2026-11-22T12:00:00.002000Z"
    answer = house.client.get(row["url"])
    assert answer.content == house.recording
    assert answer.headers["content-type"] == "audio/wav"


def test_videos_are_listed_newest_first(house: Premises) -> None:
    first = house.upload("first.wav")
    house.clock.sleep(minutes(1))
    second = house.upload("second.wav")

    assert [row["videoId"] for row in house.list()] == [second["videoId"], first["videoId"]]


def test_nobody_sees_what_somebody_else_uploaded(house: Premises) -> None:
    house.upload(user="ada")

    assert house.list("ben") == []


def test_a_finished_job_stands_in_the_list(house: Premises) -> None:
    video_id = house.upload()["videoId"]
    house.start(video_id)
    house.run(video_id)

    (row,) = house.list()

    assert (row["ai_project_type"], row["ai_generation_status"]) == ("ai_generated", "completed")
    assert set(row["ai_generation_data"]["scene_beats"]) == {"000", "001", "002"}
    assert house.client.get(row["video_url"]).headers["content-type"] == "video/mp4"
    assert house.client.get(row["poster_url"]).headers["content-type"] == "image/jpeg"


def test_an_empty_upload_is_refused_and_nothing_is_kept(house: Premises) -> None:
    answer = house.client.post("/api/videos?filename=x.mp3", content=b"", headers=house.as_user("ada"))

    assert code_of(answer) == "EMPTY_FILE"
    assert house.list() == []


def test_an_upload_that_is_too_large_is_refused_and_nothing_is_kept(house: Premises) -> None:
    answer = house.client.post(
        "/api/videos?filename=x.mp3", content=b"x" * (BODY_LIMIT + 1), headers=house.as_user("ada")
    )

    assert (answer.status_code, code_of(answer)) == (413, "BODY_TOO_LARGE")
    assert house.list() == []
    assert list(house.worker.work_folder.iterdir()) == []


@pytest.mark.parametrize(
    "trouble",
    [TransientError("STORAGE_FULL", "no space left"), StoreUnavailableError("locked"), OSError(28, "No space left")],
)
def test_a_full_disk_is_nobodys_fault_and_may_pass(
    house: Premises, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    def full(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(house.worker.media, "upload", full)

    answer = house.client.post("/api/videos?filename=x.wav", content=house.recording, headers=house.as_user("ada"))

    assert (answer.status_code, code_of(answer)) == (503, "STORAGE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"
    assert str(trouble) in caplog.text
    assert house.list() == []


def test_an_upload_without_a_name_is_refused(house: Premises) -> None:
    answer = house.client.post("/api/videos", content=b"x", headers=house.as_user("ada"))

    assert code_of(answer) == "INVALID_REQUEST"


def test_what_is_no_recording_is_refused_when_a_video_is_asked_for(house: Premises) -> None:
    row = house.upload("notes.mp3", content=b"these are notes, not sounds" * 99)

    answer = house.client.post("/api/ai-video", json={"videoId": row["videoId"]}, headers=house.as_user("ada"))

    assert row["duration_seconds"] is None
    assert (answer.status_code, code_of(answer)) == (422, "NOT_AUDIO")


# --- the API's handler ------------------------------------------------------------------------------------------------


def test_a_job_is_started_watched_and_cancelled(house: Premises) -> None:
    video_id = house.upload()["videoId"]
    query, headers = {"videoId": video_id}, house.as_user("ada")

    started = house.client.post("/api/ai-video", json=query, headers=headers)
    watched = house.client.get("/api/ai-video", params=query, headers=headers)
    cancelled = house.client.delete("/api/ai-video", params=query, headers=headers)

    assert (started.status_code, started.headers["location"]) == (202, f"/api/ai-video?videoId={video_id}")
    assert (watched.status_code, watched.json()["phase"]) == (200, "transcribing")
    assert (cancelled.status_code, cancelled.json()["error"]["code"]) == (202, "CANCELLED")


def test_what_has_not_changed_is_not_sent_again(house: Premises) -> None:
    video_id = house.upload()["videoId"]
    house.start(video_id)
    first = house.client.get("/api/ai-video", params={"videoId": video_id}, headers=house.as_user("ada"))

    headers = {**house.as_user("ada"), "If-None-Match": first.headers["etag"]}
    again = house.client.get("/api/ai-video", params={"videoId": video_id}, headers=headers)

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"])
def test_addresses_name_the_server_as_the_browser_does(house: Premises, name: str) -> None:
    """Captions that come from another origin than the page are not shown."""
    video_id = house.upload()["videoId"]
    house.start(video_id)
    house.run(video_id)

    job = house.client.get(f"{name}/api/ai-video?videoId={video_id}", headers=house.as_user("ada")).json()

    assert job["media"]["video_url"].startswith(f"{name}/media/ai-video/")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_video_of_somebody_else_is_as_none(house: Premises, method: str) -> None:
    video_id = house.upload(user="ada")["videoId"]
    house.start(video_id, user="ada")

    def ask(about: str) -> Any:  # noqa: ANN401  the test client's answer
        query = {} if method == "POST" else {"videoId": about}
        body = {"videoId": about} if method == "POST" else None
        return house.client.request(method, "/api/ai-video", params=query, json=body, headers=house.as_user("ben"))

    theirs, nobodys = ask(video_id), ask("there-is-none")

    assert theirs.status_code == 404
    assert theirs.content == nobodys.content
    assert house.worker.store.get(video_id).status == "processing"


def test_limits_of_a_user_are_kept_and_given_back(tmp_path: Path) -> None:
    with premises(tmp_path, concurrent_jobs=1) as house:
        first, second = house.upload()["videoId"], house.upload()["videoId"]
        house.start(first)

        refused = house.client.post("/api/ai-video", json={"videoId": second}, headers=house.as_user("ada"))
        house.run(first)
        house.start(second)

        assert code_of(refused) == "TOO_MANY_JOBS"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "TRACE"])
def test_another_method_is_refused_by_the_api_itself(house: Premises, method: str) -> None:
    answer = house.client.request(method, "/api/ai-video", headers=house.as_user("ada"))

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST, DELETE, OPTIONS"


def test_a_page_from_elsewhere_may_not_call(house: Premises) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}

    answer = house.client.options("/api/ai-video", headers=headers)

    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[" * 100_000,
        b'{"videoId": ' * 50_000,
        b'{"videoId": 1e999}',
        b'{"videoId": "\\ud800"}',
        b'{"videoId": "x", "options": {"maxCostUsd": 1e400}}',
        b'{"videoId": "x", "options": {"maxScenes": 9999999999999999999999}}',
        b'{"videoId": "../../etc/passwd", "sceneBeats": {}}',
        b'{"videoId": "x"' + b" " * 600_000 + b"}",
        json.dumps({"videoId": "x" * 500_000}).encode(),
    ],
    ids=range(12),
)
def test_a_hostile_body_is_a_problem_of_its_sender(house: Premises, body: bytes) -> None:
    answer = house.client.post("/api/ai-video", content=body, headers=house.as_user("ada"))

    assert 400 <= answer.status_code < 500
    assert "Traceback" not in answer.text
    assert code_of(answer)


def test_a_body_beyond_what_a_gateway_takes_is_refused_before_the_handler(house: Premises) -> None:
    answer = house.client.post("/api/ai-video", content=bytes(MAX_BODY_BYTES + 1), headers=house.as_user("ada"))

    assert (answer.status_code, code_of(answer)) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "video_id",
    ["..", "../../../etc/passwd", "ai#user#ada", "%00", "x\r\nSet-Cookie: a=b", "é" * 255, "' OR 1=1 --", "\ud7ff"],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_tricky_id_names_no_video(house: Premises, method: str, video_id: str) -> None:
    house.start(house.upload()["videoId"])

    answer = house.client.request(method, "/api/ai-video", params={"videoId": video_id}, headers=house.as_user("ada"))

    assert answer.status_code in {400, 404}
    assert "set-cookie" not in answer.headers


# --- everything else --------------------------------------------------------------------------------------------------


def test_health_is_told_without_a_token(house: Premises) -> None:
    assert house.client.get("/healthz").text == "ok\n"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "localhost@evil"])
def test_another_name_of_this_server_is_refused(house: Premises, host: str) -> None:
    """A page elsewhere can make its own name lead here, and would read everything."""
    answer = house.client.get("/api/users", headers={"Host": host})

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/session/x", "/api/../worker.log", "/api/ai-video/x"])
def test_what_is_not_served_is_not_found(house: Premises, path: str) -> None:
    assert house.client.get(path).status_code == 404


def test_every_answer_tells_the_browser_to_be_careful(house: Premises) -> None:
    for path in ("/healthz", "/api/users", "/api/videos", "/api/nothing", "/nothing"):
        headers = house.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"


def test_an_error_that_nobody_foresaw_tells_nothing_of_itself(house: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(house.worker.store, "videos_of", broken)

    answer = house.client.get("/api/videos", headers=house.as_user("ada"))

    assert (answer.status_code, code_of(answer)) == (500, "INTERNAL")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_the_page_is_served_beside_the_api(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<title>Gallery</title>")
    (page / "app.js").write_text("console.log(1)")
    (tmp_path / "outside.txt").write_text("not for everybody")

    with premises(tmp_path / "home", page=page) as house:
        assert "Gallery" in house.client.get("/").text
        assert house.client.get("/app.js").headers["content-type"].startswith("text/javascript")
        assert house.client.get("/gallery/1").status_code == 404
        assert house.client.get("/..%2Foutside.txt").status_code == 404
        assert house.client.get("/api/users").status_code == 200


def test_without_a_page_it_says_how_to_build_one(house: Premises) -> None:
    answer = house.client.get("/")

    assert answer.status_code == 404
    assert "make serve" in answer.text
