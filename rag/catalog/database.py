"""The catalog's database: opened, migrated, and reached one unit of work at a time.

A unit of work is a plain function of a connection; it runs in one thread hop and one transaction.
Knows SQLite's rules (WAL, `BEGIN IMMEDIATE` for writes); knows no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from rag.catalog.tables import HEAD
from rag.errors import DataFolderError, Rejected, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
BUSY_TIMEOUT_S = 30


class Catalog:
    """An open catalog. `read` and `write` run a function of a connection in a transaction."""

    def __init__(self, path: Path) -> None:
        self._read_engine = _engine(path, "BEGIN")
        self._write_engine = _engine(path, "BEGIN IMMEDIATE")
        self._readers = ThreadPoolExecutor(READERS, "catalog-read")
        self._writer = ThreadPoolExecutor(1, "catalog-write")

    @staticmethod
    async def open(path: Path) -> Catalog:
        """Open the catalog at this path; create or upgrade it; refuse a newer one."""
        await asyncio.to_thread(_prepare, path)
        return Catalog(path)

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit of work that only reads, on one consistent snapshot."""
        call = partial(_run, self._read_engine, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit of work that writes: committed whole when it returns, else not at all."""
        call = partial(_run, self._write_engine, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    async def close(self) -> None:
        """Finish what runs and close the files; idempotent."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        for pool in (self._readers, self._writer):
            pool.shutdown()
        for engine in (self._read_engine, self._write_engine):
            engine.dispose()


def _run(
    engine: Engine, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    with translated(), engine.begin() as connection:
        return work(connection, *args, **kwargs)


def _engine(path: Path, begin: str) -> Engine:
    """Make an engine whose transactions start with this statement."""
    engine = sa.create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        poolclass=sa.pool.QueuePool,
        pool_size=READERS,
    )

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions, not the driver
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's failures into ours, named by what to do."""
    try:
        yield
    except sa.exc.DatabaseError as exc:
        cause = str(exc.orig)
        if "malformed" in cause or "not a database" in cause:
            raise Rejected(f"the catalog is damaged: {cause}", hint="restore a backup") from exc
        if "unable to open" in cause or "readonly" in cause:
            raise DataFolderError(
                f"the catalog cannot be opened: {cause}",
                hint="check who may write the data folder, or choose another with --data-dir",
            ) from exc
        if isinstance(exc, sa.exc.OperationalError):
            hint = "is the disk full, or another writer stuck?"
            raise Unavailable(f"the catalog cannot be used now: {cause}", hint=hint) from exc
        raise Rejected(f"the catalog refused the work: {cause}") from exc


def _prepare(path: Path) -> None:
    """Create or upgrade the database; the common case costs one query and no import."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DataFolderError(
            f"the data folder {path.parent} cannot be made: {exc.strerror}",
            hint="choose another with --data-dir",
        ) from exc
    engine = _engine(path, "BEGIN IMMEDIATE")
    try:
        with translated():
            found = _revision(engine)
            if found == HEAD:
                return
            if found is not None and found > HEAD:
                raise DataFolderError(
                    f"the data folder {path.parent} was made by a newer version ({found})",
                    hint="upgrade cumulo, or choose another folder with --data-dir",
                )
            upgrade(engine)
    finally:
        engine.dispose()


def _revision(engine: Engine) -> str | None:
    with engine.begin() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.execute(
            sa.text("SELECT version_num FROM alembic_version")
        ).scalar()
        return revision


def upgrade(engine: Engine, revision: str = HEAD) -> None:
    """Bring the database to a revision, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        attributes: dict[str, Any] = config.attributes
        attributes["connection"] = connection
        command.upgrade(config, revision)
