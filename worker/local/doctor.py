"""`worker doctor`: looks at every part that is configured, as the worker itself would use it.

Nothing is spent: no clip is ordered, nothing is planned or transcribed.  Every look has a thread and a time limit of
its own, so that a vendor who does not answer hides nobody else's answer.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from statemachine.aws.table_layout import TableLayout
from statemachine.errors import StepError
from worker.local import findings
from worker.local.findings import Finding, Level
from worker.local.worker import LocalWorker
from worker.models import LANGUAGE_MODELS
from worker.ports import ClipRequest
from worker.settings import Settings

log = logging.getLogger(__name__)

# Loading google-cloud-aiplatform takes up to 7 s (measured 2026-11-22), and a vendor some seconds to answer.
TIME_LIMIT = timedelta(seconds=40)

_STYLES: dict[Level, str] = {"fine": "green", "warning": "yellow", "broken": "bold red"}


@dataclass(frozen=True, slots=True)
class Check:
    """One look at a part.

    Attributes:
        what: in words, for when nothing comes of it.
        find: what is found; an error is a finding too.
    """

    part: str
    what: str
    find: Callable[[], Iterable[Finding]]


def examine(checks: Sequence[Check], *, time_limit: timedelta = TIME_LIMIT) -> list[Finding]:
    """Make all checks at once, and return what they found, in their order; after `time_limit` those that hang too."""
    answers: list[Future[list[Finding]]] = [Future() for _ in checks]

    def answer(check: Check, into: Future[list[Finding]]) -> None:
        into.set_result(_found(check))

    for check, into in zip(checks, answers, strict=True):
        # A daemon: what hangs must not keep the program from ending.
        Thread(target=answer, args=(check, into), name=f"doctor-{check.part}", daemon=True).start()
    done, _ = wait(answers, timeout=time_limit.total_seconds())
    return [
        finding
        for check, answered in zip(checks, answers, strict=True)
        for finding in (answered.result() if answered in done else [_no_answer(check, time_limit)])
    ]


def findings_table(findings: Sequence[Finding]) -> Table:
    """What a doctor found, and what to do."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "PART", "FOUND", "WHAT TO DO"):
        table.add_column(column, no_wrap=column in {"", "PART"}, overflow="fold")
    for finding in findings:
        table.add_row(
            Text(finding.level, style=_STYLES[finding.level]),
            finding.part,
            escape(finding.text),
            escape(finding.remedy),
        )
    return table


def checks_of(worker: LocalWorker) -> list[Check]:
    """A look at every part that the worker's settings name."""
    settings = worker.settings
    return [
        Check("media", "making a film and a sound", _codecs),
        *_local_checks(worker),
        *_cloud_checks(worker, settings),
    ]


def _local_checks(worker: LocalWorker) -> Iterator[Check]:
    settings = worker.settings
    yield Check("home", "writing to the home", lambda: [_home(worker)])
    if settings.transcriber == "sphinx":
        yield Check("transcriber", "loading the recogniser", _sphinx)
    if settings.renderer == "storyboard":
        yield Check("renderer", "loading the storyboard's font", _storyboard)


def _cloud_checks(worker: LocalWorker, settings: Settings) -> Iterator[Check]:
    if settings.bucket:
        yield Check("bucket", "writing to the bucket", lambda: [_bucket(settings)])
    # One machine keeps its jobs in a file; the table is looked at by whoever names it.
    if settings.function_name or "table_name" in settings.model_fields_set:
        yield Check("table", "asking DynamoDB", lambda: _table(settings))
    if settings.transcriber == "aws":
        yield Check("transcriber", "asking Amazon Transcribe", lambda: _transcribe(settings))
    if settings.planner == "openai":
        yield Check("planner", "asking OpenAI", lambda: _openai(worker))
    if settings.renderer == "veo":
        yield Check("renderer", "looking into Veo's bucket", lambda: _veo(worker))
        yield Check("renderer", "asking Model Garden", lambda: [_model_garden(worker)])


# --- the checks ------------------------------------------------------------------------------------------------------
# Each imports what it needs: nobody waits for the SDK of a vendor who was not chosen.


def _codecs() -> Iterator[Finding]:
    from worker.providers.pyav_inspector import try_codecs  # noqa: PLC0415  see above

    yield Finding("media", "fine", f"PyAV {try_codecs()} makes MP4 with libx264 and AAC")


def _home(worker: LocalWorker) -> Finding:
    folder = worker.work_folder
    return findings.of_free_disk(shutil.disk_usage(folder).free, str(worker.settings.home))


def _sphinx() -> Iterator[Finding]:
    from worker.providers.sphinx.decoding import recognise  # noqa: PLC0415  see above

    recognise(bytes(32_000))  # a second of silence
    yield Finding("transcriber", "fine", "the offline recogniser and its model are there")


def _storyboard() -> Iterator[Finding]:
    from worker.providers.storyboard.caption import font  # noqa: PLC0415  see above

    family, _ = font(24).getname()
    yield Finding("renderer", "fine", f"the storyboard has its font, {family}")


