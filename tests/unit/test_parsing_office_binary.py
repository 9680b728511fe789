"""The binary formats of Word and PowerPoint, in compound files made here by their definitions."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Parser
from indexers.parsing.office.doc import parse_doc
from indexers.parsing.office.docx import parse_docx
from indexers.parsing.office.ole import is_ole, open_ole, read_stream
from indexers.parsing.office.ppt import parse_ppt
from indexers.parsing.office.sheets import parse_sheets
from rag.errors import UnreadableDocument
from rag.types import Document

SECTOR, FREE, END = 512, 0xFFFFFFFF, 0xFFFFFFFE


def compound(streams: Mapping[str, bytes]) -> bytes:
    """Build a compound file ([MS-CFB]) of one folder; streams are padded to ordinary sectors."""
    fat: list[int] = []
    sectors = b""

    def store(data: bytes) -> int:
        nonlocal sectors
        first = len(fat)
        data += bytes(-len(data) % SECTOR)
        count = len(data) // SECTOR
        fat.extend([*range(first + 1, first + count), END])
        sectors += data
        return first

    entries = []
    names = list(streams)
    root = entry("Root Entry", 5, END, 0, child=1 if names else FREE)
    for number, name in enumerate(names, 1):
        data = streams[name].ljust(4096, b"\0")
        right = number + 1 if number < len(names) else FREE
        entries.append(entry(name, 2, store(data), len(data), right=right))
    directory = b"".join([root, *entries])
    start = store(directory.ljust(-(-len(directory) // SECTOR) * SECTOR, b"\0"))
    count = 1
    while (len(fat) + count) * 4 > count * SECTOR:
        count += 1
    table = [*fat, *[0xFFFFFFFD] * count]
    table += [FREE] * (count * SECTOR // 4 - len(table))
    difat = [*range(len(fat), len(fat) + count)]
    header = struct.pack(
        "<8s16sHHHHH6xLLLLLLLLL",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6,
        0, count, start, 0, 4096, END, 0, END, 0,
    ) + struct.pack("<109L", *difat, *[FREE] * (109 - count))  # fmt: skip
    return header + sectors + struct.pack(f"<{len(table)}L", *table)


def entry(
    name: str, kind: int, start: int, size: int, *, right: int = FREE, child: int = FREE
) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBLLL16sLQQLQ", encoded, len(encoded), kind, 1, FREE, right, child, b"", 0, 0, 0,
        start, size,
    )  # fmt: skip


def summary(title: str, author: str, created: datetime) -> bytes:
    """Build the stream of properties ([MS-OLEPS] 2.21)."""
    ticks = int((created - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
    values = [
        (1, struct.pack("<LHH", 2, 1251, 0)),
        (2, text_property(title)),
        (4, text_property(author)),
        (12, struct.pack("<LQ", 64, ticks)),
        (14, struct.pack("<LL", 3, 7)),
        (5, struct.pack("<LL", 0x100C, 0xFFFFFFFF)),
    ]
    offset = 8 + 8 * len(values)
    index = b""
    for number, value in values:
        index += struct.pack("<LL", number, offset)
        offset += len(value)
    section = struct.pack("<LL", offset, len(values)) + index + b"".join(v for _, v in values)
    return struct.pack("<HHL16sL16sL", 0xFFFE, 0, 0, b"", 1, b"", 48) + section


def text_property(text: str) -> bytes:
    data = text.encode("cp1251") + b"\0"
    return struct.pack("<LL", 30, len(data)) + data + bytes(-len(data) % 4)


def parse(parser: Parser, data: bytes) -> Document:
    (document,) = documents(parser(Content(data)))
    assert isinstance(document, Document)
    return document


def failure(parser: Parser, data: bytes) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        list(parser(Content(data)))
    return caught.value.code


# --- Word -----------------------------------------------------------------------------------------

NORMAL, HEADING_2, TITLE_STYLE, GREEK = 0, 2, 11, 12
SPRM_IN_TABLE, SPRM_ROW_END = b"\x16\x24\x01", b"\x17\x24\x01"
SPRM_LIST = b"\x0b\x46\x01\x00"
SPRM_VANISH = b"\x3c\x08\x01"
TEXT_AT = 2048


def style(number: int, base: int = 0xFFF, properties: bytes = b"") -> bytes:
    name = "Επικεφαλίδα"
    update = struct.pack("<H", 0) + properties
    data = (
        struct.pack("<HHHHH", number, 1 | base << 4, 1, 0, 0)
        + struct.pack("<H", len(name)) + name.encode("utf-16-le") + b"\0\0"
        + struct.pack("<H", len(update)) + update
    )  # fmt: skip
    return struct.pack("<H", len(data)) + data + bytes(len(data) % 2)


def style_sheet() -> bytes:
    styles = [struct.pack("<H", 0)] * 13
    styles[NORMAL] = style(0)
    styles[HEADING_2] = style(2)
    styles[TITLE_STYLE] = style(62)
    styles[GREEK] = style(0xFFE, 0xFFF, b"\x40\x26\x02")  # outline level 3
    return struct.pack("<HHH", 4, len(styles), 10) + b"".join(styles)


def paragraph_page(ends: Sequence[tuple[int, int, bytes]], start: int) -> bytes:
    """Build a page of properties of paragraphs: where each ends, its style, its properties."""
    page = bytearray(512)
    count = len(ends)
    struct.pack_into(f"<{count + 1}L", page, 0, start, *(end for end, _, _ in ends))
    at = 510
    for n, (_, number, properties) in enumerate(ends):
        data = struct.pack("<H", number) + properties
        data = data + bytes(1 - len(data) % 2)
        at = (at - len(data) - 1) // 2 * 2
        page[at] = (len(data) + 1) // 2
        page[at + 1 : at + 1 + len(data)] = data
        page[4 * (count + 1) + 13 * n] = at // 2
    page[511] = count
    return bytes(page)


def character_page(runs: Sequence[tuple[int, bytes]], start: int) -> bytes:
    page = bytearray(512)
    count = len(runs)
    struct.pack_into(f"<{count + 1}L", page, 0, start, *(end for end, _ in runs))
    at = 510
    for n, (_, properties) in enumerate(runs):
        if properties:
            at = (at - len(properties) - 1) // 2 * 2
            page[at : at + 1 + len(properties)] = bytes([len(properties)]) + properties
            page[4 * (count + 1) + n] = at // 2
    page[511] = count
    return bytes(page)


def word(
    paragraphs: Sequence[tuple[str, int, bytes]],
    *,
    notes: Sequence[str] = (),
    hidden: str = "",
    flags: int = 0x0200,
    structures: Mapping[int, bytes] | None = None,
) -> bytes:
    """Build a document of paragraphs with their marks, styles and properties.

    The first half of the text is stored in one byte for a character, the rest in two. Each note
    belongs to the next reference (U+0002) in the text.
    """
    body = "".join(text for text, _, _ in paragraphs)
    note_text = "".join(f"\x02 {note}\r" for note in notes)
    full = body + note_text + ("\r" if notes else "")
    half = full.find("\r") + 1
    first, rest = full[:half].encode("cp1252"), full[half:].encode("utf-16-le")

    def place(position: int) -> int:
        return TEXT_AT + position if position <= half else TEXT_AT + half + 2 * (position - half)

    ends = []
    position = 0
    for text, number, properties in paragraphs:
        position += len(text)
        ends.append((place(position), number, properties))
    at = full.find(hidden) if hidden else 0
    runs = [(place(at), b""), (place(at + len(hidden)), SPRM_VANISH), (place(len(full)), b"")]
    tables: dict[int, bytes] = {
        1: style_sheet(),
        13: struct.pack("<LLL", TEXT_AT, place(len(full)), 1),
        12: struct.pack("<LLL", TEXT_AT, place(len(full)), 2),
        33: b"\x01" + struct.pack("<H", 3) + b"xyz" + b"\x02" + pieces(half, len(full)),
        **(structures or {}),
    }
    if notes:
        marks = [n for n, char in enumerate(body) if char == "\x02"]
        tables[2] = struct.pack(f"<{len(marks) + 1}L", *marks, len(body)) + bytes(2 * len(marks))
        bounds = [0]
        for note in notes:
            bounds.append(bounds[-1] + len(note) + 3)
        tables[3] = struct.pack(f"<{len(bounds) + 1}L", *bounds, bounds[-1] + 1)
    table, places = b"", [(0, 0)] * 93
    for index, data in tables.items():
        places[index] = (len(table), len(data))
        table += data
    counts = [0] * 22
    counts[3:5] = len(body), len(full) - len(body)
    fib = struct.pack("<HH6xH20x", 0xA5EC, 0xC1, flags) + struct.pack("<H28x", 14)
    fib += struct.pack("<H22L", 22, *counts) + struct.pack("<H", len(places))
    fib += b"".join(struct.pack("<LL", *pair) for pair in places)
    assert len(fib) <= TEXT_AT
    main = fib.ljust(TEXT_AT, b"\0") + first + rest
    pages = paragraph_page(ends, TEXT_AT) + character_page(runs, TEXT_AT)
    shift = -(-len(main) // 512)
    main = main.ljust(shift * 512, b"\0") + pages
    table = table.replace(tables[13], struct.pack("<LLL", TEXT_AT, place(len(full)), shift))
    table = table.replace(tables[12], struct.pack("<LLL", TEXT_AT, place(len(full)), shift + 1))
    return compound({"WordDocument": main, "1Table": table})


def pieces(half: int, length: int) -> bytes:
    positions = struct.pack("<LLL", 0, half, length)
    one = struct.pack("<HLH", 0, (TEXT_AT * 2) | 1 << 30, 0)
    two = struct.pack("<HLH", 0, TEXT_AT + half, 0)
    return struct.pack("<L", len(positions + one + two)) + positions + one + two


def blocks(data: bytes) -> list[tuple[str, str]]:
    document = parse(parse_doc, data)
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks]


def test_headings_are_found_by_the_numbers_of_styles() -> None:
    data = word(
        [
            ("Größe\r", TITLE_STYLE, b""),
            ("Начало\r", HEADING_2, b""),
            ("plain\x0bline\r", NORMAL, b""),
            ("by outline\r", GREEK, b""),
            ("direct\r", NORMAL, b"\x40\x26\x00"),
            ("none\r", HEADING_2, b"\x40\x26\x09"),
        ]
    )
    document = parse(parse_doc, data)
    assert [(b.kind, b.level, document.text[b.start : b.end]) for b in document.blocks] == [
        ("heading", 1, "# Größe"),
        ("heading", 2, "## Начало"),
        ("paragraph", 0, "plain\nline"),
        ("heading", 3, "### by outline"),
        ("heading", 1, "# direct"),
        ("paragraph", 0, "none"),
    ]
    assert document.title == "Größe"


def test_fields_notes_and_hidden_text() -> None:
    data = word(
        [
            ("first\r", NORMAL, b""),
            ("see \x13 HYPERLINK x \x14the \x13REF\x14page\x15\x15 now\x02.\r", NORMAL, b""),
            ("seen, secret words and\x1ehyphen\x1f \x01\x08\r", NORMAL, b""),
            ("again\x02\r", NORMAL, b""),
        ],
        notes=["One.", "Two."],
        hidden="secret ",
    )
    assert blocks(data) == [
        ("paragraph", "first"),
        ("paragraph", "see the page now[^1]."),
        ("paragraph", "[^1]: One."),
        ("paragraph", "seen, words and-hyphen"),
        ("paragraph", "again[^2]"),
        ("paragraph", "[^2]: Two."),
    ]


def row_end(edges: Sequence[int], flags: Sequence[int] = ()) -> bytes:
    cells = len(edges) - 1
    data = bytes([cells]) + struct.pack(f"<{len(edges)}h", *edges)
    data += b"".join(struct.pack("<H18x", flag) for flag in flags)
    return SPRM_IN_TABLE + SPRM_ROW_END + struct.pack("<HH", 0xD608, len(data) + 1) + data


def test_tables_with_spans_that_edges_and_flags_tell() -> None:
    cell = SPRM_IN_TABLE
    data = word(
        [
            ("before\r", NORMAL, b""),
            ("Region\x07", NORMAL, cell), ("2023\x07", NORMAL, cell),
            ("\x07", NORMAL, row_end([0, 100, 300])),
            ("\x07", NORMAL, cell), ("Net\x07", NORMAL, cell), ("Gross\x07", NORMAL, cell),
            ("\x07", NORMAL, row_end([5, 110, 200, 300], [0x20, 0, 0])),
            ("North\x07", NORMAL, cell), ("1\r", NORMAL, cell), ("one\x07", NORMAL, cell),
            ("2\x07", NORMAL, cell),
            ("\x07", NORMAL, row_end([0, 100, 200, 300])),
            ("after\r", NORMAL, b""),
        ]
    )  # fmt: skip
    assert blocks(data) == [
        ("paragraph", "before"),
        (
            "table",
            "| Region | 2023 Net | 2023 Gross |\n|---|---|---|\n| North | 1 one | 2 |",
        ),
        ("paragraph", "after"),
    ]


def level(number: int, text: str, start: int = 1) -> bytes:
    data = struct.pack("<iB", start, number).ljust(28, b"\0")
    return data + struct.pack("<H", len(text)) + text.encode("utf-16-le")


def test_lists_are_counted_and_nested() -> None:
    levels = [level(0, "\0."), level(4, "\1)"), *[level(23, "\uf0b7")] * 7]
    structures = {
        74: struct.pack("<L", 1) + struct.pack("<L12x", 77),
        73: struct.pack("<H", 1) + struct.pack("<L", 77).ljust(28, b"\0"),
        75: b"".join(levels),  # what follows the lists in the stream
    }
    inner = b"\x0a\x26\x01" + SPRM_LIST
    data = word(
        [
            ("one\r", NORMAL, SPRM_LIST),
            ("in\r", NORMAL, inner),
            ("dot\r", NORMAL, b"\x0a\x26\x02" + SPRM_LIST),
            ("two\r", NORMAL, SPRM_LIST),
            ("anew\r", NORMAL, inner),
            ("Chapter\r", HEADING_2, SPRM_LIST),
        ],
        structures=structures,
    )
    assert blocks(data) == [
        ("list", "1. one\n  - a) in\n    - dot\n2. two\n  - a) anew"),
        ("heading", "## 3. Chapter"),
    ]


def test_an_encrypted_document_says_so() -> None:
    assert failure(parse_doc, word([("x\r", 0, b"")], flags=0x0300)) == "encrypted"


def test_word_6_is_read_where_its_text_is_in_one_piece() -> None:
    def old(flags: int) -> bytes:
        text = "Привет\r\x13 DATE \x14today\x15\r".encode("cp1251")
        head = struct.pack("<HHHHHH", 0xA5DC, 101, 0, 0x0419, 0, flags).ljust(24, b"\0")
        head += struct.pack("<LL", 100, 100 + len(text))
        return compound({"WordDocument": head.ljust(100, b"\0") + text})

    assert parse(parse_doc, old(0)).text == "Привет\n\ntoday"
    assert failure(parse_doc, old(4)) == "unsupported"
    assert failure(parse_doc, old(0x0100)) == "encrypted"


@pytest.mark.parametrize("cut", [0, 100, 600, 1500, 2060, 3000, 5000])
@pytest.mark.parametrize("name", ["WordDocument", "1Table"])
def test_a_document_that_is_cut_off_gives_text_or_a_typed_error(name: str, cut: int) -> None:
    data = word([("first\r", NORMAL, b""), ("second\r", HEADING_2, b"")])
    with open_ole(Content(data)) as container:
        streams = {name: read_stream(container, name) for name in ("WordDocument", "1Table")}
    short = compound({**streams, name: streams[name][:cut]})
    try:
        text = parse(parse_doc, short).text
    except UnreadableDocument as exc:
        text = exc.code
    shown = text.replace("## ", "")
    assert shown in ("malformed", "unsupported") or "first\n\nsecond".startswith(shown)


# --- PowerPoint -----------------------------------------------------------------------------------


def record(kind: int, data: bytes, instance: int = 0, *, container: bool = False) -> bytes:
    head = instance << 4 | (0xF if container else 0)
    return struct.pack("<HHL", head, kind, len(data)) + data


def text_records(kind: int, text: str) -> bytes:
    header = record(0x0F9F, struct.pack("<L", kind))
    if text.isascii():
        return header + record(0x0FA8, text.encode("ascii"))
    return header + record(0x0FA0, text.encode("utf-16-le"))


def box(data: bytes) -> bytes:
    return record(0xF003, record(0xF00D, data), container=True)


def persist(reference: int, number: int) -> bytes:
    return record(0x03F3, struct.pack("<LLLLL", reference, 0, 0, number, 0))


def show(token: int = 0xE391C05F) -> bytes:
    """Build a presentation of two slides, the first of which was edited once."""

    def slide(note: int, *boxes: bytes) -> bytes:
        atom = record(0x03EF, bytes(16) + struct.pack("<L", note) + bytes(4))
        return record(0x03EE, atom + record(0x040C, b"".join(boxes), container=True),
                      container=True)  # fmt: skip

    listed = (
        persist(2, 256)
        + text_records(0, "Заголовок")
        + text_records(1, "one\rtwo\x0bmore")
        + persist(3, 257)
    )
    notes = record(0x0FF0, persist(4, 300), 2, container=True)
    document = record(0x03E8, record(0x0FF0, listed, 0, container=True) + notes, container=True)
    refer = [box(record(0x0F9E, struct.pack("<L", n))) for n in (0, 1)]
    parts = {
        1: document,
        2: slide(0, box(text_records(4, "old"))),
        3: slide(0, box(text_records(4, "no title"))),
        4: record(0x03F0, box(text_records(2, "Say it.\rSlowly.")), container=True),
    }
    stream, places = b"", {}
    for number, data in parts.items():
        places[number] = len(stream)
        stream += data
    first = directory(1, [places[n] for n in (1, 2, 3, 4)])
    at = len(stream)
    stream += first
    edit = len(stream)
    stream += record(0x0FF5, struct.pack("<LLLLLL", 0, 0, 0, at, 1, 0))
    newer = len(stream)
    stream += slide(300, *refer, box(text_records(4, "new")))
    at = len(stream)
    stream += directory(2, [newer])
    last = len(stream)
    stream += record(0x0FF5, struct.pack("<LLLLLL", 0, 0, edit, at, 1, 0))
    user = record(0x0FF6, struct.pack("<LLL", 20, token, last))
    return compound({"PowerPoint Document": stream, "Current User": user})


def directory(first: int, places: Sequence[int]) -> bytes:
    data = struct.pack(f"<L{len(places)}L", first | len(places) << 20, *places)
    return record(0x1772, data)


def test_the_current_slides_of_a_presentation() -> None:
    document = parse(parse_ppt, show())
    assert [(b.kind, document.text[b.start : b.end]) for b in document.blocks] == [
        ("heading", "## Заголовок"),
        ("list", "- one\n- two\n  more"),
        ("paragraph", "new"),
        ("quote", "Notes: Say it.\nSlowly."),
        ("heading", "## Slide 2"),
        ("paragraph", "no title"),
    ]
    assert document.title == "Заголовок"
    assert document.metadata["meta.slides"] == 2
    assert [(place.kind, place.number) for place in document.places] == [("slide", 1), ("slide", 2)]


def test_presentations_that_cannot_be_read() -> None:
    assert failure(parse_ppt, show(0xF3D1C4DF)) == "encrypted"
    assert failure(parse_ppt, compound({"PowerPoint Document": b"x"})) == "unsupported"
    user = record(0x0FF6, struct.pack("<LLL", 20, 0xE391C05F, 5))
    broken = compound({"PowerPoint Document": b"x" * 100, "Current User": user})
    assert failure(parse_ppt, broken) == "malformed"


# --- compound files -------------------------------------------------------------------------------


def test_properties_of_a_compound_file() -> None:
    with open_ole(Content(word([("text\r", 0, b"")]))) as container:
        streams = {name: read_stream(container, name) for name in ("WordDocument", "1Table")}
    created = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    data = compound({**streams, "\x05SummaryInformation": summary("Отчёт", "Анна", created)})
    document = parse(parse_doc, data)
    assert document.title == "Отчёт"
    assert document.metadata == {
        "meta.author": "Анна",
        "meta.created": int(created.timestamp()),
        "meta.pages": 7,
    }


@pytest.mark.parametrize("parser", [parse_docx, parse_sheets, parse_doc, parse_ppt])
def test_an_encrypted_package_says_so(parser: Parser) -> None:
    assert failure(parser, compound({"EncryptedPackage": b"x", "EncryptionInfo": b"y"})) == (
        "encrypted"
    )


def test_an_encrypted_workbook_says_so() -> None:
    records = struct.pack("<HHHH", 0x0809, 4, 0x0600, 5) + struct.pack("<HHH", 0x002F, 2, 0)
    assert failure(parse_sheets, compound({"Workbook": records})) == "encrypted"


def test_an_old_format_under_a_newer_name_is_malformed() -> None:
    assert failure(parse_docx, word([("x\r", 0, b"")])) == "malformed"


def test_a_compound_file_without_the_document_is_malformed() -> None:
    assert failure(parse_doc, compound({"Other": b"x"})) == "malformed"
    assert failure(parse_sheets, compound({"Other": b"x"})) == "malformed"


@pytest.mark.parametrize("offset", [30, 44, 64, 72])
def test_declared_tables_that_exceed_the_file_are_malformed(offset: int) -> None:
    data = bytearray(word([("x\r", 0, b"")]))
    data[offset : offset + 2] = b"\xff\xff"
    assert failure(parse_doc, bytes(data)) == "malformed"


@pytest.mark.parametrize("data", [b"", b"text", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_what_is_no_compound_file_is_malformed(data: bytes) -> None:
    assert not is_ole(Content(b"text"))
    assert failure(parse_doc, data) == "malformed"
    assert failure(parse_ppt, data) == "malformed"


@pytest.mark.data
def test_a_real_document_whose_styles_have_greek_names(data_folder: Path) -> None:
    data = (data_folder / "formats" / "ok" / "greek_heading_styles.doc").read_bytes()
    document = parse(parse_doc, data)
    assert document.text.startswith("# Überschriften in nicht-englischer Sprache\n\n## Problem mit")
    assert [(b.level, b.label) for b in document.blocks if b.level] == [
        (1, "Überschriften in nicht-englischer Sprache"),
        (2, "Problem mit lokalisierten Dokumenten"),
        (2, "Vorgeschlagene Änderung"),
        (2, "Verifizierung"),
    ]
    assert document.metadata["meta.author"] == "Cesar Berrospi Ramis"
