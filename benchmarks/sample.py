"""The files that are ingested: a seeded sample of a real documentation tree.

Knows where the tree lies and what is chosen of it; without the tree, the project's own pages.
"""

from __future__ import annotations

import random
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = ROOT.parent / "shared" / "data" / "docs-powershell-en" / "md.tar.xz"
SMALLEST, LARGEST = 2_000, 30_000  # bytes
SEED = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """Files in a folder."""

    name: str
    files: int
    bytes: int


def unpack_sample(count: int, target: Path) -> Sample:
    """Put up to `count` Markdown files below the target folder."""
    if not ARCHIVE.is_file():
        print("skipped: no ../shared/data; the pages in docs/ are ingested instead")
        return _copy_docs(count, target)
    with tarfile.open(ARCHIVE, "r:xz") as archive:
        fit = {
            member.name: member
            for member in archive.getmembers()
            if member.name.endswith(".md") and SMALLEST <= member.size <= LARGEST
        }
        chosen = [fit[name] for name in _choose(sorted(fit), count)]
        for member in sorted(chosen, key=lambda member: member.offset):  # one pass
            archive.extract(member, target, filter="data")
    return Sample("docs-powershell-en", len(chosen), sum(member.size for member in chosen))


def _copy_docs(count: int, target: Path) -> Sample:
    pages = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    if not pages:
        sys.exit("error: docs/ has no Markdown files to ingest")
    chosen = _choose(pages, count)
    for name in chosen:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    return Sample("docs", len(chosen), sum((ROOT / name).stat().st_size for name in chosen))


def _choose(names: list[str], count: int) -> list[str]:
    return random.Random(SEED).sample(names, min(count, len(names)))
