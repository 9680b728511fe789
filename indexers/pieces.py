"""The pieces of a document that chunks are made of, and what it costs to cut between them.

Knows the outline above each piece and how to cut one that is too long: at lines, sentences, words,
characters. Nothing of how pieces are gathered into chunks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from rag.sentences import sentences
from rag.types import Block, BlockKind, Document

# What a cut before a piece costs, where 1 is a chunk that is empty instead of full. Only the order
# and the rough distances matter.
AT_HEADING = 0.0
AT_BLOCK = 0.1
AT_ITEM = 0.3
AFTER_COLON = 0.4
AT_LINE = AT_SENTENCE = 0.5
AT_WORD = 1.0
IN_WORD = 2.0
AFTER_HEADING = 1000.0

Cuts: TypeAlias = Iterable[tuple[int, float]]
"""Where parts of a piece begin, in order, and what a cut there costs."""

_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,9}[.)]|\|)\s")


class Piece(NamedTuple):
    """A stretch of text that is not cut; pieces follow each other without a gap."""

    start: int
    end: int
    kind: BlockKind
    path: tuple[str, ...]
    """Headings above it, outermost first."""
    floor: int
    """The highest heading that may follow in the same chunk: higher ones leave the section."""
    cost: float
    """Of a cut before it."""
    level: int = 0
    """Of a heading."""
    label: str = ""
    header: str = ""
    """The head of the table that it continues."""
    grain: int = 0
    """How often it was cut: the next time it is cut in a rougher way."""
    tokens: int = 0
    limit: int = 0
    """How many tokens it may have."""
    whole: bool = False
    """A table that is not cut although it is longer: it makes a chunk of its own."""

    def content(self, text: str) -> str:
        """Return its text without the white space around."""
        return text[self.start : self.end].strip()


def pieces_of(document: Document) -> list[Piece]:
    """Make a piece of every block with the white space after it, and of text between blocks."""
    text = document.text
    blocks = list(_gapless(document))
    pieces: list[Piece] = []
    above: list[Block] = []
    for i, block in enumerate(blocks):
        while block.level and above and above[-1].level >= block.level:
            above.pop()
        pieces.append(
            Piece(
                start=block.start if i else 0,
                end=blocks[i + 1].start if i + 1 < len(blocks) else len(text),
                kind=block.kind,
                path=tuple(heading.label for heading in above if heading.label),
                floor=block.level or (above[-1].level + 1 if above else 1),
                cost=_cost_before(block, blocks[i - 1] if i else None, text),
                level=block.level,
                label=block.label,
            )
        )
        if block.level:
            above.append(block)
    while len(pieces) > 1 and pieces[-1].level:  # headings of nothing make no chunk of their own
        last = pieces.pop()
        pieces[-1] = pieces[-1]._replace(end=last.end)
    return pieces


def _gapless(document: Document) -> Iterator[Block]:
    """Yield the blocks, and paragraphs for the text that no block covers."""
    end = len(document.text)
    position = 0
    for block in (*document.blocks, Block("paragraph", end, end)):
        if document.text[position : block.start].strip():
            yield Block("paragraph", position, block.start)
        if document.text[block.start : block.end].strip():
            yield block
        position = block.end


def _cost_before(block: Block, previous: Block | None, text: str) -> float:
    if previous is not None and previous.level:
        return AFTER_HEADING
    if block.level:
        return AT_HEADING
    return AFTER_COLON if previous is not None and text[previous.end - 1] == ":" else AT_BLOCK


def cut(text: str, piece: Piece, *, share: float) -> list[Piece]:
    """Cut a piece in the gentlest way that gives more than one, `[piece]` if it is one character.

    `share` is the part of the piece that may be kept together where only words are left to cut at.
    """
    ways = _WAYS.get(piece.kind, (_at_sentences,))
    for grain in range(piece.grain, len(ways)):
        places = ways[grain](text, piece.start, piece.end)
        parts = _parts(text, piece, places, grain=grain + 1)
        if len(parts) > 1:
            return parts
    length = len(piece.content(text))
    size = max(1, min(int(length * share), (length + 1) // 2))
    places = _at_words(text, piece.start, piece.end, size=size)
    return _parts(text, piece, places, grain=len(ways))


def _parts(text: str, piece: Piece, cuts: Cuts, *, grain: int) -> list[Piece]:
    """Make pieces that begin at the cuts; one that would be blank joins the one before it."""
    places = list(cuts)
    ends = [start for start, _ in places[1:]] + [piece.end]
    shown = [c for c, end in zip(places, ends, strict=True) if text[c[0] : end].strip()]
    ends = [start for start, _ in shown[1:]] + [piece.end]
    parts = [
        piece._replace(start=start, end=end, cost=cost, level=0, label="", grain=grain, whole=False)
        for (start, cost), end in zip(shown, ends, strict=True)
    ]
    parts[0] = piece._replace(end=ends[0], grain=grain, whole=False)
    return _with_header(text, parts) if piece.kind == "table" and not piece.header else parts


def _with_header(text: str, parts: list[Piece]) -> list[Piece]:
    """Tell the rows of a table that was cut what its head says."""
    head, *rows = parts
    header, _, rule = head.content(text).partition("\n")
    if "-" not in rule or rule.strip("|:- \t"):
        return parts
    return [head, *(row._replace(header=header) for row in rows)]


def _at_lines(text: str, start: int, end: int) -> Cuts:
    """Cut before every line, more gladly before an item or after an empty line."""
    after_empty = False
    for line in text[start:end].split("\n"):
        yield start, AT_ITEM if after_empty or _ITEM.match(line) else AT_LINE
        after_empty = not line.strip(" \t>")
        start += len(line) + 1


def _at_rows(text: str, start: int, end: int) -> Cuts:
    """Cut before every row of a table but between its head and the rule below."""
    for n, (position, cost) in enumerate(_at_lines(text, start, end)):
        if n != 1:
            yield position, cost


def _at_sentences(text: str, start: int, end: int) -> Cuts:
    return ((start + first, AT_SENTENCE) for first, _ in sentences(text[start:end]))


def _at_words(text: str, start: int, end: int, *, size: int) -> Cuts:
    """Cut about every `size` characters, at white space where there is some."""
    while text[start].isspace():
        start += 1
    cost = AT_WORD
    while start < end:
        yield start, cost
        stop = start + size
        words = max(text.rfind(" ", start + size // 2, stop), text.rfind("\n", start, stop))
        cost = IN_WORD if words < 0 else AT_WORD
        start = stop if words < 0 else words + 1


_WAYS: Mapping[BlockKind, Sequence[Callable[[str, int, int], Cuts]]] = {
    "code": (_at_lines, _at_sentences),
    "list": (_at_lines, _at_sentences),
    "quote": (_at_lines, _at_sentences),
    "table": (_at_rows, _at_sentences),
}
