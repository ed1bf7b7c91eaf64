"""`worker operate`: finds jobs of a deployed function in the platform's table, and retries, cancels or resumes them.

All that is done through the engine, as a person's decision on the page would be, so nothing here can do more than
such a decision; the function takes the turns that follow.  `carry` alone writes rows itself, to a table that was
restored, and only over what is older.  Nothing is done without `go`.

What a retry here leaves out, because no user asked for it: it books nothing on the owner's daily limit.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from statemachine import (
    Clock,
    Dispatcher,
    Engine,
    Event,
    Execution,
    JsonValue,
    PermanentError,
    StateMachineError,
    SystemClock,
)
from statemachine.errors import (
    EventNotAllowedError,
    ExecutionNotFoundError,
    LeaseHeldError,
    StoreCorruptError,
    StoreError,
    VersionConflictError,
)
from worker.after_work import AfterWork
from worker.bootstrap import Worker
from worker.edits import retry_patch
from worker.job import AMBIGUOUS, TASKS, Job, committed_usd
from worker.local.carrying import Carrying, Compared, is_held
from worker.local.side_by_side import Done, side_by_side
from worker.local.terminal import Look, job_page, print_line
from worker.providers.dynamodb_jobs import DynamoJobs, FoundJob, refusal_code
from worker.settings import Settings

Verb = Literal["retry", "cancel", "resume"]

DONE, FAILED = 0, 1

# The status of a job that a verb is for.
_MEANT: Mapping[Verb, str] = {"retry": "failed", "cancel": "processing", "resume": "processing"}

_SPAN = re.compile(r"(\d+)(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

# Nobody looks at more than this at once; `find` pages better by its filters.
_MOST_DUE = 10_000
_AHEAD = timedelta(days=2)  # everything active: the longest wait is that of a parked job, a day

_PREFIX = "AI_VIDEO_"

# What to do about what DynamoDB refuses to whoever operates.
_RENEW = "renew the AWS credentials"
_REMEDIES: Mapping[str, str] = {
    "AccessDeniedException": "allow it to whoever runs this",
    "ExpiredTokenException": _RENEW,
    "InvalidSignatureException": _RENEW,
    "ResourceNotFoundException": "mend the table's name (--table, --from, or the function's own) or the region",
    "UnrecognizedClientException": _RENEW,
    "ValidationException": "mend the table's name; or the table has no such index",
}

# How the ids of our cancels begin: a job that its owner has stopped is not taken up again with those that we have.
_OURS = "operate-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are meant; what is not given does not matter.

    Attributes:
        codes: of the failure, any of them.
        states: in which it failed, or is, any of them.
        since, until: when it failed, or was last saved.
        limit: how many at most.
    """

    status: str | None = None
    codes: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    owner_id: str | None = None
    video_id: str | None = None
    limit: int | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether it says more than a status: a forgotten option must not mean every job there is."""
        return any((self.codes, self.states, self.since, self.until, self.owner_id, self.video_id))

    def means(self, execution: Execution) -> bool:
        """Whether this job is one of them."""
        failure, data = execution.failure, execution.data
        when = (failure.occurred_at if failure is not None else None) or execution.updated_at
        return (
            self.status in (None, execution.status)
            and (not self.codes or (failure is not None and failure.code in self.codes))
            and (not self.states or (execution.failed_in or execution.state) in self.states)
            and (self.since is None or when >= self.since)
            and (self.until is None or when < self.until)
            and (self.owner_id is None or data.get("owner_id") == self.owner_id)
            and (self.video_id is None or data.get("video_id") == self.video_id)
        )


class OperatorsWorker(Worker):
    """The function's worker in an operator's hands: it decides and asks for turns, and takes none."""

    @cached_property
    def store(self) -> DynamoJobs:
        """The platform's table, which can be read from end to end."""
        return DynamoJobs(self.clients.dynamodb, layout=self._layout)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """The function, where it is named; else the sweep finds what is due."""
        return super().dispatcher if self.settings.function_name else _LeftToTheSweep()

    @cached_property
    def after_work(self) -> AfterWork:
        """What there is to do after an end, the function knows: it is always left for it, and never done here."""
        return AfterWork(rows=None, notifiers=())


