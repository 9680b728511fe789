"""Runs the examples of a page in order, and compares what they print with what the page shows.

A `bash` or `python` block is run; a `json` or `text` block right after it is what it prints.
`…` stands for anything: a value, a part of a text, further keys (`"…": "…"`), further items.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ANY = "…"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A block that is run, what it should print (None: not shown), and its line on the page."""

    language: str
    code: str
    shown: str | None
    kind: str
    line: int


def examples(page: str) -> list[Example]:
    """Find what a page runs and shows."""
    found = [*FENCE.finditer(page), None]
    made = []
    for block, after in pairwise(found):
        assert block is not None
        language, code = block.groups()
        if language not in ("bash", "python"):
            continue
        near = after is not None and not page[block.end() : after.start()].strip()
        shows = after is not None and near and after.group(1) in ("json", "text")
        kind, shown = after.groups() if after is not None and shows else ("", None)
        made.append(Example(language, code, shown, kind, page[: block.start()].count("\n") + 2))
    return made


def run(found: list[Example], folder: Path, changed: dict[str, str]) -> list[str]:
    """Run examples one after the other; return what differs from what is shown.

    Python blocks share their names, shell blocks share a working folder. `changed` are texts of
    the page to put others in place of, such as its address.
    """
    names: dict[str, Any] = {"__name__": "example"}
    differing: list[str] = []
    for example in found:
        code = example.code
        for before, after in changed.items():
            code = code.replace(before, after)
        place = f"line {example.line}:\n{code}"
        try:
            printed = _run(example.language, code, folder, names)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the page must not lead there
            return [*differing, f"{place}raised {exc!r}"]
        difference = None if example.shown is None else compare(example, printed)
        if difference:
            differing.append(f"{place}{difference}\nprinted:\n{printed}")
    return differing


def _run(language: str, code: str, folder: Path, names: dict[str, Any]) -> str:
    if language == "python":
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(code, "example", "exec"), names)
        return printed.getvalue()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def compare(example: Example, printed: str) -> str | None:
    """Say where the output differs from what is shown; None where it does not."""
    assert example.shown is not None
    if example.kind == "json":
        return differs(json.loads(example.shown), json.loads(printed), "$")
    return None if matches(example.shown.strip(), printed.strip()) else "differs from the text"


def differs(shown: Any, value: Any, place: str) -> str | None:
    """Compare JSON values; return the first place that differs."""
    if shown == ANY:
        return None
    if isinstance(shown, str) and isinstance(value, str):
        return None if matches(shown, value) else f"{place}: {value!r} is not {shown!r}"
    if isinstance(shown, dict) and isinstance(value, dict):
        rest = dict(shown)
        more = rest.pop(ANY, None) is not None
        if not (rest.keys() <= value.keys() if more else rest.keys() == value.keys()):
            return f"{place}: has {sorted(value)}, not {sorted(shown)}"
        pairs = [(rest[key], value[key], f"{place}.{key}") for key in rest]
    elif isinstance(shown, list) and isinstance(value, list):
        more = bool(shown) and shown[-1] == ANY
        wanted = shown[:-1] if more else shown
        if not (len(value) >= len(wanted) if more else len(value) == len(wanted)):
            return f"{place}: has {len(value)} items"
        pairs = [(one, value[i], f"{place}[{i}]") for i, one in enumerate(wanted)]
    else:
        same = shown == value and isinstance(shown, bool) == isinstance(value, bool)
        return None if same else f"{place}: {value!r} is not {shown!r}"
    return next((found for pair in pairs if (found := differs(*pair))), None)


def matches(shown: str, value: str) -> bool:
    """Compare texts."""
    pattern = ".*".join(re.escape(part) for part in shown.split(ANY))
    return re.fullmatch(pattern, value, re.DOTALL) is not None
