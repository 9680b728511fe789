"""Parsing alone, per format: in child processes, in one process, and beside a library by itself.

Each format reads the same real files again and again until it has read enough. Writes
`docs/benchmarks/parsing.json` and the page that is made of it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

from libraries import COMPARABLE, LIBRARIES
from machine import describe_machine
from sample import ROOT

from indexers.opening import open_blob
from indexers.parser import Parser
from indexers.parsing import parse
from rag.settings import Parsing
from rag.types import Blob

Abstracts: TypeAlias = Sequence[Mapping[str, Any]]
DATA = ROOT.parent / "shared" / "data"
OUTPUT = ROOT / "docs" / "benchmarks" / "parsing.json"
WORKERS = 2
SECONDS = 1.5
"""What one measurement takes at least, in one process."""


@dataclass(slots=True)
class Row:
    """One format; speeds are MB of files in a second."""

    format: str
    files: int
    mb: float
    direct: float
    """Our parser, called in one process."""
    pooled: float
    """The same in two child processes."""
    pooled_over_direct: float
    library: str
    library_speed: float
    pooled_over_library: float
    comparable: str | None = None
    comparable_speed: float | None = None
    pooled_over_comparable: float | None = None


def files_of(ending: str) -> list[Path]:
    """Return files of a format: real ones, filings for PDF; real abstracts in formats for data."""
    if ending == ".pdf":
        return sorted((DATA / "sec10q" / "pdf").glob("*.pdf"))
    if ending in WRITERS:
        return written(ending)
    return sorted((DATA / "formats" / "ok").glob(f"*{ending}"))


@cache
def written(ending: str) -> list[Path]:
    """Write abstracts as rows, records or mails."""
    lines = (DATA / "scifact" / "corpus.jsonl").read_text("utf-8").splitlines()[:2000]
    folder = Path(tempfile.mkdtemp())
    return WRITERS[ending](folder, [json.loads(line) for line in lines])


def write_rows(folder: Path, abstracts: Abstracts) -> list[Path]:
    path = folder / "abstracts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "title", "text"))
        rows.writerows((a["_id"], a["title"], a["text"]) for a in abstracts)
    return [path]


def write_lines(folder: Path, abstracts: Abstracts) -> list[Path]:
    path = folder / "abstracts.ndjson"
    path.write_text("\n".join(json.dumps(abstract) for abstract in abstracts), "utf-8")
    return [path]


def write_records(folder: Path, abstracts: Abstracts) -> list[Path]:
    records = "".join(
        f"<record><title>{escape(a['title'])}</title><text>{escape(a['text'])}</text></record>"
        for a in abstracts
    )
    path = folder / "abstracts.xml"
    path.write_text(f"<records>{records}</records>", "utf-8")
    return [path]


def write_mails(folder: Path, abstracts: Abstracts) -> list[Path]:
    paths = []
    for n in range(0, len(abstracts), 20):
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", f"Batch {n}"
        mail.set_content("\n\n".join(a["text"] for a in abstracts[n : n + 20]))
        paths.append(folder / f"{n}.eml")
        paths[-1].write_bytes(mail.as_bytes())
    return paths


WRITERS = {
    ".csv": write_rows,
    ".ndjson": write_lines,
    ".xml": write_records,
    ".eml": write_mails,
}


def read_direct(paths: Sequence[Path]) -> None:
    """Parse in this process."""
    for path in paths:
        for _ in parse(Blob(path.as_uri(), "", path=path)):
            pass


async def read_pooled(parser: Parser, paths: Sequence[Path]) -> None:
    """Parse in child processes, two files at a time."""
    rest = iter(paths)

    async def work() -> None:
        for path in rest:
            with closing(open_blob(Blob(path.as_uri(), "", path=path))) as file:
                async with aclosing(parser.parse(file)) as found:
                    async for _ in found:
                        pass

    await asyncio.gather(*(work() for _ in range(WORKERS)))


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def timed_pool(parser: Parser, paths: Sequence[Path]) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    await read_pooled(parser, paths)
    return time.perf_counter() - began


async def measure(ending: str, repeat: int) -> Row:
    """Measure one format, the three ways in turn."""
    paths = files_of(ending)
    read_direct(paths)  # loads what it needs
    once = timed(lambda: read_direct(paths))
    many = paths * max(1, round(SECONDS / once))
    name, library = LIBRARIES[ending]
    parser = Parser(Parsing(workers=WORKERS))
    try:
        await read_pooled(parser, paths * 2)
        rounds = [
            (
                timed(lambda: read_direct(many)),
                await timed_pool(parser, many),
                timed(lambda: [library(path) for path in many]),
            )
            for _ in range(repeat)
        ]
    finally:
        await parser.close()
    mb = sum(path.stat().st_size for path in many) / 1e6
    direct, pooled, alone = (median(each) for each in zip(*rounds, strict=True))
    row = Row(
        format=ending,
        files=len(many),
        mb=round(mb, 2),
        direct=round(mb / direct, 3),
        pooled=round(mb / pooled, 3),
        pooled_over_direct=round(direct / pooled, 2),
        library=name,
        library_speed=round(mb / alone, 3),
        pooled_over_library=round(alone / pooled, 2),
    )
    row.comparable, comparable = COMPARABLE.get(ending, (None, None))
    if comparable is not None:
        with suppress(ImportError):
            some = paths[:1] if ending == ".pdf" else paths
            seconds = timed(lambda: [comparable(path) for path in some])
            share = sum(path.stat().st_size for path in some) / 1e6
            row.comparable_speed = round(share / seconds, 3)
            row.pooled_over_comparable = round((mb / pooled) / (share / seconds), 2)
    return row


def page(figures: Mapping[str, Any]) -> str:
    """Write the page."""
    lines = [
        "# Benchmark: parsing alone",
        "",
        "Generated from [parsing.json](parsing.json) by `benchmarks/parsing.py`; do not edit.",
        "",
        f"{figures['machine']['date']}, {figures['machine']['cpu']}, "
        f"{figures['machine']['cores']} cores; MB of files per second, median.",
        "",
        "| format | parser, one process | in 2 child processes | ratio | bare library | MB/s"
        " | ours over it | comparable library | MB/s | ours over it |",
        "|---|---:|---:|---:|---|---:|---:|---|---:|---:|",
    ]
    lines += [
        f"| `{row['format']}` | {row['direct']:.2f} | {row['pooled']:.2f} "
        f"| {row['pooled_over_direct']:.2f} | {row['library']} | {row['library_speed']:.2f} "
        f"| {row['pooled_over_library']:.2f} | {row['comparable'] or ''} "
        f"| {row['comparable_speed'] or ''} | {row['pooled_over_comparable'] or ''} |"
        for row in figures["rows"]
    ]
    lines += [
        "",
        "The ratio says what the border of a process costs: 1.0 is one process without a border,",
        "2.0 two of them. The bare library yields characters or objects, without order, headings,",
        "tables and places: it is the limit. The comparable one (one PDF only) yields text with",
        "tables, or the main part of a page. CSV, NDJSON, XML and mails hold abstracts of SciFact;",
        "the others are real files.",
        "",
        "## How to run it",
        "",
        "`make bench-parsing`; nothing else should run meanwhile. It reads `../shared/data`.",
        "",
    ]
    return "\n".join(lines)


async def main() -> None:
    """Measure and write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeat", type=int, default=5)
    arguments.add_argument("--only", help="one ending")
    given = arguments.parse_args()
    rows = []
    for ending in LIBRARIES:
        if files_of(ending) and (given.only in (None, ending)):
            rows.append(asdict(await measure(ending, given.repeat)))
            print(json.dumps(rows[-1]), flush=True)
    figures = {"machine": describe_machine(), "workers": WORKERS, "rows": rows}
    if given.only is None:
        OUTPUT.write_text(json.dumps(figures, indent=2) + "\n")
        OUTPUT.with_suffix(".md").write_text(page(figures))


if __name__ == "__main__":
    asyncio.run(main())
