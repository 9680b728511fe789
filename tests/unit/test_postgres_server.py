"""The Postgres server of the tests: it ends with its owner, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg  # noqa: TID253
import pytest

from rag.testing.postgres import PostgresServer

OWNER = """
import sys
from rag.testing.postgres import running

with running() as server:
    print((server.folder / "data" / "postmaster.pid").read_text().split()[0], server.folder)
    sys.stdout.flush()
    sys.stdin.read()
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("end", ["normal", "group killed"])
def test_nothing_is_left_of_a_server_whose_owner_has_ended(
    postgres_server: PostgresServer, end: str
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    assert Path(folder).is_dir()
    assert not gone(int(pid))
    if end == "group killed":
        os.killpg(owner.pid, signal.SIGKILL)
    owner.communicate()
    assert owner.returncode == (0 if end == "normal" else -signal.SIGKILL)
    deadline = time.monotonic() + 30
    while not (gone(int(pid)) and not Path(folder).exists()):
        assert time.monotonic() < deadline, f"Postgres {pid} or {folder} is still there"
        time.sleep(0.02)


def test_databases_are_empty_or_copies_and_survive_a_restart(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.database() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        postgres_server.restart()
        with (
            postgres_server.database(url) as copy,
            psycopg.connect(copy) as connection,
        ):
            assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
        with (
            postgres_server.database() as empty,
            psycopg.connect(empty) as connection,
            pytest.raises(psycopg.errors.UndefinedTable),
        ):
            connection.execute("SELECT n FROM kept")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