def _bucket(settings: Settings) -> Finding:
    from worker.providers.aws_inspector import PREFIX, try_bucket  # noqa: PLC0415  see above

    is_clean = try_bucket(settings.bucket)
    text = f"bucket {settings.bucket} can be written and read below {PREFIX}"
    if not is_clean:
        return Finding(
            "bucket", "warning", f"{text}, but nothing can be deleted there", f"allow s3:DeleteObject on {PREFIX}*"
        )
    return Finding("bucket", "fine", text)


def _table(settings: Settings) -> Iterator[Finding]:
    from worker.providers.aws_inspector import table_facts  # noqa: PLC0415  see above

    layout = TableLayout(
        table_name=settings.table_name,
        partition_key=settings.partition_key,
        sort_key=settings.sort_key or None,
        partition_key_type=settings.partition_key_type,
        sort_key_type=settings.sort_key_type,
        index_name=settings.due_index or None,
    )
    yield from findings.of_table(table_facts(settings.table_name), layout)


def _transcribe(settings: Settings) -> Iterator[Finding]:
    from worker.providers.aws_account import require_account  # noqa: PLC0415  see above
    from worker.providers.aws_inspector import try_transcribe  # noqa: PLC0415  see above

    require_account()
    try_transcribe()
    yield Finding("transcriber", "fine", "Amazon Transcribe answers")
    if not settings.bucket:
        yield Finding(
            "transcriber",
            "broken",
            "Amazon Transcribe reads recordings in S3 only, and no bucket is named",
            "set AI_VIDEO_BUCKET, and on one machine AI_VIDEO_MEDIA=s3",
        )


def _openai(worker: LocalWorker) -> Iterator[Finding]:
    from worker.providers.openai_inspector import look_up_model  # noqa: PLC0415  see above

    name = worker.settings.openai_model
    served = look_up_model(name, api_key=worker.openai_key())
    yield from findings.of_language_model(name, served, LANGUAGE_MODELS.get(name), today=worker.clock.now().date())


def _veo(worker: LocalWorker) -> Iterator[Finding]:
    yield findings.of_video_model(worker.model, today=worker.clock.now().date())
    uri = worker.settings.veo_output_gcs_uri
    worker.google_token()
    if not uri:
        yield Finding(
            "renderer",
            "warning",
            "Google accepts the credentials; without a bucket, a clip whose answer was lost may be paid twice",
            "name a bucket with AI_VIDEO_VEO_OUTPUT_GCS_URI",
        )
        return
    worker.renderer.find(_request_of_nobody())
    yield Finding("renderer", "fine", f"Google accepts the credentials, and {uri} can be listed")


def _model_garden(worker: LocalWorker) -> Finding:
    from worker.providers import google_inspector  # noqa: PLC0415  see above

    name = worker.settings.veo_model
    try:
        stage = google_inspector.launch_stage(
            name,
            location=os.environ.get("GOOGLE_CLOUD_LOCATION") or worker.model.regions[0],
            token=worker.google_token(),
            base_url=os.environ.get("GOOGLE_VERTEX_BASE_URL"),
        )
    except google_inspector.InspectorMissingError:
        return Finding(
            "renderer",
            "warning",
            f"Model Garden was not asked whether {name} still exists",
            "pip install 'ai-video-worker[doctor]'",
        )
    except google_inspector.NoModelGardenError:
        return Finding(
            "renderer",
            "warning",
            f"what answers for Vertex AI serves no Model Garden, so {name} was not looked up",
            "unset GOOGLE_VERTEX_BASE_URL, unless a stand-in is meant",
        )
    except google_inspector.InspectionDeniedError:
        return Finding(
            "renderer",
            "warning",
            f"these credentials may not ask Model Garden whether {name} still exists",
            "grant aiplatform.publisherModels.get, for instance by roles/aiplatform.viewer",
        )
    return findings.of_launch_stage(name, stage)


def _request_of_nobody() -> ClipRequest:
    """A request that was never made: looking for its clip lists an empty prefix."""
    return ClipRequest(
        intent_id="doctor",
        prefix="doctor/renders/000/none/",
        scene_index=0,
        scene_count=1,
        prompt="",
        negative_prompt="",
        narration="",
        seconds=8,
        beat_seconds=8,
        start_seconds=0,
        aspect_ratio="16:9",
        seed=0,
        words_key=None,
    )


# --- small parts -----------------------------------------------------------------------------------------------------


def _found(check: Check) -> list[Finding]:
    try:
        return list(check.find())
    except StepError as error:
        # Our messages say what is wrong and, behind a semicolon, what to do.
        text, _, remedy = error.message.partition("; ")
        return [Finding(check.part, "broken", f"{text} ({error.code})", remedy)]
    except (OSError, ImportError) as error:
        return [Finding(check.part, "broken", f"{check.what} failed: {error}", "see whether everything is installed")]
    except Exception as error:
        # Whatever breaks a part is what a doctor is asked for.  Not its message, which may quote a key.
        log.exception("%s failed", check.what)
        return [Finding(check.part, "broken", f"{check.what} failed with {type(error).__name__}", "see worker.log")]


def _no_answer(check: Check, time_limit: timedelta) -> Finding:
    return Finding(
        check.part,
        "broken",
        f"{check.what} took longer than {time_limit.total_seconds():.0f} s",
        "check the network, then try again",
    )
