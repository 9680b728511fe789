"""Parsing alone, per format: in child processes, in one process, and beside a library by itself.

Each format reads the same real files again and again until it has read enough. Writes
`docs/benchmarks/parsing.json` and the page that is made of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from libraries import LIBRARIES
from machine import describe_machine
from sample import ROOT

from indexers.opening import open_blob
from indexers.parser import Parser
from indexers.parsing import parse
from rag.settings import Parsing
from rag.types import Blob

DATA = ROOT.parent / "shared" / "data"
OUTPUT = ROOT / "docs" / "benchmarks" / "parsing.json"
WORKERS = 2
SECONDS = 2.0
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


def files_of(ending: str) -> list[Path]:
    """Return the real files of a format, the filings for PDF."""
    if ending == ".pdf":
        return sorted((DATA / "sec10q" / "pdf").glob("*.pdf"))
    return sorted((DATA / "formats" / "ok").glob(f"*{ending}"))


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
    return Row(
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


def page(figures: Mapping[str, Any]) -> str:
    """Write the page."""
    lines = [
        "# Benchmark: parsing alone",
        "",
        "Generated from [parsing.json](parsing.json) by `benchmarks/parsing.py`; do not edit.",
        "",
        f"{figures['machine']['date']}, {figures['machine']['cpu']}, "
        f"{figures['machine']['cores']} cores; real files, read again and again; MB of files per "
        "second, median.",
        "",
        "| format | our parser, one process | in 2 child processes | ratio | a library by itself |"
        " | ours in 2 processes over the library |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    lines += [
        f"| `{row['format']}` | {row['direct']:.2f} | {row['pooled']:.2f} "
        f"| {row['pooled_over_direct']:.2f} | {row['library']} | {row['library_speed']:.2f} "
        f"| {row['pooled_over_library']:.2f} |"
        for row in figures["rows"]
    ]
    lines += [
        "",
        "The ratio says what the border of a process costs: 1.0 is one process without a border,",
        "2.0 two of them. The library by itself yields its text or its objects, mostly without",
        "order, headings, tables and places; what it does is named, so that the last column can",
        "be judged.",
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
