"""Composition root: builds the worker's parts from its settings, once per process, and only those that are asked for.

Everything is built at its first use, and imported there: an API call on a cold Lambda function must not pay for the
media library, nor one machine for boto3.
"""

import logging
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from statemachine import Clock, Engine, Machine, PermanentError, Store
from statemachine.engine import AfterWorkDoer
from worker.foundation import Clients, Foundation, variable
from worker.job import Job
from worker.limits import Limits
from worker.links import LinkSigner
from worker.models import STORYBOARD, VEO_MODELS, VideoModel
from worker.ports import (
    ClipRenderer,
    MediaStore,
    ScenePlanner,
    Softener,
    SubmissionQuota,
    Transcriber,
    VideoAssembler,
)
from worker.progress import LOCAL, Profile, vendor_profile
from worker.rows import AudioHeader, Rows
from worker.settings import Settings

log = logging.getLogger(__name__)

# Clips in the making at once, for the estimate: Veo's renderer orders all clips of a job, as far as the quota goes.
CLIPS_AT_ONCE = 100


class Worker(Foundation):
    """The worker's parts.  Close it, or use it as a context manager: it may own child processes and a file.

    Args:
        on_spent: told how many USD each group of orders costs.
    """

    # How long one turn of these states takes with vendors who do the work elsewhere.
    transcribing_turn = timedelta(minutes=3)
    rendering_turn = timedelta(minutes=2)

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        clients: Clients | None = None,
        on_spent: Callable[[float], None] = lambda usd: None,  # noqa: ARG005  nobody wants to know
    ) -> None:
        super().__init__(settings, clock=clock, clients=clients)
        self.on_spent = on_spent

    # --- where rows and objects are kept ---------------------------------------------------------------------------

    @cached_property
    def rows(self) -> Rows:
        """The platform's rows, as requests see them."""
        from worker.providers.dynamodb_rows import DynamoRows

        return DynamoRows(
            self.clients.dynamodb,
            layout=self._layout,
            key_parts=self.settings.row_key,
            owner_attribute=self.settings.owner_attribute,
            source_attribute=self.settings.source_attribute,
        )

    @cached_property
    def links(self) -> LinkSigner:
        """Signs addresses of objects."""
        from worker.providers.s3_links import s3_links

        # boto3's own variables: the address of something other than AWS that speaks S3, for this service or for all.
        elsewhere = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return s3_links(self.settings.bucket, endpoint_url=elsewhere)

    @cached_property
    def media(self) -> MediaStore:
        """Where objects are kept: the platform's bucket."""
        from worker.providers.s3_media_store import S3MediaStore, s3_client

        return S3MediaStore(s3_client(), self.settings.bucket)

    # --- who does the work -----------------------------------------------------------------------------------------

    @cached_property
    def assembler(self) -> VideoAssembler:
        """Measures, conforms and joins media."""
        from worker.providers.pyav_assembler import PyAvAssembler

        return PyAvAssembler()

    @cached_property
    def transcriber(self) -> Transcriber:
        """Turns speech into timed text."""
        if self.settings.transcriber != "aws":
            raise self._not_here("transcriber")
        from worker.providers.aws_transcriber import AwsTranscriber, transcribe_client

        return AwsTranscriber(transcribe_client(), media=self.media, bucket=self.settings.bucket)

    @cached_property
    def planner(self) -> ScenePlanner:
        """Decides what is to be seen."""
        if self.settings.planner == "rules":
            from worker.providers.rule_planner import RulePlanner

            return RulePlanner()
        planner: ScenePlanner = self._openai
        return planner

    @property
    def softener(self) -> Softener | None:
        """Who rewrites what a content filter refused; rules cannot."""
        return _later(lambda: self._openai) if self.settings.planner == "openai" else None

    @cached_property
    def _openai(self) -> Any:  # noqa: ANN401  its type would load it
        from worker.providers.openai_planner.planner import OpenAiPlanner

        key = self._secrets.openai_key if self.settings.secret_id else _openai_key
        planner = OpenAiPlanner(key, clock=self.clock, model=self.settings.openai_model)
        self._closing.callback(planner.close)
        return planner

    @cached_property
    def renderer(self) -> ClipRenderer:
        """Makes the clips."""
        if self.settings.renderer != "veo":
            raise self._not_here("renderer")
        from worker.providers.veo.renderer import STORAGE_URL, VeoRenderer, VertexProject

        place = VertexProject(
            project=variable("GOOGLE_CLOUD_PROJECT", "the Google Cloud project that pays for the clips"),
            location=os.environ.get("GOOGLE_CLOUD_LOCATION") or self.model.regions[0],
            storage_url=os.environ.get("STORAGE_EMULATOR_HOST") or STORAGE_URL,
        )
        renderer = VeoRenderer(
            self.model,
            place=place,
            tokens=self._google,
            output_uri=self.settings.veo_output_gcs_uri or None,
            clock=self.clock,
            allow_inline=self.settings.veo_allow_inline,
        )
        self._closing.callback(renderer.close)
        return renderer

    @cached_property
    def quota(self) -> SubmissionQuota | None:
        """How jobs take turns at the model's quota; None when every job takes what it wants."""
        if not self.settings.shares_quota or self.model.per_minute is None:
            return None
        if self.settings.partition_key_type != "S":
            log.warning("the table's keys are numbers, so no control row can stand in it: jobs do not share the quota")
            return None
        from worker.providers.dynamodb_quota import DynamoQuota

        return DynamoQuota(self.clients.dynamodb, layout=self._layout)

    @cached_property
    def _secrets(self) -> Any:  # noqa: ANN401  its type would load boto3
        """The vendors' keys, where the settings name a secret."""
        from worker.providers.aws_secrets import AwsSecrets, secrets_client

        return AwsSecrets(secrets_client(), secret_id=self.settings.secret_id, clock=self.clock)

    @cached_property
    def _google(self) -> Any:  # noqa: ANN401  its type would load google-auth
        from worker.providers import google_credentials

        if not self.settings.google_audience:
            if self.settings.secret_id:
                return google_credentials.from_key(self._secrets.google_key)
            path = variable("GOOGLE_APPLICATION_CREDENTIALS", "the file with the service account's key")
            return google_credentials.from_key_file(Path(path))
        federation = google_credentials.Federation(
            audience=self.settings.google_audience,
            service_account=self.settings.google_service_account or None,
            region=variable("AWS_REGION", "the function's region"),
        )
        return google_credentials.from_aws_role(
            federation,
            lambda: google_credentials.AwsKeys(
                variable("AWS_ACCESS_KEY_ID", "the role's key"),
                variable("AWS_SECRET_ACCESS_KEY", "the role's key"),
                os.environ.get("AWS_SESSION_TOKEN"),
            ),
        )

    @property
    def model(self) -> VideoModel:
        """What the chosen renderer can do, and its price; told without building it."""
        settings = self.settings
        if settings.renderer != "veo":
            return STORYBOARD
        model = VEO_MODELS[settings.veo_model]
        return replace(model, per_minute=settings.veo_per_minute) if settings.veo_per_minute else model

    @property
    def profile(self) -> Profile:
        """What to expect of the chosen parts."""
        at_vendors = vendor_profile(self.model, concurrency=CLIPS_AT_ONCE)
        profile = LOCAL if self.settings.renderer == "storyboard" else at_vendors
        return replace(
            profile,
            transcribing=(LOCAL if self.settings.transcriber == "sphinx" else at_vendors).transcribing,
            planning=(LOCAL if self.settings.planner == "rules" else at_vendors).planning,
        )

    @property
    def work_folder(self) -> Path | None:
        """Where turns keep their working files; None for the system's own place."""
        return None

    def require_parts(self) -> None:
        """Find out, before a job begins or goes on, that a chosen part cannot work at all.

        The worker itself knows which parts it has: the same settings are right for one machine and wrong for the
        function.  Nothing is asked of a vendor and no vendor's SDK is loaded; a part that stands is not built again.

        Raises:
            PermanentError: codes PART_UNAVAILABLE, SETTING_MISSING, VEO_BUCKET_MISSING.
        """
        for part in (self.transcriber, self.planner, self.renderer):
            del part  # built: what it cannot do without is there
        if self.settings.planner == "openai" and not self.settings.secret_id:
            _openai_key()  # the planner itself asks for it when it plans

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
        """The pipeline over the chosen parts.

        Each is built inside the first turn that uses it.  A cancel needs none of them, and a part that cannot be built
        (a setting is missing) fails the job that wanted it, with the reason, instead of every invocation.
        """
        from worker.pipeline import pipeline
        from worker.steps.render import RenderPorts

        return pipeline(
            transcriber=_later(lambda: self.transcriber),
            planner=_later(lambda: self.planner),
            parts=RenderPorts(
                renderer=_later(lambda: self.renderer),
                assembler=_later(lambda: self.assembler),
                media=_later(lambda: self.media),
                new_id=lambda: uuid.uuid4().hex[:16],  # unique within a job; every write carries it
                work_folder=self.work_folder,
                softener=self.softener,
                quota=self.quota,
                on_spent=self.on_spent,
            ),
            longest_recording=self.settings.longest_recording,
            transcribing_turn=self.transcribing_turn,
            rendering_turn=self.rendering_turn,
            model=self.model,
        )

    @cached_property
    def engine(self) -> Engine[Job]:
        """Runs the pipeline, one turn at a time; whoever calls it says how much time is left."""
        return self.engine_on(self.store)

    def engine_on(self, store: Store) -> Engine[Job]:
        """The engine on another store: one that knows what a request has read already."""
        return Engine(
            self.machine, store=store, dispatcher=self.dispatcher, clock=self.clock, after_work=self.after_work
        )

    @cached_property
    def after_work(self) -> AfterWorkDoer | None:
        """What is done after a job's end; None when there is nothing to do."""
        settings = self.settings
        # A parameter may begin to count users while jobs run.
        counts_users = self._limits_of_settings.counts_users or bool(settings.limits_parameter)
        if not (counts_users or settings.completion_bus or settings.completion_topic_arn):
            return None
        from worker.after_work import AfterWork, Notifier

        notifiers: list[Notifier] = []
        if settings.completion_bus:
            from worker.providers.aws_notifiers import EventBridgeNotifier, events_client

            notifiers.append(EventBridgeNotifier(events_client(), bus=settings.completion_bus))
        if settings.completion_topic_arn:
            from worker.providers.aws_notifiers import TopicNotifier, topic_client

            notifiers.append(TopicNotifier(topic_client(), topic_arn=settings.completion_topic_arn))
        return AfterWork(rows=self.rows if counts_users else None, notifiers=notifiers)

    # --- what requests need ----------------------------------------------------------------------------------------

    @cached_property
    def limits(self) -> Callable[[], Limits]:
        """What is allowed at the moment when it is called."""
        if not self.settings.limits_parameter:
            return lambda: self._limits_of_settings
        from worker.providers.ssm_limits import SsmLimits, parameter_client

        return SsmLimits(
            client=parameter_client(),
            name=self.settings.limits_parameter,
            settings=self._limits_of_settings,
            clock=self.clock,
        )

    @property
    def _limits_of_settings(self) -> Limits:
        settings = self.settings
        return Limits(settings.starts, settings.max_cost_usd, settings.daily_usd, settings.concurrent_jobs)

    def probe(self, key: str, before_each_read: Callable[[], None]) -> AudioHeader:
        """What the header of a recording says; see `worker.providers.pyav_probe`."""
        from worker.providers.pyav_probe import probe

        return probe(self._media_of_requests, key, before_each_read=before_each_read)

    @cached_property
    def _media_of_requests(self) -> MediaStore:
        """The bucket for whoever waits for an answer: it gives up within seconds, and a request lasts 20."""
        import boto3
        from botocore.config import Config

        from worker.providers.s3_media_store import S3MediaStore

        config = Config(connect_timeout=1, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
        return S3MediaStore(boto3.client("s3", config=config), self.settings.bucket)


def _openai_key(*, refresh: bool = False) -> str:
    """The SDK's own variable; it does not change while the process lives, so there is nothing to read anew."""
    del refresh
    return variable("OPENAI_API_KEY", "the key of the OpenAI API")


def _later(build: Callable[[], Any]) -> Any:  # noqa: ANN401  it stands for a part of any kind
    """Stands for a part that is built when something is first asked of it."""
    return _Later(build)


class _Later:
    """See `_later`."""

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the part has
        return getattr(self._build(), name)
