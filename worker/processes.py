"""Child processes for work that needs a processor: recognising speech, drawing clips.

A child of `WorkerPool` dies with its parent, whatever kills the parent, so a job that was killed leaves nobody
behind who still writes; and it leaves Ctrl-C to the parent, who decides what becomes of the job.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from statemachine.errors import StateMachineError

_P = ParamSpec("_P")
_T = TypeVar("_T")

# prctl(2): the signal that this process gets when the thread that started it ends.
_PR_SET_PDEATHSIG = 1


class ChildProcessDiedError(StateMachineError):
    """A child process ended before its work did.  The work may be submitted again; the pool starts new children.

    Attributes:
        was_killed: `WorkerPool.kill` or `close` ended it, so nobody should be surprised.
    """

    def __init__(self, work: str, *, was_killed: bool) -> None:
        reason = "it was stopped" if was_killed else "it crashed, or the system ended it (out of memory?)"
        super().__init__(f"the child process working on {work} is gone: {reason}")
        self.work = work
        self.was_killed = was_killed


class WorkerPool:
    """A few child processes that run functions of importable modules.

    Children are started by the first `submit` that needs them, and again after `kill` or a crash.  They are spawned,
    never forked: the parent has threads, whose locks a fork would copy in whatever state they are.

    Args:
        processes: how many children at most.
        initializer: called once in each new child, before any work.  It must be importable, like all work.
    """

    def __init__(self, processes: int = 2, *, initializer: Callable[[], object] | None = None) -> None:
        if processes < 1:
            raise ValueError(f"a pool needs at least one process, not {processes}")
        self._processes = processes
        self._initializer = initializer
        self._generation: _Generation | None = None
        self._is_closed = False
        # All children are started by this one thread, which lives as long as the pool.  Linux sends the
        # parent-death signal when the *thread* that started the child ends; a child started by the thread of
        # one turn would die with that turn.
        self._launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker-pool")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, work: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> "Future[_T]":
        """Run `work(*args, **kwargs)` in a child and return its future at once.

        The future raises what `work` raises, or `ChildProcessDiedError`.  One child that dies takes the work of its
        siblings with it, so a future that fails this way says nothing about its own work.  Cancelling it withdraws no
        work, only `kill` does: a cancelled future that Python 3.11's executor meets in a pool that broke ends the
        executor's thread, and the others would wait for ever.  (https://github.com/python/cpython/issues/107219)

        Raises:
            RuntimeError: the pool is closed.
        """
        if self._is_closed:
            raise RuntimeError("the pool is closed")
        outer: Future[_T] = Future()
        inner, generation = self._launcher.submit(self._start, work, args, kwargs).result()

        def pass_on(finished: "Future[_T]") -> None:
            if not outer.set_running_or_notify_cancel():
                return
            if finished.cancelled():
                outer.set_exception(ChildProcessDiedError(_name(work), was_killed=True))
                return
            error = finished.exception()
            if isinstance(error, BrokenProcessPool):
                died = ChildProcessDiedError(_name(work), was_killed=generation.was_killed)
                died.__cause__ = error
                outer.set_exception(died)
            elif error is not None:
                outer.set_exception(error)
            else:
                outer.set_result(finished.result())

        inner.add_done_callback(pass_on)
        return outer

    def kill(self) -> None:
        """End all children at once; what they had not finished fails with `ChildProcessDiedError`.

        Returns when they are gone.  The next `submit` starts new ones.
        """
        if not self._is_closed:
            self._launcher.submit(self._end_generation).result()

    def close(self) -> None:
        """End all children at once, as `kill`, and start no more.  A second call does nothing."""
        self.kill()
        self._is_closed = True
        self._launcher.shutdown()

    def _start(
        self, work: Callable[..., _T], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> "tuple[Future[_T], _Generation]":
        """Hand `work` to the children, starting them where needed.  Runs in the launcher's thread only."""
        if self._generation is not None:
            try:
                return self._generation.submit(work, args, kwargs), self._generation
            except BrokenProcessPool:
                # A child crashed since the last submission; its futures have been told.
                self._end_generation()
        self._generation = _Generation.begin(self._processes, self._initializer)
        return self._generation.submit(work, args, kwargs), self._generation

    def _end_generation(self) -> None:
        """Kill the children and wait until they are gone.  Runs in the launcher's thread only."""
        generation, self._generation = self._generation, None
        if generation is not None:
            generation.end()


class _RememberingContext(SpawnContext):
    """The spawn context, remembering the children made with it: the executor tells nobody who they are."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802, ANN401 - a class in the base, called alike
        child = SpawnProcess(*args, **kwargs)
        self.children.append(child)
        return child


@dataclass(slots=True)
class _Generation:
    """The children between two kills or crashes."""

    context: _RememberingContext
    executor: ProcessPoolExecutor
    was_killed: bool = field(default=False)

    @classmethod
    def begin(cls, processes: int, initializer: Callable[[], object] | None) -> "_Generation":
        context = _RememberingContext()
        executor = ProcessPoolExecutor(
            processes, mp_context=context, initializer=_begin_child, initargs=(os.getpid(), initializer)
        )
        return cls(context, executor)

    def submit(self, work: Callable[..., _T], args: tuple[object, ...], kwargs: dict[str, object]) -> "Future[_T]":
        # A new child inherits the blocked signal, so Ctrl-C cannot hit it before it has begun to ignore it.
        # (The executor's constructor has started multiprocessing's resource tracker, which would unblock it.)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self.executor.submit(work, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end(self) -> None:
        self.was_killed = True
        for child in self.context.children:
            child.kill()
        self.executor.shutdown(wait=True, cancel_futures=True)


def _begin_child(parent: int, initializer: Callable[[], object] | None) -> None:
    """Tie this child to its parent's life, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Everywhere: a thread that waits for the parent's end of a pipe to close.  It needs the interpreter's lock,
    # which a long call into C may hold, so Linux is asked to kill this process without our help as well.
    threading.Thread(target=_die_with_parent, name="die-with-parent", daemon=True).start()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:
            os._exit(1)  # the parent died before we asked; no signal will come
    if initializer is not None:
        initializer()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _name(work: Callable[..., object]) -> str:
    return getattr(work, "__qualname__", repr(work))
