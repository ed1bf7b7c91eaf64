"""Whether the engine that is here is the one that the worker was packaged with."""

from pathlib import Path

import pytest

from worker.engine_build import BUILD, NEEDED, MixedBuildError, require_own_engine


def folders(root: Path, *, needed: str | None, build: str | None) -> tuple[Path, Path]:
    """Of a worker and of an engine, each with what it says of its build."""
    for package, name, text in (("worker", NEEDED, needed), ("statemachine", BUILD, build)):
        (root / package).mkdir()
        if text is not None:
            (root / package / name).write_text(text)
    return root / "worker", root / "statemachine"


@pytest.mark.parametrize("build", [None, "0a1b"], ids=["sources", "packaged"])
def test_worker_and_engine_of_one_build_run_together(build: str | None, tmp_path: Path) -> None:
    worker, engine = folders(tmp_path, needed=build, build=build)

    require_own_engine(worker, engine)


@pytest.mark.parametrize(
    ("needed", "build"),
    [("0a1b", "2c3d"), ("0a1b", None), (None, "2c3d")],
    ids=["other", "older_engine", "older_worker"],
)
def test_worker_and_engine_of_two_builds_do_not(needed: str | None, build: str | None, tmp_path: Path) -> None:
    """Archives from before builds were told are of another build as well."""
    worker, engine = folders(tmp_path, needed=needed, build=build)

    with pytest.raises(MixedBuildError, match=f"build {needed}, and build {build} is here"):
        require_own_engine(worker, engine)


def test_this_tree_of_sources_runs() -> None:
    require_own_engine()
