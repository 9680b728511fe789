"""Presentations in the binary format: PowerPoint 97 to 2003 ([MS-PPT]).

Knows which slides are current, and the texts of each; nothing of positions, levels and drawings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from indexers.parsing.content import Content, Properties, Yielded
from indexers.parsing.metadata import metadata
from indexers.parsing.office.grouping import BREAK, Line, grouped, plain_line
from indexers.parsing.office.ole import (
    ole_properties,
    open_ole,
    read_stream,
    refuse_encrypted_package,
)
from indexers.parsing.office.slides import first_title, slide_heading
from rag.errors import UnreadableDocument

MAX_EDITS = 1000
MAX_DEPTH = 16
MAX_RECORDS = 2_000_000
_ENCRYPTED = 0xF3D1C4DF
_CURRENT_USER = b"\xf6\x0f"
_DUAL = "PP97_DUALSTORAGE"
"""Where files for PowerPoint 95 and 97 keep what is for 97."""
# Types of records, 2.13.24
_DOCUMENT, _SLIDE, _NOTES, _SLIDE_LIST, _PERSIST = 0x03E8, 0x03EE, 0x03F0, 0x0FF0, 0x03F3
_SLIDE_ATOM, _OUTLINE_REF, _TEXT_HEADER, _CHARS, _BYTES = 0x03EF, 0x0F9E, 0x0F9F, 0x0FA0, 0x0FA8
_USER_EDIT, _DIRECTORY, _BOX = 0x0FF5, 0x1772, 0xF00D
_TITLES, _BODIES, _NOTE = (0, 6), (1, 7, 8), 2
"""Types of text, 2.13.33."""


class _Record(NamedTuple):
    kind: int
    instance: int
    start: int
    end: int
    is_container: bool


class _Text(NamedTuple):
    kind: int
    text: str


class _Listed(NamedTuple):
    """An entry of a list of slides or notes, with the texts of its outline."""

    reference: int
    number: int
    texts: list[_Text]


def parse_ppt(content: Content) -> Iterator[Yielded]:
    """Yield each slide: its title as a heading, its other texts, and what the speaker has noted.

    Raise `UnreadableDocument`: malformed, encrypted, too_large.
    """
    refuse_encrypted_package(content)
    with open_ole(content) as container:
        stream = read_stream(container, f"{_DUAL}/PowerPoint Document", "PowerPoint Document")
        user = read_stream(container, f"{_DUAL}/Current User", "Current User")
        properties = ole_properties(container)
    if user[2:4] != _CURRENT_USER or not stream:
        raise UnreadableDocument(
            "it is of a version of PowerPoint that is too old",
            code="unsupported",
            hint="open it in a newer program and save it as PPTX",
        )
    if int.from_bytes(user[12:16], "little") == _ENCRYPTED:
        raise UnreadableDocument("the presentation is encrypted", code="encrypted")
    show = _Show(stream, int.from_bytes(user[16:20], "little"))
    yield replace(
        properties, metadata={**properties.metadata, **metadata({"slides": len(show.slides)})}
    )
    title = properties.title
    for number, slide in enumerate(show.slides, 1):
        for part in grouped(_lines(show, slide, number)):
            if title is None and (title := first_title(part, number)):
                yield Properties(title)
            yield part


def _lines(show: _Show, slide: _Listed, number: int) -> Iterator[Line]:
    texts, notes = show.texts(slide)
    title = " ".join(" ".join(text.text.split()) for text in texts if text.kind in _TITLES)
    rest = [text for text in texts if text.kind not in _TITLES and text.text.strip()]
    if not (title or rest or notes):
        return
    yield slide_heading(title, number)
    for text in rest:
        yield BREAK
        for paragraph in text.text.split("\r"):
            shown = paragraph.replace("\x0b", "\n").strip()
            is_item = text.kind in _BODIES
            yield Line("list", shown, marker="- ") if is_item else plain_line(shown)
    yield Line("quote", f"Notes: {notes}" if notes else "")


class _Show:
    """The records of a presentation: a tree, in which newer ones replace older ones."""

    def __init__(self, stream: bytes, edit: int) -> None:
        self._stream = stream
        self._budget = MAX_RECORDS
        self._places: dict[int, int] = {}
        document = self._follow(edit)
        lists: dict[int, list[_Listed]] = {}
        root = self._at(self._places.get(document, -1), _DOCUMENT)
        if root is None:
            raise UnreadableDocument("the presentation's list of slides cannot be found")
        for record in self._inside(root):
            if record.kind == _SLIDE_LIST:
                lists.setdefault(record.instance, self._listed(record))
        self.slides: list[_Listed] = lists.get(0, [])
        self._notes = {entry.number: entry for entry in lists.get(2, [])}

    def _follow(self, edit: int) -> int:
        """Follow the edits from the last to the first (2.1.2); return the document's reference."""
        document = -1
        seen: set[int] = set()
        while edit not in seen and len(seen) < MAX_EDITS:
            seen.add(edit)
            record = self._at(edit, _USER_EDIT)
            if record is None:
                break
            if document < 0:
                document = self._u32(record.start + 16)
            directory = self._at(self._u32(record.start + 12), _DIRECTORY)
            if directory is not None:
                self._read_directory(directory)
            edit = self._u32(record.start + 8)
        return document

    def _read_directory(self, record: _Record) -> None:
        """Take note of where records lie that no newer edit has replaced (2.3.4)."""
        at = record.start
        while at + 4 <= record.end:
            entry = self._u32(at)
            first, count = entry & 0xFFFFF, entry >> 20
            for n in range(min(count, (record.end - at - 4) // 4)):
                self._places.setdefault(first + n, self._u32(at + 4 + 4 * n))
            at += 4 + 4 * count

    def _listed(self, record: _Record) -> list[_Listed]:
        found: list[_Listed] = []
        kind = -1
        for inner in self._inside(record):
            if inner.kind == _PERSIST:
                found.append(_Listed(self._u32(inner.start), self._u32(inner.start + 12), []))
            elif inner.kind == _TEXT_HEADER:
                kind = self._u32(inner.start)
            elif inner.kind in (_CHARS, _BYTES) and found:
                found[-1].texts.append(_Text(kind, self._text(inner)))
        return found

    def texts(self, slide: _Listed) -> tuple[list[_Text], str]:
        """Return the texts of a slide in their order, and its notes."""
        record = self._at(self._places.get(slide.reference, -1), _SLIDE)
        texts, note = self._boxes(record, slide.texts)
        entry = self._notes.get(note) if note else None
        if entry is None:
            return texts or slide.texts, ""
        page = self._at(self._places.get(entry.reference, -1), _NOTES)
        noted, _ = self._boxes(page, entry.texts)
        lines = (text.text.replace("\r", "\n").strip() for text in noted if text.kind == _NOTE)
        return texts or slide.texts, "\n".join(filter(None, lines))

    def _boxes(self, record: _Record | None, outline: list[_Text]) -> tuple[list[_Text], int]:
        """Return the texts in the shapes of a slide, and the number of its notes."""
        found: list[_Text] = []
        note, kind = 0, -1
        for inner in self._inside(record, MAX_DEPTH):
            if inner.kind == _SLIDE_ATOM:
                note = self._u32(inner.start + 16)
            elif inner.kind == _OUTLINE_REF:
                number = self._u32(inner.start)
                found.extend(outline[number : number + 1])
            elif inner.kind == _TEXT_HEADER:
                kind = self._u32(inner.start)
            elif inner.kind in (_CHARS, _BYTES):
                found.append(_Text(kind, self._text(inner)))
        return found, note

    def _inside(self, record: _Record | None, depth: int = 1) -> Iterator[_Record]:
        """Yield the records in a container, those in containers inside too, to some depth."""
        ends = [] if record is None else [record.end]
        at = 0 if record is None else record.start
        while ends and self._budget > 0:
            inner = self._at(at)
            if inner is None or inner.end > ends[-1]:
                at = ends.pop()
                continue
            self._budget -= 1
            yield inner
            if (inner.is_container or inner.kind == _BOX) and len(ends) < depth:
                ends.append(inner.end)
                at = inner.start
            else:
                at = inner.end

    def _at(self, at: int, kind: int | None = None) -> _Record | None:
        """Return the record that begins there; None where there is none, or one of another kind."""
        if not 0 <= at <= len(self._stream) - 8:
            return None
        head = int.from_bytes(self._stream[at : at + 2], "little")
        found = int.from_bytes(self._stream[at + 2 : at + 4], "little")
        end = at + 8 + self._u32(at + 4)
        if end > len(self._stream) or kind not in (None, found):
            return None
        return _Record(found, head >> 4, at + 8, end, head & 0xF == 0xF)

    def _u32(self, at: int) -> int:
        return int.from_bytes(self._stream[at : at + 4], "little")

    def _text(self, record: _Record) -> str:
        data = self._stream[record.start : record.end]
        text = data.decode("utf-16-le" if record.kind == _CHARS else "latin-1", errors="replace")
        return text.replace("\0", "")
