"""The catalog's database, the same on SQLite and Postgres: schema, turns, snapshots, damage."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy.engine import Connection

from rag.catalog import collections, database, tables
from rag.catalog.collections import Pipeline
from rag.catalog.database import Catalog
from rag.catalog.postgres import WRITERS
from rag.errors import DataFolderError, Rejected
from rag.types import Pinned

Place: TypeAlias = Path | SecretStr
PINNED = Pinned("part", {}, "fingerprint")
PIPELINE = Pipeline("faiss", chunker=PINNED, embedder=PINNED, sparse=PINNED, dim=4)


@pytest.fixture
async def catalog(catalog_place: Place) -> AsyncIterator[Catalog]:
    opened = await Catalog.open(catalog_place)
    yield opened
    await opened.close()


@contextmanager
def other_process(place: Place) -> Iterator[Any]:
    """Connect as another process would: past the catalog and its threads."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None, timeout=0)) as connection:
            yield connection
    else:
        import psycopg

        with closing(psycopg.connect(place.get_secret_value(), autocommit=True)) as connection:
            yield connection


def take_turn(other: Any) -> bool:
    """Begin a transaction of a writer; tell whether nobody else was writing."""
    if not isinstance(other, sqlite3.Connection):
        other.execute("BEGIN")
        row = other.execute(f"SELECT pg_try_advisory_xact_lock({WRITERS})").fetchone()
        return bool(row == (True,))
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as exc:
        return exc.sqlite_errorcode != sqlite3.SQLITE_BUSY
    return True


def add_tenant(connection: Connection, name: str) -> None:
    connection.execute(tables.tenants.insert().values(id=name, created=0.0))


def tenants(connection: Connection) -> list[str]:
    return list(connection.execute(sa.select(tables.tenants.c.id).order_by("id")).scalars())


# --- the schema ----------------------------------------------------------------------------------


async def test_migrations_make_what_the_tables_say(catalog: Catalog) -> None:
    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, tables.metadata))

    assert await catalog.read(compare) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    folder = Path(database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == tables.HEAD


async def test_opening_a_current_catalog_waits_for_no_writer(
    catalog: Catalog, catalog_place: Place
) -> None:
    await catalog.write(add_tenant, "acme")
    with other_process(catalog_place) as other:
        assert take_turn(other)
        again = await Catalog.open(catalog_place)
        assert await again.read(tenants) == ["acme"]
        await again.close()
        other.execute("ROLLBACK")


async def test_many_openers_make_one_catalog(catalog_place: Place) -> None:
    opened = await asyncio.gather(*(Catalog.open(catalog_place) for _ in range(5)))
    await opened[0].write(add_tenant, "acme")
    assert [await catalog.read(tenants) for catalog in opened] == [["acme"]] * 5
    for catalog in opened:
        await catalog.close()


async def test_two_catalogs_can_be_made_at_once(catalog: Catalog, tmp_path: Path) -> None:
    places = [tmp_path / str(n) / "catalog.sqlite" for n in range(4)]
    for opened in await asyncio.gather(*map(Catalog.open, places)):
        assert await opened.read(tenants) == []
        await opened.close()


async def test_closing_twice_does_no_harm(catalog_place: Place) -> None:
    opened = await Catalog.open(catalog_place)
    await opened.close()
    await opened.close()


async def test_a_newer_catalog_is_refused_and_left_alone(
    catalog: Catalog, catalog_place: Place
) -> None:
    newer = "9999"
    await catalog.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num=9999")))
    await catalog.close()
    with pytest.raises(DataFolderError, match=f"newer version \\({newer}\\)"):
        await Catalog.open(catalog_place)
    with other_process(catalog_place) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [(newer,)]


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
    with pytest.raises(Rejected, match=r"refused the work: .*(UNIQUE|unique)"):
        await catalog.write(add_tenant, "acme")


async def test_a_row_that_points_nowhere_is_refused(catalog: Catalog) -> None:
    orphan = tables.collections.insert().values(id="c", tenant="nobody", name="n", created=0.0)
    with pytest.raises(Rejected, match=r"FOREIGN KEY|foreign key"):
        await catalog.write(lambda c: c.execute(orphan))


async def test_text_that_is_not_unicode_is_refused_and_nothing_is_called_damaged(
    catalog: Catalog,
) -> None:
    with pytest.raises(Rejected, match="cannot hold a value"):
        await catalog.write(add_tenant, "half a pair: \ud800")
    await catalog.write(add_tenant, "acme")


async def test_a_value_of_another_shape_is_damage(catalog: Catalog, catalog_place: Place) -> None:
    await catalog.write(collections.create_collection, "acme", "docs", PIPELINE)
    with other_process(catalog_place) as other:
        other.execute("UPDATE generations SET chunker = '5'")
    with pytest.raises(Rejected, match="the catalog is damaged") as caught:
        await catalog.read(collections.find_collection, "acme", "docs")
    assert caught.value.hint == "run: rag doctor"


async def test_a_reader_sees_one_snapshot(catalog: Catalog, catalog_place: Place) -> None:
    def twice(connection: Connection) -> list[list[str]]:
        before = tenants(connection)
        with other_process(catalog_place) as writer:
            writer.execute("INSERT INTO tenants VALUES ('acme', 0)")
        return [before, tenants(connection)]

    assert await catalog.read(twice) == [[], []]
    assert await catalog.read(tenants) == ["acme"]


async def test_writers_wait_for_another_process_and_readers_do_not(
    catalog: Catalog, catalog_place: Place
) -> None:
    with other_process(catalog_place) as other:
        assert take_turn(other)
        other.execute("INSERT INTO tenants VALUES ('theirs', 0)")
        writing = asyncio.create_task(catalog.write(add_tenant, "ours"))
        assert await catalog.read(tenants) == []
        waiting, _ = await asyncio.wait([writing], timeout=0.2)
        assert not waiting
        other.execute("COMMIT")
        await writing
    assert await catalog.read(tenants) == ["ours", "theirs"]


async def test_a_writer_has_its_turn_from_its_first_look(
    catalog: Catalog, catalog_place: Place
) -> None:
    def look_then_write(connection: Connection) -> None:
        assert tenants(connection) == []
        with other_process(catalog_place) as other:
            assert not take_turn(other)
        add_tenant(connection, "ours")

    await catalog.write(look_then_write)
    assert await catalog.read(tenants) == ["ours"]


async def test_a_writer_sees_what_was_committed_while_it_waited(
    catalog: Catalog, catalog_place: Place
) -> None:
    with other_process(catalog_place) as other:
        assert take_turn(other)
        looking = asyncio.create_task(catalog.write(tenants))
        await asyncio.wait([looking], timeout=0.2)
        other.execute("INSERT INTO tenants VALUES ('theirs', 0)")
        other.execute("COMMIT")
        assert await looking == ["theirs"]


async def test_purging_keeps_what_is_not_deleted(catalog: Catalog) -> None:
    await catalog.write(add_tenant, "acme")
    await catalog.purge()
    assert await catalog.read(tenants) == ["acme"]
