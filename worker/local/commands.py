"""What each command of the command line does, and the exit code that it answers.

A mistake of the person's raises (`worker.__main__` turns it into one message); what becomes of a job is a return value.
"""

import json
import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from rich.console import Console, RenderableType

from statemachine import Execution, JsonValue, Machine, Patch, PermanentError, StateMachineError
from statemachine.diagram import mermaid, table
from statemachine.errors import EventNotAllowedError, ExecutionNotFoundError
from worker.edits import BeatEdit, approve_patch, retry_patch
from worker.job import Job, Options, committed_usd, remaining_usd
from worker.local import parts
from worker.local.drawing import document, drawn_machine
from worker.local.json_answers import details_json, error_json, failure_json, scenes_json, summary_json
from worker.local.output import Output
from worker.local.runner import Runner, source_of
from worker.local.terminal import (
    JsonView,
    Look,
    Watching,
    cost_words,
    job_page,
    jobs_table,
    print_line,
    scenes_table,
    usd,
    view_for,
)
from worker.local.worker import LocalWorker, build_local
from worker.models import VideoModel
from worker.settings import Settings, default_home

DONE, FAILED, INTERRUPTED = 0, 1, 130

GraphForm = Literal["document", "mermaid", "table"]

# A message about an ambiguous id lists this many of them.
_LISTED = 5

_EDITS = TypeAdapter(list[BeatEdit])
_BEATS_FORM = (
    'beats.json:       [{"scene_index": 0, "visual_prompt": "what is to be seen"}], scenes without a clip only'
)


@dataclass(frozen=True, slots=True)
class Advice:
    """How to go on: what for, and the command line that does it; none where a person has to do something first."""

    text: str
    command: str = ""

    def __str__(self) -> str:
        return f"{self.text}{self.command}"


_BEATS_ADVICE = Advice(_BEATS_FORM)

