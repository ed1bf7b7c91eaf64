"""The emulated Lambda is as strict as Lambda: small functions that try what Lambda does not let them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from tests.lambda_runtime.function import MIB, Function
from tests.lambda_runtime.pythons import VERSIONS, python_of, skip_without
from tests.lambda_runtime.service import LambdaService

SOURCE = """
import json, os, sys, tempfile, threading, time

ticks = []

def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.01)

def handler(event, context):
    return globals()[event["do"]](event, context)

def tell(event, context):
    return {
        "python": "%d.%d" % sys.version_info[:2], "name": context.function_name, "cwd": os.getcwd(),
        "left_ms": context.get_remaining_time_in_millis(), "environment": dict(os.environ),
        "sees": sorted(os.listdir("/")), "home": os.path.exists(event.get("path", "/nowhere")),
    }

def write(event, context):
    with open(event["path"], "wb") as file:
        file.write(bytes(event["bytes"]))
    return "written"

def hold(event, context):
    held = bytearray(event["bytes"])
    held[::4096] = b"1" * len(held[::4096])
    time.sleep(1)
    return len(held)

def sleep(event, context):
    time.sleep(event["seconds"])

def leave(event, context):
    os._exit(3)

def fail(event, context):
    raise ValueError("no")

def start_ticking(event, context):
    threading.Thread(target=tick, daemon=True).start()

def longest_pause(event, context):
    time.sleep(0.1)
    return max(later - earlier for earlier, later in zip(ticks, ticks[1:]))
"""

Deploy = Callable[..., LambdaService]


@pytest.fixture(params=VERSIONS)
def deploy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deploy]:
    """Deploys a function that does what its event says."""
    version: str = request.param
    skip_without(version)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "probe.py").write_text(SOURCE)
    (tmp_path / "layers").mkdir()
    with ExitStack() as closing:

        def deployed(**changes: object) -> LambdaService:
            service = closing.enter_context(LambdaService(tmp_path / "environments"))
            settings: dict[str, object] = {"handler": "probe.handler", "timeout": timedelta(seconds=20), **changes}
            code, layers = tmp_path / "code", tmp_path / "layers"
            service.deploy(Function("probe", python_of(version), code, layers, **settings))  # type: ignore[arg-type]  # each test names what it changes
            return service

        yield deployed


def test_the_function_sees_its_code_and_nothing_of_whoever_tests(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_SECRET", "1")
    service = deploy()

    answer = service.told({"do": "tell", "path": str(Path(__file__))})

    assert answer["cwd"] == "/var/task"
    assert answer["name"] == "probe"
    assert 19_000 < answer["left_ms"] <= 20_000
    assert "SOMEBODYS_SECRET" not in answer["environment"]
    assert answer["home"] is False, "the project's own folder is not there"
    assert {"opt", "tmp", "var"} <= set(answer["sees"])


@pytest.mark.parametrize("path", ["/var/task/new", "/opt/new", "/usr/new", "/new"])
def test_everything_but_tmp_is_read_only(deploy: Deploy, path: str) -> None:
    invocation = deploy().invoke({"do": "write", "path": path, "bytes": 1})

    assert invocation.error == "OSError"
    assert b"Read-only file system" in invocation.answer


def test_tmp_has_its_size(deploy: Deploy) -> None:
    service = deploy(tmp_bytes=8 * MIB)

    fits = service.invoke({"do": "write", "path": "/tmp/a", "bytes": 6 * MIB})  # noqa: S108  the function's own
    does_not = service.invoke({"do": "write", "path": "/tmp/b", "bytes": 6 * MIB})  # noqa: S108  as above

    assert (fits.error, fits.peak_tmp_bytes) == (None, 6 * MIB)
    assert does_not.error == "OSError"
    assert b"No space left" in does_not.answer


def test_a_function_that_holds_too_much_memory_is_killed(deploy: Deploy) -> None:
    service = deploy(memory_bytes=128 * MIB)

    killed, after = service.invoke({"do": "hold", "bytes": 300 * MIB}), service.invoke({"do": "hold", "bytes": MIB})

    assert killed.error == "Runtime.OutOfMemory"
    assert killed.peak_memory_bytes > 128 * MIB
    assert (after.error, after.answer) == (None, str(MIB).encode())


def test_a_function_is_killed_at_its_timeout_and_the_next_start_is_cold(deploy: Deploy) -> None:
    service = deploy(timeout=timedelta(seconds=1))

    killed, after = service.invoke({"do": "sleep", "seconds": 30}), service.invoke({"do": "sleep", "seconds": 0})

    assert killed.error == "Sandbox.Timedout"
    assert killed.seconds < 10
    assert (after.error, after.init_seconds is not None, service.cold_starts) == (None, True, 2)


def test_a_process_that_ends_is_an_error_and_an_exception_names_its_class(deploy: Deploy) -> None:
    service = deploy()

    assert service.invoke({"do": "leave"}).error == "Runtime.ExitError"
    assert service.invoke({"do": "fail"}).error == "ValueError"
    assert service.invoke({"do": "sleep", "seconds": 0}).error is None


def test_a_handler_that_cannot_be_imported_is_an_error(deploy: Deploy) -> None:
    invocation = deploy(handler="missing.handler").invoke({"do": "tell"})

    assert invocation.error is not None
    assert "ImportModuleError" in invocation.error


def test_between_two_events_the_process_is_warm_and_frozen(deploy: Deploy) -> None:
    service = deploy()
    service.invoke({"do": "start_ticking"})
    time.sleep(1)  # what is frozen must have time to move, were it not

    pause = service.invoke({"do": "longest_pause"})

    assert service.cold_starts == 1
    assert float(pause.answer) > 0.9


def test_events_at_once_get_an_environment_each(deploy: Deploy) -> None:
    service = deploy()
    client = boto3.Session().client(
        "lambda",
        endpoint_url=service.url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106  any word will do
    )

    for _ in range(3):
        accepted = client.invoke(FunctionName="probe", InvocationType="Event", Payload=b'{"do": "sleep", "seconds": 1}')
        assert accepted["StatusCode"] == 202
    answered = client.invoke(FunctionName="probe", Payload=b'{"do": "sleep", "seconds": 1}')

    assert (answered["StatusCode"], answered["Payload"].read()) == (200, b"null")
    assert service.cold_starts == 4