class _LeftToTheSweep:
    """Asks nobody: what is due is found."""

    def dispatch(self, event: Event) -> None:
        """Leave it."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody on call, at the table of a deployed function."""

    settings: Settings
    as_json: bool = False
    clock: Clock = field(default_factory=lambda: SystemClock())  # noqa: PLW0108  looked up when it is called

    def wanted(self, *, since: str | None, until: str | None, **given: Any) -> Wanted:  # noqa: ANN401  fields of Wanted
        """What the command line says; spans are counted from now.

        Raises:
            PermanentError: codes MOMENT_UNCLEAR; OPERATION_UNCLEAR, nothing could be meant.
        """
        now = self.clock.now()
        wanted = Wanted(
            since=None if since is None else moment(since, now=now),
            until=None if until is None else moment(until, now=now),
            **given,
        )
        if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
            raise _unclear(f"nothing lies between --since {since} and --until {until}: the first is the earlier moment")
        if wanted.codes and wanted.status not in (None, "failed"):
            raise _unclear(f"only a failed job has a --code; leave --status {wanted.status} out, or the code")
        return wanted

    def due(self, limit: int) -> int:
        """What somebody must look at, the longest due first: the cheap look, by the index."""
        with OperatorsWorker(self.settings, clock=self.clock) as worker:
            now = worker.clock.now()
            limit = min(limit, _MOST_DUE)
            rows = worker.store.due(now + _AHEAD, limit=limit + 1)
            is_cut, rows = len(rows) > limit, rows[:limit]
            found = [_found(worker.store, row.execution_id) for row in rows]
            late = [(now - row.due_at).total_seconds() for row in rows]
        table = _table("LATE", "ID", "STATE", "VERSION", "OWNER", "ORDERED", "WAITS FOR", "TROUBLE")
        for job, seconds in zip(found, late, strict=True):
            execution = job.execution
            facts: dict[str, JsonValue] = {"id": job.execution_id, "late_seconds": round(seconds, 1)}
            if execution is None:
                facts["trouble"] = job.trouble
                table.add_row(_span(seconds), job.execution_id, "?", "", "", "", "", escape(job.trouble))
            else:
                trouble = _trouble(execution)
                facts |= _facts(execution) | {"trouble": trouble}
                waits_for = execution.waiting_for or ("a turn at work" if is_held(execution, now) else "")
                table.add_row(
                    _span(seconds),
                    job.execution_id,
                    execution.state,
                    str(execution.version),
                    *_who_ordered(execution),
                    waits_for,
                    trouble,
                )
            if self.as_json:
                _print_json(facts)
        if not self.as_json:
            _print(table) if rows else _complain("nothing is due, and nobody waits")
        if is_cut:  # a list that seems whole would let somebody believe that nobody else is at work
            _complain(f"more than {limit} are active: --limit shows up to {_MOST_DUE}")
        return DONE

    def find(self, wanted: Wanted) -> int:
        """The jobs that are meant.  Reads the whole table."""
        with OperatorsWorker(self.settings, clock=self.clock) as worker:
            table, count = _table("ID", "STATUS", "STATE", "WHEN", "CODE", "OWNER", "ORDERED"), 0
            for job in islice(_matching(worker.store, wanted), wanted.limit):
                count += 1
                execution = job.execution
                if execution is None:
                    table.add_row(job.execution_id, "damaged", "", "", "", "", escape(job.trouble))
                    facts: dict[str, JsonValue] = {"id": job.execution_id, "trouble": job.trouble}
                else:
                    failure = execution.failure
                    facts = _facts(execution)
                    table.add_row(
                        execution.execution_id,
                        execution.status,
                        execution.failed_in or execution.state,
                        f"{execution.updated_at:%Y-%m-%d %H:%M}",
                        failure.code if failure else "",
                        *_who_ordered(execution),
                    )
                if self.as_json:
                    _print_json(facts)
            if not self.as_json:
                _print(table)
            if not count:
                _doubt(wanted, worker)
            _complain(f"{count} found; reading the table took {worker.store.read_units:g} read units")
        return DONE

    def show(self, execution_id: str) -> int:
        """One job: its timeline, what the engine knows of it, and every place where something of it lies."""
        with OperatorsWorker(self.settings, clock=self.clock) as worker:
            execution = _standing(worker.store, execution_id)
            facts = _facts(execution) | _engine_facts(execution, worker.machine.graph)
            try:
                job = Job.model_validate(execution.data)
            except ValidationError as error:
                facts["trouble"] = _unreadable(error)
                look = None
            else:
                facts["places"] = _places(job, self.settings)
                look = Look.at(execution, job, now=worker.clock.now(), profile=worker.profile, model=worker.model)
        if self.as_json:
            facts["history"] = execution.data.get("processing_steps")
            _print_json(facts)
            return DONE
        if look is not None:
            _print(job_page(look, advice=()))
        grid = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            grid.add_row(name, escape(shown))
        _print(grid)
        return DONE

    def act(
        self,
        verb: Verb,
        ids: Sequence[str],
        wanted: Wanted,
        *,
        go: bool,
        at_once: int,
        max_cost_usd: float | None = None,
    ) -> int:
        """Retry, cancel or resume the jobs that are named, or those that are meant; one line for each.

        Raises:
            PermanentError: codes OPERATION_UNCLEAR, it is not said which jobs; JOB_UNKNOWN, one that is named does not
                exist, and nothing was done; STARTS_CLOSED, the kill switch is on.
        """
        if bool(ids) == wanted.is_narrow:
            code = "--code, " if verb == "retry" else ""
            raise _unclear(
                f"which jobs are to {verb}? name them by their ids, or by at least one of {code}--state, --since, "
                "--until, --owner and --video, not both"
            )
        wanted = replace(wanted, status=_MEANT[verb])
        with OperatorsWorker(self.settings, clock=self.clock) as worker:
            if verb == "retry" and go and not worker.limits().starts:
                raise PermanentError(
                    "STARTS_CLOSED",
                    "the kill switch is on (AI_VIDEO_STARTS, or `starts` in the limits parameter), and a retry costs "
                    "money; open it first",
                    user_action="none",
                )
            jobs: Iterable[FoundJob]
            if ids:
                jobs = _named(worker.store, ids)
            else:
                meant = (job for job in _matching(worker.store, wanted) if _is_meant(verb, job.execution, wanted))
                jobs = islice(meant, wanted.limit)
            do = _Doing(worker, verb, go=go, max_cost_usd=max_cost_usd)
            counts = {"done": 0, "skipped": 0, "failed": 0}
            for done in side_by_side(do, jobs, at_once):
                counts[done.kind] += 1
                self._tell(done)
            if not any(counts.values()):
                _doubt(wanted, worker)
        return self._sum_up(verb, counts, go=go)

    def carry(self, source: str, ids: Sequence[str], *, go: bool, at_once: int) -> int:
        """Let the jobs that are named, or all, stand in this table as in `source`, where they have gone further there.

        For a table that was restored to an earlier time.  Without names it reads both tables whole, and tells too which
        jobs stand only here.

        Raises:
            PermanentError: codes OPERATION_UNCLEAR, both are one table; JOB_UNKNOWN, as in `act`.
        """
        if source == self.settings.table_name:
            raise _unclear(
                f"jobs are carried from one table to another, and both are {source}; --table names the restored one"
            )
        with OperatorsWorker(self.settings, clock=self.clock) as worker:
            here = worker.store
            there = DynamoJobs(worker.clients.dynamodb, layout=replace(here.layout, table_name=source))
            compared = Compared(here, there)
            jobs = _named(there, ids) if ids else compared.differing()
            counts = {"done": 0, "skipped": 0, "failed": 0}
            for done in side_by_side(Carrying(here, there, worker.clock, go=go), jobs, at_once):
                counts[done.kind] += 1
                self._tell(done)
            for execution_id in compared.only_here:
                text = f"no job stands there in {source}: deleted since, or lost; if deleted, cancel or delete it here"
                counts["skipped"] += 1
                self._tell(Done("skipped", "only here", execution_id, text))
            if not ids:
                units = here.read_units + there.read_units
                _complain(f"{compared.same} are the same in both; reading the tables took {units:g} read units")
        return self._sum_up("carry", counts, go=go)

    def _tell(self, done: Done) -> None:
        if self.as_json:
            _print_json({"event": done.what, "id": done.execution_id, "text": done.text})
        else:
            print_line(f"{done.what:14} {done.execution_id}  {done.text}", sys.stdout)

    def _sum_up(self, verb: Verb | Literal["carry"], counts: Mapping[str, int], *, go: bool) -> int:
        if self.as_json:
            _print_json({"event": "operated", "verb": verb, "is_dry_run": not go, **counts})
        words = "" if go else f"; nothing was done: add --go to {verb} them"
        _complain(f"{counts['done']} done, {counts['skipped']} skipped, {counts['failed']} failed{words}")
        return FAILED if counts["failed"] else DONE