_WHEN = {
    "retried": "only a job that failed can be retried",
    "approved": "only a job that waits for its scenes to be approved can be",
    "cancelled": "it has come to its end, and there is nothing to cancel",
}


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command line: where the jobs are, and how to answer."""

    settings: Settings
    as_json: bool = False

    # --- commands that work on a job until it comes to its end or waits for a person ---------------------------------

    def run(self, recording: Path, destination: Path, options: Mapping[str, object]) -> int:
        """Make a video of `recording`; `options` are fields of `Options`."""
        wanted, output = Options.model_validate(options), Output(destination)
        limit = _lower(wanted.max_cost_usd, self.settings.max_cost_usd)
        wanted = wanted.model_copy(update={"max_cost_usd": limit})
        output.check(recording=recording, with_captions=wanted.captions)
        with self._worker() as worker:
            job_id = Runner(worker).begin(recording, options=wanted)
            return self._finish(worker, job_id, output, event="started")

    def resume(self, abbreviation: str, destination: Path | None) -> int:
        """Go on with a job that was interrupted, or wait for whoever works on it."""
        with self._at_work_on(abbreviation) as (worker, execution):
            output = _checked(destination, execution)
            Runner(worker).resume(execution.execution_id)
            return self._finish(worker, execution.execution_id, output, event="resumed")

    def retry(
        self, abbreviation: str, destination: Path | None, beats: Path | None, max_cost: float | None = None
    ) -> int:
        """Send a failed job back to where it failed."""
        return self._go_on(abbreviation, destination, "retried", retry_patch, _edits(beats), max_cost)

    def approve(
        self, abbreviation: str, destination: Path | None, beats: Path | None, max_cost: float | None = None
    ) -> int:
        """Approve the scenes of a job that waits for it, and go on."""
        return self._go_on(abbreviation, destination, "approved", approve_patch, _edits(beats), max_cost)

    # --- commands that answer at once --------------------------------------------------------------------------------

    def cancel(self, abbreviation: str) -> int:
        """Stop a job; whoever works on it notices within seconds."""
        with self._worker(parts.changed(self.settings, parts.UNASKED)) as worker:
            execution = _found(worker, abbreviation)
            self._signal(worker, execution, "cancelled", lambda _: {})
            if self.as_json:
                _print_json(self._facts(worker.store.get(execution.execution_id), event="cancelled"))
            else:
                _say(f"cancelled job {execution.execution_id}")
                _say(f"to take it up again: {self._command('retry', execution.execution_id)}")
        return DONE

    def list_jobs(self, limit: int) -> int:
        """The jobs, newest first."""
        with self._worker() as worker:
            looks = [self._look(worker, execution) for execution in worker.store.executions(limit=limit)]
        if self.as_json:
            for look in looks:
                _print_json(summary_json(look))
        elif looks:
            _print_page(jobs_table(looks))
        else:
            _complain(f"there are no jobs in {self.settings.home}")
        return DONE

    def show(self, abbreviation: str, *, as_mermaid: bool) -> int:
        """One job: its timeline, attempts, scenes, and what to do."""
        with self._worker() as worker:
            look = self._look(worker, _found(worker, abbreviation))
        if as_mermaid:
            _say(mermaid(drawn_machine(), execution=look.execution).rstrip())
        elif self.as_json:
            _print_json(details_json(look))
        else:
            _print_page(job_page(look, advice=[str(advice) for advice in self._advice(look.execution, None)]))
        return DONE

    def doctor(self) -> int:
        """Look at every configured part; FAILED when something is broken."""
        from worker.local.doctor import checks_of, examine, findings_table  # noqa: PLC0415 - brings boto3: 0.3 s

        with LocalWorker(self.settings) as worker, _logged_to(log_path(self.settings)):
            found = examine(checks_of(worker))
        broken = sum(finding.level == "broken" for finding in found)
        if self.as_json:
            for finding in found:
                _print_json({"event": "finding", **asdict(finding)})
            warnings = sum(finding.level == "warning" for finding in found)
            _print_json({"event": "examined", "broken": broken, "warnings": warnings})
        else:
            _print_page(findings_table(found))
        return FAILED if broken else DONE

    def serve(
        self, *, host: str, port: int, any_host: bool, empty: bool, page: Path | None, session_seconds: int
    ) -> int:
        """Serve the page, the API and the jobs, until somebody ends it: that is no interruption."""
        # The server's libraries and the API's take 0.5 s, for which the other commands must not wait.
        from worker.local.server.serving import PAGE, SAMPLES, ServeOptions, serve  # noqa: PLC0415 - as said
        from worker.local.server.worker import ServedWorker  # noqa: PLC0415 - as said

        options = ServeOptions(
            host=host,
            port=port,
            any_host=any_host,
            session=timedelta(seconds=session_seconds),
            samples=None if empty else SAMPLES,
            page=page or PAGE,
        )
        with ServedWorker(self.settings) as worker:
            worker.store  # noqa: B018  makes the home, where the log is
            with _logged_to(log_path(self.settings)):
                serve(worker, options)
        return DONE

    # --- small parts -------------------------------------------------------------------------------------------------

    @contextmanager
    def _worker(self, settings: Settings | None = None) -> Iterator[LocalWorker]:
        with build_local(settings or self.settings) as worker, _logged_to(log_path(self.settings)):
            yield worker

    @contextmanager
    def _at_work_on(self, abbreviation: str) -> Iterator[tuple[LocalWorker, Execution]]:
        """A worker with the parts that the job was begun with, all of them there."""
        with self._worker() as worker:
            execution = _found(worker, abbreviation)
        settings = parts.of_job(execution, self.settings)
        if execution.status == "completed":
            settings = parts.changed(settings, parts.UNASKED)  # nothing is left to ask for
        with self._worker(settings) as worker:
            worker.require_parts()
            yield worker, execution

    def _go_on(
        self,
        abbreviation: str,
        destination: Path | None,
        event: str,
        patch_of: Callable[[Job, Sequence[BeatEdit]], Patch],
        edits: Sequence[BeatEdit],
        max_cost: float | None,
    ) -> int:
        """Write a person's decision with its edits and its limit, and drive the job on."""
        with self._at_work_on(abbreviation) as (worker, execution):
            output, model = _checked(destination, execution), worker.model
            self._signal(
                worker, execution, event, lambda job: self._within_limit(job, patch_of(job, edits), max_cost, model)
            )
            return self._finish(worker, execution.execution_id, output, event=event)

    def _signal(self, worker: LocalWorker, execution: Execution, event: str, patch: Callable[[Job], Patch]) -> None:
        job = Job.model_validate(execution.data)
        try:
            worker.engine.machine.fire(event, execution.state, failed_in=execution.failed_in)
            worker.engine.signal(execution.execution_id, event, patch=patch(job), expected_version=execution.version)
        except EventNotAllowedError as error:
            raise _not_now(execution, event) from error
        except PermanentError as error:
            if error.user_action != "edit_scene":
                raise
            raise PermanentError(error.code, f"{error.message}, with --beats FILE\n{_BEATS_FORM}") from error

    def _within_limit(self, job: Job, patch: Patch, max_cost: float | None, model: VideoModel) -> Patch:
        """The patch with the limit that holds from now on; refused if what is left to be ordered would pass it."""
        asked = job.options.max_cost_usd if max_cost is None else max_cost
        limit = _lower(asked, self.settings.max_cost_usd)
        remaining = remaining_usd(job, model)
        price = committed_usd(job.tasks) + remaining
        if limit is not None and remaining and price > limit + 1e-9:
            raise PermanentError(
                "COST_LIMIT_EXCEEDED",
                f"the clips of job {job.video_id} cost ${price:.2f}, and the limit is ${limit:.2f}; raise --max-cost "
                "(and AI_VIDEO_MAX_COST_USD, which it cannot pass)",
                user_action="raise_limit",
            )
        return patch if limit == job.options.max_cost_usd else {**patch, ("options", "max_cost_usd"): limit}

    def _finish(self, worker: LocalWorker, job_id: str, output: Output | None, *, event: str) -> int:
        """Drive the job, and tell how it ended."""
        view = view_for(as_json=self.as_json)
        watching = Watching(
            job_id, store=worker.store, clock=worker.clock, profile=worker.profile, model=worker.model, view=view
        )
        try:
            if isinstance(view, JsonView):
                view.event(event, {"id": job_id, "home": str(self.settings.home)})
            with watching:
                execution = Runner(worker).run(job_id, watch=watching.show)
            return self._conclude(worker, execution, output)
        except (KeyboardInterrupt, BrokenPipeError):  # somebody wants it to end, or nobody reads what it says
            self._tell("interrupted", worker.store.get(job_id), output)
            return INTERRUPTED
        except StateMachineError as error:
            # The store, or the place of the video: the job itself stands where it was.
            self._tell("stopped", worker.store.get(job_id), output, trouble=error)
            return FAILED

    def _conclude(self, worker: LocalWorker, execution: Execution, output: Output | None) -> int:
        if execution.status == "completed" and output is not None:
            output.write(Job.model_validate(execution.data), worker.media)
        if execution.status == "processing":
            self._tell(execution.state, execution, output)
            return DONE
        self._tell(execution.status, execution, output)
        return DONE if execution.status == "completed" else FAILED

    def _tell(
        self, event: str, execution: Execution, output: Output | None, *, trouble: StateMachineError | None = None
    ) -> None:
        """The last word: one line of JSON, or what happened and how to go on."""
        job = Job.model_validate(execution.data)
        price = remaining_usd(job, self._made_with(execution).model)
        if self.as_json:
            facts = self._facts(execution, event=event, output=output, trouble=trouble)
            if event == "reviewing":
                facts["scenes"] = scenes_json(job)
                facts["price_usd"], facts["limit_usd"] = usd(price), job.options.max_cost_usd
            _print_json(facts)
            if event != "interrupted":
                return  # an interruption is said on standard error too: the pipe of standard output may be closed
        job_id = execution.execution_id
        for code, message in job.warnings.items():
            _complain(f"note: {message} ({code})")
        match event:
            case "completed":
                place = str(output.video) if output else job.final_video_url
                _complain(f"completed: {place} ({job.media.duration_seconds or 0:.1f} s)")
            case "reviewing":
                _print_page(scenes_table(job))
                _complain(
                    f"job {job_id} waits for you" + (f"; its clips cost {cost_words(price, job)}" if price else "")
                )
            case "interrupted":
                _complain(f"interrupted: job {job_id} can go on where it was")
            case "failed":
                _complain(f"failed: {_failure_words(execution)}")
            case _:
                _complain(f"{event}: {trouble}")
        for advice in self._advice(execution, output, is_delivered=event == "completed"):
            _complain(str(advice))

    def _advice(self, execution: Execution, output: Output | None, *, is_delivered: bool = False) -> Sequence[Advice]:
        """How to go on."""
        job_id = execution.execution_id
        if execution.state == "reviewing":
            return (
                Advice("to go on:         ", self._command("approve", job_id, output)),
                Advice("with other words: ", self._command("approve", job_id, output, "--beats", "beats.json")),
                _BEATS_ADVICE,
            )
        if execution.status == "processing":
            return (Advice("to go on: ", self._command("resume", job_id, output)),)
        if execution.status == "completed":
            wanted = output or Output(Path("video.mp4"))
            return () if is_delivered else (Advice("to have the video: ", self._command("resume", job_id, wanted)),)
        return self._advice_on_failure(execution, output)

    def _advice_on_failure(self, execution: Execution, output: Output | None) -> Sequence[Advice]:
        job_id = execution.execution_id
        action = execution.failure.user_action if execution.failure else "retry"
        match action:
            case "edit_scene":
                return (
                    Advice("to go on: ", self._command("retry", job_id, output, "--beats", "beats.json")),
                    _BEATS_ADVICE,
                )
            case "raise_limit":
                return (
                    Advice("to go on: ", self._command("retry", job_id, output, "--max-cost", "USD")),
                    Advice(f"AI_VIDEO_MAX_COST_USD={self.settings.max_cost_usd} is the most that it can allow"),
                )
            case "fix_transcript":  # the job keeps the copy that it was begun with
                return (Advice(f"to go on: remove or correct {_transcript_of(execution)}, then run it again"),)
            case "upload_other_audio" | "none":
                return (Advice("to go on: run it again with another recording"),)
        advice = [Advice("to go on: ", self._command("retry", job_id, output))]
        if action == "contact_admin" or (execution.failure and execution.failure.code in {"INTERNAL", "CRASHED"}):
            advice.append(Advice(f"details:  {log_path(self.settings)}"))
        return advice

    def _command(self, name: str, job_id: str, output: Output | None = None, *more: str) -> str:
        """A command line that works as it is copied."""
        line = [*_program(), name, job_id]
        if output is not None:
            line += ["-o", str(output.video)]
        line += more
        if self.settings.home != default_home():
            line += ["--home", str(self.settings.home)]
        return shlex.join(line)

    def _facts(
        self,
        execution: Execution,
        *,
        event: str,
        output: Output | None = None,
        trouble: StateMachineError | None = None,
    ) -> dict[str, JsonValue]:
        """The last line of `--json`."""
        job = Job.model_validate(execution.data)
        video = None
        if execution.status == "completed" and trouble is None:
            video = str(output.video) if output else job.final_video_url
        advice = self._advice(execution, output, is_delivered=video is not None)
        return {
            "event": event,
            "id": execution.execution_id,
            "status": execution.status,
            "video": video,
            "duration_seconds": job.media.duration_seconds,
            "error": error_json(trouble) if trouble else failure_json(execution.failure),
            "warnings": dict(job.warnings),
            "next": [one.command for one in advice if one.command],
            "hints": [one.text for one in advice if not one.command],
        }

    def _look(self, worker: LocalWorker, execution: Execution) -> Look:
        job = Job.model_validate(execution.data)
        made_with = self._made_with(execution)
        return Look.at(execution, job, now=worker.clock.now(), profile=made_with.profile, model=made_with.model)

    def _made_with(self, execution: Execution) -> LocalWorker:
        """The parts that the job was begun with, none of them built."""
        return LocalWorker(parts.of_job(execution, self.settings))


