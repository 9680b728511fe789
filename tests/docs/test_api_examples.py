"""Every example of the pages about the API runs, in order, and prints what the page shows."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.api.serving import served, settings_of
from tests.docs.running import Example, differs, examples, matches, run

DOCS = Path(__file__).parents[2] / "docs"
ADDRESS = "http://127.0.0.1:8000"


@pytest.mark.parametrize("name", ["api.md", "python-client.md"])
async def test_examples_run_and_print_what_is_shown(name: str, tmp_path: Path) -> None:
    if missing := [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]:
        pytest.skip(f"the examples need {', '.join(missing)}")
    found = examples((DOCS / name).read_text("utf-8"))
    assert len(found) >= 3
    assert sum(example.shown is not None for example in found) >= len(found) - 2
    async with served(settings_of(tmp_path / "data")) as server:
        changed = {ADDRESS: server.url}
        differing = await asyncio.to_thread(run, found, tmp_path, changed)
    assert differing == [], "\n\n".join(differing)


def test_what_is_not_shown_right_is_found(tmp_path: Path) -> None:
    shown = "```python\nprint('a b')\n```\n```text\na…\n```\n"
    page = shown + "\n```bash\necho 1\n```\ntext\n```json\n2\n```\n"
    right, not_shown = examples(page)
    assert right == Example("python", "print('a b')\n", "a…\n", "text", 2)
    assert (not_shown.shown, not_shown.line) == (None, 9)
    assert run([right, not_shown], tmp_path, {}) == []
    assert "differs" in run([right], tmp_path, {"a b": "b a"})[0]
    assert "raised" in run([Example("bash", "false", None, "", 1)], tmp_path, {})[0]
    assert matches("a…c", "a\nbc")
    assert not matches("a.c", "abc")
    assert differs({"a": [1, "…"], "…": "…"}, {"a": [1, 2], "b": 3}, "$") is None
    assert differs({"a": 1}, {"a": 1, "b": 2}, "$") == "$: has ['a', 'b'], not ['a']"
    assert differs([1], [1, 2], "$") == "$: has 2 items"
    assert differs({"a": [True]}, {"a": [1]}, "$") == "$.a[0]: 1 is not True"
    assert differs("x…", "yx", "$") == "$: 'yx' is not 'x…'"
