"""Foundation: what every event needs, a sweep too: the settings, the clock, the table, and how a turn is asked for.

Below the composition root, because a sweep comes every minute and knows nothing of videos: on a cold function it must
not pay for what a job is, let alone for how one is made.  As there, each part is imported where it is built.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from statemachine import Clock, Dispatcher, PermanentError, Store, SystemClock
from statemachine.sweeper import Sweeper
from worker.settings import Settings

# Dispatches that a sweep makes side by side; one takes some 20 ms of waiting for Lambda's answer.
SWEEP_THREADS = 16


class Clients:
    """The connections to what every event needs: the table, and the function itself."""

    @cached_property
    def dynamodb(self) -> Any:  # noqa: ANN401  its type would load boto3
        """The table's; it gives up soon."""
        from statemachine.aws.dynamodb_store import dynamodb_client

        return dynamodb_client()

    @cached_property
    def function(self) -> Any:  # noqa: ANN401  as above
        """Lambda's, with a connection for each of a sweep's threads."""
        from statemachine.aws.lambda_dispatcher import lambda_client

        return lambda_client(max_connections=SWEEP_THREADS)


class Foundation:
    """What every event needs.  Close it, or use it as a context manager.

    Args:
        clients: of another foundation in this process, to share its connections.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None, clients: Clients | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.clients = clients or Clients()
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what the parts have begun and close what they hold.  What is unfinished can be resumed."""
        self._closing.close()

    def prepare(self) -> None:
        """Build now what every event needs, instead of in the middle of the first one."""
        _ = self.store

    @cached_property
    def _layout(self) -> Any:  # noqa: ANN401  its type would load boto3
        """Where in the platform's table things stand."""
        from statemachine.aws.table_layout import TableLayout

        return TableLayout(
            table_name=self.settings.table_name,
            partition_key=self.settings.partition_key,
            sort_key=self.settings.sort_key or None,
            partition_key_type=self.settings.partition_key_type,
            sort_key_type=self.settings.sort_key_type,
            index_name=self.settings.due_index or None,
            shard_count=self.settings.due_shards,
        )

    @cached_property
    def store(self) -> Store:
        """Where executions are kept: the platform's table."""
        from statemachine.aws.dynamodb_store import DynamoStore

        return DynamoStore(self.clients.dynamodb, layout=self._layout)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """How the next turn is asked for: the function invokes itself."""
        from statemachine.aws.lambda_dispatcher import LambdaDispatcher

        # Lambda itself says who this is, unless an alias or another function is meant.
        name = self.settings.function_name or variable("AWS_LAMBDA_FUNCTION_NAME", "the worker's own function")
        return LambdaDispatcher(self.clients.function, function_name=name)

    @cached_property
    def sweeper(self) -> Sweeper:
        """Wakes what is due."""
        threads = ThreadPoolExecutor(max_workers=SWEEP_THREADS, thread_name_prefix="sweep")
        self._closing.callback(threads.shutdown)
        return Sweeper(store=self.store, dispatcher=self.dispatcher, clock=self.clock, executor=threads)


def variable(name: str, what: str) -> str:
    """An environment variable of a vendor's SDK.

    Raises:
        PermanentError: code SETTING_MISSING.
    """
    value = os.environ.get(name)
    if not value:
        raise PermanentError("SETTING_MISSING", f"{name} is not set: {what}", user_action="contact_admin")
    return value
