"""What holds for every test: nothing leaves the loopback interface, no real account is in reach, nothing is random."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import dynoxide
from tests.simulators.fixtures import vendor_clock, vendors  # noqa: F401 (pytest finds fixtures by their names here)

# Derandomised: the same examples on every machine and in every order, so that a red test is red for everybody.
# No deadline: a slow machine is not a wrong answer.
hypothesis.settings.register_profile("project", derandomize=True, deadline=None)
hypothesis.settings.load_profile("project")

# Variables by which SDKs find an account, a proxy to one, or a place outside.
FOREIGN_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "GCLOUD_", "OPENAI_", "VERTEX_")
FOREIGN_NAMES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy")


class OutsideConnectionError(Exception):
    """A test tried to leave the loopback interface.  No OSError: an SDK would take it for weather and try again."""

    def __init__(self, address: object) -> None:
        super().__init__(f"a test tried to connect to {address!r}; tests stay on the loopback interface")
        self.address = address


def is_loopback(address: object) -> bool:
    """Whether a socket's address stays on this machine: a path (Unix), or a loopback host."""
    if isinstance(address, str | bytes):
        return True
    host = address[0] if isinstance(address, tuple) and address else None
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests/e2e (real processes, real time) to whoever names it, as `make e2e` does."""
    is_named = any("e2e" in Path(argument.partition("::")[0]).parts for argument in config.args)
    return True if collection_path.name == "e2e" and not is_named else None


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    """Connections and name look-ups that would leave this machine raise."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: object) -> None:
        if not is_loopback(address):
            raise OutsideConnectionError(address)
        connect(self, address)  # type: ignore[arg-type]  # whatever the caller gave: the real one judges it

    def guarded_connect_ex(self: socket.socket, address: object) -> int:
        if not is_loopback(address):
            raise OutsideConnectionError(address)
        return connect_ex(self, address)  # type: ignore[arg-type]  # as above

    def guarded_getaddrinfo(host: object, *args: object, **kwargs: object) -> object:
        # None and '' mean this machine.
        name = host.decode() if isinstance(host, bytes) else host
        if name and not is_loopback((name, 0)):
            raise OutsideConnectionError(name)
        return getaddrinfo(host, *args, **kwargs)  # type: ignore[arg-type]  # as above

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be signed in somewhere; a test must behave as if nobody were."""
    for name in list(os.environ):
        if name.startswith(FOREIGN_PREFIXES) or name in FOREIGN_NAMES:
            monkeypatch.delenv(name)
    # Without these, boto3 would read the person's own files and ask the metadata service.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture(scope="session")
def dynoxide_url() -> Iterator[str]:
    """The address of dynoxide, a DynamoDB that gets races and sizes right; skips where it is not installed."""
    if not dynoxide.BINARY.exists():
        pytest.skip(dynoxide.NOT_INSTALLED)
    with dynoxide.running_dynoxide() as url:
        yield url
