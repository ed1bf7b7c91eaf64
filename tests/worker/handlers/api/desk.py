"""A desk at which requests are made and answered, with everything that is behind it in memory."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from statemachine import Dispatcher, Engine, Execution, JsonValue, Patch, Store
from statemachine.errors import BesideRefusedError, ExecutionNotFoundError
from statemachine.memory import MemoryDispatcher, MemoryStore
from tests.worker.fakes import (
    FAKE_MODEL,
    NOON,
    FakeAssembler,
    FakeMediaStore,
    FakePlanner,
    FakeRenderer,
    FakeTranscriber,
    spoken,
)
from worker.after_work import AfterWork
from worker.handlers.api.parts import ApiParts
from worker.handlers.api.routes import Api
from worker.job import Job
from worker.limits import Limits, Usage
from worker.links import SigningWindow, signing_window
from worker.models import VideoModel
from worker.pipeline import pipeline
from worker.progress import Profile, vendor_profile
from worker.rows import AudioHeader, Row, UsageChange, UsageChangedError
from worker.settings import Settings
from worker.steps.render import RenderPorts

ADA, BOB, OPERATOR = "ada-sub", "bob-sub", "olga-sub"
VIDEO = "video-1"
BUCKET = "platform-bucket"
KEY = "uploads/story.mp3"


@dataclass
class FakeClock:
    """Stands still until it is moved, or somebody sleeps."""

    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment

    def sleep(self, delay: timedelta) -> None:
        self.moment += delay


@dataclass
class FakeRows:
    """Rows in a dictionary, jobs in a `MemoryStore`, control rows that are compared before they are written."""

    store: MemoryStore
    owners: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str | None] = field(default_factory=dict)
    usages: dict[str, Usage] = field(default_factory=dict)
    reads: int = 0
    lock: Any = field(default_factory=threading.RLock)

    def find(self, video_id: str, *, user_id: str, any_owner: bool = False) -> Row | None:
        self.reads += 1
        owner = self.owners.get(video_id)
        if owner is None or (owner != user_id and not any_owner):
            return None
        try:
            execution: Execution | None = self.store.get(video_id)
        except ExecutionNotFoundError:
            execution = None
        return Row(video_id, owner, self.sources[video_id], execution)

    def find_with_usage(self, video_id: str, *, user_id: str) -> tuple[Row | None, Usage]:
        return self.find(video_id, user_id=user_id), self.usages.get(user_id, Usage())

    def deciding(self, row: Row, *, change: UsageChange | None = None) -> Store:
        return _Deciding(self, change) if change else self.store

    def usage(self, user_id: str) -> Usage:
        return self.usages.get(user_id, Usage())

    def change_usage(self, change: UsageChange) -> None:
        with self.lock:
            if self.usage(change.user_id) != change.before:
                raise UsageChangedError
            self.usages[change.user_id] = change.after


class _Deciding(MemoryStore):
    """The rows' store, with one change of a control row in the same transaction."""

    def __init__(self, rows: FakeRows, change: UsageChange) -> None:
        super().__init__()
        self._executions, self._trees = rows.store._executions, rows.store._trees  # noqa: SLF001  the same memory
        self._lock = rows.store._lock  # noqa: SLF001  as above
        self._rows = rows
        self._change = change

    def start(self, execution: Execution, *, replace: bool) -> None:
        with self._rows.lock:
            self._check()
            super().start(execution, replace=replace)
            self._rows.change_usage(self._change)

    def signal(self, execution: Execution, *, patch: Patch) -> None:
        with self._rows.lock:
            self._check()
            super().signal(execution, patch=patch)
            self._rows.change_usage(self._change)

    def _check(self) -> None:
        if self._rows.usage(self._change.user_id) != self._change.before:
            raise BesideRefusedError(self._change.user_id)


class FakeLinks:
    """Addresses that say what they lead to, and until when."""

    def __init__(self) -> None:
        self.end_at: datetime | None = None
        self.signed: list[str] = []

    def window(self, now: datetime) -> SigningWindow:
        return signing_window(now, credentials_end_at=self.end_at)

    def link(self, key: str, window: SigningWindow, *, download_as: str | None = None) -> str:
        self.signed.append(key)
        name = f"&as={download_as}" if download_as else ""
        return f"https://signed/{key}?until={window.expires_at:%H%M}{name}"


