"""The catalog on a real Postgres: its settings, its failures, and the whole way through it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg  # noqa: TID253
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import Connection
from typer.testing import CliRunner

from rag.catalog import tables
from rag.catalog.database import Catalog
from rag.catalog.postgres import WRITERS
from rag.cli import app, session
from rag.errors import ConfigError, RagError, Rejected, Unavailable
from rag.settings import load_settings
from rag.testing.postgres import PostgresServer

SECRET = "p4ssw0rd"


@pytest.fixture
async def catalog(postgres_url: str) -> AsyncIterator[Catalog]:
    opened = await Catalog.open(SecretStr(postgres_url))
    yield opened
    await opened.close()


def add_tenant(connection: Connection, name: str) -> None:
    connection.execute(tables.tenants.insert().values(id=name, created=0.0))


def tenants(connection: Connection) -> list[str]:
    return list(connection.execute(sa.select(tables.tenants.c.id).order_by("id")).scalars())


def ask(connection: Connection, question: str) -> Any:
    return connection.exec_driver_sql(question).scalar()


# --- what a connection is ------------------------------------------------------------------------


async def test_readers_and_writers_are_set_up(catalog: Catalog) -> None:
    async def both(question: str) -> tuple[Any, Any]:
        return await catalog.read(ask, question), await catalog.write(ask, question)

    assert await both("SHOW transaction_isolation") == ("repeatable read", "read committed")
    assert await both("SHOW transaction_read_only") == ("on", "off")
    assert await both("SHOW lock_timeout") == ("30s", "30s")
    assert await both("SHOW idle_in_transaction_session_timeout") == ("1min", "1min")
    assert await both("SHOW application_name") == ("cumulo", "cumulo")
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    assert await both(locks) == (0, 1)


async def test_a_reader_cannot_write(catalog: Catalog) -> None:
    with pytest.raises(Rejected, match="read-only transaction"):
        await catalog.read(add_tenant, "acme")


async def test_parameters_of_the_address_win(postgres_url: str) -> None:
    catalog = await Catalog.open(SecretStr(f"{postgres_url}&application_name=mine"))
    assert await catalog.read(ask, "SHOW application_name") == "mine"
    await catalog.close()


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["terminated", "killed", "restarted"])
async def test_a_lost_connection_is_unavailable_and_the_next_work_goes_on(
    catalog: Catalog, postgres_server: PostgresServer, fault: str
) -> None:
    def lose(connection: Connection) -> None:
        backend = ask(connection, "SELECT pg_backend_pid()")
        if ask(connection, "SHOW transaction_read_only") == "off":
            add_tenant(connection, "half")
        if fault == "terminated":
            assert postgres_server.execute(f"SELECT pg_terminate_backend({backend}, 5000)")
        elif fault == "killed":
            postgres_server.crash(backend)
        else:
            postgres_server.restart()
        tenants(connection)

    await catalog.write(add_tenant, "before")
    for use in (catalog.read, catalog.write):
        with pytest.raises(Unavailable, match="cannot be used now"):
            await use(lose)
        await catalog.read(tenants)  # every kept connection is gone: new ones are made
    await catalog.write(add_tenant, "after")
    assert await catalog.read(tenants) == ["after", "before"]


async def test_a_restarted_server_needs_no_restart_of_ours(
    catalog: Catalog, postgres_server: PostgresServer
) -> None:
    await catalog.write(add_tenant, "before")
    assert await catalog.read(tenants) == ["before"]
    postgres_server.restart()
    assert await catalog.read(tenants) == ["before"]
    await catalog.write(add_tenant, "after")
    assert await catalog.read(tenants) == ["after", "before"]


async def test_who_waits_too_long_for_the_turn_may_try_again(
    catalog: Catalog, postgres_url: str
) -> None:
    await catalog.write(lambda c: c.exec_driver_sql("SET lock_timeout = '50ms'"))
    with closing(psycopg.connect(postgres_url)) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({WRITERS})")
        with pytest.raises(Unavailable, match="lock timeout"):
            await catalog.write(add_tenant, "acme")
        assert await catalog.read(tenants) == []
    await catalog.write(add_tenant, "acme")


async def test_a_writer_that_stopped_in_the_middle_loses_its_turn(
    catalog: Catalog, postgres_url: str
) -> None:
    def stop(connection: Connection) -> None:
        add_tenant(connection, "half")
        with closing(psycopg.connect(postgres_url)) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({WRITERS})")  # waits until it is free
        add_tenant(connection, "never")

    idle = "SET idle_in_transaction_session_timeout = '50ms'"
    await catalog.write(lambda c: c.exec_driver_sql(idle))
    with pytest.raises(Unavailable):
        await catalog.write(stop)
    assert await catalog.read(tenants) == []


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    place = SecretStr(f"postgresql://me:{SECRET}@/cumulo?host={tmp_path}")
    with pytest.raises(Unavailable, match="No such file") as caught:
        await Catalog.open(place)
    assert_no_secret(caught.value)


# --- the address ---------------------------------------------------------------------------------


def assert_no_secret(error: BaseException | None) -> None:
    while error is not None:
        assert SECRET not in f"{error} {error!r} {getattr(error, 'hint', '')}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mysql://me:{SECRET}@host/name", "has the scheme 'mysql'"),
        (f"me:{SECRET}@host/name", "is not a URL"),
        (f"postgresql://me:{SECRET}@host:{SECRET}/name", "cannot be read"),
        (f"postgresql://me:a@{SECRET}@host/name", "cannot be read"),
    ],
)
async def test_a_wrong_address_is_refused_without_showing_it(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        await Catalog.open(SecretStr(url))
    assert_no_secret(caught.value)


def test_settings_do_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUMULO_CATALOG_URL", f"postgresql://me:{SECRET}@host/name")
    settings = load_settings()
    assert settings.catalog_url is not None
    assert SECRET in settings.catalog_url.get_secret_value()
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump_json()}"


def test_without_the_driver_the_extra_is_named() -> None:
    program = """