@dataclass(frozen=True, slots=True)
class _Doing:
    """Does one thing to one job after the other; threads may share it."""

    worker: OperatorsWorker
    verb: Verb
    go: bool
    max_cost_usd: float | None

    def __call__(self, job: FoundJob) -> Done:
        """Do it, as the job stands now and not as it stood when it was found."""
        if job.execution is None:
            return Done("failed", "failed", job.execution_id, job.trouble)
        try:
            return self._do(self.worker.store.get(job.execution_id) if self.go else job.execution)
        except (EventNotAllowedError, LeaseHeldError, VersionConflictError) as error:
            return Done("skipped", "skipped", job.execution_id, str(error))
        except PermanentError as error:
            return Done("skipped", "skipped", job.execution_id, str(error))
        except ValidationError as error:
            return Done("failed", "failed", job.execution_id, _unreadable(error))
        except StateMachineError as error:
            return Done("failed", "failed", job.execution_id, f"{type(error).__name__}: {error}")

    def _do(self, seen: Execution) -> Done:
        job_id, past = seen.execution_id, {"retry": "retried", "cancel": "cancelled", "resume": "resumed"}[self.verb]
        if seen.status != _MEANT[self.verb] and not (self.verb == "resume" and seen.due_at is not None):
            return Done("skipped", "skipped", job_id, f"it is {seen.status}")
        engine = self.worker.engine
        if self.verb == "retry":
            patch = retry_patch(Job.model_validate(seen.data), (), max_cost_usd=self.max_cost_usd)
            if self.go:
                seen = engine.signal(job_id, past, patch=patch, expected_version=seen.version)
        elif self.go:
            seen = _cancelled(engine, job_id) if self.verb == "cancel" else engine.resume(job_id)
        elif self.verb == "resume" and seen.due_at is None:
            return Done("skipped", "skipped", job_id, f"it is {seen.state}: a person has to decide")
        if self.go:
            return Done("done", past, job_id, f"{seen.state}, version {seen.version}")
        code = f"{seen.failure.code} " if seen.failure else ""
        return Done("done", f"would {self.verb}", job_id, f"{code}in {seen.failed_in or seen.state}")


