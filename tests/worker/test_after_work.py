from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from statemachine import TransientError
from statemachine.errors import StoreUnavailableError
from tests.worker.handlers.api.desk import ADA, VIDEO, Desk
from worker.after_work import RELEASE_TRIES, AfterWork, Completion, Notifier
from worker.limits import Limits
from worker.ports import Refused
from worker.rows import UsageChangedError


@dataclass
class FakeNotifier:
    """Keeps what it is given, after as many refusals as it is told."""

    name: str = "one"
    refusals: int = 0
    sent: list[Completion] = field(default_factory=list)

    def send(self, completion: Completion) -> None:
        if self.refusals:
            self.refusals -= 1
            raise TransientError("NOTICE_NOT_SENT", "later")
        self.sent.append(completion)


def a_desk(notifiers: Sequence[Notifier] = ()) -> Desk:
    desk = Desk(limits=Limits(concurrent_jobs=3))
    desk.after_work = AfterWork(rows=desk.rows, notifiers=notifiers)
    return desk


def test_a_completed_job_is_told_once_with_what_one_needs_to_find_it() -> None:
    notifier = FakeNotifier()
    desk = a_desk([notifier])
    desk.post()
    execution = desk.run()

    (completion,) = notifier.sent
    told = completion.as_json()
    assert told["type"] == "ai_video.completed"
    assert completion.notice_id.startswith(f"{VIDEO}:")
    assert told["id"] == completion.notice_id
    assert (told["videoId"], told["owner_id"], told["run_id"]) == (VIDEO, ADA, execution.run_id)
    assert told["final_video_url"] == desk.data().final_video_url
    assert told["error"] is None


def test_a_failed_job_is_told_with_its_code_and_not_with_a_vendors_words() -> None:
    notifier = FakeNotifier()
    desk = a_desk([notifier])
    desk.renderer.answers[0] = [Refused("PROVIDER_ERROR", "vendor's own words", is_retryable=False)]
    desk.post()
    desk.run()

    (completion,) = notifier.sent
    assert completion.kind == "ai_video.failed"
    assert completion.details["error"] == {"code": "PROVIDER_ERROR", "user_action": "retry"}
    assert "own words" not in str(completion.as_json())


def test_a_cancelled_job_frees_its_slot_and_is_told() -> None:
    notifier = FakeNotifier()
    desk = a_desk([notifier])
    desk.post()
    desk.delete()
    desk.run()

    assert desk.rows.usage(ADA).slots == {}
    assert [completion.kind for completion in notifier.sent] == ["ai_video.failed"]


@pytest.mark.parametrize("is_first", [True, False])
def test_what_one_did_not_take_is_sent_to_that_one_again(*, is_first: bool) -> None:
    refusing, other = FakeNotifier("bus", refusals=2), FakeNotifier("topic")
    desk = a_desk([refusing, other] if is_first else [other, refusing])
    desk.post()
    desk.run()

    assert len(refusing.sent) == 1
    assert other.sent == refusing.sent


def test_a_second_end_is_told_to_each_beside_what_it_has_not_taken_of_the_first() -> None:
    """The first is not told anew to one who has taken it: somebody may read it as mail."""
    refusing, other = FakeNotifier("bus", refusals=1), FakeNotifier("topic")
    desk = a_desk([refusing, other])
    desk.renderer.answers[0] = [Refused("PROVIDER_ERROR", "no", is_retryable=False)]
    desk.post()
    while not other.sent:
        desk.run(turns=1)
    desk.post({"videoId": VIDEO, "action": "retry"})
    desk.run()

    assert [completion.kind for completion in refusing.sent] == ["ai_video.failed", "ai_video.completed"]
    assert [completion.kind for completion in other.sent] == ["ai_video.failed", "ai_video.completed"]


def test_one_who_takes_no_notice_keeps_it_from_nobody_else() -> None:
    """Of a bus that was deleted, the topic's subscribers know nothing."""
    refusing, other = FakeNotifier("bus", refusals=10_000), FakeNotifier("topic")
    desk = a_desk([refusing, other])
    desk.post()
    desk.run()

    assert [completion.kind for completion in other.sent] == ["ai_video.completed"]


def test_a_slot_is_freed_although_nobody_takes_the_notice() -> None:
    desk = a_desk([FakeNotifier(refusals=10_000)])
    desk.post()
    desk.run()

    assert desk.rows.usage(ADA).slots == {}


def test_a_notice_is_sent_although_the_slot_cannot_be_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = FakeNotifier()
    desk = a_desk([notifier])
    desk.post()

    def throttled(_: object) -> None:
        raise StoreUnavailableError("throttled")

    monkeypatch.setattr(desk.rows, "usage", throttled)
    desk.run()

    assert [completion.kind for completion in notifier.sent] == ["ai_video.completed"]


def test_a_control_row_that_others_write_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = a_desk()
    desk.post()
    original, conflicts = desk.rows.change_usage, list(range(RELEASE_TRIES - 1))

    def change_usage(change: object) -> None:
        if conflicts:
            conflicts.pop()
            raise UsageChangedError
        original(change)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(desk.rows, "change_usage", change_usage)
    desk.run()

    assert desk.rows.usage(ADA).slots == {}
