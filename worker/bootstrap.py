"""Composition root: builds the worker's parts from its settings, once per process, and only those that are asked for.

Everything is built at its first use, and imported there: an API call on a cold Lambda function must not pay for the
media library, nor one machine for boto3.
"""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from statemachine import Clock, Dispatcher, Engine, Machine, PermanentError, Store, SystemClock
from statemachine.sweeper import Sweeper
from worker.job import Job
from worker.models import VideoModel
from worker.pipeline import pipeline
from worker.ports import ClipRenderer, MediaStore, ScenePlanner, Transcriber, VideoAssembler
from worker.settings import Settings
from worker.steps.render import RenderPorts

# Dispatches that a sweep makes side by side; one takes some 20 ms of waiting for Lambda's answer.
SWEEP_THREADS = 16


class Worker:
    """The worker's parts.  Close it, or use it as a context manager: it may own child processes and a file."""

    # How long one turn of these states takes with vendors who do the work elsewhere.
    transcribing_turn = timedelta(minutes=3)
    rendering_turn = timedelta(minutes=2)

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes and close the store.  What is unfinished can be resumed."""
        self._closing.close()

    # --- where jobs and objects are kept ---------------------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """Where executions are kept: the platform's table."""
        from statemachine.aws.dynamodb_store import DynamoStore, dynamodb_client
        from statemachine.aws.table_layout import TableLayout

        layout = TableLayout(
            table_name=self.settings.table_name,
            partition_key=self.settings.partition_key,
            sort_key=self.settings.sort_key or None,
            index_name=self.settings.due_index or None,
            shard_count=self.settings.due_shards,
        )
        return DynamoStore(dynamodb_client(), layout=layout)

    @cached_property
    def media(self) -> MediaStore:
        """Where objects are kept: the platform's bucket."""
        from worker.providers.s3_media_store import S3MediaStore, s3_client

        return S3MediaStore(s3_client(), self.settings.bucket)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """How the next turn is asked for: the function invokes itself."""
        from statemachine.aws.lambda_dispatcher import LambdaDispatcher, lambda_client

        return LambdaDispatcher(lambda_client(), function_name=self.settings.function_name)

    # --- who does the work -----------------------------------------------------------------------------------------

    @cached_property
    def assembler(self) -> VideoAssembler:
        """Measures, conforms and joins media."""
        from worker.providers.pyav_assembler import PyAvAssembler

        return PyAvAssembler()

    @cached_property
    def transcriber(self) -> Transcriber:
        """Turns speech into timed text."""
        raise self._not_here("transcriber")

    @cached_property
    def planner(self) -> ScenePlanner:
        """Decides what is to be seen."""
        if self.settings.planner == "rules":
            from worker.providers.rule_planner import RulePlanner

            return RulePlanner()
        raise self._not_here("planner")

    @cached_property
    def renderer(self) -> ClipRenderer:
        """Makes the clips."""
        raise self._not_here("renderer")

    @property
    def model(self) -> VideoModel:
        """What the chosen renderer can do, and its price."""
        return self.renderer.model

    @property
    def work_folder(self) -> Path | None:
        """Where turns keep their working files; None for the system's own place."""
        return None

    def _not_here(self, part: str) -> PermanentError:
        chosen = getattr(self.settings, part)
        return PermanentError(
            "PART_UNAVAILABLE",
            f"AI_VIDEO_{part.upper()}={chosen} runs on one machine only; choose another for the function",
            user_action="contact_admin",
        )

    # --- the engine ------------------------------------------------------------------------------------------------

    @cached_property
    def machine(self) -> Machine[Job]:
        """The pipeline over the chosen parts."""
        return pipeline(
            transcriber=self.transcriber,
            planner=self.planner,
            parts=RenderPorts(
                renderer=self.renderer,
                assembler=self.assembler,
                media=self.media,
                new_id=lambda: uuid.uuid4().hex,
                work_folder=self.work_folder,
            ),
            longest_recording=self.settings.longest_recording,
            transcribing_turn=self.transcribing_turn,
            rendering_turn=self.rendering_turn,
        )

    @cached_property
    def engine(self) -> Engine[Job]:
        """Runs the pipeline, one turn at a time; whoever calls it says how much time is left."""
        return Engine(self.machine, store=self.store, dispatcher=self.dispatcher, clock=self.clock)

    @cached_property
    def sweeper(self) -> Sweeper:
        """Wakes what is due."""
        threads = ThreadPoolExecutor(max_workers=SWEEP_THREADS, thread_name_prefix="sweep")
        self._closing.callback(threads.shutdown)
        return Sweeper(store=self.store, dispatcher=self.dispatcher, clock=self.clock, executor=threads)
