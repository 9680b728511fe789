"""Errors of SQLite, transactions, and the threads that connections live on."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from indexers.sqlite_lane import Lane, connect, snapshot, transaction, translated
from rag.errors import DataFolderError, NotFound, RagError, Rejected, Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a b?#%.sqlite"  # a name that a URI must quote
    with closing(connect(made, create=True)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x UNIQUE)")
    assert made.exists()
    return made


def rows(connection: sqlite3.Connection) -> list[int]:
    return [x for (x,) in connection.execute("SELECT x FROM t ORDER BY x")]


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    with closing(connect(path)) as connection:
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.executemany("INSERT INTO t VALUES (?)", [(1,), (1,)])
        assert rows(connection) == []
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (2)")
        assert rows(connection) == [2]
        assert not connection.in_transaction


def test_a_snapshot_does_not_move(path: Path) -> None:
    with closing(connect(path)) as reader, closing(connect(path)) as writer:
        with snapshot(reader):
            assert rows(reader) == []
            writer.execute("INSERT INTO t VALUES (1)")
            assert rows(reader) == []
        assert rows(reader) == [1]


def test_every_write_waits_for_the_disk(path: Path) -> None:
    with closing(connect(path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def busy(path: Path) -> None:
    with closing(connect(path)) as first, closing(connect(path)) as second:
        second.execute("PRAGMA busy_timeout=0")
        with transaction(first), transaction(second):
            pass


def full(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA max_page_count=4")
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")


def not_a_database(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"no database" * 1000)
    with closing(connect(other)):
        pass


def damaged(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * 50 + content[150:])
    with closing(connect(path)) as connection:
        rows(connection)


def missing(path: Path) -> None:
    connect(path.with_name("missing"))


def read_only(path: Path) -> None:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("INSERT INTO t VALUES (1)")


def nonsense(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("SELECT nothing")


def too_large(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO t VALUES (?)", (2**64,))


def unwritable(path: Path) -> None:
    (path / "below a file").mkdir()


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (busy, Unavailable),
        (full, Unavailable),
        (not_a_database, Rejected),
        (damaged, Rejected),
        (nonsense, Rejected),
        (too_large, Rejected),
        (missing, DataFolderError),
        (read_only, DataFolderError),
        (unwritable, DataFolderError),
    ],
)
def test_errors_say_what_to_do(path: Path, failure: object, error: type[RagError]) -> None:
    assert callable(failure)
    with pytest.raises(error) as raised, translated(path):
        failure(path)
    assert type(raised.value) is error
    assert path.name in raised.value.message
    assert raised.value.hint or error is Rejected


async def test_a_lane_works_in_order_on_one_thread(path: Path) -> None:
    lane, threads = Lane(path, rows), set()
    order: list[int] = []

    def note(_: sqlite3.Connection, *, number: int) -> int:
        order.append(number)
        threads.add(threading.get_ident())
        return number

    results = await asyncio.gather(*(lane.run(partial(note, number=i)) for i in range(50)))
    assert results == order == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    await lane.close()
    await lane.close()
    with pytest.raises(Rejected, match="closed"):
        await lane.run(rows)


async def test_closing_waits_for_what_was_asked(path: Path) -> None:
    lane, release = Lane(path, rows), threading.Event()

    def insert(connection: sqlite3.Connection) -> None:
        release.wait(10)
        connection.execute("INSERT INTO t VALUES (5)")

    async def let_go() -> None:
        release.set()

    await asyncio.gather(lane.run(insert), lane.close(), let_go())  # they start in this order
    with closing(connect(path)) as connection:
        assert rows(connection) == [5]


async def test_a_lane_notices_that_its_file_is_gone(path: Path) -> None:
    lane = Lane(path, rows)
    assert await lane.run(rows) == []
    path.unlink()
    with pytest.raises(NotFound, match="dropped"):
        await lane.run(rows)
    await lane.close()


async def test_work_is_done_on_the_file_that_stands_there(path: Path) -> None:
    """Who repairs an index puts another file in its place, while others write."""
    other = path.with_name("other")
    with closing(connect(other, create=True)) as connection:
        connection.execute("CREATE TABLE t (x UNIQUE)")
    prepared: list[sqlite3.Connection] = []
    lane = Lane(path, prepared.append)

    def insert(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (5)")
        if other.exists():
            path.with_name(f"{path.name}-wal").unlink()
            other.replace(path)

    await lane.run(insert)
    assert await lane.run(rows) == [5]
    assert len(prepared) == 2
    await lane.close()


async def test_an_error_of_a_replaced_file_is_not_told(path: Path) -> None:
    other = path.with_name("other")
    with closing(connect(other, create=True)) as connection:
        connection.execute("CREATE TABLE t (x UNIQUE)")
    lane = Lane(path, lambda connection: None)

    def fail(connection: sqlite3.Connection) -> list[int]:
        if other.exists():
            other.replace(path)
            connection.execute("SELECT nothing")
        return rows(connection)

    assert await lane.run(fail) == []
    await lane.close()


async def test_a_file_that_does_not_fit_is_never_worked_on(path: Path) -> None:
    def refuse(_: sqlite3.Connection) -> None:
        raise NotFound("no such table")

    lane = Lane(path, refuse)
    for _ in range(2):
        with pytest.raises(NotFound, match="no such table"):
            await lane.run(rows)
    await lane.close()
