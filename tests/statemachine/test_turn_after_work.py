"""After the end: release what was held, tell those who wait; at least once, for a day."""

from datetime import timedelta

import pytest

from statemachine.engine import AFTER_WORK_LIMIT, AFTER_WORK_MAX_TURN, DISPATCH_GRACE, LEASE_MARGIN
from statemachine.errors import PermanentError, UnfinishedAfterWorkError
from statemachine.execution import Execution, Notice
from statemachine.outcome import Advance
from statemachine.testing import Stepper
from statemachine.testing.clock import NOON
from tests.statemachine.machines import Job, Script, a_machine

BROKEN = PermanentError("BROKEN", "the press is broken")


class ProcessGone(BaseException):
    """The worker's process is gone."""


class Mailbox:
    """Where notices go.  Fails as often as told."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.sent: list[tuple[Notice, ...]] = []

    def __call__(self, execution: Execution, notices: tuple[Notice, ...]) -> None:
        """Send, or fail."""
        if self.errors:
            error = self.errors[0]
            if len(self.errors) > 1:
                self.errors.pop(0)
            raise error
        self.sent.append(notices)


def ended(mailbox: "Mailbox | Post", *, print_: Script | None = None) -> Stepper[Job]:
    """An execution that has just come to its end."""
    stepper = Stepper(a_machine(print_=print_), after_work=mailbox)
    stepper.start({})
    stepper.step()
    stepper.step()
    return stepper


def test_end_stays_due_until_its_after_work_is_done() -> None:
    stepper = ended(Mailbox())

    assert stepper.state == "completed"
    assert stepper.execution.due_at == NOON + DISPATCH_GRACE
    assert len(stepper.events) == 1


def test_notice_is_sent_once_and_nothing_is_due_any_more() -> None:
    mailbox = Mailbox()
    stepper = ended(mailbox)
    version = stepper.execution.version

    result = stepper.step()

    assert result.kind == "finished"
    assert mailbox.sent == [(Notice(f"execution-1:{version}", "completed", NOON),)]
    assert (stepper.state, stepper.execution.due_at, stepper.execution.after_work) == ("completed", None, None)
    assert stepper.events == ()


def test_after_work_that_fails_backs_off(caplog: pytest.LogCaptureFixture) -> None:
    mailbox = Mailbox(ConnectionError("no mail today"))
    stepper = ended(mailbox)
    delays = []

    for _ in range(12):
        result = stepper.step()
        due_at = stepper.execution.due_at
        assert (result.kind, stepper.state, due_at is not None) == ("waiting", "completed", True)
        assert due_at is not None
        delays.append((due_at - stepper.clock.now()).total_seconds())
        stepper.advance(due_at - stepper.clock.now())

    assert delays == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert "no mail today" in caplog.text


def test_after_work_is_given_up_after_a_day_with_an_alarm(caplog: pytest.LogCaptureFixture) -> None:
    stepper = ended(Mailbox(ConnectionError("no mail today")))

    after = stepper.run()

    assert (after.state, after.status, after.due_at, after.failure) == ("completed", "completed", None, None)
    assert timedelta(hours=22) < stepper.clock.now() - NOON <= AFTER_WORK_LIMIT
    assert "given up after a day" in caplog.text


def test_no_limit_of_a_state_applies_to_after_work(caplog: pytest.LogCaptureFixture) -> None:
    """Neither attempts nor crashes nor a deadline turn a finished execution into anything else."""
    mailbox = Mailbox(*[ConnectionError("no mail today")] * 6, ProcessGone(), ProcessGone(), ProcessGone())
    stepper = ended(mailbox)
    for _ in range(6):
        stepper.step()
        stepper.advance(timedelta(hours=1))
    for _ in range(3):
        with pytest.raises(ProcessGone):
            stepper.step()
        stepper.advance(AFTER_WORK_MAX_TURN + LEASE_MARGIN)
    mailbox.errors = []

    assert stepper.step().kind == "finished"
    assert (stepper.state, len(mailbox.sent)) == ("completed", 1)


def test_after_work_that_always_kills_its_process_is_given_up_too(caplog: pytest.LogCaptureFixture) -> None:
    stepper = ended(Mailbox(ProcessGone()))
    with pytest.raises(ProcessGone):
        stepper.step()
    stepper.advance(AFTER_WORK_LIMIT + timedelta(seconds=1))

    result = stepper.step()

    assert (result.kind, stepper.execution.due_at) == ("finished", None)
    assert "1 turns in a row never came back; given up after a day" in caplog.text


def test_first_try_that_comes_after_a_day_is_made_all_the_same() -> None:
    """The worker was switched off over the week-end; nobody has tried yet."""
    mailbox = Mailbox()
    stepper = ended(mailbox)
    stepper.drop()
    stepper.advance(timedelta(days=3))

    assert stepper.step().kind == "finished"
    assert len(mailbox.sent) == 1


def test_retry_carries_an_unsent_notice_over() -> None:
    mailbox = Mailbox()
    stepper = ended(mailbox, print_=Script(BROKEN, Advance("printed")))
    stepper.signal("retried")
    assert stepper.state == "printing"

    stepper.run()

    assert [[notice.status for notice in notices] for notices in mailbox.sent] == [["failed", "completed"]]


def test_replacing_carries_an_unsent_notice_over() -> None:
    mailbox = Mailbox()
    stepper = ended(mailbox)
    stepper.start({}, replace_execution=True)

    stepper.run()

    assert [[notice.status for notice in notices] for notices in mailbox.sent] == [["completed", "completed"]]
    assert len({notice.notice_id for notice in mailbox.sent[0]}) == 2


def test_retry_in_the_middle_of_sending_sends_it_again() -> None:
    """At least once: the running after-work can no longer write that it was done."""
    stepper: Stepper[Job]
    sent: list[list[str]] = []

    def send(execution: Execution, notices: tuple[Notice, ...]) -> None:
        sent.append([notice.status for notice in notices])
        if len(sent) == 1:
            stepper.signal("retried")

    stepper = Stepper(a_machine(print_=Script(BROKEN, Advance("printed"))), after_work=send)
    stepper.start({})

    assert stepper.run().state == "completed"
    assert sent == [["failed"], ["failed", "completed"]]


class Post:
    """Of two letters one is taken at once and the other never, until `is_open`.

    Attributes:
        was_done: what the engine handed back at each try.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.was_done: list[tuple[str, ...]] = []

    def __call__(self, execution: Execution, notices: tuple[Notice, ...]) -> None:
        """Send the second, or fail."""
        assert execution.after_work is not None
        self.was_done.append(execution.after_work.done)
        if not self.is_open:
            raise UnfinishedAfterWorkError(
                {f"first of {notice.status}" for notice in notices}, [ConnectionError("no mail today")]
            )


