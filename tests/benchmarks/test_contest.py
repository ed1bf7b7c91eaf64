"""Counting what goes into SQLite, whoever writes it."""

import sqlite3
from pathlib import Path

import pytest

from benchmarks.peers.contest import tallied


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


def test_nobody_counts_afterwards(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), tallied() as tally:
        raise RuntimeError

    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.close()

    assert tally.transactions == 0
