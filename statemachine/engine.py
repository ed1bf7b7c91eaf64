"""Engine: lease, run one step, save, dispatch the next turn; start and signal executions.

One turn is two conditional writes on the record (one more for each checkpoint and recorded fact) and no read:

1. **Lease**: succeeds only for the event's version and while no other lease stands.  A duplicate, stale or forked
   event ends here, before any vendor was called.
2. **Run** the state's step.
3. **Save** the outcome under the lease: new state, version + 1, the step's patch.
4. **Dispatch** the next turn, if there is something to do now.

Whatever goes wrong anywhere (an exception, a kill, a lost event), the record is due at a known time: `due_at` is the
end of the lease, the end of the wait, or a grace after a dispatch.  The sweeper looks for what is due.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Generic, Literal, TypeVar

from statemachine.clock import Clock
from statemachine.dispatcher import Dispatcher, Event
from statemachine.errors import (
    DispatchError,
    EventNotAllowedError,
    ExecutionExistsError,
    ExecutionNotFoundError,
    LeaseHeldError,
    LeaseLostError,
    PatchError,
    PermanentError,
    StoreError,
    StoreUnavailableError,
    TransientError,
    UnfinishedAfterWorkError,
    VersionConflictError,
)
from statemachine.execution import (
    AfterWork,
    Execution,
    Failure,
    JsonValue,
    Notice,
    Patch,
    Path,
    apply_patch,
)
from statemachine.history import History
from statemachine.machine import BACK, Machine, Resting, Terminal, Working
from statemachine.outcome import Advance, Fail, Outcome, Wait
from statemachine.record import Record
from statemachine.store import Store
from statemachine.turn import Renewal, RunningTurn, insisted, renewed

JobT = TypeVar("JobT")

log = logging.getLogger(__name__)

# A saved execution whose dispatch was lost is looked at again after this.  Longer than the 60 s for which Lambda may
# hold an event back, so that a slow delivery is not overtaken by the sweeper.
DISPATCH_GRACE = timedelta(seconds=75)

# The lease outlives the longest run of the function, so that nobody else starts while we may still be writing.
LEASE_MARGIN = timedelta(seconds=5)

# Turns that never came back, in a row.  A timeout or out-of-memory is usually deterministic: one repeat, no more.
CRASH_LIMIT = 2

# Turns in a row without a wait; then a wait of a second, which also starts a fresh chain of self-invocations: Lambda
# cuts a chain after about 16.  (AWS Lambda developer guide, recursive loop detection, read 2026-11)
CHAIN_LIMIT = 12
CHAIN_PAUSE = timedelta(seconds=1)

# Turns of one run.  An honest job of 75 scenes needs some 700; what passes this is running in circles.
TURN_LIMIT = 3000

# For how long free waits may move the deadline of one state.
FREE_WAIT_LIMIT = timedelta(hours=24)

# An execution in a state that the deployed machine does not know: looked at often at first, later daily.
PARKED_EVERY = timedelta(minutes=10)
PARKED_DAILY_AFTER = timedelta(hours=24)

# After-work: release what was held, send notices.  It never changes state and gives up after a day, with an alarm.
AFTER_WORK_FIRST_DELAY = timedelta(seconds=15)
AFTER_WORK_MAX_DELAY = timedelta(hours=1)
AFTER_WORK_LIMIT = timedelta(hours=24)
AFTER_WORK_MAX_TURN = timedelta(seconds=60)

# How often a cancel that meets saves of running turns is tried: each save moves the version once.
CANCEL_TRIES = 20

TurnKind = Literal["advanced", "waiting", "retrying", "failed", "parked", "rested", "finished", "ignored", "lost"]


class TurnResult(Record):
    """What one turn did, for logs and metrics.

    Attributes:
        kind: 'ignored' (not our turn: nothing was called), 'lost' (cancelled or overtaken while running), 'rested'
            (nothing to do in this state), 'finished' (after-work done), or what became of the step.
        execution: the header as saved, `data` as it was when the turn began; None when ignored or lost.
        state: in which the turn ran; '' when ignored.
        reason: why it was ignored, lost, retried or failed.
        step_seconds: how long the step took.
    """

    kind: TurnKind
    event: Event
    execution: Execution | None = None
    state: str = ""
    attempt: int = 0
    reason: str = ""
    step_seconds: float = 0.0


class _Conclusion(Record):
    """What a turn (or a signal) is going to write, what to call it, and whether the next turn is asked for at once."""

    execution: Execution
    patch: Patch
    dispatch: bool
    kind: TurnKind = "advanced"
    reason: str = ""


class _Retry(Record):
    """A step raised TransientError: wait, and let the attempts grow."""

    delay: timedelta
    failure: Failure


def _random_id() -> str:
    # As unique as a uuid4 (it has 6 random bits more), without the 2 ms that importing `uuid` takes.
    return os.urandom(16).hex()


AfterWorkDoer = Callable[[Execution, tuple[Notice, ...]], None]


class Engine(Generic[JobT]):
    """Runs the executions of one machine, one turn at a time.

    Args:
        history_path: where in the data the history of the states is kept, one entry a state; None keeps none.
        after_work: called (at least once) after every end with what must be told to others; may raise, and is tried
            again for a day.  By raising `UnfinishedAfterWorkError` it says which parts are done: they stand in the
            execution's `after_work.done` at the next try.  None when there is nothing to do then.
        renewal: None where the caller of `run_turn` gives the time that is left (Lambda); else leases are renewed.
        new_id: gives ids for runs, turns and signals, never the same one twice.
    """

    def __init__(
        self,
        machine: Machine[JobT],
        *,
        store: Store,
        dispatcher: Dispatcher,
        clock: Clock,
        history_path: Path | None = ("processing_steps",),
        after_work: AfterWorkDoer | None = None,
        renewal: Renewal | None = None,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        self.machine = machine
        self.store = store
        self.clock = clock
        self._dispatcher = dispatcher
        self._history = History(machine, history_path)
        self._after_work = after_work
        self._renewal = renewal
        self._new_id = new_id

    # --- what people do -----------------------------------------------------------------------------------------

    def start(
        self,
        execution_id: str,
        data: Mapping[str, JsonValue],
        *,
        run_id: str | None = None,
        replace_execution: bool = False,
    ) -> Execution:
        """Attach a new execution to its record, and ask for its first turn.

        `run_id` makes the call repeatable: a second start with the same one returns what the first one wrote.

        Raises:
            ExecutionExistsError: one stands; or, with `replace_execution`, it has not come to its end.
            ExecutionNotFoundError: the store keeps executions on rows that exist already, and this one does not.
        """
        run_id = run_id or self._new_id()
        standing = self._standing(execution_id) if replace_execution else None
        if standing is not None and standing.run_id == run_id:
            return standing
        if standing is not None and not self.machine.is_terminal(standing.state):
            raise ExecutionExistsError(execution_id, state=standing.state)
        now = self.clock.now()
        execution = Execution(
            execution_id=execution_id,
            machine=self.machine.name,
            graph=self.machine.graph,
            state=self.machine.initial,
            status=self.machine.working_status,
            run_id=run_id,
            started_at=now,
            entered_at=now,
            updated_at=now,
            version=standing.version + 1 if standing else 1,
            revision=standing.revision + 1 if standing else 1,
            last_signal=run_id,
            after_work=_carried_over(standing),
            data=self._history.begun(data),
        )
        execution = self._entered(execution, self.machine.initial, now)
        execution = execution.changed(
            data=apply_patch(execution.data, self._history.entered(execution)), due_at=now + DISPATCH_GRACE
        )
        self.store.start(execution, replace=standing is not None)
        self._dispatch(execution)
        return execution

    def signal(
        self,
        execution_id: str,
        event: str,
        *,
        patch: Patch | None = None,
        expected_version: int | None = None,
        signal_id: str | None = None,
    ) -> Execution:
        """Write a person's decision, and ask for the turn that follows from it.

        An event that leads to the failed state (a cancel) wins at once against a running turn.  Every other one is for
        the version that the caller saw: `expected_version`, or the present one.

        Raises:
            EventNotAllowedError: the state knows no such signal.
            VersionConflictError: the execution has moved on since the caller looked.
            ExecutionNotFoundError: no such execution.
        """
        signal_id = signal_id or self._new_id()
        for _ in range(CANCEL_TRIES):
            execution = self.store.get(execution_id)
            if execution.last_signal == signal_id:
                return execution  # the first call had succeeded
            if event not in self.machine.signals:
                raise EventNotAllowedError(event, execution.state, allowed=self._signals(execution.state))
            target = self._signal_target(event, execution)
            is_cancel = target == self.machine.failed
            if expected_version not in (None, execution.version) and not is_cancel:
                raise VersionConflictError(execution_id, expected=expected_version or 0, stored=execution.version)
            signalled = self._signalled(execution, event, target, signal_id, patch or {})
            try:
                try:
                    self.store.signal(signalled.execution, patch=signalled.patch)
                except PatchError:
                    if not is_cancel:
                        raise
                    # A step may have spoilt the history in the data, and a cancel must win all the same.
                    signalled = replace(signalled, patch=patch or {})
                    self.store.signal(signalled.execution, patch=signalled.patch)
            except VersionConflictError:
                if is_cancel:
                    continue  # a running turn saved in between; the cancel is for whatever state it reached
                raise
            if signalled.dispatch:
                self._dispatch(signalled.execution)
            return signalled.execution.changed(data=apply_patch(execution.data, signalled.patch))
        raise StoreUnavailableError(f"{event} of {execution_id!r} met {CANCEL_TRIES} other writes in a row; try again")

    def resume(self, execution_id: str) -> Execution:
        """Ask for a turn now, by a person's wish: attempts and crashes are forgotten.

        An execution at its end or at rest is returned as it is.

        Raises:
            LeaseHeldError: a turn is at work; there is nothing to resume.
        """
        execution = self.store.get(execution_id)
        if execution.due_at is None:
            return execution
        execution = self.store.revive(execution_id, now=self.clock.now())
        self._dispatch(execution)
        return execution

    # --- one turn -----------------------------------------------------------------------------------------------

    def run_turn(self, event: Event, *, time_left: timedelta | None = None) -> TurnResult:
        """Run one turn of an execution, if this event is still the one to do so.

        `time_left` is what the caller's own process has left; None when nothing will stop it.

        Raises:
            StoreError: the store failed.  The execution is due when its lease ends, and counts a crash.
        """
        owner = self._new_id()
        try:
            execution = self._lease(event, owner, time_left)
        except (ExecutionNotFoundError, VersionConflictError, LeaseHeldError) as error:
            return TurnResult("ignored", event, reason=str(error))
        now = self.clock.now()
        state = self.machine.state(execution.state)
        try:
            if state is None:
                return self._park(execution, event, owner, now)
            if isinstance(state, Terminal):
                return self._do_after_work(execution, event, owner, now)
            if isinstance(state, Resting):
                return self._rest(execution, event, owner, now)
            return self._work(state, execution, event, owner, time_left)
        except (LeaseLostError, ExecutionNotFoundError) as error:
            return TurnResult("lost", event, state=execution.state, attempt=execution.attempt, reason=str(error))

    def _lease(self, event: Event, owner: str, time_left: timedelta | None) -> Execution:
        now = self.clock.now()
        if self._renewal is not None:
            at_most, margin = self._renewal.lease, timedelta(0)
        else:
            at_most, margin = (timedelta.max if time_left is None else time_left), LEASE_MARGIN
        return self.store.lease(
            event.execution_id, version=event.version, owner=owner, now=now, at_most=at_most, margin=margin
        )

    def _work(
        self, state: Working[JobT], execution: Execution, event: Event, owner: str, time_left: timedelta | None
    ) -> TurnResult:
        begun_at = self.clock.now()
        execution = _unparked(execution, begun_at)
        refusal, spent = self._refusal(state, execution, begun_at, time_left), 0.0
        max_turn_seconds = state.max_turn.total_seconds()
        if execution.max_turn_seconds != max_turn_seconds:
            # Saved by another deployment.  Where turns took less time there, this lease is too short and could be
            # robbed; the save that follows tells the next turn's lease how long it has to be.
            if execution.max_turn_seconds < max_turn_seconds and self._renewal is None and refusal is None:
                refusal = Wait(timedelta(0))
            execution = execution.changed(max_turn_seconds=max_turn_seconds)
        if refusal is not None:
            concluded = self._concluded(state, execution, refusal, begun_at)
        else:
            concluded = self._run_step(state, execution, owner, time_left)
            spent = (self.clock.now() - begun_at).total_seconds()
        saved = concluded.execution.changed(last_turn=owner)
        try:
            self._save(saved, owner=owner, patch=concluded.patch)
        except PatchError as error:
            # A patch that no store can write is the step's fault and would be again: fail, and keep what is stored.
            # History is left out too: it may be what the step has spoilt, and this save must not fail as well.
            log.exception("the answer of step %s of %s cannot be stored", state.name, execution.execution_id)
            failure = concluded.execution.failure or Failure(
                "INTERNAL", f"the answer of step {state.name!r} cannot be stored: {error}"
            )
            concluded = replace(self._failed(execution, Fail(failure), self.clock.now()), patch={})
            saved = concluded.execution.changed(last_turn=owner)
            self._save(saved, owner=owner, patch=concluded.patch)
        # Save before dispatch.  If we die between the two, the sweeper finds the saved execution and dispatches it;
        # the other order could run the next state on data that was never stored.
        if concluded.dispatch:
            self._dispatch(saved)
        return TurnResult(concluded.kind, event, saved, state.name, execution.attempt, concluded.reason, spent)

    def _refusal(
        self, state: Working[JobT], execution: Execution, now: datetime, time_left: timedelta | None
    ) -> Outcome | _Retry | None:
        """Why the step must not run at all, or None."""
        if execution.crashes >= CRASH_LIMIT:
            return Fail(
                Failure(
                    "CRASHED",
                    f"{state.name}: {execution.crashes} turns in a row never came back (killed, out of memory or over "
                    f"time); look at the worker's log, then retry",
                )
            )
        if execution.attempt > state.retry.max_attempts:
            last = execution.last_error
            return Fail(
                replace(last, occurred_at=None)
                if last
                else Failure("ATTEMPTS_EXHAUSTED", f"{state.name}: gave up after {execution.attempt - 1} attempts")
            )
        if execution.deadline_at is not None and now >= execution.deadline_at:
            return Fail(
                Failure(
                    "STEP_TIMEOUT",
                    f"{state.name}: not done by its deadline, {execution.deadline_at.isoformat()}; retry to go on",
                )
            )
        if execution.turns >= TURN_LIMIT:
            return Fail(
                Failure("TURN_LIMIT", f"{state.name}: the run has taken {execution.turns} turns; it goes in circles")
            )
        if time_left is not None and time_left < state.max_turn:
            failure = Failure(
                "TURN_TOO_SHORT",
                f"{state.name}: a turn may take {state.max_turn.total_seconds():.0f} s and "
                f"{time_left.total_seconds():.0f} s were left; raise the function's timeout",
                user_action="contact_admin",
            )
            return self._retry_or_fail(state, execution, failure)
        return None

    def _retry_or_fail(
        self, state: Working[JobT], execution: Execution, failure: Failure, *, not_before: timedelta | None = None
    ) -> Outcome | _Retry:
        delay = state.retry.delay(execution.attempt, key=execution.execution_id)
        if delay is None:
            return Fail(failure)
        return _Retry(max(delay, not_before or delay), failure)

    def _run_step(
        self, state: Working[JobT], execution: Execution, owner: str, time_left: timedelta | None
    ) -> _Conclusion:
        turn = RunningTurn(self.store, self.clock, execution, owner, self._turn_deadline(state, execution, time_left))
        outcome: Outcome | _Retry
        try:
            with renewed(turn, self._renewal):
                outcome = state.step(self.machine.load(execution.data), turn=turn)
            # Concluded in here, because the deadline of the next state is computed from what the step has answered.
            return self._concluded(state, execution, outcome, self.clock.now())
        except TransientError as error:
            failure = _failure_from(error, is_retryable=True)
            outcome = self._retry_or_fail(state, execution, failure, not_before=error.retry_after)
        except PermanentError as error:
            outcome = Fail(_failure_from(error, is_retryable=error.user_action != "none"))
        except (LeaseLostError, ExecutionNotFoundError, StoreError):
            raise
        except Exception as error:
            # The one place where an unknown error is caught: it becomes a recorded failure, never a crash loop.
            log.exception("step %s of %s failed", state.name, execution.execution_id)
            outcome = _internal(f"{state.name}: unexpected {type(error).__name__}; the worker's log has the details")
        return self._concluded(state, execution, outcome, self.clock.now())

    def _turn_deadline(self, state: Working[JobT], execution: Execution, time_left: timedelta | None) -> datetime:
        """When the turn must have ended: never after its lease, however long leasing took."""
        longest = state.max_turn if time_left is None else min(state.max_turn, time_left)
        deadline = self.clock.now() + longest
        if self._renewal is None and execution.lease is not None:
            deadline = min(deadline, execution.lease.expires_at - LEASE_MARGIN)
        return deadline

    # --- from outcome to record ---------------------------------------------------------------------------------

    def _concluded(
        self, state: Working[JobT], execution: Execution, outcome: Outcome | _Retry, now: datetime
    ) -> _Conclusion:
        match outcome:
            case Advance():
                if outcome.event in self.machine.signals:
                    wrong = _internal(f"step {state.name!r} fired {outcome.event!r}, which only a person may")
                    return self._failed(execution, wrong, now)
                try:
                    return self._advanced(execution, outcome, now)
                except (EventNotAllowedError, PatchError) as error:
                    return self._failed(execution, _internal(f"step {state.name!r} answered wrongly: {error}"), now)
            case _Retry():
                return self._retrying(execution, outcome, now)
            case Wait():
                return self._waiting(execution, outcome, now)
            case Fail():
                return self._failed(execution, outcome, now)
            case _:
                raise TypeError(f"step {state.name!r} answered {outcome!r}")  # a step without types may say anything

    def _advanced(self, execution: Execution, outcome: Advance, now: datetime) -> _Conclusion:
        target = self.machine.fire(outcome.event, execution.state)
        left = self._history.left(execution, "completed", now)
        after = _saved(execution, now).changed(turns=execution.turns + 1, chain=execution.chain + 1, last_error=None)
        after = self._entered(after, target, now, patch=outcome.patch)
        after, dispatch = self._scheduled(after, now)
        patch = {**outcome.patch, **left, **self._history.entered(after)}
        return _Conclusion(after, patch, dispatch, "advanced", f"{outcome.event} → {target}")

    def _waiting(self, execution: Execution, outcome: Wait, now: datetime) -> _Conclusion:
        delay = max(outcome.delay, timedelta(0))
        after = _saved(execution, now).changed(
            attempt=0,
            turns=execution.turns + (0 if outcome.is_free else 1),
            waiting_for=outcome.waiting_for,
            last_error=None,
        )
        if outcome.is_free:
            left = max(0.0, FREE_WAIT_LIMIT.total_seconds() - execution.freely_waited_seconds)
            moved = min(delay.total_seconds(), left)
            after = after.changed(
                freely_waited_seconds=execution.freely_waited_seconds + moved,
                deadline_at=after.deadline_at and after.deadline_at + timedelta(seconds=moved),
            )
        dispatch = False
        if delay:
            after = after.changed(chain=0, due_at=_after(delay, now, after))
        else:
            after, dispatch = self._scheduled(after.changed(chain=execution.chain + 1), now)
        return _Conclusion(after, outcome.patch, dispatch, "waiting", outcome.waiting_for or "")

    def _retrying(self, execution: Execution, outcome: _Retry, now: datetime) -> _Conclusion:
        error = self._completed(outcome.failure, execution, now)
        after = _saved(execution, now).changed(
            turns=execution.turns + 1,
            chain=0,
            due_at=_after(outcome.delay, now, execution),
            waiting_for="retry",
            last_error=error,
        )
        patch = self._history.retried(execution, error)
        return _Conclusion(after, patch, dispatch=False, kind="retrying", reason=error.code)

    def _failed(self, execution: Execution, outcome: Fail, now: datetime) -> _Conclusion:
        failure = self._completed(outcome.failure, execution, now)
        after = _saved(execution, now).changed(
            turns=execution.turns + 1,
            chain=execution.chain + 1,
            failure=failure,
            failed_in=execution.state,
            last_error=None,
        )
        after = self._entered(after, self.machine.failed, now)
        after, dispatch = self._scheduled(after, now)
        history = self._history.left(execution, "failed", now, error=failure)
        return _Conclusion(after, {**outcome.patch, **history}, dispatch, "failed", failure.code)

    def _signalled(self, execution: Execution, event: str, target: str, signal_id: str, patch: Patch) -> _Conclusion:
        now = self.clock.now()
        after = _saved(execution, now).changed(last_signal=signal_id, chain=0, last_error=None)
        history: Patch
        if target == self.machine.failed:
            failure = self._completed(Failure(event.upper(), f"{event} while {execution.state}"), execution, now)
            after = after.changed(failure=failure, failed_in=execution.state)
            after = self._entered(after, target, now)
            history = self._history.left(execution, event, now, error=failure)
        elif self._leads_back(event):
            after = after.changed(failure=None, failed_in=None, turns=0, retries=execution.retries + 1)
            after = self._entered(after, target, now, patch=patch)
            history = self._history.taken_up(after, now)
        else:
            after = self._entered(after, target, now, patch=patch)
            history = {**self._history.left(execution, "completed", now), **self._history.entered(after)}
        after, dispatch = self._scheduled(after, now)
        return _Conclusion(after, {**patch, **history}, dispatch)

    def _entered(self, execution: Execution, target: str, now: datetime, *, patch: Patch | None = None) -> Execution:
        """The execution in `target`, with everything that is counted per state begun anew."""
        state = self.machine.state(target)
        deadline_at, max_turn = None, AFTER_WORK_MAX_TURN
        if isinstance(state, Working):
            deadline, max_turn = state.deadline, state.max_turn
            if not isinstance(deadline, timedelta):
                deadline = deadline(self.machine.load(apply_patch(execution.data, patch or {})))
            deadline_at = now + deadline
        return execution.changed(
            state=target,
            status=self.machine.status(target),
            graph=self.machine.graph,
            entered_at=now,
            deadline_at=deadline_at,
            max_turn_seconds=max_turn.total_seconds(),
            attempt=0,
            freely_waited_seconds=0.0,
        )

    def _scheduled(self, execution: Execution, now: datetime) -> tuple[Execution, bool]:
        """The execution with the time at which somebody should look at it again, and whether to ask for a turn now."""
        state = self.machine.state(execution.state)
        if isinstance(state, Resting) or (isinstance(state, Terminal) and self._after_work is None):
            return execution.changed(due_at=None, chain=0), False
        if isinstance(state, Terminal):
            notice = Notice(f"{execution.execution_id}:{execution.version}", execution.status, now)
            left = execution.after_work or AfterWork(since=now)
            left = AfterWork(since=now, notices=(*left.notices, notice), done=left.done)
            execution = execution.changed(after_work=left)
        if execution.chain >= CHAIN_LIMIT:
            return execution.changed(chain=0, due_at=now + CHAIN_PAUSE), False
        return execution.changed(due_at=now + DISPATCH_GRACE), True

    def _completed(self, failure: Failure, execution: Execution, now: datetime) -> Failure:
        return replace(failure, state=execution.state, attempt=execution.attempt, occurred_at=now)

    # --- turns without a step -----------------------------------------------------------------------------------

    def _park(self, execution: Execution, event: Event, owner: str, now: datetime) -> TurnResult:
        parked_at = execution.parked_at or now
        every = PARKED_EVERY if now - parked_at < PARKED_DAILY_AFTER else timedelta(days=1)
        reason = f"machine {self.machine.name!r} ({self.machine.graph}) knows no state {execution.state!r}"
        log.error("parked %s: %s; deploy a version that does", execution.execution_id, reason)
        saved = _saved(execution, now).changed(parked_at=parked_at, attempt=0, chain=0, due_at=now + every)
        saved = saved.changed(last_turn=owner)
        self._save(saved, owner=owner, patch={})
        return TurnResult("parked", event, saved, execution.state, execution.attempt, reason)

    def _rest(self, execution: Execution, event: Event, owner: str, now: datetime) -> TurnResult:
        saved = _saved(execution, now).changed(attempt=0, chain=0, due_at=None, last_turn=owner)
        self._save(saved, owner=owner, patch={})
        return TurnResult("rested", event, saved, execution.state)

    def _do_after_work(self, execution: Execution, event: Event, owner: str, now: datetime) -> TurnResult:
        work = execution.after_work
        if work is None or self._after_work is None:
            return self._rest(execution, event, owner, now)
        reason, due_at, left = "", None, None
        turn = RunningTurn(self.store, self.clock, execution, owner, now + AFTER_WORK_MAX_TURN)
        try:
            if execution.crashes and now - work.since > AFTER_WORK_LIMIT:
                raise TimeoutError(f"{execution.crashes} turns in a row never came back")  # noqa: TRY301  told below
            with renewed(turn, self._renewal):
                self._after_work(execution, work.notices)
        except Exception as error:  # noqa: BLE001  somebody else's endpoint may raise anything; it is retried and told
            reason = f"after-work failed: {type(error).__name__}: {error}"
            delay = min(AFTER_WORK_FIRST_DELAY * 2 ** min(work.tries, 16), AFTER_WORK_MAX_DELAY)
            if now + delay - work.since > AFTER_WORK_LIMIT:
                log.error("%s: %s; given up after a day", execution.execution_id, reason)  # noqa: TRY400  said above
            else:
                log.warning("%s: %s; try %d", execution.execution_id, reason, work.tries + 1)
                done = error.done if isinstance(error, UnfinishedAfterWorkError) else work.done
                due_at, left = now + delay, replace(work, tries=work.tries + 1, done=done)
        saved = _saved(execution, now).changed(attempt=0, chain=0, due_at=due_at, after_work=left, last_turn=owner)
        self._save(saved, owner=owner, patch={})
        return TurnResult("waiting" if left else "finished", event, saved, execution.state, work.tries + 1, reason)

    # --- small parts ----------------------------------------------------------------------------------------------

    def _standing(self, execution_id: str) -> Execution | None:
        try:
            return self.store.get(execution_id)
        except ExecutionNotFoundError:
            return None  # the store's `start` decides whether a record must exist

    def _signals(self, state: str) -> tuple[str, ...]:
        return tuple(event for event in self.machine.events(state) if event in self.machine.signals)

    def _signal_target(self, event: str, execution: Execution) -> str:
        """The state to which a person's event leads.

        A cancel asks only that the execution has not ended: it reaches one too that is parked in a state that this
        machine does not know.

        Raises:
            EventNotAllowedError: it leads nowhere.
        """
        is_parked = self.machine.state(execution.state) is None and execution.status == self.machine.working_status
        if is_parked and any(t.event == event and t.target == self.machine.failed for t in self.machine.transitions):
            return self.machine.failed
        return self.machine.fire(event, execution.state, failed_in=execution.failed_in)

    def _leads_back(self, event: str) -> bool:
        return any(t.event == event and t.target == BACK for t in self.machine.transitions)

    def _save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        insisted(self.clock, lambda: self.store.save(execution, owner=owner, patch=patch))

    def _dispatch(self, execution: Execution) -> None:
        try:
            self._dispatcher.dispatch(Event(execution.execution_id, execution.version))
        except DispatchError as error:
            log.warning("dispatch of %s failed, the sweeper will come: %s", execution.execution_id, error)


def _saved(execution: Execution, now: datetime) -> Execution:
    """What every save does: version and revision grow, the lease and its counts are gone."""
    return execution.changed(
        version=execution.version + 1,
        revision=execution.revision + 1,
        lease=None,
        unsaved_turns=0,
        updated_at=now,
        waiting_for=None,
        parked_at=None,
    )


def _after(delay: timedelta, now: datetime, execution: Execution) -> datetime:
    """When to look again: after `delay`, but at the deadline of the state at the latest.

    A delay may be what a vendor asked for, which may be anything.  Beyond the deadline nothing is left to wait for, and
    a person would hear of the failure only then.
    """
    if execution.deadline_at is None or delay <= execution.deadline_at - now:
        return now + delay
    return max(now, execution.deadline_at)


def _unparked(execution: Execution, now: datetime) -> Execution:
    """A parked execution whose state is known again: the time it stood parked moves its deadline."""
    if execution.parked_at is None or execution.deadline_at is None:
        return execution
    return execution.changed(deadline_at=execution.deadline_at + (now - execution.parked_at), parked_at=None)


def _carried_over(standing: Execution | None) -> AfterWork | None:
    return standing.after_work if standing else None


def _failure_from(error: TransientError | PermanentError, *, is_retryable: bool) -> Failure:
    return Failure(
        error.code,
        error.message,
        user_action=error.user_action,
        is_retryable=is_retryable,
        details=dict(error.details),
    )


def _internal(message: str) -> Fail:
    return Fail(Failure("INTERNAL", message))


__all__: Sequence[str] = ("Engine", "TurnResult")