def _cancelled(engine: Engine[Job], job_id: str) -> Execution:
    return engine.signal(job_id, "cancelled", signal_id=f"{_OURS}{uuid.uuid4().hex}")


class _SettingsOfFunction(Settings):
    """As the function has them: what is set in an operator's own shell must not point at another table."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  as pydantic-settings calls it
        init_settings: PydanticBaseSettingsSource,
        *_: Any,  # noqa: ANN401  the sources that are left out
        **__: Any,  # noqa: ANN401  as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given."""
        return (init_settings,)


def settings_of(environment: Mapping[str, str], *, function_name: str, table_name: str | None) -> Settings:
    """The settings that a deployed function has, for its operator; without a function those of the environment here.

    Raises:
        PermanentError: code SETTINGS_INVALID, a setting is wrong, or the function is not the worker.
    """
    if function_name and not any(name.startswith(_PREFIX) for name in environment):
        raise PermanentError(
            "SETTINGS_INVALID",
            f"function {function_name} has no variable {_PREFIX}…: it is not the worker; the module's output "
            "`function_name` says its name",
            user_action="none",
        )
    given: dict[str, Any] = {
        name.removeprefix(_PREFIX).lower(): value for name, value in environment.items() if name.startswith(_PREFIX)
    }
    given["function_name"] = given.get("function_name") or function_name
    if table_name is not None:
        given["table_name"] = table_name
    try:
        return (_SettingsOfFunction if function_name else Settings).model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "".join(f"{_PREFIX}{str(part).upper()}: " for part in first["loc"])
        raise PermanentError("SETTINGS_INVALID", f"{name}{first['msg']}", user_action="none") from error


