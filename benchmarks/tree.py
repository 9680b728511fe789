"""One run over a whole documentation tree: its rate, and what memory it takes over time.

Samples the process every second while the real ingestion runs, vector cache and all. Writes
`docs/benchmarks/tree.json`, the page made of it, and the curves as a picture.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from curves import Curve, draw
from machine import describe_machine
from sample import ARCHIVE, ROOT

from indexers.ingest import ingest, list_paths, open_collection
from indexers.prepared import Progress
from rag.filters import EVERYTHING
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings
from rag.types import DEFAULT_TENANT, Generation

EVERY_S = 1.0
PAGE = """# Benchmark: a whole tree in one run

Generated from [{json}]({json}) by `benchmarks/tree.py`; do not edit.

{about}

| | |
|---|---:|
| Files | {files:,} |
| Chunks | {chunks:,} |
| Tokens of the chunks | {chunk_tokens:,} |
| Tokens embedded (each distinct text once) | {tokens:,} |
| Seconds | {seconds:,.0f} |
| Tokens embedded per second | {rate:,.0f} |
| Chunks per second | {chunk_rate:,.0f} |
| Memory before the run | {before:,.0f} MiB |
| Memory in the middle half of the run, least to most | {low:,.0f} to {high:,.0f} MiB |
| Greatest memory | {peak:,.0f} MiB |
| Second run, nothing changed, seconds | {again:,.1f} |

![Tokens per second and memory over the run]({picture})

Memory is the resident set of the one process that does everything: listing, parsing, embedding,
storing. The slow growth is the embedder's runtime, which keeps kernels for every input shape that
it has met: with the `hashing` embedder the same tree stays between 117 and 160 MiB while documents
are written. The step at the right is the search index, made at the end of the run.

## How to run it

`make bench-tree FOLDER=/any/folder`; without a folder, the tree of `../shared/data`. Nothing else
should run meanwhile.
"""


def resident() -> float:
    """Return the resident set of this process in MiB."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


@asynccontextmanager
async def sampled(progress: Progress) -> AsyncIterator[list[dict[str, float]]]:
    """Note time, tokens, files and memory while the work inside runs."""
    began = time.perf_counter()
    samples: list[dict[str, float]] = []

    def note() -> None:
        samples.append(
            {
                "s": round(time.perf_counter() - began, 2),
                "tokens": progress.tokens,
                "chunks": progress.chunks,
                "files": progress.files_done,
                "mib": round(resident(), 1),
            }
        )

    async def watch() -> None:
        while True:
            note()
            await asyncio.sleep(EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        watching.cancel()
        note()


async def measure(folder: Path, data_dir: Path) -> dict[str, Any]:
    """Ingest the folder twice and return the facts of the report."""
    machine = describe_machine()
    settings = load_settings(data_dir=data_dir)
    async with open_runtime(settings) as runtime:
        collection = await open_collection(runtime, DEFAULT_TENANT, "tree")
        before = resident()
        listings = await list_paths(runtime, collection, [folder], {})
        progress = Progress()
        async with sampled(progress) as samples:
            summary = await ingest(runtime, collection, listings, progress=progress)
        print(f"{summary.seconds:.0f} s; once more, unchanged", file=sys.stderr)
        again = await ingest(runtime, collection, listings)
        chunk_tokens = await _chunk_tokens(runtime, collection.live)
    return {
        "machine": machine,
        "folder": folder.name,
        "bytes": await asyncio.to_thread(_size, folder),
        "embedder": collection.live.embedder.name,
        "added": summary.added,
        "failed": summary.failed,
        "chunks": summary.chunks,
        "chunk_tokens": chunk_tokens,
        "tokens": summary.tokens,
        "seconds": summary.seconds,
        "second_run_s": again.seconds,
        "before_mib": round(before, 1),
        "samples": samples,
    }


async def _chunk_tokens(runtime: Runtime, generation: Generation) -> int:
    """Count the tokens of all chunks, repeated texts as often as they stand there."""
    index, embedder = await runtime.index(generation), runtime.embedder(generation)
    total = 0
    async for part in index.scan(EVERYTHING):
        total += sum(embedder.count_tokens([chunk.text for chunk in part.chunks]))
    return total


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def page(facts: dict[str, Any], json_name: str, picture: str) -> str:
    """Return the page in Markdown."""
    machine, samples = facts["machine"], facts["samples"]
    end = samples[-1]["s"]
    middle = [s["mib"] for s in samples if end / 4 <= s["s"] <= end * 3 / 4]
    about = (
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores; {facts['folder']}, "
        f"{facts['bytes'] / 1e6:.1f} MB, embedder {facts['embedder']}; "
        f"{facts['failed']} files failed."
    )
    return PAGE.format(
        json=json_name,
        picture=picture,
        about=about,
        files=facts["added"],
        chunks=facts["chunks"],
        chunk_tokens=facts["chunk_tokens"],
        tokens=facts["tokens"],
        seconds=facts["seconds"],
        rate=facts["tokens"] / facts["seconds"],
        chunk_rate=facts["chunks"] / facts["seconds"],
        before=facts["before_mib"],
        low=min(middle),
        high=max(middle),
        peak=max(s["mib"] for s in samples),
        again=facts["second_run_s"],
    )


def curves(facts: dict[str, Any]) -> str:
    """Draw rate (over ten seconds) and memory."""
    samples = facts["samples"]
    step = min(10, len(samples) - 1)
    rate = [
        (now["s"], (now["tokens"] - then["tokens"]) / (now["s"] - then["s"]))
        for then, now in zip(samples, samples[step:], strict=False)
    ]
    memory = [(sample["s"], sample["mib"]) for sample in samples]
    return draw([Curve("tokens/s", rate), Curve("MiB resident", memory)], "seconds")


def main() -> None:
    """Measure and write the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="a tree of documents")
    given = parser.parse_args()
    target = ROOT / "docs" / "benchmarks" / "tree.json"
    with tempfile.TemporaryDirectory() as work:
        folder = given.folder
        if folder is None:
            if not ARCHIVE.is_file():
                sys.exit("error: name a folder; there is no ../shared/data")
            folder = Path(work) / ARCHIVE.parent.name
            with tarfile.open(ARCHIVE, "r:xz") as archive:
                archive.extractall(folder, filter="data")
        facts = asyncio.run(measure(folder, Path(work) / "data"))
    target.write_text(json.dumps(facts) + "\n", "utf-8")
    target.with_suffix(".svg").write_text(curves(facts), "utf-8")
    target.with_suffix(".md").write_text(page(facts, target.name, "tree.svg"), "utf-8")
    print(page(facts, target.name, "tree.svg"))


if __name__ == "__main__":
    main()
