"""Word documents in the binary format: Word 97 to 2003 ([MS-DOC]), and plain ones of Word 6 and 95.

Knows which texts a file has, and how notes and comments belong to them; nothing of paragraphs.
"""

from __future__ import annotations

from collections.abc import Iterator

from indexers.parsing.content import Content, Yielded
from indexers.parsing.office import docbinary as places
from indexers.parsing.office.docbinary import WordFile
from indexers.parsing.office.docstyles import Lists, Styles
from indexers.parsing.office.doctext import DocText
from indexers.parsing.office.grouping import Line, grouped, plain_line
from indexers.parsing.office.ole import (
    ole_properties,
    open_ole,
    read_stream,
    refuse_encrypted_package,
)
from indexers.parsing.office.titles import titled
from rag.errors import UnreadableDocument

MAX_NOTE_CHARACTERS = 50_000
_WORD_97, _WORD_95 = 0xA5EC, (0xA5DC, 0xA59C)
_SEPARATORS = 6
"""Texts of the margins that only part notes from the text, 2.3.6."""
_ATRD, _INITIALS = 30, 20
_CODE_PAGES = {
    **dict.fromkeys((0x02, 0x19, 0x22, 0x23), "cp1251"),
    **dict.fromkeys((0x05, 0x0E, 0x15, 0x18, 0x1A, 0x1B, 0x24), "cp1250"),
    0x08: "cp1253",
    0x1F: "cp1254",
    0x0D: "cp1255",
    0x01: "cp1256",
    0x11: "cp932",
    0x12: "cp949",
    0x04: "gb18030",
    0x1E: "cp874",
}
"""Of the language that a document of Word 6 says it is in, by the low bits of its number."""


def parse_doc(content: Content) -> Iterator[Yielded]:
    """Yield the text of a document with notes and comments, then text boxes, headers, footers.

    Raise `UnreadableDocument`: malformed, encrypted, unsupported, too_large.
    """
    refuse_encrypted_package(content)
    with open_ole(content) as container:
        main = read_stream(container, "WordDocument")
        tables = (read_stream(container, "0Table"), read_stream(container, "1Table"))
        properties = ole_properties(container)
    if len(main) < 68:
        raise UnreadableDocument("there is no Word document in the file")
    yield properties
    kind = int.from_bytes(main[:2], "little")
    if kind in _WORD_95 or (kind == _WORD_97 and not any(tables)):
        yield from grouped(_old_lines(main))
    elif kind == _WORD_97:
        yield from _parts(WordFile(main, tables), properties.title)
    else:
        raise UnreadableDocument("it is of a version of Word that is too old", code="unsupported")


def _parts(file: WordFile, title: str | None) -> Iterator[Yielded]:
    styles, lists = Styles(file), Lists(file)
    text = DocText(file, styles, lists, _asides(file))
    body = grouped(text.lines(*file.range(places.TEXT)))
    yield from titled(body, title, lambda: text.title)
    yield from grouped(DocText(file, styles, lists, {}).lines(*file.range(places.BOXES)))
    yield from grouped(_margin_lines(file, styles, lists))


def _margin_lines(file: WordFile, styles: Styles, lists: Lists) -> Iterator[Line]:
    """Yield the lines of headers and footers, each text once."""
    stories, _ = file.positions(places.MARGINS, 0)
    begin, end = file.range(places.MARGIN_TEXT)
    seen: set[str] = set()
    text = DocText(file, styles, lists, {}, is_margin=True)
    for start, stop in zip(stories[_SEPARATORS:], stories[_SEPARATORS + 1 :], strict=False):
        for line in text.lines(begin + start, min(begin + stop, end)):
            if line.text not in seen:
                seen.add(line.text)
                yield line


def _asides(file: WordFile) -> dict[int, tuple[str, Line]]:
    """Return by position what notes and comments show there, and the line that they become."""
    found: dict[int, tuple[str, Line]] = {}
    for refs, texts, story in (
        (places.NOTE_REFS, places.NOTE_TEXTS, places.NOTES),
        (places.END_REFS, places.END_TEXTS, places.END_NOTES),
    ):
        for position, text, _ in _stories(file, refs, 2, texts, story):
            shown = f"[^{len(found) + 1}]"
            found[position] = (shown, Line("paragraph", f"{shown}: {text}", is_aside=True))
    names = _names(file.structure(places.AUTHORS))
    for position, text, data in _stories(
        file, places.COMMENT_REFS, _ATRD, places.COMMENT_TEXTS, places.COMMENTS
    ):
        number = int.from_bytes(data[_INITIALS : _INITIALS + 2], "little")
        author = f" ({names[number]})" if number < len(names) else ""
        found[position] = ("", Line("quote", f"Comment{author}: {text}", is_aside=True))
    return found


def _stories(
    file: WordFile, refs: int, size: int, texts: int, story: int
) -> Iterator[tuple[int, str, bytes]]:
    """Yield where a note is referred to, its text, and what is stored with the reference."""
    positions, data = file.positions(refs, size)
    bounds, _ = file.positions(texts, 0)
    begin, end = file.range(story)
    reader = DocText(file, Styles(), Lists(), {})
    for position, start, stop, more in zip(positions, bounds, bounds[1:], data, strict=False):
        last = min(begin + stop, end, begin + start + MAX_NOTE_CHARACTERS)
        lines = (line.text for line in reader.lines(begin + start, last))
        if text := "\n".join(filter(None, lines)):
            yield position, text, more


def _names(data: bytes) -> list[str]:
    """Read the names of those who commented: texts that follow each other (2.9.105)."""
    names: list[str] = []
    at = 0
    while at + 2 <= len(data):
        length = 2 * int.from_bytes(data[at : at + 2], "little")
        names.append(data[at + 2 : at + 2 + length].decode("utf-16-le", "replace").strip())
        at += 2 + length
    return names


def _old_lines(main: bytes) -> Iterator[Line]:
    """Yield the paragraphs of Word 6 and 95, whose text lies in one piece unless saved fast."""
    flags = int.from_bytes(main[10:12], "little")
    if flags & places.ENCRYPTED:
        raise UnreadableDocument("the document is encrypted", code="encrypted")
    if flags & places.COMPLEX:
        raise UnreadableDocument(
            "it was saved by Word 6 or 95 in pieces",
            code="unsupported",
            hint="open it in a newer program and save it as DOCX",
        )
    start, end = (int.from_bytes(main[at : at + 4], "little") for at in (24, 28))
    language = int.from_bytes(main[6:8], "little") & 0x3FF
    text = main[start:end].decode(_CODE_PAGES.get(language, "cp1252"), errors="replace")
    for paragraph in places.PARAGRAPH_END.split(text):
        yield plain_line(places.without_fields(paragraph))