@contextmanager
def told() -> Iterator[None]:
    """Turn what the table refuses because of how it is asked into a mistake of whoever asks.

    Raises:
        PermanentError: code TABLE_REFUSED: there is no such table, or whoever asks may not, or no longer.
    """
    try:
        yield
    except StoreError as error:
        remedy = _REMEDIES.get(refusal_code(error))
        if remedy is None:
            raise
        said = str(error).partition("; ")[0]  # what follows is for the function's own role
        raise PermanentError("TABLE_REFUSED", f"{said}; {remedy}", user_action="none") from error


def moment(text: str, *, now: datetime) -> datetime:
    """'90m', '2h' or '3d' before now, or a moment as ISO 8601 has it (UTC where no zone is given).

    Raises:
        PermanentError: code MOMENT_UNCLEAR.
    """
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        given = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise PermanentError(
            "MOMENT_UNCLEAR", f"{text!r} is neither a span (90m, 2h, 3d) nor a moment (2026-11-22T18:30)"
        ) from error
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _matching(store: DynamoJobs, wanted: Wanted) -> Iterator[FoundJob]:
    """The jobs that are meant, and every row that is damaged: nobody knows what it would have been."""
    for job in store.jobs(status=wanted.status):
        if job.execution is None or wanted.means(job.execution):
            yield job


def _is_meant(verb: Verb, execution: Execution | None, wanted: Wanted) -> bool:
    """Whether a job that was not named is to be touched: what a person stopped, or what would fail again, is not."""
    if execution is None:
        return False
    failure = execution.failure
    if verb == "retry" and AMBIGUOUS not in wanted.codes and _has_ambiguous_scene(execution):
        return False  # it may have been paid for, and a retry would pay once more
    if verb != "retry" or failure is None:
        return True
    is_named = failure.code in wanted.codes
    if failure.code == "CANCELLED":
        return is_named and execution.last_signal.startswith(_OURS)
    return is_named or failure.is_retryable


def _has_ambiguous_scene(execution: Execution) -> bool:
    tasks = execution.data.get(TASKS[0])
    return isinstance(tasks, Mapping) and any(
        isinstance(task, Mapping) and (task.get("status"), task.get("error_code")) == ("failed", AMBIGUOUS)
        for task in tasks.values()
    )


def _named(store: DynamoJobs, ids: Sequence[str]) -> list[FoundJob]:
    """The jobs with these ids; one that does not exist is a mistake, before anything is done."""
    jobs = []
    for execution_id in ids:
        try:
            jobs.append(FoundJob(execution_id, _standing(store, execution_id)))
        except StoreCorruptError as error:
            jobs.append(FoundJob(execution_id, None, str(error)))
    return jobs


def _found(store: DynamoJobs, execution_id: str) -> FoundJob:
    try:
        return FoundJob(execution_id, store.get(execution_id))
    except (ExecutionNotFoundError, StoreCorruptError) as error:
        return FoundJob(execution_id, None, str(error))


def _standing(store: DynamoJobs, execution_id: str) -> Execution:
    try:
        return store.get(execution_id)
    except ExecutionNotFoundError as error:
        layout = store.layout
        raise PermanentError(
            "JOB_UNKNOWN",
            f"no job has the id {execution_id!r} in table {layout.table_name}; an id is the row's key, its parts "
            f"({', '.join(layout.key_names)}) with a / between them; `find --video ID` looks for one",
            user_action="none",
        ) from error


def _unclear(message: str) -> PermanentError:
    return PermanentError("OPERATION_UNCLEAR", message, user_action="none")


