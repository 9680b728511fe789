"""The catalog in a SQLite file: what is refused, what is damage, what is truly gone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag.catalog import tables
from rag.catalog.database import Catalog
from rag.errors import DataFolderError, Rejected, Unavailable

RUNS = "INSERT INTO runs (id, collection, kind, state, counts, started, updated)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "catalog.sqlite"


@pytest.fixture
async def catalog(path: Path) -> AsyncIterator[Catalog]:
    opened = await Catalog.open(path)
    yield opened
    await opened.close()


@contextmanager
def other_process(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect as another process would: past the catalog and its threads."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def add_tenants(connection: Connection, *names: str) -> None:
    connection.execute(tables.tenants.insert(), [{"id": n, "created": 0.0} for n in names])


def tenants(connection: Connection) -> list[str]:
    return list(connection.execute(sa.select(tables.tenants.c.id).order_by("id")).scalars())


def shape(connection: Connection) -> dict[str, Any]:
    """Return what can be asked of the tables; the order of columns means nothing."""
    inspector = sa.inspect(connection)
    lists = ("foreign_keys", "unique_constraints", "indexes")
    return {
        table: {
            "columns": {c["name"]: {**c, "type": str(c["type"])} for c in columns},
            "primary": inspector.get_pk_constraint(table),
            **{k: sorted(getattr(inspector, f"get_{k}")(table), key=repr) for k in lists},
            "options": inspector.get_table_options(table),
        }
        for (_, table), columns in inspector.get_multi_columns().items()
        if table != "alembic_version"
    }


# --- the file ------------------------------------------------------------------------------------


async def test_migrations_make_what_the_tables_say_to_the_letter(catalog: Catalog) -> None:
    migrated = await catalog.read(shape)
    assert set(migrated) == set(tables.metadata.tables)
    fresh = sa.create_engine("sqlite://")
    with fresh.begin() as connection:
        tables.metadata.create_all(connection)
        assert migrated == shape(connection)
    fresh.dispose()


async def test_numbers_are_never_used_again(catalog: Catalog) -> None:
    query = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"
    rows = await catalog.read(lambda c: c.exec_driver_sql(query).all())
    assert {name for (name,) in rows} == {"attempts", "deletions", "failures", "quarantine"}


async def test_opening_again_writes_nothing(catalog: Catalog, path: Path) -> None:
    await catalog.write(add_tenants, "acme")
    with other_process(path) as watcher:
        (before,) = watcher.execute("PRAGMA data_version").fetchone()
        again = await Catalog.open(path)
        assert await again.read(tenants) == ["acme"]
        await again.close()
        (after,) = watcher.execute("PRAGMA data_version").fetchone()
    assert before == after


async def test_a_new_file_that_another_process_has_locked_is_waited_for(path: Path) -> None:
    path.parent.mkdir()
    with other_process(path) as other:
        other.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(Catalog.open(path))
        await asyncio.wait([opening], timeout=0.2)
        assert not opening.done()
        other.execute("ROLLBACK")
        catalog = await opening
    assert await catalog.read(tenants) == []
    assert await catalog.read(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"
    await catalog.close()


@pytest.mark.parametrize("below", ["file/catalog.sqlite", "file/deeper/catalog.sqlite", "folder"])
async def test_an_impossible_place_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("a file where a folder is wanted")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataFolderError) as caught:
        await Catalog.open(tmp_path / below)
    assert caught.value.hint is not None
    assert "--data-dir" in caught.value.hint


# --- damage --------------------------------------------------------------------------------------


async def test_what_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else entirely " * 500)
    with pytest.raises(Rejected, match="damaged"):
        await Catalog.open(path)
    assert path.read_bytes() == b"something else entirely " * 500


async def test_a_damaged_page_is_refused(catalog: Catalog, path: Path) -> None:
    await catalog.write(add_tenants, *(f"tenant {n:04}" for n in range(2000)))
    await catalog.close()
    with other_process(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'tenants'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(content)
    damaged = await Catalog.open(path)
    with pytest.raises(Rejected, match="damaged"):
        await damaged.read(lambda c: c.execute(sa.select(tables.tenants)).all())
    await damaged.close()


@pytest.mark.parametrize(
    "damage",
    [
        "INSERT INTO tenants VALUES (CAST(x'61ff' AS TEXT), 0)",
        RUNS + " VALUES ('r', 'c', 'ingest', 'done', '{broken', 0, 0)",
        RUNS + " VALUES ('r', 'c', 'ingest', 'done', CAST(x'22ff22' AS TEXT), 0, 0)",
        "ALTER TABLE sources RENAME COLUMN root TO roof",
        "DROP TABLE failures",
    ],
)
async def test_what_cannot_be_read_is_damage_and_no_crash(
    catalog: Catalog, path: Path, damage: str
) -> None:
    def everything(connection: Connection) -> None:
        for table in tables.metadata.sorted_tables:
            connection.execute(sa.select(table)).all()

    await catalog.read(everything)
    with other_process(path) as other:
        other.execute(damage)
    for use in (catalog.read, catalog.write):
        with pytest.raises(Rejected, match="the catalog is damaged") as caught:
            await use(everything)
        assert caught.value.hint == "run: rag doctor"


async def test_what_sqlite_cannot_do_is_refused_and_nothing_is_called_damaged(
    catalog: Catalog,
) -> None:
    with pytest.raises(Rejected, match=r"refused the work: .*syntax error"):
        await catalog.read(lambda c: c.exec_driver_sql("SELEC"))
    huge = tables.failures.insert().values(id=2**70, run="r", uri="", error="", created=0.0)
    with pytest.raises(Rejected, match="cannot hold a value"):
        await catalog.write(lambda c: c.execute(huge))


# --- gone ----------------------------------------------------------------------------------------


def found_in_files(path: Path, needle: bytes) -> list[str]:
    return [file.name for file in sorted(path.parent.iterdir()) if needle in file.read_bytes()]


async def test_after_a_purge_no_file_has_what_was_deleted(catalog: Catalog, path: Path) -> None:
    await catalog.write(add_tenants, "a secret 0", "acme", *(f"filler {n}" for n in range(500)))
    assert found_in_files(path, b"a secret 0")
    await catalog.write(lambda c: c.execute(sa.text("DELETE FROM tenants WHERE id = 'a secret 0'")))
    assert found_in_files(path, b"a secret 0")  # the log has it: purging is what removes it
    await catalog.purge()
    assert found_in_files(path, b"a secret 0") == []
    assert "acme" in await catalog.read(tenants)


async def test_deleted_content_is_overwritten(catalog: Catalog) -> None:
    (secure,) = await catalog.write(lambda c: c.exec_driver_sql("PRAGMA secure_delete").one())
    assert secure == 1


async def test_a_purge_that_a_reader_prevents_says_so(catalog: Catalog, path: Path) -> None:
    await catalog.write(add_tenants, "a secret")
    await catalog.write(lambda c: c.exec_driver_sql("PRAGMA busy_timeout=50").one())
    with other_process(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM tenants").fetchall()
        await catalog.write(lambda c: c.execute(tables.tenants.delete()))
        with pytest.raises(Unavailable, match="still in the log of the catalog"):
            await catalog.purge()
        reader.execute("ROLLBACK")
    await catalog.purge()
    assert found_in_files(path, b"a secret") == []
