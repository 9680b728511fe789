"""PDFs made here: reading order, paragraphs, headings, lists, places, and what goes wrong."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import wrap

import pytest
from PIL.Image import Image

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Member, ParseOptions, Part, Properties, Yielded
from indexers.parsing.pdf import glyphs
from indexers.parsing.pdf.parser import parse_pdf
from rag.errors import UnreadableDocument
from rag.types import Document, Place

FONTS = {"F": "Helvetica", "B": "Helvetica-Bold", "C": "Courier", "I": "Helvetica-Oblique"}
WORDS = (
    "lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor".split()
)


def show(x: float, y: float, text: str, size: float = 10, font: str = "F") -> str:
    """Write operators that show a line of text; y counts from the top of the page."""
    text = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf 1 0 0 1 {x} {792 - y} Tm ({text}) Tj ET\n"


def prose(x: float, y: float, lines: Iterable[str], *, pitch: float = 12, font: str = "F") -> str:
    return "".join(show(x, y + pitch * i, line, font=font) for i, line in enumerate(lines))


def pdf(
    *pages: str,
    info: str = "",
    catalog: str = "",
    page: str = "",
    objects: Mapping[int, bytes] | None = None,
) -> bytes:
    """Write a PDF; `catalog` and `page` are entries of these, `objects` those they refer to."""
    found: dict[int, bytes] = {
        1: f"<</Type/Catalog/Pages 2 0 R {catalog}>>".encode(),
        3: f"<<{info}>>".encode("latin-1"),
    }
    fonts = ""
    for i, (name, base) in enumerate(FONTS.items()):
        entry = f"<</Type/Font/Subtype/Type1/BaseFont/{base}/Encoding/WinAnsiEncoding>>"
        found[4 + i] = entry.encode()
        fonts += f"/{name} {4 + i} 0 R"
    kids = []
    for i, content in enumerate(pages):
        number, stream = 100 + 2 * i, zlib.compress(content.encode("cp1252"))
        head = f"<</Length {len(stream)}/Filter/FlateDecode>>\nstream\n".encode()
        found[number] = head + stream + b"\nendstream"
        entry = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {number} 0 R"
        found[number + 1] = f"{entry}/Resources<</Font<<{fonts}>>>>{page}>>".encode()
        kids.append(f"{number + 1} 0 R")
    found[2] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>".encode()
    found.update(objects or {})
    data, places = b"%PDF-1.4\n", {}
    for number, content in sorted(found.items()):
        places[number] = len(data)
        data += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    start, size = len(data), max(places) + 1
    data += b"xref\n0 1\n0000000000 65535 f \n"
    for number, at in places.items():
        data += b"%d 1\n%010d 00000 n \n" % (number, at)
    return data + b"trailer\n<</Size %d/Root 1 0 R/Info 3 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        size,
        start,
    )


def read(data: bytes, **options: object) -> list[Yielded]:
    return list(parse_pdf(Content(data, name="a.pdf", options=ParseOptions(**options))))  # type: ignore[arg-type]


def parts(data: bytes) -> list[Part]:
    return [item for item in read(data) if isinstance(item, Part)]


def texts(data: bytes) -> list[str]:
    return [part.text for part in parts(data)]


def filler(count: int, width: int = 14, start: int = 0) -> list[str]:
    """Return lines of words, as wide as a column of so many words."""
    endless = " ".join(WORDS[(start + i * i) % len(WORDS)] for i in range(count * width * 2))
    return wrap(endless, 6 * width)[:count]


# -- prose -----------------------------------------------------------------------------------------


def test_lines_join_to_paragraphs_and_hyphens_go_where_the_document_writes_no_hyphen() -> None:
    lines = [
        "A sentence about an agreement of both parties and what is in it for every-",
        "one who signs it, as the long-term plan of the company says in so many pla-",
        "ces. The plan is long-",
        "term, and the end is near.",
    ]
    assert texts(pdf(prose(72, 100, lines))) == [
        "A sentence about an agreement of both parties and what is in it for everyone who signs "
        "it, as the long-term plan of the company says in so many places. The plan is long-term, "
        "and the end is near."
    ]


def test_space_and_indents_part_paragraphs() -> None:
    content = prose(72, 100, filler(3)) + prose(72, 150, filler(2, start=3))
    indented, *rest = filler(3, start=5)
    content += show(90, 174, indented) + prose(72, 186, rest)
    assert [" ".join(text.split()) for text in texts(pdf(content))] == [
        " ".join(filler(3)),
        " ".join(filler(2, start=3)),
        " ".join([indented, *rest]),
    ]


def test_columns_are_read_one_after_the_other_below_a_title_across_both() -> None:
    left = filler(12, width=7)
    right = [line.upper() for line in filler(12, width=7)]
    content = show(150, 60, "One title across both of the columns", 16, "B")
    content += "".join(
        show(60, 100 + 12 * i, one, 9) + show(320, 104 + 12 * i, other, 9)
        for i, (one, other) in enumerate(zip(left, right, strict=True))
    )
    title, first, second = texts(pdf(content))
    assert title == "# One title across both of the columns"
    assert first == " ".join(left)
    assert second == " ".join(right)


def test_a_list_is_one_part_with_its_levels() -> None:
    content = show(72, 100, "What there is, in the order of its weight:")
    content += show(80, 114, "• first of all the things that there") + show(90, 126, "are to say")
    content += show(96, 138, "- a lesser one") + show(80, 150, "• second")
    lead, items = parts(pdf(content))
    assert lead.kind == "paragraph"
    assert (items.kind, items.text) == (
        "list",
        "- first of all the things that there are to say\n  - a lesser one\n- second",
    )


def test_code_keeps_its_indents() -> None:
    code = prose(72, 160, ["def f(x):", "    return x", "f(1)   # once"], font="C")
    found = parts(pdf(prose(72, 100, filler(4)) + code))
    assert (found[1].kind, found[1].text) == ("code", "def f(x):\n    return x\nf(1)   # once")


def test_text_of_a_turned_page_and_turned_text_are_read_upright() -> None:
    down = "BT /F 10 Tf 0 -1 1 0 300 700 Tm (Written downwards on the page) Tj ET\n"
    assert texts(pdf(show(72, 100, "Upright text"), page="/Rotate 90")) == ["Upright text"]
    assert texts(pdf(show(72, 100, "Upright text") + down)) == [
        "Upright text",
        "Written downwards on the page",
    ]


def test_letters_below_each_other_are_read_in_columns_from_the_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(glyphs, "_FIRST_CJK", 0x20)  # the fonts of Japan are not at hand
    columns = ["HNUCD", "RDCUN"]  # letters of one width
    content = "".join(
        show(500 - 16 * k, 100 + 9 * i, letter)
        for k, column in enumerate(columns)
        for i, letter in enumerate(column)
    )
    assert texts(pdf(content)) == ["HNUCD", "RDCUN"]


def test_text_outside_the_page_is_not_read() -> None:
    assert texts(pdf(show(72, 100, "Seen") + show(72, 900, "Not seen"))) == ["Seen"]


def test_footnotes_stand_at_the_end_of_their_page() -> None:
    left, right = filler(14, width=7), filler(14, width=7, start=20)
    content = prose(60, 100, left) + prose(330, 100, right)
    content += "60 510 m 120 510 l S\n" + show(60, 292, "1 A note of small letters.", 7)
    *_, note = texts(pdf(content))
    assert note == "1 A note of small letters."


# -- headings --------------------------------------------------------------------------------------


def headings(data: bytes) -> list[tuple[int, str]]:
    return [(part.level, part.label) for part in parts(data) if part.kind == "heading"]


def test_headings_are_known_by_size_and_weight() -> None:
    content = show(72, 60, "The whole", 20, "B") + prose(72, 100, filler(3))
    content += show(72, 160, "1 A chapter", 14, "B") + prose(72, 180, filler(3))
    content += show(72, 240, "1.1 A section", 12, "B") + prose(72, 260, filler(3))
    content += show(72, 320, "A bold line", 10, "B") + prose(72, 340, filler(3))
    assert headings(pdf(content)) == [
        (1, "The whole"),
        (2, "1 A chapter"),
        (3, "1.1 A section"),
        (4, "A bold line"),
    ]
    assert texts(pdf(content))[0] == "# The whole"


def test_words_that_begin_chapters_rank_headings_of_one_size() -> None:
    lines = ["PART I - ALL", "Item 1. Some", "Note 2 - Details", "Remarks", "Item 2. More"]
    content = "".join(
        show(72, 60 + 80 * i, line, 10, "B") + prose(72, 80 + 80 * i, filler(3))
        for i, line in enumerate(lines)
    )
    assert [level for level, _ in headings(pdf(content))] == [1, 2, 3, 4, 2]


def test_a_bookmark_makes_a_heading() -> None:
    outline = {
        50: b"<</Type/Outlines/First 51 0 R/Last 52 0 R/Count 2>>",
        51: b"<</Title(Plain words)/Parent 50 0 R/Next 52 0 R/Dest[101 0 R/Fit]/First 53 0 R"
        b"/Last 53 0 R/Count 1>>",
        52: b"<</Title(Elsewhere)/Parent 50 0 R/Prev 51 0 R/Dest[101 0 R/Fit]>>",
        53: b"<</Title(2. Below)/Parent 51 0 R/Dest[101 0 R/Fit]>>",
    }
    content = show(72, 60, "Plain words") + prose(72, 90, filler(3)) + show(72, 150, "2. Below")
    content += prose(72, 170, filler(3))
    found = headings(pdf(content, catalog="/Outlines 50 0 R", objects=outline))
    assert found == [(1, "Plain words"), (2, "2. Below")]


def test_bold_prose_and_captions_are_no_headings() -> None:
    content = show(72, 60, "Table 1: All there is to know", 10, "B") + prose(72, 90, filler(3))
    content += prose(72, 150, [*filler(4), "and so on until the very end of it."], font="B")
    assert headings(pdf(content)) == []


# -- pages -----------------------------------------------------------------------------------------


def test_each_page_is_a_place_and_a_sentence_across_pages_has_one_inside() -> None:
    first = [*filler(3), "The sentence goes on to the very end of the line and of the page and it"]
    second = ["does not end before the next page.", *filler(1)]
    one, *rest = parts(pdf(prose(72, 100, first), prose(72, 100, second), show(72, 100, "Third.")))
    assert one.places[0] == Place(0, "page", 1)
    assert one.text[one.places[1].start :].startswith("does not end before")
    assert one.places[1].number == 2
    assert rest[-1] == Part("paragraph", "Third.", places=(Place(0, "page", 3),))


def test_a_sentence_that_ends_with_its_page_is_not_joined() -> None:
    found = parts(pdf(show(72, 100, "It ends here."), show(72, 100, "here it begins.")))
    assert [part.places for part in found] == [(Place(0, "page", 1),), (Place(0, "page", 2),)]


def test_running_headers_and_page_numbers_are_dropped_but_the_first_header_stays() -> None:
    pages = [
        show(72, 40, "The report of the year")
        + prose(72, 100, filler(4, start=7 * i))
        + show(300, 760, f"Page {i + 1}")
        for i in range(6)
    ]
    found = texts(pdf(*pages))
    assert found.count("The report of the year") == 1
    assert found[0] == "The report of the year"
    assert not [text for text in found if "Page" in text]


def test_the_header_of_a_table_on_each_page_is_no_running_header() -> None:
    pages = [
        "".join(
            show(72, 60 + 12 * i, f"Item {chr(65 + i)}{n}")
            + show(300, 60 + 12 * i, f"{i * 7 + n}.5")
            for i in range(1, 6)
        )
        + show(72, 60, "Name of it")
        + show(300, 60, "Value of it")
        for n in range(5)
    ]
    found = texts(pdf(*pages))
    assert [text.split("\n")[0] for text in found] == ["| Name of it | Value of it |"] * 5


def test_a_table_that_goes_on_has_the_header_again() -> None:
    def rows(first: int, count: int) -> str:
        return "".join(
            show(72, 80 + 14 * i, f"Row number {first + i}")
            + show(300, 80 + 14 * i, f"1,{first + i}00")
            + show(400, 80 + 14 * i, f"2,{first + i}00")
            for i in range(count)
        )

    head = show(300, 66, "2022", 10, "B") + show(400, 66, "2023", 10, "B")
    first, second = texts(pdf(head + rows(10, 20), rows(30, 5)))
    assert first.startswith("|  | 2022 | 2023 |\n|---|---|---|\n| Row number 10 | 1,1000 |")
    assert second.startswith("|  | 2022 | 2023 |\n|---|---|---|\n| Row number 30 | 1,3000 |")


def test_a_page_that_cannot_be_read_costs_only_itself() -> None:
    data = pdf(show(72, 100, "First."), show(72, 100, "Second."), objects={101: b"null"})
    assert texts(data) == ["Second."]


# -- what the file says of itself ------------------------------------------------------------------


def test_properties_come_from_the_information_and_the_catalog() -> None:
    info = "/Title(A true title)/Author(Ann)/Subject(It)/Keywords(a, b)"
    info += "/CreationDate(D:20200102030405+01'00')"
    (first, *_) = read(pdf(show(72, 100, "x y"), info=info, catalog="/Lang(de-CH)"))
    assert first == Properties(
        "A true title",
        {
            "meta.author": "Ann",
            "meta.subject": "It",
            "meta.keywords": "a, b",
            "meta.created": 1577930645,
            "meta.lang": "de-CH",
            "meta.pages": 1,
        },
    )


@pytest.mark.parametrize(
    "title", ["report.docx", "Microsoft Word - x.doc", "Untitled", "0001-23-000070", "", "a\\000b"]
)
def test_a_title_that_says_nothing_gives_way_to_the_first_heading(title: str) -> None:
    content = show(72, 60, "The heading of it", 18, "B") + prose(72, 100, filler(5))
    found = documents(iter(read(pdf(content, info=f"/Title({title})"))))
    (document,) = (one for one in found if isinstance(one, Document))
    assert isinstance(document, Document)
    assert document.title == "The heading of it"


def test_attached_files_are_members() -> None:
    objects = {
        60: b"<</Names[(a.txt) 61 0 R]>>",
        61: b"<</Type/Filespec/F(a.txt)/UF(a.txt)/EF<</F 62 0 R>>>>",
        62: b"<</Type/EmbeddedFile/Length 5/Params<</Size 5>>>>\nstream\nhello\nendstream",
    }
    data = pdf(show(72, 100, "x y"), catalog="/Names<</EmbeddedFiles 60 0 R>>", objects=objects)
    assert [item for item in read(data) if isinstance(item, Member)] == [Member("a.txt", b"hello")]


def test_values_of_fields_stand_where_they_are_filled_in() -> None:
    objects = {
        70: b"<</Type/Annot/Subtype/Widget/FT/Tx/T(n)/V(Ada Lovelace)/Rect[150 688 300 704]>>",
        71: b"<</Type/Annot/Subtype/FreeText/Contents(Seen by Bob)/Rect[72 640 200 656]>>",
    }
    data = pdf(
        show(72, 100, "Name:"),
        page="/Annots[70 0 R 71 0 R]",
        catalog="/AcroForm<</Fields[70 0 R]>>",
        objects=objects,
    )
    assert texts(data) == ["Name: Ada Lovelace", "Seen by Bob"]


# -- scans -----------------------------------------------------------------------------------------

PICTURE = {
    80: b"<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8"
    b"/Length 1>>\nstream\n\xff\nendstream"
}
SCAN = "q 612 0 0 792 0 0 cm /P Do Q\n"


def scanned(*pages: str) -> bytes:
    """Give the pages a picture; the table of objects is then wrong, which is mended."""
    data = pdf(*pages, objects=PICTURE)
    return data.replace(b"/Resources<<", b"/Resources<</XObject<</P 80 0 R>>")


def test_a_scan_is_given_to_the_reader_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = pytest.importorskip("indexers.parsing.ocr.reading")
    seen: list[tuple[int, int, int]] = []

    def read_image(image: Image, options: ParseOptions, *, dpi: int) -> list[Part]:
        seen.append((*image.size, dpi))
        return [Part("paragraph", "What the picture says.")]

    monkeypatch.setattr(reading, "ocr_available", lambda: True)
    monkeypatch.setattr(reading, "read_image", read_image)
    found = read(scanned(show(72, 100, "A page with text enough, as it is."), SCAN))
    assert seen == [(2550, pytest.approx(3300, abs=1), 300)]
    assert found[-1] == Part("paragraph", "What the picture says.", places=(Place(0, "page", 2),))


def test_scans_that_are_not_read_leave_a_note() -> None:
    found = documents(iter(read(scanned(SCAN), ocr=False)))
    (document,) = (one for one in found if isinstance(one, Document))
    assert isinstance(document, Document)
    assert (document.text, document.metadata["meta.ocr"]) == ("", "missing")


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "malformed"),
        (b"no pdf at all", "malformed"),
        (b"%PDF-1.7\n", "malformed"),
        (b"%PDF-1.7\n" + os.urandom(2000), "malformed"),
        (pdf(), "malformed"),
    ],
)
def test_what_is_no_pdf_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(data)
    assert caught.value.code == code


def test_a_file_that_ends_too_early_gives_the_pages_that_it_has() -> None:
    wanted = [f"The word is {word}." for word in WORDS]
    data = pdf(*(show(72, 100, line) for line in wanted))
    assert texts(data[: data.index(b"120 0 obj")]) == wanted[:10]


def test_a_file_behind_a_descriptor_is_read_where_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "large.pdf"
    path.write_bytes(
        pdf(show(72, 100, "Small words."), objects={90: b"(" + b"x" * (17 << 20) + b")"})
    )
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = list(parse_pdf(Content(descriptor, name="large.pdf")))
    finally:
        os.close(descriptor)
    assert [item.text for item in found if isinstance(item, Part)] == ["Small words."]


def test_a_page_with_too_much_on_it_is_cut_not_refused() -> None:
    line = "(" + "ab " * 50 + ") '\n"
    crowded = "BT /F 1 Tf 1 TL 10 790 Td\n" + line * 9_000 + "ET\n"
    found = parts(pdf(crowded.replace("1 TL", "0.08 TL"), show(72, 100, "The next page.")))
    assert found[-1].text.endswith("The next page.")
    assert max(len(part.text) for part in found) <= 200_000
