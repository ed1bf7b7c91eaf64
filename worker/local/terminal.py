"""What is seen of a job while it is made: drawn on a terminal, a line for each phase elsewhere, JSON lines on request.

Pictures go to standard error, so that standard output holds nothing but what a command was asked for.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from statemachine import Execution, JsonValue, Store
from statemachine.clock import Clock
from statemachine.errors import ExecutionNotFoundError, StoreError
from worker.job import Job, committed_usd, remaining_usd
from worker.models import VideoModel
from worker.progress import Profile, Progress, StepProgress, TimeLeft, progress

LOOK_EVERY = timedelta(milliseconds=250)

_MARKS = {
    "waiting": ("○", "dim"),
    "processing": ("●", "bold cyan"),
    "completed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "cancelled": ("✗", "red"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """A job as it stands at one moment.

    Attributes:
        price_usd: of all clips, those that were paid for and those still to be ordered; None until they are planned.
    """

    execution: Execution
    job: Job
    progress: Progress
    price_usd: float | None = None

    @classmethod
    def at(cls, execution: Execution, job: Job, *, now: datetime, profile: Profile, model: VideoModel) -> Self:
        """What can be told of it now, with the parts that make it."""
        price = committed_usd(job.tasks) + remaining_usd(job, model) if job.beats else None
        return cls(execution, job, progress(execution, job, now, profile), price)


class View(Protocol):
    """Shows looks, one after the other, while it is entered."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the screen as it is to stay."""

    def show(self, look: Look) -> None:
        """Show how the job stands now."""


class DrawnView:
    """Steps, a bar and the time left, drawn over themselves."""

    def __init__(self, console: Console) -> None:
        # The picture is left standing: it is the record of what happened.
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture."""
        self._live.stop()

    def show(self, look: Look) -> None:
        """Draw it anew."""
        self._live.update(_picture(look), refresh=True)


class LineView:
    """One line for each phase, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._phase = ""

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""

    def show(self, look: Look) -> None:
        """Print the phase, if it is a new one and not the end: that one is told with its result."""
        phase = look.execution.state
        if phase == self._phase or phase in {"completed", "failed"}:
            return
        self._phase = phase
        count = look.progress.scenes_total or 0
        scenes = f" {count} scene{'s' if count != 1 else ''}" if phase == "rendering" else ""
        price = _price_words(look) if phase == "rendering" else ""
        print_line(f"{phase}{scenes}{price}", self._stream)


