"""AWS's SDK for durable functions on the local runner of its testing package, on the store that is named.

Run by the interpreter of `.venv-peers`.  The runner skips over waits; what it costs besides is some tenths of a second
of pauses that it makes for each invocation, so CPU time says more of the SDK than wall time does.

`killed FOLDER VARIANT` is another contest: an invocation that hangs after it has ordered, which the runner gives up
after two seconds as Lambda does at the timeout, and the one that goes on.
"""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration, StepConfig, StepSemantics
from aws_durable_execution_sdk_python.execution import InvocationStatus
from aws_durable_execution_sdk_python.retries import RetryPresets
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner
from aws_durable_execution_sdk_python_testing.stores.sqlite import SQLiteExecutionStore

from benchmarks.peers.contest import POLLS, STEPS, WAITS, Run, Task, Vendor, contest, tell_orders

SECONDS_ALLOWED = 250


@contextmanager
def on_memory(_: Path) -> Iterator[Run]:
    """The runner's default."""

    def run(task: Task) -> None:
        _run(task, store=None)

    yield run


@contextmanager
def on_sqlite(folder: Path) -> Iterator[Run]:
    """The runner's store on a file: an execution is one row, written whole each time (WAL, NORMAL: no fsync)."""
    store = SQLiteExecutionStore.create_and_initialize(folder / "executions.db")

    def run(task: Task) -> None:
        _run(task, store=store)

    yield run


def _run(task: Task, *, store: Any) -> None:  # noqa: ANN401  the SDK is not in the project's environment
    with DurableFunctionTestRunner(handler=durable_execution(_handler(task)), store=store) as runner:
        result = runner.run(input="{}", execution_timeout=SECONDS_ALLOWED)
    if result.status is not InvocationStatus.SUCCEEDED:
        raise RuntimeError(f"{task} ended as {result.status}: {result.error}")


def _handler(task: Task) -> Callable[[Any, Any], str]:
    def through_steps(_: object, context: Any) -> str:  # noqa: ANN401  as above
        for number in range(task.length):
            context.step(lambda _: "done", name=f"step-{number}")
            if task.shape == "waits":
                context.wait(Duration.from_seconds(1), name=f"wait-{number}")
        return "done"

    def through_polls(_: object, context: Any) -> str:  # noqa: ANN401  as above
        context.wait_for_condition(
            lambda polls, _: polls + 1,
            WaitForConditionConfig(wait_strategy=_every_15_seconds(task.length), initial_state=0),
            name="poll",
        )
        return "done"

    return through_polls if task.shape == "polls" else through_steps


def _every_15_seconds(polls: int) -> Callable[[int, int], Any]:
    """Wait so often, and then be content."""

    def decide(looked: int, _: int) -> Any:  # noqa: ANN401  as above
        if looked > polls:
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(Duration.from_seconds(15))

    return decide


# How a step may be configured: as it comes; not to run again in one attempt; and not to be tried again either.  Or its
# author looks for the order first, which no configuration does.
LOOKS_FIRST = "looks_first"
VARIANTS = {
    "default": StepConfig(),
    LOOKS_FIRST: StepConfig(),
    "at_most_once": StepConfig(step_semantics=StepSemantics.AT_MOST_ONCE_PER_RETRY),
    "at_most_once_no_retry": StepConfig(
        step_semantics=StepSemantics.AT_MOST_ONCE_PER_RETRY, retry_strategy=RetryPresets.none()
    ),
}
INVOCATION_SECONDS = 2


def killed(folder: Path, variant: str) -> None:
    """Run a job whose first order never returns, and say how it ended."""
    vendor, for_good = Vendor(folder / "orders"), threading.Event()

    def order(_: object) -> str:
        found = vendor.find("job-1") if variant == LOOKS_FIRST else None
        operation = found or vendor.order("job-1")
        if found is None and len(vendor.orders) == 1:
            for_good.wait(SECONDS_ALLOWED)
        return operation

    def handler(_: object, context: Any) -> str:  # noqa: ANN401  the SDK is not in the project's environment
        context.step(order, name="order", config=VARIANTS[variant])
        return "done"

    with DurableFunctionTestRunner(handler=durable_execution(handler), invocation_timeout=INVOCATION_SECONDS) as runner:
        result = runner.run(input="{}", execution_timeout=SECONDS_ALLOWED)
    for_good.set()
    tell_orders(vendor, "completed" if result.status is InvocationStatus.SUCCEEDED else "failed")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # a line for each checkpoint is not what is measured
    if sys.argv[1] == "killed":
        killed(Path(sys.argv[2]), sys.argv[3])
        sys.exit()
    stores = {"memory": on_memory, "sqlite": on_sqlite}
    which = sys.argv.pop(1)
    # A hundred waits on its file take a minute and a half: the row that is written whole grows with every one.
    contest(f"aws_durable_{which}", stores[which], (*STEPS, *(WAITS if which == "memory" else WAITS[:1]), POLLS))
