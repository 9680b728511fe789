"""Documents put together from the parts that a parser yields.

Knows that parts are separated by a blank line, that blocks and places are offsets into the result,
and where one that is too long is continued in another document; nothing of where parts come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from indexers.parsing.content import Member, Part, Properties, Pulse, Yielded
from rag.types import Block, Document, Place

MAX_CHARACTERS = 1_000_000
"""Of one document, about; what goes beyond is continued in another one."""
GAP = "\n\n"


def compose(parts: Iterable[Part]) -> Document:
    """Join the parts that are not blank into one document, however long."""
    draft = _Draft()
    for part in parts:
        draft.add(part)
    return draft.document(Properties())


def documents(
    yielded: Iterable[Yielded], *, limit: int = MAX_CHARACTERS
) -> Iterator[Document | Member | Pulse]:
    """Yield a blob's document, then those that continue it; members and pulses as they come.

    There is always at least one document, though it may be blank. What the file says of itself
    stands in all documents that are finished after it was said.
    """
    draft, properties, empty = _Draft(), Properties(), True
    for item in yielded:
        match item:
            case Properties():
                properties = Properties(
                    item.title or properties.title, {**properties.metadata, **item.metadata}
                )
            case Member() | Pulse():
                yield item
            case Document():
                yield from split(item, limit)
                empty = False
            case Part():
                for part in _bounded(item, limit):
                    if draft.length and draft.length + len(part.text) > limit:
                        yield draft.document(properties)
                        draft, empty = draft.continued(), False
                    draft.add(part)
    if draft.length or empty:
        yield draft.document(properties)


def split(document: Document, limit: int = MAX_CHARACTERS) -> Iterator[Document]:
    """Cut a document that is too long into several, between blocks or else within a long one."""
    start = 0
    while len(document.text) - start > limit:
        end = _cut(document, start, start + limit)
        yield _slice(document, start, end)
        start = end
    yield _slice(document, start, len(document.text)) if start else document


def _cut(document: Document, start: int, limit: int) -> int:
    """Return the last place to cut before the limit: before a block, else at white space."""
    inside = [b.start for b in document.blocks if start < b.start <= limit]
    if inside and inside[-1] > start + (limit - start) // 2:
        return inside[-1]
    return _word_end(document.text, start, limit)


def _word_end(text: str, start: int, limit: int) -> int:
    """Return where the last word before the limit ends; the limit itself where there is none."""
    space = max(text.rfind(" ", start, limit), text.rfind("\n", start, limit))
    return space + 1 if space > start + (limit - start) // 2 else limit


def _slice(document: Document, start: int, end: int) -> Document:
    blocks = (
        replace(block, start=max(block.start, start) - start, end=min(block.end, end) - start)
        for block in document.blocks
        if block.start < end and block.end > start
    )
    return replace(document, text=document.text[start:end], blocks=tuple(blocks), places=())


def _bounded(part: Part, limit: int) -> Iterator[Part]:
    """Cut a part that is longer than a whole document may be."""
    while len(part.text) > limit:
        end = _word_end(part.text, 0, limit)
        yield part._replace(text=part.text[:end])
        part = part._replace(text=part.text[end:], places=part.places[-1:])
    yield part


@dataclass(slots=True)
class _Draft:
    """A document under way."""

    texts: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    length: int = 0

    def add(self, part: Part) -> None:
        """Put a part at the end, unless it is blank."""
        bare = part.text.lstrip("\n")
        dropped = len(part.text) - len(bare)
        text = bare.rstrip()
        if not text:
            return
        start = self.length + len(GAP) if self.texts else 0
        self.texts.append(text)
        self.length = start + len(text)
        self.blocks.append(Block(part.kind, start, self.length, part.level, part.label))
        for place in part.places:
            moved = replace(place, start=start + max(0, place.start - dropped))
            if moved.row or not self.places or not _same(self.places[-1], moved):
                self.places.append(moved)

    def document(self, properties: Properties) -> Document:
        """Return what there is."""
        return Document(
            text=GAP.join(self.texts),
            blocks=tuple(self.blocks),
            title=properties.title,
            metadata=properties.metadata,
            places=tuple(self.places),
        )

    def continued(self) -> _Draft:
        """Return an empty draft that goes on at the same place."""
        return _Draft(places=[replace(place, start=0) for place in self.places[-1:]])


def _same(one: Place, other: Place) -> bool:
    return replace(one, start=0) == replace(other, start=0)