class JsonView:
    """A JSON line for every change that a person would notice."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: Mapping[str, JsonValue] = {}

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""

    def show(self, look: Look) -> None:
        """Print how the job stands, unless nothing but time has passed."""
        told = {"phase": look.execution.state, **look.progress.as_json(), "price_usd": usd(look.price_usd)}
        told_of_change = {name: value for name, value in told.items() if name not in {"elapsed_seconds", "eta_seconds"}}
        if told_of_change == self._shown:
            return
        self._shown = told_of_change
        self.event("progress", {"id": look.execution.execution_id, "status": look.execution.status, **told})

    def event(self, name: str, facts: Mapping[str, JsonValue]) -> None:
        """Print one event."""
        print_line(json.dumps({"event": name, **facts}, ensure_ascii=False), self._stream)


class Watching:
    """Looks at a job several times a second while it is entered, whoever works on it, and shows what it finds.

    In a thread of its own: a turn that recognises or draws holds the main thread for minutes.  Whoever runs the turns
    calls `show` after each, so that a phase shorter than a look is not missed.  When nobody reads any more, the program
    is asked to end, as by SIGTERM.
    """

    def __init__(
        self, job_id: str, *, store: Store, clock: Clock, profile: Profile, model: VideoModel, view: View
    ) -> None:
        self._job_id = job_id
        self._store = store
        self._clock = clock
        self._profile = profile
        self._model = model
        self._view = view
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watching", daemon=True)
        self._seen: tuple[int, Job] | None = None

    def __enter__(self) -> Self:
        self._view.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()  # how it ended
        self._view.__exit__(kind, error, trace)

    def _watch(self) -> None:
        while True:
            try:
                self._look()
            except BrokenPipeError:
                # A signal, because the main thread may be in a turn for minutes; and not SIGINT, which a shell has its
                # background jobs ignore.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
                return
            if self._ended.wait(LOOK_EVERY.total_seconds()):
                return

    def _look(self) -> None:
        try:
            execution = self._store.get(self._job_id)
        except (StoreError, ExecutionNotFoundError):
            return  # whoever works on the job meets the same, and tells it; the next look may succeed
        self.show(execution)

    def show(self, execution: Execution) -> None:
        """Show the job as it stands in `execution`, unless something newer was shown."""
        with self._one_at_a_time:
            if self._seen is not None and execution.revision < self._seen[0]:
                return
            if self._seen is None or self._seen[0] != execution.revision:
                self._seen = (execution.revision, Job.model_validate(execution.data))
            job = self._seen[1]
            now = self._clock.now()
            self._view.show(Look.at(execution, job, now=now, profile=self._profile, model=self._model))


def view_for(*, as_json: bool) -> View:
    """What suits the terminal, or the lack of one."""
    if as_json:
        return JsonView(sys.stdout)
    return DrawnView(Console(stderr=True)) if sys.stderr.isatty() else LineView(sys.stderr)


def print_line(text: str, stream: TextIO) -> None:
    """Print a line at once.

    Raises:
        BrokenPipeError: nobody reads it any more; what is printed there from now on is lost without an error.
    """
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        # Else the last words, and the interpreter when it flushes at its end, would fail on the same pipe again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise


def usd(amount: float | None) -> float | None:
    """An amount as it is told: in hundredths of a cent, as fine as prices are."""
    return None if amount is None else round(amount, 4)


def jobs_table(looks: Sequence[Look]) -> Table:
    """One line for each job."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("ID", "STATUS", "PHASE", "DONE", "RECORDING", "BEGUN"):
        table.add_column(column, justify="right" if column == "DONE" else "left", no_wrap=column == "ID")
    for look in looks:
        execution = look.execution
        table.add_row(
            execution.execution_id,
            execution.status,
            execution.failed_in or execution.state,
            f"{look.progress.percent} %",
            escape(look.job.recording.filename),
            execution.started_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        )
    return table


