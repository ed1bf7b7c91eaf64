"""A simulated AWS that runs the packaged function: MiniStack, in an environment of its own (`make ministack`).

It runs Lambda functions as processes of its own interpreter, their self-invocation, retries, schedules and the guard
against loops.  It is bound to the loopback interface.
"""

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Literal

import boto3

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-ministack" / "bin" / "python"
REGION = "eu-central-1"
STARTS_WITHIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class MiniStack:
    """A running simulated AWS.

    Attributes:
        pid: of its process, whose children run the functions.
    """

    url: str
    log: Path
    pid: int

    def client(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        """A client of one service; the account is the simulator's own."""
        session: Any = boto3.Session()
        return session.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106  any word will do
        )

    def function_processes(self) -> list[int]:
        """The processes that run functions, idle ones too; one for each invocation that it has had to run at once."""
        listed = " ".join(path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/children"))
        return [int(pid) for pid in listed.split()]


@contextmanager
def ministack(folder: Path, *, enforces_policies: bool = False) -> Iterator[MiniStack]:
    """Start it on a free port, and stop it with everything that it started.

    With `enforces_policies` a function may do only what its role's policy allows.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",  # without it, every interface
        "IOT_MTLS_ENABLED": "0",  # else it opens a port on every interface
        "LAMBDA_EXECUTOR": "local",
        "AUTH": str(enforces_policies).lower(),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
    }
    log = folder / "ministack.log"
    # It unpacks the archives for each process that runs the function, 135 MB, and is killed before it can tidy up.
    with TemporaryDirectory(prefix="ministack-") as unpacked, log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603  our own environment's interpreter
            [str(PYTHON), "-m", "ministack"],
            env=environment | {"TMPDIR": unpacked},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process, log)
            yield MiniStack(url, log, process.pid)
        finally:
            # The group: its function processes would outlive it.
            os.killpg(process.pid, 9)
            process.wait()


def python_version() -> str:
    """Of the interpreter that runs the functions: what the archives have to be built for."""
    asked = [str(PYTHON), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  as above


@cache
def packaged() -> Path:
    """The function's archives, built once for the interpreter that will run them; the folder."""
    into = Path(mkdtemp(prefix="package-"))
    atexit.register(shutil.rmtree, into)
    command = [sys.executable, str(ROOT / "scripts" / "package.py"), "--python", python_version(), "--into", str(into)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)  # noqa: S603  our own script
    return into


# Whether Lambda lets a function invoke itself for ever, or ends the chain after about 16 hops (its default).
Recursion = Literal["Allow", "Terminate"]


def deploy(
    stack: MiniStack, archives: Path, *, name: str, environment: Mapping[str, str], recursion: Recursion
) -> None:
    """Create the function with its layers, its loop guard as told, and a schedule once a minute."""
    functions, iam = stack.client("lambda"), stack.client("iam")
    role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    runtime = f"python{python_version()}"
    layers = [
        functions.publish_layer_version(
            LayerName=f"{name}-{layer}", Content={"ZipFile": (archives / f"layer-{layer}.zip").read_bytes()}
        )["LayerVersionArn"]
        for layer in ("dependencies", "media")
    ]
    arn = functions.create_function(
        FunctionName=name,
        Runtime=runtime,
        Handler="worker.lambda_function.handler",
        Role=role,
        Code={"ZipFile": (archives / "function.zip").read_bytes()},
        Layers=layers,
        Timeout=900,
        MemorySize=1769,
        Environment={"Variables": dict(environment)},
    )["FunctionArn"]
    functions.put_function_recursion_config(FunctionName=name, RecursiveLoop=recursion)
    functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60)
    stack.client("scheduler").create_schedule(
        Name=f"{name}-sweep",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": arn,
            "RoleArn": role,
            "Input": json.dumps({"source": "aws.scheduler", "detail-type": "Scheduled Event"}),
        },
    )


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    limit = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=1):  # noqa: S310  our own address
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"MiniStack did not start:\n{log.read_text()[-2000:]}")
