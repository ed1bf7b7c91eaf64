"""dynoxide: a DynamoDB on the loopback interface that gets races, key types and capacity right.

moto does not: it lets two racers win one conditional write, and accepts keys that a real table refuses.
"""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BINARY = (
    Path(__file__).parents[1] / "requirements" / "dynoxide" / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"
)

# The reason with which a test is skipped where there is no such program.
NOT_INSTALLED = "dynoxide is not installed: make dynoxide (it exists for Linux on x64 only)"

# Another program may take the free port between our looking and dynoxide's binding.
_TRIES = 5


class DynoxideError(Exception):
    """dynoxide did not start."""


@contextmanager
def running_dynoxide() -> Iterator[str]:
    """The address of an empty server, which ends with the block."""
    if not BINARY.exists():
        raise DynoxideError(NOT_INSTALLED)
    said = ""
    for _ in range(_TRIES):
        port = _free_port()
        with subprocess.Popen(  # noqa: S603  our own pinned program and a number
            [BINARY, "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as server:
            try:
                said = server.stdout.readline() if server.stdout else ""
                if "listening" in said:
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                server.terminate()
    raise DynoxideError(f"{BINARY.name} did not start: {said.strip()}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