def test_what_is_done_of_after_work_is_known_at_the_next_try(caplog: pytest.LogCaptureFixture) -> None:
    post = Post()
    stepper = ended(post)
    for _ in range(2):
        stepper.step()
        stepper.advance(timedelta(hours=1))
    post.is_open = True

    assert stepper.step().kind == "finished"
    assert post.was_done == [(), ("first of completed",), ("first of completed",)]
    assert "UnfinishedAfterWorkError: ConnectionError: no mail today" in caplog.text


def test_what_is_done_of_after_work_stays_known_over_any_other_failure() -> None:
    post = Post()
    stepper = ended(post)
    stepper.step()
    stepper.advance(timedelta(hours=1))
    broken = Stepper(a_machine(), store=stepper.store, clock=stepper.clock, after_work=Mailbox(ConnectionError("no")))
    broken.step()
    stepper.advance(timedelta(hours=1))

    post.is_open = True
    stepper.step()

    assert post.was_done == [(), ("first of completed",)]


def test_a_retry_carries_over_what_was_done_of_the_unsent_notice() -> None:
    post = Post()
    stepper = ended(post, print_=Script(BROKEN, Advance("printed")))
    stepper.step()
    stepper.signal("retried")
    post.is_open = True

    stepper.run()

    assert post.was_done == [(), ("first of failed",)]


def test_cancel_is_told_like_any_other_end() -> None:
    mailbox = Mailbox()
    stepper = Stepper(a_machine(draft=Script(Advance("review_asked"))), after_work=mailbox)
    stepper.start({})
    stepper.run()

    stepper.signal("cancelled")
    stepper.run()

    assert [notice.status for notice in mailbox.sent[0]] == ["failed"]


def test_deployment_without_after_work_lets_it_rest() -> None:
    mailbox = Mailbox()
    stepper = ended(mailbox)
    other = Stepper(a_machine(), store=stepper.store, clock=stepper.clock)

    result = other.deliver(stepper.drop())

    assert (result.kind, other.execution.due_at, mailbox.sent) == ("rested", None, [])
