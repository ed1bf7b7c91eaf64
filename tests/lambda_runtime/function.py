"""A function as Lambda is told of it, and what became of one invocation."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes:
        python: the interpreter, of an environment with awslambdaric and boto3: what Lambda itself brings.
        code, layers: folders that hold what its archives do, see `unpacked`.
    """

    name: str
    python: Path
    code: Path
    layers: Path
    handler: str = "worker.lambda_function.handler"
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta = timedelta(seconds=900)
    memory_bytes: int = 1769 * MIB
    tmp_bytes: int = 512 * MIB

    @property
    def arn(self) -> str:
        """In an account that nobody has."""
        return f"arn:aws:lambda:eu-central-1:111122223333:function:{self.name}"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation that has ended.

    Attributes:
        error: Lambda's name of what went wrong (`Sandbox.Timedout`, a class of exception …); None when it answered.
        seconds: from its acceptance to its answer, a cold start included.
        init_seconds: how long the cold start took until the function was ready for its first event; None when warm.
        cpu_seconds: of the process, from its start to the end of this invocation.
        peak_memory_bytes, peak_tmp_bytes: as seen every `environment.LOOK_EVERY`.
    """

    payload: bytes
    answer: bytes
    error: str | None
    seconds: float
    init_seconds: float | None
    cpu_seconds: float
    peak_memory_bytes: int
    peak_tmp_bytes: int


def unpacked(archives: Iterable[Path], into: Path) -> Path:
    """Unpack archives over one another, as Lambda does with layers; the folder."""
    into.mkdir(parents=True)
    for archive in archives:
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(into)
    return into