def graph(form: GraphForm, destination: Path | None) -> int:
    """The machine as a document, as Mermaid or as a table; on standard output, or in a file."""
    machine = drawn_machine()
    drawn: dict[GraphForm, Callable[[Machine[Job]], str]] = {"mermaid": mermaid, "table": table, "document": document}
    text = drawn[form](machine)
    if destination is None:
        _say(text.rstrip("\n"))
        return DONE
    try:
        destination.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PermanentError(
            "OUTPUT_UNUSABLE", f"cannot write {destination} ({error.strerror}); choose another file", user_action="none"
        ) from error
    return DONE


def settings_for(home: Path | None, **chosen: str | None) -> Settings:
    """The settings, as the environment, `--home` and the other options say.

    Raises:
        PermanentError: code SETTINGS_INVALID.
    """
    given = {name: value for name, value in {"home": home, **chosen}.items() if value is not None}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "".join(f"AI_VIDEO_{str(part).upper()}: " for part in first["loc"])
        raise PermanentError("SETTINGS_INVALID", f"{name}{first['msg']}", user_action="none") from error


def log_path(settings: Settings) -> Path:
    """Where warnings and tracebacks are written."""
    return settings.home.expanduser() / "worker.log"


class _LogFile(logging.FileHandler):
    """A log that cannot be written (a full disk) must not stand in the way of the message that says so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        del record


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Keep warnings and tracebacks in a file: not for whoever makes a video, but for whoever looks for the reason."""
    handler: logging.Handler
    try:
        handler = _LogFile(path, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()  # as above
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def _found(worker: LocalWorker, abbreviation: str) -> Execution:
    """The one job whose id begins with `abbreviation`."""
    try:
        return worker.store.get(abbreviation)
    except ExecutionNotFoundError:
        pass  # not a whole id: look for the job whose id begins so
    jobs = worker.store.executions(limit=sys.maxsize)
    candidates = [job for job in jobs if abbreviation and job.execution_id.startswith(abbreviation)]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise PermanentError(
            "JOB_UNKNOWN",
            f"no job in {worker.settings.home} has an id that begins with {abbreviation!r}; `list` names them all",
            user_action="none",
        )
    some = ", ".join(job.execution_id for job in candidates[:_LISTED])
    more = ", …" if len(candidates) > _LISTED else ""
    raise PermanentError(
        "JOB_AMBIGUOUS",
        f"{len(candidates)} jobs have an id that begins with {abbreviation!r}; type more of it: {some}{more}",
        user_action="none",
    )


def _edits(path: Path | None) -> list[BeatEdit]:
    """What `--beats` holds."""
    if path is None:
        return []
    try:
        return _EDITS.validate_json(path.read_bytes())
    except OSError as error:
        raise PermanentError(
            "EDIT_INVALID", f"cannot read {path} ({error.strerror}); check the name", user_action="none"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise PermanentError(
            "EDIT_INVALID", f"{path} is not as it should be: {place}: {first['msg']}\n{_BEATS_FORM}", user_action="none"
        ) from error


def _checked(destination: Path | None, execution: Execution) -> Output | None:
    """Where the video goes, if somebody wants it."""
    if destination is None:
        return None
    job, output = Job.model_validate(execution.data), Output(destination)
    is_captioned = bool(job.media.captions_key) if execution.status == "completed" else job.options.captions
    output.check(recording=source_of(execution), with_captions=is_captioned)
    return output


def _transcript_of(execution: Execution) -> str:
    """The transcript beside the recording, as the person knows it."""
    recording = Job.model_validate(execution.data).recording
    place = source_of(execution) or Path(recording.filename)
    return str(place.with_suffix(Path(recording.transcript_key or "").suffix))


def _lower(limit: float | None, ceiling: float | None) -> float | None:
    """What a person allows, as far as the settings do; None: no limit."""
    return min((usd for usd in (limit, ceiling) if usd is not None), default=None)


def _not_now(execution: Execution, event: str) -> PermanentError:
    phase = execution.state if execution.status == "processing" else execution.status
    return PermanentError("NOT_NOW", f"job {execution.execution_id} is {phase}: {_WHEN[event]}", user_action="none")


def _failure_words(execution: Execution) -> str:
    failure = execution.failure
    return "for an unknown reason" if failure is None else f"{failure.message} ({failure.code}, {failure.state})"


def _program() -> Sequence[str]:
    """How this program was called, so that it can be called so again."""
    called = Path(sys.argv[0])
    if called.name == "ai-video-worker":
        return (_near(called),)
    return (_near(Path(sys.executable)), "-m", "worker")


def _near(path: Path) -> str:
    """`path` from here, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _print_page(page: RenderableType) -> None:
    """Print on standard output; in a pipe as wide as it takes, so that no line is broken."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 240)
    with console.capture() as drawn:  # printed by us: rich ends the program when nobody reads
        console.print(page)
    _say(drawn.get().removesuffix("\n"))


def _print_json(facts: Mapping[str, JsonValue]) -> None:
    _say(json.dumps(facts, ensure_ascii=False))


def _say(text: str) -> None:
    print_line(text, sys.stdout)


def _complain(text: str) -> None:
    """Say to a person, beside the answer."""
    print_line(text, sys.stderr)
