"""Brings jobs from one table to another that was restored to an earlier time, where they have gone further since."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from statemachine import Clock, Execution, StateMachineError
from statemachine.errors import VersionConflictError
from worker.local.side_by_side import Done
from worker.providers.dynamodb_jobs import DynamoJobs, FoundJob


@dataclass(slots=True)
class Compared:
    """What stands in two tables.

    Attributes:
        same: how many jobs have written the same last in both.
        only_here: after `differing` has come to its end, the jobs that have no counterpart there.
    """

    here: DynamoJobs
    there: DynamoJobs
    same: int = 0
    only_here: tuple[str, ...] = ()

    def differing(self) -> Iterator[FoundJob]:
        """The jobs there that have written something else last than here."""
        known = {job.execution_id: _last_write(job.execution) for job in self.here.jobs()}
        for job in self.there.jobs():
            last = known.pop(job.execution_id, None)
            # A turn that is at work there may write more: such a job is no pair yet.
            is_at_rest = job.execution is not None and job.execution.lease is None
            if is_at_rest and last == _last_write(job.execution):
                self.same += 1
            else:
                yield job
        self.only_here = tuple(sorted(known))


def _last_write(execution: Execution | None) -> tuple[str, int] | None:
    return None if execution is None else (execution.run_id, execution.revision)


@dataclass(frozen=True, slots=True)
class Carrying:
    """Carries one job after the other from one table to another; threads may share it."""

    here: DynamoJobs
    there: DynamoJobs
    clock: Clock
    go: bool

    def __call__(self, job: FoundJob) -> Done:
        """Carry it, as it stands now in both tables."""
        try:
            return self._carry(job.execution_id)
        except VersionConflictError as error:
            return Done("skipped", "skipped", job.execution_id, str(error))
        except StateMachineError as error:
            return Done("failed", "failed", job.execution_id, str(error))

    def _carry(self, job_id: str) -> Done:
        row, base = self.there.row(job_id), self.here.row(job_id)
        seen, standing = self.there.execution_on(job_id, row), self.here.execution_on(job_id, base)
        if seen is None:
            return Done("failed", "failed", job_id, f"no job has this id in {self.there.layout.table_name}")
        if not base:
            text = f"{self.here.layout.table_name} has no such row: bring back the platform's, then carry again"
            return Done("skipped", "skipped", job_id, text)
        if reason := _why_left(seen, standing, self.clock.now()):
            return Done("skipped", "skipped", job_id, reason)
        if self.go:
            self.here.carry(seen, row, over=standing)
        before = "no job" if standing is None else f"{standing.state}, version {standing.version}"
        text = f"{before} → {seen.state}, version {seen.version}"
        return Done("done", "carried" if self.go else "would carry", job_id, text)


def _why_left(there: Execution, here: Execution | None, now: datetime) -> str | None:
    """Why a job is not carried from there to here; None when it is."""
    if there.lease is not None and is_held(there, now):
        until = there.lease.expires_at.isoformat(timespec="seconds")
        return f"a turn is at work on it there until {until}: carry again after that"
    if here is None:
        return None
    if here.run_id != there.run_id:
        # Versions begin anew where a row's attributes were removed between two runs; the start says which came later.
        return None if there.started_at > here.started_at else "another run was started later here"
    if there.revision <= here.revision:
        return "it has not gone further there"
    if here.updated_at > there.updated_at or is_held(here, now):
        return "it has gone on here too; look at both with `show`"
    return None


def is_held(execution: Execution, now: datetime) -> bool:
    """Whether a turn works on it; one that was killed leaves a lease that has ended."""
    return execution.lease is not None and execution.lease.expires_at > now
