"""The catalog's database: opened, migrated, and reached one unit of work at a time.

A unit of work is a plain function of a connection; it runs in one thread hop and one transaction.
Knows no table, and of the two databases only which one is meant.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import Connection, Engine

from rag.catalog.postgres import PostgresDatabase
from rag.catalog.sqlite import SqliteDatabase
from rag.catalog.tables import HEAD
from rag.errors import DataFolderError, RagError, Rejected

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
_upgrading = threading.Lock()  # Alembic works through globals


class Database(Protocol):
    """What the catalog needs of a database."""

    @property
    def place(self) -> str:
        """What the catalog lies in, as errors name it."""

    @property
    def reader(self) -> Engine:
        """Transactions that see one snapshot and wait for nobody."""

    @property
    def writer(self) -> Engine:
        """Transactions that take turns, over all processes."""

    def purge(self) -> None:
        """Make deleted content physically gone, as far as it is ours to do."""

    def translate(self, exc: sa.exc.DBAPIError) -> RagError:
        """Name a failure of the driver by what to do."""


class Catalog:
    """An open catalog. `read` and `write` run a function of a connection in a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers = ThreadPoolExecutor(READERS, "catalog-read")
        self._writer = ThreadPoolExecutor(1, "catalog-write")

    @staticmethod
    async def open(where: Path | SecretStr) -> Catalog:
        """Open the catalog in this file or at this URL; create or upgrade it; refuse a newer."""
        return Catalog(await asyncio.to_thread(_open, where))

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit of work that only reads, on one consistent snapshot."""
        call = partial(_run, self._database, self._database.reader, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit of work that writes: committed whole when it returns, else not at all.

        After `Unavailable` it may be either, when the connection was lost during the commit.
        """
        call = partial(_run, self._database, self._database.writer, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    async def purge(self) -> None:
        """Make deleted rows physically gone where that is ours to do; `Unavailable` if not now."""

        def work() -> None:
            with _translated(self._database):
                self._database.purge()

        await asyncio.get_running_loop().run_in_executor(self._writer, work)

    async def close(self) -> None:
        """Finish what runs and close the connections; idempotent."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        for pool in (self._readers, self._writer):
            pool.shutdown()
        _dispose(self._database)


def _run(
    database: Database,
    engine: Engine,
    work: Callable[Concatenate[Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    with _translated(database), engine.begin() as connection:
        return work(connection, *args, **kwargs)


@contextmanager
def _translated(database: Database) -> Iterator[None]:
    """Turn the driver's failures into ours, named by what to do."""
    try:
        yield
    except sa.exc.DBAPIError as exc:
        raise database.translate(exc) from exc
    except (UnicodeEncodeError, OverflowError) as exc:
        raise Rejected(f"the catalog cannot hold a value: {exc}") from exc
    except (ValueError, TypeError) as exc:  # what was written could be read: JSON, counts
        raise Rejected(f"the catalog is damaged: {exc}", hint="run: rag doctor") from exc


def _open(where: Path | SecretStr) -> Database:
    """Connect, create or upgrade; the common case costs one query and no import."""
    database: Database
    if isinstance(where, Path):
        database = SqliteDatabase(where, readers=READERS)
    else:
        database = PostgresDatabase(where.get_secret_value(), readers=READERS)
    try:
        with _translated(database):
            with database.reader.begin() as connection:
                found = _revision(connection)
            if found != HEAD:
                upgrade(database)
    except BaseException:
        _dispose(database)
        raise
    return database


def _dispose(database: Database) -> None:
    for engine in (database.reader, database.writer):
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(
        sa.text("SELECT version_num FROM alembic_version")
    ).scalar()
    return revision


def upgrade(database: Database, revision: str = HEAD) -> None:
    """Bring the database to a revision, in one transaction of the writers' turn.

    Of two that start at once, the second finds it done: what was read before the turn is stale.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with _upgrading, database.writer.begin() as connection:
        found = _revision(connection)
        if found is not None and found > HEAD:
            raise DataFolderError(
                f"{database.place} was made by a newer version ({found})",
                hint="upgrade cumulo, or choose another folder with --data-dir",
            )
        attributes: dict[str, Any] = config.attributes
        attributes["connection"] = connection
        command.upgrade(config, revision)
