"""A seeded folder of small documents, and how it changes from round to round."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

Files: TypeAlias = Mapping[str, str]
"""Text by path relative to the folder."""

PARAGRAPHS = (0, 1, 1, 2, 2, 4, 8, 16)
WORDS = 40
"""Per paragraph."""


def rounds(seed: int, documents: int, count: int) -> list[Files]:
    """Return the folder's content in each round: of every ten files one is updated, one deleted,
    one renamed, and one is new.
    """
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(3, 9))) for _ in range(2000)]
    files = {_name(number): _text(rng, words) for number in range(documents)}
    states: list[Files] = [dict(files)]
    for _ in range(count - 1):
        share = max(1, documents // 10)
        names = sorted(files)
        rng.shuffle(names)
        for name in names[:share]:
            files[name] = _text(rng, words)
        for name in names[share : 2 * share]:
            del files[name]
        for name in names[2 * share : 3 * share]:
            files[f"moved/{rng.getrandbits(40):010x}.md"] = files.pop(name)
        for _ in range(share):
            files[f"new/{rng.getrandbits(40):010x}.txt"] = _text(rng, words)
        states.append(dict(files))
    return states


def lay(folder: Path, files: Files) -> None:
    """Bring a folder to this content. Equal texts have equal times, other texts other times."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for name in there.keys() - files.keys():
        there[name].unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        seconds = 1_600_000_000 + zlib.crc32(text.encode())
        os.utime(path, (seconds, seconds))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _name(number: int) -> str:
    return f"part{number % 20:02d}/{number:04d}.md"


def _text(rng: random.Random, words: list[str]) -> str:
    paragraphs = [" ".join(rng.choices(words, k=WORDS)) for _ in range(rng.choice(PARAGRAPHS))]
    title = " ".join(rng.choices(words, k=3))
    return "\n\n".join([f"# {title}", *paragraphs, f"The end of {rng.getrandbits(64):016x}."])
