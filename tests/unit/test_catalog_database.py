"""The catalog's database: what migrations make, what is refused, who waits for whom."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from rag.catalog import database, tables
from rag.catalog.database import Catalog
from rag.errors import DataFolderError, RagError, Rejected


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


def add_tenant(connection: Connection, name: str) -> None:
    connection.execute(tables.tenants.insert().values(id=name, created=0.0))


def tenants(connection: Connection) -> list[str]:
    return list(connection.execute(sa.select(tables.tenants.c.id).order_by("id")).scalars())


def shape(connection: Connection) -> dict[str, set[str]]:
    """Return the clauses of tables and indexes by name; their order means nothing."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {
        name: {line.strip(" \t,") for line in sql.splitlines()}
        for name, sql in rows
        if name not in ("alembic_version", "sqlite_sequence")
    }


# --- the schema ----------------------------------------------------------------------------------


async def test_migrations_make_what_the_tables_say(catalog: Catalog) -> None:
    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, tables.metadata))

    assert await catalog.read(compare) == []
    migrated = await catalog.read(shape)
    fresh = sa.create_engine("sqlite://")
    with fresh.begin() as connection:
        tables.metadata.create_all(connection)
        assert migrated == shape(connection)
    fresh.dispose()
    counting = {name for name, sql in migrated.items() if any("AUTOINCREMENT" in s for s in sql)}
    assert counting == {"attempts", "deletions", "failures"}
    assert {name for name, sql in migrated.items() if "WITHOUT ROWID" in sql} == {"frequencies"}


def test_head_is_the_newest_migration() -> None:
    config = Config()
    folder = Path(database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == tables.HEAD


async def test_opening_again_writes_nothing(catalog: Catalog, path: Path) -> None:
    await catalog.write(add_tenant, "acme")
    with other_process(path) as watcher:
        (before,) = watcher.execute("PRAGMA data_version").fetchone()
        again = await Catalog.open(path)
        assert await again.read(tenants) == ["acme"]
        await again.close()
        (after,) = watcher.execute("PRAGMA data_version").fetchone()
    assert before == after


async def test_many_openers_make_one_catalog(path: Path) -> None:
    opened = await asyncio.gather(*(Catalog.open(path) for _ in range(5)))
    await opened[0].write(add_tenant, "acme")
    assert [await catalog.read(tenants) for catalog in opened] == [["acme"]] * 5
    for catalog in opened:
        await catalog.close()


async def test_closing_twice_does_no_harm(path: Path) -> None:
    opened = await Catalog.open(path)
    await opened.close()
    await opened.close()


# --- what is refused -----------------------------------------------------------------------------


async def test_a_newer_data_folder_is_refused_and_left_alone(catalog: Catalog, path: Path) -> None:
    newer = "9999"
    await catalog.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num=9999")))
    await catalog.close()
    with pytest.raises(DataFolderError, match=f"newer version \\({newer}\\)"):
        await Catalog.open(path)
    with other_process(path) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [(newer,)]


@pytest.mark.parametrize("below", ["file/catalog.sqlite", "file/deeper/catalog.sqlite", "folder"])
async def test_an_impossible_place_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("a file where a folder is wanted")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataFolderError) as caught:
        await Catalog.open(tmp_path / below)
    assert caught.value.hint is not None
    assert "--data-dir" in caught.value.hint


async def test_what_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else entirely " * 500)
    with pytest.raises(Rejected, match="damaged"):
        await Catalog.open(path)
    assert path.read_bytes() == b"something else entirely " * 500


async def test_a_damaged_page_is_refused(catalog: Catalog, path: Path) -> None:
    many = [{"id": f"tenant {n:04}", "created": 0.0} for n in range(2000)]
    await catalog.write(lambda c: c.execute(tables.tenants.insert(), many))
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


# --- units of work -------------------------------------------------------------------------------


async def test_a_unit_of_work_is_written_whole_or_not_at_all(catalog: Catalog) -> None:
    def half(connection: Connection) -> None:
        add_tenant(connection, "half")
        raise KeyError("a bug in the middle")

    with pytest.raises(KeyError, match="a bug in the middle"):
        await catalog.write(half)
    assert await catalog.read(tenants) == []
    await catalog.write(add_tenant, "whole")  # and the connection is still good
    assert await catalog.read(tenants) == ["whole"]


async def test_a_refused_row_is_our_error(catalog: Catalog) -> None:
    await catalog.write(add_tenant, "acme")
    with pytest.raises(RagError, match="UNIQUE"):
        await catalog.write(add_tenant, "acme")


async def test_a_row_that_points_nowhere_is_refused(catalog: Catalog) -> None:
    orphan = tables.collections.insert().values(id="c", tenant="nobody", name="n", created=0.0)
    with pytest.raises(Rejected, match="FOREIGN KEY"):
        await catalog.write(lambda c: c.execute(orphan))


async def test_a_reader_sees_one_snapshot(catalog: Catalog, path: Path) -> None:
    def twice(connection: Connection) -> list[list[str]]:
        before = tenants(connection)
        with other_process(path) as writer:
            writer.execute("INSERT INTO tenants VALUES ('acme', 0)")
        return [before, tenants(connection)]

    assert await catalog.read(twice) == [[], []]
    assert await catalog.read(tenants) == ["acme"]


async def test_writers_wait_for_another_process_and_readers_do_not(
    catalog: Catalog, path: Path
) -> None:
    with other_process(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO tenants VALUES ('theirs', 0)")
        writing = asyncio.create_task(catalog.write(add_tenant, "ours"))
        assert await catalog.read(tenants) == []
        waiting, _ = await asyncio.wait([writing], timeout=0.2)
        assert not waiting
        other.execute("COMMIT")
        await writing
    assert await catalog.read(tenants) == ["ours", "theirs"]


async def test_a_writer_holds_the_lock_from_its_first_look(catalog: Catalog, path: Path) -> None:
    def look_then_write(connection: Connection) -> None:
        assert tenants(connection) == []
        with other_process(path) as other:
            other.execute("PRAGMA busy_timeout=0")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO tenants VALUES ('theirs', 0)")
        add_tenant(connection, "ours")

    await catalog.write(look_then_write)
    assert await catalog.read(tenants) == ["ours"]
