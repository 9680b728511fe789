"""Real files of many formats, good and hostile: the text comes out, or the reason why not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from indexers.inspecting import inspect
from indexers.parsing.ocr.reading import ocr_available
from rag.errors import UNREADABLE, UnreadableDocument
from rag.settings import Parsing

pytestmark = pytest.mark.data

FORMATS = Path(__file__).parents[3] / "shared" / "data" / "formats"
UNKNOWN_TO_TESSERACT = {"ok/jpn-vert.jpeg": "倣"}
"""A letter that the models of Debian's packages do not have."""
EXPECTED = {
    "encrypted": {"encrypted"},
    "empty": {"empty"},
    "refuse": {"malformed", "too_large"},
    "crash/hang": {"ok", "empty", "malformed", "too_large", "timeout", "out_of_memory"},
    "repair": {"ok", "malformed"},
    "unsupported": {"unsupported", "malformed", "empty"},
    "depth limit": {"ok", "too_deep"},
    "RecursionError": {"ok", "too_deep"},
    "must NOT be expanded": {"ok", "empty", "malformed"},
    "text or typed error": {"ok", "too_deep"},
    "NUL": {"ok", "unsupported"},
}
"""What a file may end as, by words of what the manifest says must happen."""


@dataclass(slots=True)
class Outcome:
    """What came of a file."""

    result: str = ""
    text: str = ""
    inside: list[str] = field(default_factory=list)
    """Results of what was inside."""


def manifest() -> list[dict[str, Any]]:
    path = FORMATS / "manifest.json"
    return json.loads(path.read_text()) if path.is_file() else []


def bare(text: str) -> str:
    """Leave out what the form of the text adds: bars of tables, white space, cases of letters."""
    lines = (line for line in text.split("\n") if line.strip("|-: "))
    return " ".join(re.sub(r"(?<!\\)\|", " ", "\n".join(lines)).split()).casefold()


async def outcome(path: Path, passwords: tuple[str, ...] = ()) -> Outcome:
    found = Outcome()
    settings = Parsing(passwords=[SecretStr(password) for password in passwords], workers=1)
    texts: list[str] = []
    try:
        async with aclosing(inspect(path, settings, None)) as documents:
            async for one in documents:
                if one.path:
                    found.inside.append(one.result)
                else:
                    found.result = one.result
                if one.document is not None:
                    texts += [one.document.title or "", one.document.text]
    except UnreadableDocument as error:
        found.result = error.code
    found.text = "\n".join(texts)
    return found


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Outcome]:
    """Parse every file once, two at a time."""
    if not FORMATS.is_dir():
        pytest.skip("no ../shared/data")

    async def parse_all() -> dict[str, Outcome]:
        turn = asyncio.Semaphore(2)

        async def one(name: str) -> tuple[str, Outcome]:
            async with turn:
                return name, await outcome(FORMATS / name)

        return dict(await asyncio.gather(*(one(entry["file"]) for entry in manifest())))

    return asyncio.run(parse_all())


@pytest.mark.parametrize(
    "entry",
    [entry for entry in manifest() if "contains" in entry],
    ids=lambda entry: ascii(entry["file"])[1:-1],
)
def test_the_text_comes_out(entry: dict[str, Any], outcomes: Mapping[str, Outcome]) -> None:
    if "OCR" in entry.get("checked", "") and not ocr_available():
        pytest.skip("Tesseract is not installed")
    text = bare(outcomes[entry["file"]].text)
    for wanted in entry["contains"]:
        for unknown in UNKNOWN_TO_TESSERACT.get(entry["file"], ""):
            wanted, _, rest = wanted.partition(unknown)
            assert bare(rest) in text
        assert bare(wanted) in text


@pytest.mark.parametrize(
    "entry",
    [entry for entry in manifest() if entry["file"].startswith("hostile/")],
    ids=lambda entry: ascii(entry["file"])[1:-1],
)
def test_hostile_files_end_as_they_should(
    entry: dict[str, Any], outcomes: Mapping[str, Outcome]
) -> None:
    found = outcomes[entry["file"]]
    assert found.result in ("ok", "empty", *UNREADABLE)
    assert found.result != "crashed"
    for words, results in EXPECTED.items():
        if words in entry.get("expect", ""):
            assert {found.result, *found.inside} & results
    assert "\0" not in found.text


def test_too_deep_archives_say_so(outcomes: Mapping[str, Outcome]) -> None:
    assert "too_deep" in outcomes["hostile/nested-31.zip"].inside


def test_entities_are_not_expanded(outcomes: Mapping[str, Outcome]) -> None:
    host = Path("/etc/hostname").read_text().strip() if Path("/etc/hostname").exists() else ""
    assert not host or host not in outcomes["hostile/xxe.docx"].text


@pytest.mark.parametrize(
    "entry",
    [e for e in manifest() if e.get("password") and e["file"].endswith(".pdf")],
    ids=lambda entry: entry["file"],
)
async def test_passwords_open(entry: dict[str, Any]) -> None:
    path = FORMATS / entry["file"]
    assert (await outcome(path, ("wrong",))).result == "encrypted"
    opened = await outcome(path, ("wrong", entry["password"]))
    assert opened.result == "ok"
    assert len(opened.text) > 20
