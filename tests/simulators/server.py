"""One HTTP server on the loopback interface that answers as several vendors do."""

import json
import select
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Event, Lock, RLock, Thread
from typing import Protocol
from urllib.parse import parse_qsl

from pydantic import JsonValue
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map
from werkzeug.routing import Rule as UrlRule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from tests.simulators.scenario import Answer, Cut, Drop, Effect, Place, Scenario, Subject, Trouble

# Form fields and headers that are a secret, or as good as one.
SECRET_FIELDS = frozenset({"assertion", "subject_token"})
SECRET_HEADERS = frozenset({"authorization", "x-amz-security-token", "x-goog-api-key"})

# How often the server looks whether it is to end: what every test pays at its end.
SHUTDOWN_SECONDS = 0.01

Handler = Callable[..., Response]


class Vendor(Protocol):
    """Part of the server: what it answers to, and the bodies of its errors."""

    def routes(self) -> Iterable["Route"]:
        """Everything that this vendor answers to."""

    def fault(self, answer: Answer) -> Response:
        """The vendor's own answer for a status (and a reason) when it does not do the work."""


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request.

    Attributes:
        url: a rule of werkzeug's; its converters become the handler's keyword arguments.
        place: where scenarios meet it; None: they never do.
        subject: what the request is about.
        is_exclusive: nothing else is handled meanwhile.  What only reads, and may take long, need not be.
    """

    url: str
    method: str
    handler: Handler
    place: Callable[[Request], Place | None]
    subject: Callable[..., Subject]
    is_exclusive: bool = True


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as it came, without its secrets, and the status it was answered with (None: no answer)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: JsonValue
    place: Place | None
    scene: int | None
    status: int | None


@dataclass
class Journal:
    """Every request, in the order of their answers, and what went wrong in the simulator itself."""

    requests: list[LoggedRequest] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def at(self, place: Place) -> list[LoggedRequest]:
        """The requests of one kind."""
        return [request for request in self.requests if request.place == place]


class NoAnswerError(ConnectionAbortedError):
    """Ends a request without an answer: werkzeug takes it for a client that went away, and closes the connection."""


class Server:
    """Answers for all its vendors on one port of 127.0.0.1, several requests at a time, between `start` and `stop`."""

    def __init__(self, scenario: Scenario, *, port: int = 0) -> None:
        self.scenario = scenario
        self.journal = Journal()
        self._vendors: dict[str, tuple[Vendor, Route]] = {}
        # Keys may hold '//' and end with '/': addresses are taken as they come.
        self._map = Map(merge_slashes=False, strict_slashes=False)
        self._port = port
        self._stopping = Event()
        self._working = RLock()
        self._logging = Lock()
        self._thread: Thread | None = None

    def add(self, vendor: Vendor) -> None:
        """Answer for this vendor too."""
        for route in vendor.routes():
            name = str(len(self._vendors))
            self._vendors[name] = (vendor, route)
            self._map.add(UrlRule(route.url, methods=[route.method], endpoint=name))

    @property
    def url(self) -> str:
        """Where it answers: `http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Answer from now on, in threads of its own."""
        self._server = make_server("127.0.0.1", self._port, self._answered, threaded=True, request_handler=_Handler)
        self._port = self._server.port
        self._thread = Thread(
            target=self._server.serve_forever, args=(SHUTDOWN_SECONDS,), name="simulators", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; requests that hang are let go."""
        if self._thread is None:
            return
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._thread = None

    def _answered(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        request = Request(environ)
        place, subject, status = None, Subject(), None
        request.get_data(cache=True)
        try:
            name, arguments = self._map.bind_to_environ(environ).match()
            vendor, route = self._vendors[name]
            place = route.place(request)
            response = self._befallen(request, vendor, route, arguments, place)
            subject = route.subject(request, **arguments)
            status = response.status_code
            return response(environ, start_response)  # type: ignore[arg-type]  # WSGI's own, as werkzeug handed it in
        except HTTPException as error:
            answer = Response(error.get_response(environ).get_data(), error.code, mimetype="text/html")
            status = answer.status_code
            return answer(environ, start_response)  # type: ignore[arg-type]  # as above
        except NoAnswerError:
            raise
        except Exception as error:
            # Whatever it is, it is our fault and no vendor's: the fixture fails the test with it.
            self.journal.faults.append(f"{request.method} {request.path}: {error!r}")
            raise
        finally:
            with self._logging:
                self.journal.requests.append(_logged(request, place, subject, status))

    def _befallen(
        self, request: Request, vendor: Vendor, route: Route, arguments: Mapping[str, str], place: Place | None
    ) -> Response:
        effects: list[Effect] = []
        if place is not None:
            with self._working:
                effects = self.scenario.effects(place, route.subject(request, **arguments))
        trouble = next((effect for effect in effects if isinstance(effect, Trouble)), None)
        if trouble is None or trouble.is_done:
            # One at a time: the vendors' books are plain dictionaries.
            with self._working if route.is_exclusive else nullcontext():
                response = route.handler(request, **arguments)
            # What was refused was not done; the refusal is the answer.
            if trouble is None or response.status_code >= 400:
                return response
            if isinstance(trouble, Cut):
                return _cut(response, trouble.keep)
        match trouble:
            case Answer():
                return _as_told(trouble, vendor)
            case Drop():
                raise NoAnswerError
            case _:
                self._hang(request)
                raise NoAnswerError

    def _hang(self, request: Request) -> None:
        """Until the client goes away or the simulator stops."""
        connection = request.environ["werkzeug.socket"]
        assert isinstance(connection, socket.socket)
        while not self._stopping.is_set():
            readable, _, _ = select.select([connection], [], [], 0.05)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                return


class _Handler(WSGIRequestHandler):
    """Says nothing on the terminal, and sends an answer at once instead of waiting for more of it."""

    disable_nagle_algorithm = True

    def connection_dropped(self, error: BaseException, environ: dict[str, object] | None = None) -> None:
        """Close the connection, which the base class would keep for a next request."""
        self.close_connection = True

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """The journal has it."""


def _as_told(answer: Answer, vendor: Vendor) -> Response:
    response = (
        vendor.fault(answer)
        if answer.body is None
        else Response(json.dumps(answer.body), answer.status, mimetype="application/json")
    )
    response.headers.update(dict(answer.headers))
    return response


def _cut(response: Response, keep: float) -> Response:
    data = response.get_data()

    def part() -> Iterable[bytes]:
        yield data[: int(len(data) * keep)]
        raise NoAnswerError

    return Response(part(), response.status_code, response.headers)


def _logged(request: Request, place: Place | None, subject: Subject, status: int | None) -> LoggedRequest:
    return LoggedRequest(
        method=request.method,
        path=request.path,
        query=dict(request.args),
        headers={
            name: _redacted(value) if name.lower() in SECRET_HEADERS else value for name, value in request.headers
        },
        body=_body(request),
        place=place,
        scene=subject.scene,
        status=status,
    )


def _redacted(value: str) -> str:
    """The kind of credential, and not the credential."""
    return f"{value.partition(' ')[0]} [redacted]" if " " in value else "[redacted]"


def _body(request: Request) -> JsonValue:
    text = request.get_data(as_text=True)
    if not text:
        return None
    if "json" in request.headers.get("Content-Type", ""):
        try:
            body: JsonValue = json.loads(text)
        except ValueError:
            return text
        return body
    if request.mimetype == "application/x-www-form-urlencoded":
        return {name: "[redacted]" if name in SECRET_FIELDS else value for name, value in parse_qsl(text)}
    return text
