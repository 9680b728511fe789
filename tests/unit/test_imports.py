"""What importing costs: no optional driver, and no heavy library for a mere `--help`.

Each question is asked in a fresh interpreter, since this one has everything imported.
"""

from __future__ import annotations

import json
import subprocess
import sys

DRIVERS = (
    *("faiss", "openvino", "torch", "sentence_transformers", "tokenizers", "safetensors"),
    *("ir_measures", "huggingface_hub", "psycopg", "qdrant_client", "langfuse"),
)

BLOCKED = """
import importlib, json, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in drivers:
            raise ImportError(f"{name} is blocked", name=name)

drivers = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Blocked())
failed, seen = {}, []

def take(name):
    if name == "rag.catalog.migrations.env":  # a script of Alembic's: it runs the migrations
        return
    seen.append(name)
    try:
        module = importlib.import_module(name)
    except Exception as exc:
        failed[name] = repr(exc)
        return
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        take(f"{name}.{found.name}")

for package in ("rag", "connectors", "indexers", "api", "evals"):
    take(package)
print(json.dumps({"failed": failed, "seen": seen}))
"""

HELP = """
import json, sys
from rag.cli import main

sys.argv = ["rag", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as exc:
    code = exc.code
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


def ask(program: str, given: object) -> tuple[str, dict[str, object]]:
    """Run a program that ends with a line of JSON; return what came before it, and the JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown, _, answer = done.stdout.rstrip("\n").rpartition("\n")
    found: dict[str, object] = json.loads(answer)
    return shown, found


def test_every_module_imports_without_optional_drivers() -> None:
    _, found = ask(BLOCKED, DRIVERS)
    assert found["failed"] == {}
    seen = found["seen"]
    assert isinstance(seen, list)
    assert {
        "rag.embedders.openvino",
        "indexers.stores.faiss",
        "connectors.filesystem",
        "evals.metrics",
        "rag.cli.evals",
        "rag.testing.vector_stores",
    } <= set(seen)


def test_help_imports_nothing_heavy() -> None:
    shown, found = ask(HELP, ["--help"])
    assert shown.lstrip().startswith("Usage: ")
    assert found["code"] == 0
    modules = found["modules"]
    assert isinstance(modules, list)
    heavy = {"numpy", "sqlalchemy", "pydantic", "alembic", "orjson", "yaml", "fsspec", *DRIVERS}
    assert heavy.intersection(modules) == set()