import asyncio, sys
sys.modules["psycopg"] = None
from pydantic import SecretStr
from rag.catalog.database import Catalog
from rag.errors import MissingExtra
try:
    asyncio.run(Catalog.open(SecretStr("postgresql://host/name")))
except MissingExtra as exc:
    print(exc.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "pip install 'cumulo[postgres]'\n"


# --- more than one process -----------------------------------------------------------------------

COUNTER = """
import asyncio, sys
import sqlalchemy as sa
from pathlib import Path
from pydantic import SecretStr
from rag.catalog import tables
from rag.catalog.database import Catalog

tenants = tables.tenants

def count_up(connection):
    seen = connection.execute(sa.select(tenants.c.created)).scalar_one()
    connection.execute(tenants.update().values(created=seen + 1))

async def main():
    place = sys.argv[1]
    catalog = await Catalog.open(SecretStr(place) if "://" in place else Path(place))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        await catalog.write(count_up)
    await catalog.close()

asyncio.run(main())
"""


def count_together(place: str) -> None:
    """Let two processes count up at the same time."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTER, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0


async def test_no_update_of_two_processes_is_lost(catalog_place: Path | SecretStr) -> None:
    catalog = await Catalog.open(catalog_place)
    await catalog.write(add_tenant, "acme")
    sqlite = isinstance(catalog_place, Path)
    count_together(str(catalog_place) if sqlite else catalog_place.get_secret_value())
    counted = await catalog.read(
        lambda c: c.execute(sa.select(tables.tenants.c.created)).scalar_one()
    )
    assert counted == 200
    await catalog.close()


# --- the whole way -------------------------------------------------------------------------------


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, postgres_url: str) -> None:
    monkeypatch.setenv("CUMULO_DEFAULTS__EMBEDDER", "hashing")
    monkeypatch.setenv("CUMULO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CUMULO_CATALOG_URL", postgres_url)
    monkeypatch.setattr(session, "given_data_dir", [])


def rag(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.usefixtures("configured")
def test_the_command_line_works_on_postgres(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "ports.md").write_text("# Ports\n\nThe server listens on port 8473.\n")
    (docs / "whales.md").write_text("# Whales\n\nWhales sing under water.\n")

    assert rag("ingest", docs)["added"] == 2
    assert rag("ingest", docs)["unchanged"] == 2
    (first, *_) = rag("search", "which port does the server listen on")["hits"]
    assert (first["title"], first["uri"]) == ("Ports", (docs / "ports.md").as_uri())

    (docs / "ports.md").write_text("# Ports\n\nThe server listens on port 9999.\n")
    assert rag("ingest", docs)["updated"] == 1
    hits = rag("search", "which port does the server listen on")["hits"]
    assert ["9999" in hit["text"] for hit in hits if hit["title"] == "Ports"] == [True]

    rag("documents", "delete", first["document_id"])
    hits = rag("search", "which port does the server listen on")["hits"]
    assert [hit["title"] for hit in hits] == ["Whales"]
    assert not (tmp_path / "data" / "catalog.sqlite").exists()


@pytest.mark.usefixtures("configured")
def test_a_read_on_an_empty_database_needs_no_data_folder() -> None:
    with pytest.raises(RagError, match="there is no collection"):
        CliRunner().invoke(app, ["search", "anything"], catch_exceptions=False)
