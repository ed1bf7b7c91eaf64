"""Fixtures with the vendors' simulators; tests/conftest.py takes them over for all tests."""

import ssl
from collections.abc import Iterator

import pytest

from statemachine.testing.clock import VirtualClock
from tests.simulators.vendors import Vendors

# For `httpx` as `verify`: nothing is encrypted here, and loading the certificates takes 30 ms for every client
# (measured 2026-11-22).
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def vendor_clock() -> VirtualClock:
    """The clock that `vendors` goes by."""
    return VirtualClock()


@pytest.fixture
def vendors(vendor_clock: VirtualClock) -> Iterator[Vendors]:
    """All vendors on the loopback interface, under virtual time; clips are small (a quarter of 720p's sides).

    A fault of the simulators themselves fails the test, whatever the code under test made of it.
    """
    with Vendors(clock=vendor_clock, short_side=180) as vendors:
        yield vendors
    assert vendors.journal.faults == []
