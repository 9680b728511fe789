"""A document's text put together from its parts.

Knows that parts are separated by a blank line and that blocks are offsets into the result;
nothing of where the parts come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rag.types import Block, BlockKind


class Part(NamedTuple):
    """The text of a block, before it has a place."""

    kind: BlockKind
    text: str
    level: int = 0
    label: str = ""


def compose(parts: Iterable[Part]) -> tuple[str, tuple[Block, ...]]:
    """Join the parts that are not blank; return the text and their places in it."""
    texts: list[str] = []
    blocks: list[Block] = []
    start = 0
    for part in parts:
        text = part.text.strip("\n").rstrip()
        if not text:
            continue
        end = start + len(text)
        blocks.append(Block(part.kind, start, end, part.level, part.label))
        texts.append(text)
        start = end + 2
    return "\n\n".join(texts), tuple(blocks)
