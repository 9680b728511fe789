"""The catalog in a Postgres database.

Knows Postgres' rules: readers in one read-only snapshot, writers one at a time on an advisory lock
(docs/decisions/010), limits on waiting. Knows no table, and shows no password.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from rag.errors import ConfigError, MissingExtra, RagError, Rejected, Unavailable

WRITERS: Final = 0x63756D756C6F
"""The advisory lock that writers of one database take turns on: "cumulo" in ASCII."""
LOCK_TIMEOUT_S: Final = 30
IDLE_TIMEOUT_S: Final = 60
"""A client that stops in the middle of a unit of work holds the others up for so long."""
PATIENCE: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "application_name": "cumulo",
}
"""Parameters of libpq, unless the URL has them: a server that vanished is noticed in a minute."""


class PostgresDatabase:
    """A database; readers see a snapshot, a writer has the writers' lock from its first look."""

    place: Final = "the catalog database"

    def __init__(self, url: str, *, readers: int) -> None:
        parsed = _parse(url)
        self.reader = _engine(parsed, "REPEATABLE READ", connections=readers)
        self.writer = _engine(parsed, "READ COMMITTED", connections=1)

        @sa.event.listens_for(self.reader, "connect")
        def only_read(connection: Any, _record: object) -> None:
            connection.read_only = True

        @sa.event.listens_for(self.writer, "begin")
        def take_turn(connection: Connection) -> None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")

    def purge(self) -> None:
        """Do nothing: deleted rows go when the server vacuums, which is the server's to decide."""

    def translate(self, exc: sa.exc.DBAPIError) -> RagError:
        """Name a failure of Postgres by what to do."""
        cause = " ".join(str(exc.orig).split())
        state = getattr(exc.orig, "sqlstate", None) or ""
        if state.startswith("XX"):
            return Rejected(f"the catalog is damaged: {cause}", hint="run: rag doctor")
        if exc.connection_invalidated or isinstance(exc, sa.exc.OperationalError):
            hint = "is the database server up and catalog_url right, or another writer stuck?"
            return Unavailable(f"the catalog cannot be used now: {cause}", hint=hint)
        return Rejected(f"the catalog refused the work: {cause}", hint="run: rag doctor")


def _parse(url: str) -> URL:
    """Read the URL; errors show no part in which the password may stand."""
    scheme, found, _ = url.partition("://")
    if not found or scheme not in ("postgresql", "postgres"):
        raise ConfigError(
            f"catalog_url has the scheme {scheme!r}" if found else "catalog_url is not a URL",
            hint="wanted: postgresql://user:password@host/name",
        )
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = None
    if parsed is None or "@" in (parsed.host or ""):
        raise ConfigError(
            "catalog_url cannot be read",
            hint="write special characters of the password as %XX, such as %40 for @",
        )
    return parsed.set(drivername="postgresql+psycopg", query={**PATIENCE, **parsed.query})


def _engine(url: URL, isolation: str, *, connections: int) -> Engine:
    try:
        # Asking first whether a kept connection still lives: the server may have been restarted.
        engine = sa.create_engine(
            url, isolation_level=isolation, pool_size=connections, pool_pre_ping=True
        )
    except ImportError as exc:
        raise MissingExtra(
            "catalog_url needs the Postgres driver", hint="pip install 'cumulo[postgres]'"
        ) from exc

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s'")
        connection.commit()

    return engine
