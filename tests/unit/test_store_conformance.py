"""The conformance suite from a third party's side: it finds a store, and finds it out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STORE = """
from indexers.stores.memory import MemoryStore
from rag.filters import EVERYTHING, NOTHING

class Careless:
    '''Compiles an empty `Or` to a condition that holds for everything.'''

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def count(self, where):
        return await self.inner.count(EVERYTHING if where == NOTHING else where)

class CarelessStore(MemoryStore):
    class Options(MemoryStore.Options):
        url: str

    def __init__(self, options, folder):
        assert options.url == "careless://"
        super().__init__(options, folder)

    async def create(self, spec):
        return Careless(await super().create(spec))
"""
IMPORT = """
from rag.testing.vector_stores import *
STORE_OPTIONS = {"careless": {"url": "careless://"}}
KNOWN_FAILURES = {"careless": %r}
"""
FOUND_OUT = "test_filters_select_by_kind_and_content"
KEPT = "test_names_are_sorted"


def test_a_careless_store_is_found_out(tmp_path: Path) -> None:
    info = tmp_path / "careless-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[cumulo.vector_stores]\ncareless = careless_store:CarelessStore\n"
    )
    (tmp_path / "careless_store.py").write_text(STORE)
    (tmp_path / "test_plain.py").write_text(IMPORT % {})
    (tmp_path / "test_known.py").write_text(IMPORT % {FOUND_OUT: "an empty Or"})
    (tmp_path / "test_stale.py").write_text(IMPORT % {FOUND_OUT: "an empty Or", KEPT: "repaired"})
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    chosen = f"careless and ({FOUND_OUT} or {KEPT})"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", chosen],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = {
        tuple(line.split()[:2]) for line in done.stdout.splitlines() if line.startswith("test_")
    }
    assert outcomes == {
        (f"test_plain.py::{FOUND_OUT}[careless]", "FAILED"),
        (f"test_plain.py::{KEPT}[careless]", "PASSED"),
        (f"test_known.py::{FOUND_OUT}[careless]", "XFAIL"),
        (f"test_known.py::{KEPT}[careless]", "PASSED"),
        (f"test_stale.py::{FOUND_OUT}[careless]", "XFAIL"),
        (f"test_stale.py::{KEPT}[careless]", "FAILED"),
    }, done.stdout + done.stderr