def _doubt(wanted: Wanted, worker: OperatorsWorker) -> None:
    """Say that no job may have been found because of a slip.  Not refused: a parked job's state is unknown here too."""
    known = worker.machine.states
    for state in wanted.states:
        if state not in known:
            _complain(f"this version knows no state {state!r}, only {', '.join(known)}")


def _facts(execution: Execution) -> dict[str, JsonValue]:
    """What a list tells of a job."""
    failure, data = execution.failure, execution.data
    return {
        "id": execution.execution_id,
        "status": execution.status,
        "state": execution.failed_in or execution.state,
        "version": execution.version,
        "run_id": execution.run_id,
        "owner_id": str(data.get("owner_id", "")),
        "ordered_usd": _ordered_usd(data),
        "updated_at": _iso(execution.updated_at),
        "due_at": _iso(execution.due_at),
        "code": failure.code if failure else None,
        "message": failure.message if failure else None,
    }


def _who_ordered(execution: Execution) -> tuple[str, str]:
    """Two columns of a list: the owner, and what their clips of this run cost so far."""
    usd = _ordered_usd(execution.data)
    return str(execution.data.get("owner_id", "")), "" if usd is None else f"${usd:.2f}"


def _ordered_usd(data: Mapping[str, JsonValue]) -> float | None:
    """The price of every clip that was ordered, or may have been; None where the data cannot be read."""
    try:
        return round(committed_usd(Job.model_validate(data).vertex_ai_tasks.values()), 4)
    except ValidationError:
        return None


def _engine_facts(execution: Execution, deployed_graph: str) -> dict[str, JsonValue]:
    """What else the engine knows of one."""
    lease, error = execution.lease, execution.last_error
    return {
        "lease": f"{lease.owner} until {_iso(lease.expires_at)}" if lease else None,
        "attempt": execution.attempt,
        "crashes": execution.crashes,
        "turns": execution.turns,
        "retries": execution.retries,
        "deadline_at": _iso(execution.deadline_at),
        "waiting_for": execution.waiting_for,
        "last_error": f"{error.code}: {error.message}" if error else None,
        "parked_at": _iso(execution.parked_at),
        "graph": execution.graph if execution.graph == deployed_graph else f"{execution.graph}, here {deployed_graph}",
        "after_work_tries": execution.after_work.tries if execution.after_work else None,
    }


def _trouble(execution: Execution) -> str:
    if execution.parked_at is not None:
        return f"parked since {_iso(execution.parked_at)}: no deployed version knows this state"
    if execution.after_work is not None and execution.after_work.tries:
        return f"its end could not be told {execution.after_work.tries} times"
    error = execution.last_error
    crashed = f"{execution.crashes} turns never came back" if execution.crashes else ""
    return f"{error.code}, attempt {execution.attempt}" if error else crashed


def _places(job: Job, settings: Settings) -> dict[str, JsonValue]:
    """Everywhere something of this job lies, the runs before it included."""
    video = job.prefix.rstrip("/").rpartition("/")[0] + "/"
    clips = settings.veo_output_gcs_uri.rstrip("/")
    transcription = job.audio_transcription.transcription_id
    return {
        "recording": f"s3://{settings.bucket}/{job.recording.key}",
        "objects": f"s3://{settings.bucket}/{job.prefix}",
        "all_runs": f"s3://{settings.bucket}/{video}",
        "clips_at_vendor": f"{clips}/{job.prefix}" if clips else None,
        "transcription_job": transcription,
    }


def _unreadable(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"its data cannot be read: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _span(seconds: float) -> str:
    """'12 s' late, or due in '-40 s'; minutes and hours where there are many."""
    size = abs(seconds)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if size >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column == "ID", overflow="fold")
    return table


def _print(page: Any) -> None:  # noqa: ANN401  whatever rich can draw
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 240)
    with console.capture() as drawn:  # as `commands` does: rich ends the program when nobody reads
        console.print(page)
    print_line(drawn.get().removesuffix("\n"), sys.stdout)


def _print_json(facts: Mapping[str, JsonValue]) -> None:
    print_line(json.dumps(facts, ensure_ascii=False), sys.stdout)


def _complain(text: str) -> None:
    print_line(text, sys.stderr)
