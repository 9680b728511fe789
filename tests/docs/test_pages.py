"""Pages: generated ones are current, links lead somewhere, examples run as they stand."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = load(Path(__file__).parent / "generate.py").pages()


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text("utf-8")
    assert written == GENERATED[name], "run: python tests/docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def blocks(page: Path) -> str:
    return "\n".join(re.findall(r"```bash\n(.*?)```", page.read_text("utf-8"), re.DOTALL))


@pytest.mark.parametrize("name", ["guide.md", "filters.md", "models.md"])
def test_examples_run_as_they_stand(name: str, tmp_path: Path) -> None:
    """Run a page's shell blocks in one shell, after those of the guide that they build on."""
    script = blocks(ROOT / "docs" / name)
    assert "rag " in script
    if name == "filters.md":
        script = "rag init\nmkdir handbook\necho '# Retention' > handbook/a.md\n" + (
            "rag ingest handbook\n" + script
        )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if name == "guide.md":
        assert "The server listens on port 8080. [1]" in done.stdout
        assert "network.md" in done.stdout
