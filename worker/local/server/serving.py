"""`worker serve`: one process that answers requests and takes the jobs' turns."""

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from statemachine import PermanentError
from worker import telemetry
from worker.local.server.app import LOOPBACK_NAMES, Served, build_app
from worker.local.server.gallery import Gallery
from worker.local.server.sessions import USERS, Sessions, secret_in
from worker.local.server.turns import Turns
from worker.local.server.worker import ServedWorker
from worker.local.terminal import print_line

_CHECKOUT = Path(__file__).parents[3]
PAGE = _CHECKOUT / "frontend" / "dist-demo"
SAMPLES = _CHECKOUT / "samples"

# A browser keeps its connections; whoever plays a video while the server ends loses it.
_GRACEFUL_SECONDS = 2

# Connections that wait to be taken; as uvicorn has it.
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve.

    Attributes:
        port: 0 takes a free one.
        any_host: the person knows that everybody who reaches `host` can be anybody.
        samples: recordings for a new gallery; None leaves it empty.
        page: folder of the built page.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    any_host: bool = False
    session: timedelta = timedelta(hours=1)
    samples: Path | None = SAMPLES
    page: Path = PAGE


def serve(worker: ServedWorker, options: ServeOptions) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        PermanentError: codes HOST_REFUSED, PORT_UNUSABLE, and those of `LocalWorker.require_parts`.
        StoreError: the file of jobs is damaged, foreign, or cannot be opened.
    """
    if not options.any_host and not _is_loopback(options.host):
        raise PermanentError(
            "HOST_REFUSED",
            f"whoever reaches {options.host} could sign in as anybody: choose 127.0.0.1, or say --any-host if only "
            "people you trust can reach it",
            user_action="none",
        )
    worker.require_parts()
    with listening(options.host, options.port) as door:
        _only_warnings()
        worker.build()
        home = worker.settings.home.expanduser()
        secret = secret_in(home)
        if options.samples is not None:
            Gallery(worker).furnish(options.samples, owner_id=next(iter(USERS)))
        served = Served(
            worker=worker,
            sessions=Sessions(secret=secret, clock=worker.clock, lifetime=options.session),
            secret=secret,
            page=options.page if options.page.is_dir() else None,
            hosts=("*",) if options.any_host else LOOPBACK_NAMES,
        )
        turns = Turns(
            engine=worker.engine,
            queue=worker.dispatcher,
            engine_of=worker.engine_of,
            end_children=worker.end_children,
        )
        server = _server(served)
        turns.start()
        host, port = door.getsockname()[:2]
        try:
            _say(f"serving http://{f'[{host}]' if ':' in host else host}:{port} from {home}; Ctrl-C ends it")
            server.run(sockets=[door])
        except KeyboardInterrupt:
            pass  # uvicorn ends in order, and then raises the signal again
        finally:
            turns.stop()
        _say("ended; what is unfinished goes on at the next start")


def _only_warnings() -> None:
    """The function's log and metrics are made for CloudWatch; here whoever watches the terminal wants trouble only."""
    telemetry.metrics().provider = _NoMetrics()
    telemetry.logger().setLevel(logging.WARNING)
    for handler in logging.getLogger(telemetry.service()).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


class _NoMetrics(AmazonCloudWatchEMFProvider):
    """Counts nothing: what is counted is printed as soon as there is a hundred of it."""

    def add_metric(self, *_: object, **__: object) -> None:
        """See above."""


def _server(served: Served) -> uvicorn.Server:
    # Its own log would be a line for each request.  Errors go where the worker's go: into the log of the home.
    return uvicorn.Server(
        uvicorn.Config(
            build_app(served),
            log_config=None,
            backlog=_BACKLOG,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        )
    )


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens, so that a port in use is told before anything begins."""
    try:
        # The protocol is named, or asyncio does not know that it is TCP and leaves small answers to wait for 40 ms.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        door = socket.socket(family, kind, protocol)
        try:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(address)
            door.listen(_BACKLOG)  # who comes before everything is ready waits
        except OSError:
            door.close()
            raise
    except OSError as error:
        raise PermanentError(
            "PORT_UNUSABLE",
            f"cannot listen at {host}, port {port} ({error.strerror}); choose another with --port",
            user_action="none",
        ) from error
    with door:
        yield door


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _say(text: str) -> None:
    print_line(text, sys.stdout)
