"""Counting what goes into SQLite, whoever writes it."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.contest import KILLED, tallied

ROOT = Path(__file__).parents[2]


def test_transactions_that_write_are_counted_and_others_are_not(tmp_path: Path) -> None:
    with tallied() as tally:
        connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        connection.execute("CREATE TABLE t (x)")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("UPDATE t SET x = 2")
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM t")
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM t")
        connection.execute("ROLLBACK")
        connection.execute("INSERT INTO t VALUES (3)")
        connection.close()

    assert (tally.transactions, tally.statements) == (2, 4)


def test_a_connection_that_opens_transactions_by_itself_is_counted_alike(tmp_path: Path) -> None:
    with tallied() as tally:
        connection = sqlite3.dbapi2.connect(tmp_path / "a.db")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (?)", ("abc",))
        connection.commit()
        connection.close()

    assert (tally.transactions, tally.statements) == (1, 1)
    assert tally.statement_bytes == len("INSERT INTO t VALUES ('abc')")


def test_this_engine_writes_twice_for_a_step_and_once_for_a_start() -> None:
    """As the program that is measured beside the peers counts it: 20 steps, and what they say stands in the docs."""
    program = [sys.executable, "-m", "benchmarks.peers.statemachine_program", "sqlite", "--count"]

    told = subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own

    counts = [json.loads(line) for line in told.splitlines()]
    by_task = {(count["shape"], count["length"]): count["transactions"] for count in counts}
    assert by_task["steps", 20] == 2 * 20 + 1
    assert by_task["steps", 300] == 2 * 300 + 1
    assert by_task["waits", 20] == 2 * 40 + 1


def test_transactions_after_the_block_are_not_counted(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), tallied() as tally:
        raise RuntimeError

    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.close()

    assert tally.transactions == 0


@pytest.mark.parametrize(("variant", "orders"), [("once", 1), ("plain", 2)])
def test_a_step_that_is_killed_after_ordering_orders_once_if_it_wrote_down_the_intent(
    tmp_path: Path, variant: str, orders: int
) -> None:
    """The README's table says so, of both."""
    program = [sys.executable, "-m", "benchmarks.peers.statemachine_program", "killed", str(tmp_path), variant]

    first = subprocess.run(program, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603  our own
    then = subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603  our own

    assert (first.returncode, first.stdout) == (KILLED, "")
    assert json.loads(then.stdout) == {"orders": orders, "ended": "completed"}
