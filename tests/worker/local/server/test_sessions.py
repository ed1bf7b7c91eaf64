from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.worker.handlers.api.desk import FakeClock
from worker.local.server.sessions import LIFETIME, USERS, Sessions, secret_in

ADA = USERS["ada"]


def sessions(clock: FakeClock | None = None, secret: bytes = b"secret") -> Sessions:
    return Sessions(secret=secret, clock=clock or FakeClock())


def test_a_token_says_whose_it_is() -> None:
    made = sessions()

    assert made.user_of(f"Bearer {made.begin(ADA).token}") == ADA


def test_a_token_of_an_earlier_server_is_good() -> None:
    """A page that is open while the server starts anew goes on."""
    assert sessions().user_of(f"Bearer {sessions().begin(ADA).token}") == ADA


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(hours=1)])
def test_a_token_ends_with_its_lifetime(lifetime: timedelta) -> None:
    clock = FakeClock()
    made = sessions(clock)
    token = made.begin(ADA).token

    clock.sleep(LIFETIME + lifetime)

    assert made.user_of(f"Bearer {token}") is None


def test_a_token_made_with_another_secret_is_nobodys() -> None:
    assert sessions().user_of(f"Bearer {sessions(secret=b'other').begin(ADA).token}") is None


def test_a_token_of_somebody_who_is_not_known_is_nobodys() -> None:
    made = sessions()

    assert made.user_of(f"Bearer {made.begin(replace(ADA, id='eve')).token}") is None


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic YWRhOg==", "Bearer é", "Bearer \udc80"]
)
def test_what_is_no_token_is_nobodys(header: str | None) -> None:
    assert sessions().user_of(header) is None


def test_a_changed_token_is_nobodys() -> None:
    made = sessions()
    payload, _, signature = made.begin(ADA).token.rpartition(".")

    assert made.user_of(f"Bearer {payload[:-1]}A.{signature}") is None


def test_the_secret_of_a_home_stays_the_same_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = secret_in(tmp_path)

    assert secret_in(tmp_path) == first
    assert len(first) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["session.key"]
    assert (tmp_path / "session.key").stat().st_mode & 0o777 == 0o600
