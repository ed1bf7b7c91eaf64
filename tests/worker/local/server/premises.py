"""The server with everything behind it in one process: real files and rows, fakes in the place of slow parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from statemachine import Execution
from tests.media import write_sound
from tests.worker.fakes import FakeAssembler, FakePlanner, FakeRenderer, FakeTranscriber, spoken
from tests.worker.handlers.api.desk import FakeClock
from worker.local.server.app import Served, build_app
from worker.local.server.sessions import USERS, Sessions
from worker.local.server.worker import ServedWorker
from worker.models import STORYBOARD
from worker.settings import Settings

SECRET = b"a secret of these tests"
BODY_LIMIT = 200_000


@dataclass
class Premises:
    """One server.

    Attributes:
        client: asks it, without a socket.
    """

    worker: ServedWorker
    clock: FakeClock
    sessions: Sessions
    renderer: FakeRenderer
    client: TestClient
    recording: bytes

    def as_user(self, name: str) -> dict[str, str]:
        """The headers of a request of this user."""
        return {"Authorization": f"Bearer {self.sessions.begin(USERS[name]).token}"}

    def upload(self, name: str = "story.wav", *, user: str = "ada", content: bytes | None = None) -> Any:  # noqa: ANN401  any JSON
        """Upload a recording; its row."""
        answer = self.client.post(
            "/api/videos",
            params={"filename": name},
            content=self.recording if content is None else content,
            headers=self.as_user(user),
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    def start(self, video_id: str, *, user: str = "ada", **body: Any) -> Any:  # noqa: ANN401  any JSON
        """Ask for a video of it; the job."""
        answer = self.client.post("/api/ai-video", json={"videoId": video_id, **body}, headers=self.as_user(user))
        assert answer.status_code == 202, answer.text
        return answer.json()

    def list(self, user: str = "ada") -> Any:  # noqa: ANN401  any JSON
        """The user's list."""
        return self.client.get("/api/videos", headers=self.as_user(user)).json()["videos"]

    def run(self, video_id: str, *, turns: int = 100) -> Execution:
        """Let the job go on until it ends or waits for a person; in this thread, in no time."""
        worker = self.worker
        for _ in range(turns):
            if not worker.dispatcher.events:
                execution = worker.store.get(video_id)
                if execution.due_at is None:
                    break
                self.clock.moment = max(self.clock.moment, execution.due_at)
                worker.engine.resume(video_id)
            worker.engine.run_turn(worker.dispatcher.events.popleft())
        return worker.store.get(video_id)


@contextmanager
def premises(home: Path, *, page: Path | None = None, **settings: Any) -> Iterator[Premises]:  # noqa: ANN401  any setting
    """A server over an empty home, for as long as the block lasts."""
    clock, renderer = FakeClock(), FakeRenderer(model=STORYBOARD)
    with ServedWorker(Settings(home=home, **settings), clock=clock) as worker:
        worker.transcriber = FakeTranscriber(spoken("once upon a time there was a lighthouse", seconds=20.0))
        worker.planner, worker.renderer, worker.assembler = FakePlanner(), renderer, FakeAssembler()
        sessions = Sessions(secret=SECRET, clock=clock)
        served = Served(worker=worker, sessions=sessions, secret=SECRET, page=page, max_upload_bytes=BODY_LIMIT)
        recording = worker.work_folder / "recording.wav"
        write_sound(recording, seconds=1.5, rate=8000)
        with TestClient(build_app(served), base_url="http://localhost:8080", raise_server_exceptions=False) as client:
            content = recording.read_bytes()
            recording.unlink()
            yield Premises(worker, clock, sessions, renderer, client, content)


def minutes(number: float) -> timedelta:
    """So many of them."""
    return timedelta(minutes=number)
