import pytest

from statemachine.dispatcher import Event
from statemachine.memory import MemoryDispatcher, MemoryStore
from tests.statemachine.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    """MemoryStore keeps the contract."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def test_events_are_delivered_in_the_order_of_their_dispatch() -> None:
    dispatcher = MemoryDispatcher()
    delivered: list[Event] = []

    for version in (3, 1, 2):
        dispatcher.dispatch(Event("job-1", version))
    count = dispatcher.deliver(delivered.append)

    assert [event.version for event in delivered] == [3, 1, 2]
    assert count == 3


def test_an_event_dispatched_while_delivering_is_delivered_too() -> None:
    dispatcher = MemoryDispatcher()
    delivered: list[int] = []

    def turn(event: Event) -> None:
        delivered.append(event.version)
        if event.version < 3:
            dispatcher.dispatch(Event("job-1", event.version + 1))

    dispatcher.dispatch(Event("job-1", 1))
    count = dispatcher.deliver(turn)

    assert delivered == [1, 2, 3]
    assert count == 3


def test_a_chain_without_end_is_left_after_as_many_events_as_were_allowed() -> None:
    dispatcher = MemoryDispatcher()
    dispatcher.dispatch(Event("job-1", 1))

    count = dispatcher.deliver(dispatcher.dispatch, at_most=5)

    assert count == 5
    assert list(dispatcher.events) == [Event("job-1", 1)]
