"""Upgrading from every revision, on both databases, killed at every statement and done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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

from rag.catalog import database, tables
from rag.catalog.database import Catalog, Database, upgrade
from rag.catalog.postgres import PostgresDatabase
from rag.catalog.sqlite import SqliteDatabase

EVERY = 1 if "CUMULO_TEST_EXAMPLES" in os.environ else 9
"""Of the statements of an upgrade, one in so many is a place to die."""
RACES = 20 if "CUMULO_TEST_EXAMPLES" in os.environ else 3

# Children come from a process with one thread that has everything imported: forking it is quick
# and safe. A child dies at a statement (commit is one), or starts together with others.
FORKER = """
import asyncio, json, os, signal, sys
from pathlib import Path

import alembic.command, psycopg, sqlalchemy as sa
from pydantic import SecretStr
from rag.catalog.database import Catalog

def open_catalog(place, at):
    seen = 0
    def statement(*_):
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(sa.engine.Engine, event, statement)
    async def main():
        await (await Catalog.open(SecretStr(place) if "://" in place else Path(place))).close()
    asyncio.run(main())
    return seen

for line in sys.stdin:
    place, at, processes = json.loads(line)
    start, go = os.pipe()
    back, say = os.pipe()
    children = []
    for _ in range(processes):
        children.append(os.fork())
        if children[-1] == 0:
            os.close(go)
            os.read(start, 1)
            try:
                os.write(say, b"%d\\n" % open_catalog(place, at))
                os._exit(0)
            finally:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
    os.close(start), os.close(go), os.close(say)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    said = [int(n) for n in os.fdopen(back, "rb").read().split()]
    print(json.dumps([codes, said]), flush=True)
"""

Place: TypeAlias = Path | SecretStr
Copy: TypeAlias = Callable[[Place | None], AbstractContextManager[Place]]


def revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    return [script.revision for script in scripts][::-1]


STARTS = [None, *revisions()[:-1]]


@pytest.fixture(scope="module")
def forker() -> Iterator[Callable[..., tuple[list[int], list[int]]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", FORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def run(place: Place, *, at: int = 0, processes: int = 1) -> tuple[list[int], list[int]]:
        """Open the catalog in children; return exit codes, and the statements that each made."""
        text = str(place) if isinstance(place, Path) else place.get_secret_value()
        process.stdin.write(json.dumps([text, at, processes]) + "\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        codes, said = json.loads(process.stdout.readline())  # type: ignore[union-attr]
        return codes, said

    yield run
    process.communicate()
    assert process.returncode == 0


@pytest.fixture(params=["sqlite", "postgres"])
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Copy:
    """Make databases: empty ones, and copies."""
    if request.param == "sqlite":
        numbers = iter(range(10_000))

        @contextmanager
        def files(original: Path | None) -> Iterator[Path]:
            place = tmp_path / str(next(numbers)) / "catalog.sqlite"
            if original is not None and original.exists():
                place.parent.mkdir()
                shutil.copy(original, place)
            yield place

        return files  # type: ignore[return-value]
    server = request.getfixturevalue("postgres_server")

    @contextmanager
    def databases(original: SecretStr | None) -> Iterator[SecretStr]:
        with server.database(original and original.get_secret_value()) as url:
            yield SecretStr(url)

    return databases  # type: ignore[return-value]


@contextmanager
def opened(place: Place) -> Iterator[Database]:
    made: Database
    if isinstance(place, Path):
        made = SqliteDatabase(place, readers=1)
    else:
        made = PostgresDatabase(place.get_secret_value(), readers=1)
    yield made
    made.reader.dispose()
    made.writer.dispose()


def fill(connection: Connection) -> None:
    """Put a row into every table, with something in every column."""
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        if table.name == "alembic_version":
            continue
        row: dict[str, object] = {}
        for column in table.columns:
            source = next(iter(column.foreign_keys)).column if column.foreign_keys else column
            row[column.name] = value(source)
        connection.execute(table.insert().values(row))


def value(column: sa.Column[Any]) -> object:
    if isinstance(column.type, sa.JSON):
        return {"of": str(column)}
    kind = column.type.python_type
    return str(column) if kind is str else str(column).encode() if kind is bytes else kind(7)


def contents(connection: Connection) -> dict[str, list[Mapping[str, object]]]:
    found = sa.MetaData()
    found.reflect(connection)
    return {
        name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        for name, table in found.tables.items()
        if name != "alembic_version"
    }


def revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, tables.metadata))


async def check_upgraded(place: Place, rows: dict[str, list[Mapping[str, object]]]) -> None:
    """Open the catalog as any process does; the tables are right and nothing is lost."""
    catalog = await Catalog.open(place)
    assert await catalog.read(revision) == tables.HEAD
    assert await catalog.read(differences) == []
    now = await catalog.read(contents)
    await catalog.close()
    for table, before in rows.items():
        kept = [{k: row[k] for k in old} for row, old in zip(now[table], before, strict=True)]
        assert kept == before


@pytest.mark.parametrize("start", STARTS)
async def test_an_upgrade_killed_at_any_statement_is_done_again(
    copy: Copy, forker: Callable[..., tuple[list[int], list[int]]], start: str | None
) -> None:
    with copy(None) as original:
        rows: dict[str, list[Mapping[str, object]]] = {}
        if start is not None:
            with opened(original) as made:
                upgrade(made, start)
                with made.writer.begin() as connection:
                    fill(connection)
                    rows = contents(connection)
            assert all(rows.values())
        with copy(original) as place:
            codes, (statements,) = forker(place)
            assert codes == [0]
            await check_upgraded(place, rows)
        for at in {*range(1, statements, EVERY), statements}:
            with copy(original) as place:
                assert forker(place, at=at) == ([-signal.SIGKILL], [])
                with opened(place) as left, left.reader.begin() as connection:
                    assert revision(connection) == start
                await check_upgraded(place, rows)


async def test_of_processes_that_start_together_one_upgrades(
    copy: Copy, forker: Callable[..., tuple[list[int], list[int]]]
) -> None:
    for _ in range(RACES):
        with copy(None) as place:
            codes, statements = forker(place, processes=4)
            assert codes == [0] * 4
            assert sum(n == max(statements) for n in statements) == 1
            await check_upgraded(place, {})
