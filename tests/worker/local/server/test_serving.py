import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine import PermanentError
from worker.local.server.serving import ServeOptions, listening, serve
from worker.local.server.worker import ServedWorker
from worker.settings import Settings


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[ServedWorker]:
    with ServedWorker(Settings(home=tmp_path)) as made:
        yield made


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "gallery.example", ""])  # noqa: S104  it is refused
def test_another_host_than_this_machine_is_refused(worker: ServedWorker, host: str) -> None:
    """Signing in is choosing a name: whoever reaches the server can be anybody."""
    with pytest.raises(PermanentError, match="--any-host") as refused:
        serve(worker, ServeOptions(host=host, port=0))

    assert refused.value.code == "HOST_REFUSED"


def test_a_port_in_use_is_told_before_anything_begins(worker: ServedWorker, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PermanentError, match="--port") as refused:
        serve(worker, ServeOptions(port=other.getsockname()[1]))

    assert refused.value.code == "PORT_UNUSABLE"
    assert not (tmp_path / "session.key").exists()


def test_answers_are_sent_at_once() -> None:
    """The loop knows TCP by the socket's protocol; of any other it lets small answers wait for an acknowledgement."""
    with listening("localhost", 0) as made:
        assert made.proto == socket.IPPROTO_TCP
        with socket.create_connection(made.getsockname()[:2], timeout=5):
            pass  # it listens already: whoever comes now only waits


def test_a_part_that_cannot_work_is_told_before_anything_begins(tmp_path: Path) -> None:
    with (
        ServedWorker(Settings(home=tmp_path, planner="openai")) as worker,
        pytest.raises(PermanentError, match="OPENAI_API_KEY"),
    ):
        serve(worker, ServeOptions(port=0))
