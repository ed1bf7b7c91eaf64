"""Whether the engine that is here is the one that this worker was packaged with.

On Lambda the engine stands in a layer and the worker in the function's archive, and a deployment changes them by two
calls.  What runs between those would be a worker on an engine that it was never tested on, with people's money.
"""

from importlib.util import find_spec
from pathlib import Path

# Written by `make package`: beside the engine which build it is, beside the worker which one it needs.
BUILD = "BUILD"
NEEDED = "ENGINE_BUILD"


class MixedBuildError(RuntimeError):
    """The engine is of another build than the worker."""


def require_own_engine(worker: Path | None = None, engine: Path | None = None) -> None:
    """Do nothing where both are of one build, or where neither says, as in a tree of sources.

    Args:
        worker: the package's folder, if not this one.
        engine: the package's folder, if not the one that Python finds.

    Raises:
        MixedBuildError: nothing was begun; a turn stays due and a request may be repeated, in some seconds.
    """
    needed = _told((worker or Path(__file__).parent) / NEEDED)
    build = _told((engine or _folder_of("statemachine")) / BUILD)
    if needed != build:
        raise MixedBuildError(
            f"this worker needs the engine of build {needed}, and build {build} is here: a deployment is under way; if "
            "it has ended, layer and function are of two builds: deploy all archives of one `make package`"
        )


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MixedBuildError(f"there is no package {package} here: the function lacks its layer of dependencies")
    return Path(spec.origin).parent


def _told(file: Path) -> str | None:
    return file.read_text(encoding="ascii") if file.exists() else None