@dataclass(frozen=True)
class Answer:
    """An answer, its body parsed."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:  # noqa: ANN401  any JSON
        return json.loads(self.text)


class Desk:
    """The API and everything behind it."""

    def __init__(
        self, *, limits: Limits | None = None, settings: Settings | None = None, model: VideoModel = FAKE_MODEL
    ) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore()
        self.dispatcher = MemoryDispatcher()
        self.rows = FakeRows(self.store, {VIDEO: ADA}, {VIDEO: KEY})
        self.links = FakeLinks()
        self.limits = limits or Limits()
        self.settings = settings or Settings(bucket=BUCKET, operators_group="operators")
        self.header = AudioHeader("mp3", 20.0, 22050, 1, 160_000)
        self.probe_error: Exception | None = None
        self.missing_part: Exception | None = None
        self.probed: list[str] = []
        self.renderer = FakeRenderer(model=model)
        self.media = FakeMediaStore()
        self.media.objects[KEY] = b"sound"
        self.after_work: AfterWork | None = None
        self.model = model
        self.api = Api(self.parts())

    def parts(self) -> ApiParts:
        return ApiParts(
            settings=self.settings,
            clock=self.clock,
            rows=self.rows,
            model=self.model,
            profile=self.profile,
            links=lambda: self.links,
            limits=lambda: self.limits,
            engine_on=lambda store, deadline: self.engine_on(
                deadline.hurrying_store(store), dispatcher=deadline.hurrying_dispatcher(self.dispatcher)
            ),
            probe=self._probe,
            require_parts=self._require_parts,
        )

    @property
    def profile(self) -> Profile:
        return vendor_profile(self.model, concurrency=4)

    def engine_on(self, store: Store, *, dispatcher: Dispatcher | None = None) -> Engine[Job]:
        machine = pipeline(
            transcriber=FakeTranscriber(spoken("once upon a time there was a lighthouse", seconds=20.0)),
            planner=FakePlanner(),
            parts=RenderPorts(renderer=self.renderer, assembler=FakeAssembler(), media=self.media, new_id=self._new_id),
            longest_recording=timedelta(minutes=10),
            transcribing_turn=timedelta(minutes=3),
            rendering_turn=timedelta(minutes=2),
        )
        dispatcher = dispatcher or self.dispatcher
        return Engine(machine, store=store, dispatcher=dispatcher, clock=self.clock, after_work=self.after_work)

    # --- requests -------------------------------------------------------------------------------------------------

    def get(self, video_id: str | None = VIDEO, *, user: str | None = ADA, **more: Any) -> Answer:  # noqa: ANN401  passed on
        query = {} if video_id is None else {"videoId": video_id}
        return self.ask("GET", user=user, query={**query, **more.pop("query", {})}, **more)

    def post(self, body: object = None, *, user: str | None = ADA, **more: Any) -> Answer:  # noqa: ANN401  passed on
        given = {"videoId": VIDEO} if body is None else body
        text = given if isinstance(given, str) else json.dumps(given)
        return self.ask("POST", user=user, body=text, **more)

    def delete(self, video_id: str = VIDEO, *, user: str | None = ADA, **more: Any) -> Answer:  # noqa: ANN401  passed on
        return self.ask("DELETE", user=user, query={"videoId": video_id}, **more)

    def ask(
        self,
        method: str,
        *,
        user: str | None = ADA,
        query: Mapping[str, str] | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        groups: str | None = None,
        path: str = "/ai-video",
        http_api: bool = False,
    ) -> Answer:
        """Make a request through the gateway of one kind or the other."""
        claims = None if user is None else {"sub": user, **({"cognito:groups": groups} if groups else {})}
        event = (http_event if http_api else rest_event)(method, path, claims, query or {}, body, headers or {})
        return self.answer(event)

    def answer(self, event: Mapping[str, Any]) -> Answer:
        answer = self.api.answer(event)
        given = dict(answer.get("headers") or {})
        for name, values in (answer.get("multiValueHeaders") or {}).items():
            given[name] = ",".join(values)
        return Answer(answer["statusCode"], given, answer.get("body") or "")

    # --- what happens meanwhile -----------------------------------------------------------------------------------

    def run(self, *, turns: int = 100) -> Execution:
        """Let the job go on until it ends, waits for a person, or has taken so many turns."""
        engine = self.engine_on(self.store)
        for _ in range(turns):
            if not self.dispatcher.events:
                due = self.store.due(self.clock.now() + timedelta(days=1), limit=1)
                if not due:
                    break
                self.clock.moment = max(self.clock.moment, due[0].due_at)
                engine.resume(due[0].execution_id)
            engine.run_turn(self.dispatcher.events.popleft())
        return self.job()

    def job(self, video_id: str = VIDEO) -> Execution:
        return self.store.get(video_id)

    def data(self, video_id: str = VIDEO) -> Job:
        return Job.model_validate(self.job(video_id).data)

    def set_usage(self, user: str, **changes: Any) -> None:  # noqa: ANN401  passed on
        self.rows.usages[user] = replace(self.rows.usage(user), **changes)

    def _probe(self, key: str, before_each_read: Any) -> AudioHeader:  # noqa: ANN401  passed on
        before_each_read()
        self.probed.append(key)
        if self.probe_error is not None:
            raise self.probe_error
        return self.header

    def _require_parts(self) -> None:
        if self.missing_part is not None:
            raise self.missing_part

    def _new_id(self) -> str:
        self._ids = getattr(self, "_ids", 0) + 1
        return f"intent-{self._ids}"


def rest_event(
    method: str,
    path: str,
    claims: Mapping[str, Any] | None,
    query: Mapping[str, str],
    body: str | None,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """As a REST API sends it (payload 1.0)."""
    given = {"Origin": "https://gallery.example", **headers}
    return {
        "httpMethod": method,
        "path": path,
        "resource": path,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "requestContext": {"stage": "prod", **({"authorizer": {"claims": dict(claims)}} if claims else {})},
        "body": body,
        "isBase64Encoded": False,
    }


def http_event(
    method: str,
    path: str,
    claims: Mapping[str, Any] | None,
    query: Mapping[str, str],
    body: str | None,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """As an HTTP API sends it (payload 2.0): header names in lower case."""
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": f"/prod{path}",
        "rawQueryString": "",
        "headers": {"origin": "https://gallery.example", **{name.lower(): value for name, value in headers.items()}},
        "queryStringParameters": dict(query),
        "requestContext": {
            "stage": "prod",
            "http": {"method": method, "path": f"/prod{path}"},
            **({"authorizer": {"jwt": {"claims": dict(claims)}}} if claims else {}),
        },
        **({} if body is None else {"body": body}),
        "isBase64Encoded": False,
    }


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


__all__ = ("ADA", "BOB", "BUCKET", "KEY", "OPERATOR", "VIDEO", "Answer", "Desk", "JsonValue", "moment")
