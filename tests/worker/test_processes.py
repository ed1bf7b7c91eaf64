import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from worker.processes import ChildProcessDiedError, WorkerPool

PATIENCE_SECONDS = 20.0

# A parent that starts one child, says the child's id, and then has its child work for ever.
PARENT = """
import os, signal
from worker.processes import WorkerPool

if __name__ == "__main__":
    pool = WorkerPool(1)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(signal.pause).result()
"""


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


def test_work_runs_in_another_process(pool: WorkerPool) -> None:
    assert pool.submit(os.getpid).result(PATIENCE_SECONDS) != os.getpid()


def test_an_error_in_the_work_comes_back_as_itself(pool: WorkerPool) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(PATIENCE_SECONDS)


def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    """A worker that gets kill -9 must leave nobody behind who still writes."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).parents[2]
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)

        parent.kill()
        parent.wait(PATIENCE_SECONDS)

    assert eventually(lambda: not is_alive(child))


def test_a_child_outlives_the_thread_that_submitted_its_work(pool: WorkerPool) -> None:
    """Linux sends the parent-death signal at the end of the starting thread, which must not be the caller's."""
    children: list[int] = []
    thread = threading.Thread(target=lambda: children.append(pool.submit(os.getpid).result(PATIENCE_SECONDS)))
    thread.start()
    thread.join(PATIENCE_SECONDS)

    again = pool.submit(os.getpid).result(PATIENCE_SECONDS)

    assert again == children[0]


def test_ctrl_c_does_not_reach_a_child(pool: WorkerPool) -> None:
    child = pool.submit(os.getpid).result(PATIENCE_SECONDS)

    os.kill(child, signal.SIGINT)

    assert pool.submit(os.getpid).result(PATIENCE_SECONDS) == child


def test_a_crashed_child_fails_its_future_with_a_clear_error(pool: WorkerPool) -> None:
    with pytest.raises(ChildProcessDiedError, match=r"_exit is gone: it crashed") as caught:
        pool.submit(os._exit, 3).result(PATIENCE_SECONDS)

    assert not caught.value.was_killed


def test_the_pool_works_again_after_a_crash(pool: WorkerPool) -> None:
    with pytest.raises(ChildProcessDiedError):
        pool.submit(os._exit, 3).result(PATIENCE_SECONDS)

    assert pool.submit(divmod, 7, 2).result(PATIENCE_SECONDS) == (3, 1)


def test_kill_ends_the_children_and_fails_what_is_pending(pool: WorkerPool) -> None:
    child = pool.submit(os.getpid).result(PATIENCE_SECONDS)
    pending = [pool.submit(signal.pause) for _ in range(3)]

    pool.kill()

    assert not is_alive(child)
    for future in pending:
        error = future.exception(PATIENCE_SECONDS)
        assert isinstance(error, ChildProcessDiedError)
        assert error.was_killed


def test_the_pool_works_again_after_kill(pool: WorkerPool) -> None:
    first = pool.submit(os.getpid).result(PATIENCE_SECONDS)
    pool.kill()

    assert pool.submit(os.getpid).result(PATIENCE_SECONDS) != first


def test_killing_an_idle_pool_does_nothing(pool: WorkerPool) -> None:
    pool.kill()

    assert pool.submit(divmod, 7, 2).result(PATIENCE_SECONDS) == (3, 1)


def test_whoever_waits_is_told_of_a_kill_although_somebody_else_has_given_up() -> None:
    with WorkerPool(1) as pool:
        pool.submit(os.getpid).result(PATIENCE_SECONDS)
        # The executor takes one more than it has children; what is behind that can still be cancelled.
        given_up, waited_for = [pool.submit(signal.pause) for _ in range(4)][-2:]
        assert given_up.cancel()

        pool.kill()

        with pytest.raises(ChildProcessDiedError, match="it was stopped"):
            waited_for.result(PATIENCE_SECONDS)


def test_a_closed_pool_takes_no_work() -> None:
    pool = WorkerPool(1)
    pool.close()
    pool.close()

    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(os.getpid)


def test_each_new_child_is_initialised_once() -> None:
    with WorkerPool(1, initializer=mark_child) as pool:
        assert pool.submit(os.getenv, "CHILD_IS_READY").result(PATIENCE_SECONDS) == "1"


def mark_child() -> None:
    """Count the calls in this child's environment."""
    os.environ["CHILD_IS_READY"] = str(int(os.environ.get("CHILD_IS_READY", "0")) + 1)


def is_alive(process: int) -> bool:
    """Whether the process exists and is more than a zombie (a killed parent leaves its reaping to others)."""
    try:
        status = Path(f"/proc/{process}/stat").read_text() if sys.platform == "linux" else ""
        os.kill(process, 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return ") Z " not in status


def eventually(claim: Callable[[], bool]) -> bool:
    """Whether the claim comes true in time; asks again as long as it does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if claim():
            return True
        os.sched_yield()
    return False