def job_page(look: Look, *, advice: Sequence[str]) -> Group:
    """The timeline of one job, its scenes, and what went wrong where."""
    execution, job, now = look.execution, look.job, look.progress
    head = Table.grid(padding=(0, 2))
    head.add_row("job", execution.execution_id)
    head.add_row("recording", escape(job.recording.filename) + _length(job.recording.duration_seconds))
    if job.title:
        head.add_row("title", escape(job.title))
    head.add_row("status", f"{execution.status}, {now.percent} %" + _why_waiting(look))
    head.add_row("begun", execution.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    head.add_row("elapsed", clock_words(now.elapsed_seconds))
    if look.price_usd:
        head.add_row("price", cost_words(look.price_usd, job))
    if job.final_video_url:
        head.add_row("video", escape(job.final_video_url) + _length(job.media.duration_seconds))
    for code, message in job.warnings.items():
        head.add_row("warning", f"{code}: {escape(message)}")
    parts: list[Group | Table | Text | Padding] = [head, Text(), _timeline(now.steps)]
    if job.beats:
        parts += [Text(), scenes_table(job)]
    if execution.failure is not None:
        failure = execution.failure
        parts += [
            Text(),
            Text(f"{failure.code} in {failure.state}, attempt {failure.attempt}: {failure.message}", style="red"),
        ]
    parts += [Text(line) for line in advice]
    return Group(*parts)


def scenes_table(job: Job) -> Table:
    """The scenes: when, what is said, what is to be seen, and how far the clip is."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("SCENE", "FROM", "TO", "CLIP", "SUBMITTED", "TO BE SEEN", "SAID"):
        right = column in {"SCENE", "FROM", "TO", "SUBMITTED"}
        table.add_column(column, justify="right" if right else "left")
    for beat, task in zip(job.beats, job.tasks, strict=True):
        status = f"{task.status}: {task.error_code}" if task.error_code else task.status
        table.add_row(
            str(beat.scene_index),
            f"{beat.start_seconds:.2f}",
            f"{beat.end_seconds:.2f}",
            escape(status),
            str(task.spent_attempts(beat.revision)),
            escape(beat.visual_prompt),
            escape(beat.narration),
        )
    return table


def cost_words(price_usd: float, job: Job) -> str:
    """'$1.92 of at most $50.00'."""
    limit = job.options.max_cost_usd
    return f"${price_usd:.2f}" + ("" if limit is None else f" of at most ${limit:.2f}")


def clock_words(seconds: float) -> str:
    """'0:07', '12:40', '1:02:03'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def time_left_words(eta: TimeLeft | None) -> str:
    """'about 20-35 s left', '' when nobody can know.  In steps that do not flicker."""
    if eta is None:
        return ""
    if eta.high_seconds < 5:  # noqa: PLR2004 - the first step of the scale below
        return "a few seconds left"
    unit, step, divisor = ("s", 5, 1) if eta.high_seconds < 90 else ("min", 1, 60)  # noqa: PLR2004 - as people count
    low, high = (step * max(1, round(value / divisor / step)) for value in (eta.low_seconds, eta.high_seconds))
    return f"about {low} {unit} left" if low == high else f"about {low}-{high} {unit} left"


def _picture(look: Look) -> Group:
    now = look.progress
    bar = Table.grid(padding=(0, 1))
    told = ", ".join(part for part in (f"{clock_words(now.elapsed_seconds)} elapsed", _outlook(look)) if part)
    bar.add_row(ProgressBar(total=100, completed=now.percent, width=32), f"{now.percent:3d} %", told)
    title = Text.assemble((look.job.recording.filename, "bold"), f"  job {look.execution.execution_id}")
    return Group(title, _timeline(now.steps, scenes=_scenes_words(look)), bar)


def _timeline(steps: Sequence[StepProgress], *, scenes: str = "") -> Table:
    table = Table.grid(padding=(0, 2))
    for step in steps:
        mark, style = _MARKS.get(step.status, ("●", "yellow"))
        table.add_row(
            Text(f"{mark} {step.id}", style=style), _step_words(step, scenes if step.id == "rendering" else "")
        )
    return table


def _step_words(step: StepProgress, scenes: str) -> Text:
    words = [scenes] if scenes else []
    if step.started_at is not None and step.completed_at is not None:
        words.append(clock_words((step.completed_at - step.started_at).total_seconds()))
    if step.attempt > 1:
        words.append(f"attempt {step.attempt}")
    if step.error is not None:
        words.append(f"{step.error.get('code')}: {step.error.get('message')}")
    return Text(", ".join(words), style="dim" if step.error is None else "yellow")


def _scenes_words(look: Look) -> str:
    now = look.progress
    return "" if now.scenes_total is None else f"{now.scenes_done} of {now.scenes_total} scenes{_price_words(look)}"


def _price_words(look: Look) -> str:
    """', $1.92', and nothing where nothing is paid."""
    return f", ${look.price_usd:.2f}" if look.price_usd else ""


def _outlook(look: Look) -> str:
    if look.execution.status == "failed":
        return "failed"
    if look.execution.waiting_for == "retry":
        return "a moment's pause before another attempt"
    words: dict[str, Callable[[], str]] = {
        "on_track": lambda: time_left_words(look.progress.eta),
        "finishing_soon": lambda: "should finish soon",
        "longer_than_usual": lambda: "takes longer than usual",
        "waiting_for_quota": lambda: "waits until the provider takes more",
        "stalled": lambda: "nobody is working on it",
    }
    return words[look.progress.pace]()


def _why_waiting(look: Look) -> str:
    if look.execution.status != "processing":
        return ""
    if look.execution.state == "reviewing":
        return ", waits for a person"
    outlook = _outlook(look)
    return f", {outlook}" if outlook else ""


def _length(seconds: float | None) -> str:
    return "" if seconds is None else f" ({seconds:.1f} s)"
