"""Reading pictures of pages: languages, directions, tables, and what is no text.

What needs the real program is skipped where it is not installed; the rest runs everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from indexers.parsing.content import ParseOptions, Part
from indexers.parsing.ocr import tesseract as program
from indexers.parsing.ocr.columns import aligned_tables
from indexers.parsing.ocr.joining import joined_lines, joined_words
from indexers.parsing.ocr.languages import Model, chosen, first, of_script
from indexers.parsing.ocr.lines import ruled_lines
from indexers.parsing.ocr.paragraphs import text_parts
from indexers.parsing.ocr.picture import prepared
from indexers.parsing.ocr.reading import ocr_available, read_image
from indexers.parsing.ocr.ruling import grids
from indexers.parsing.ocr.tesseract import installed_languages, tesseract
from indexers.parsing.ocr.words import Word, certainty, words
from rag.errors import UnreadableDocument

needs_english = pytest.mark.skipif(
    "eng" not in installed_languages(), reason="tesseract or its English is not installed"
)
OPTIONS = ParseOptions()
FONT = ImageFont.load_default(40)
LINES = (
    "The keeper of the lighthouse wrote down every ship that passed,",
    "its name, its cargo and the hour at which it came into sight.",
    "In the year 1874 he counted more than four hundred of them.",
)


def sheet(width: int = 1500, height: int = 500) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (width, height), 255)
    return image, ImageDraw.Draw(image)


def page(lines: Sequence[str] = LINES) -> Image.Image:
    image, pen = sheet()
    for number, line in enumerate(lines):
        pen.text((80, 80 + 65 * number), line, font=FONT, fill=0)
    return image


def read(image: Image.Image) -> list[Part]:
    return read_image(image, OPTIONS, dpi=300)


def kinds(parts: Sequence[Part]) -> list[tuple[str, str]]:
    return [(part.kind, part.text) for part in parts]


# --- with the program ----------------------------------------------------------------------------


@needs_english
def test_lines_of_a_paragraph_are_joined() -> None:
    assert kinds(read(page())) == [("paragraph", " ".join(LINES))]


@needs_english
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_lies_on_its_side_or_head_is_turned(degrees: int) -> None:
    parts = read(page().rotate(degrees, expand=True))
    assert kinds(parts) == [("paragraph", " ".join(LINES))]


@needs_english
def test_shaded_skewed_and_light_on_dark_pages_are_read() -> None:
    clean = page()
    shaded = clean.point(lambda level: 40 + level // 2)
    skewed = clean.rotate(2.5, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    dark = clean.point(lambda level: 255 - level)
    for image in (shaded, skewed, dark):
        assert " ".join(LINES) in " ".join(part.text for part in read(image))


@needs_english
def test_a_ruled_table_keeps_cells_and_headers() -> None:
    image, pen = sheet(1500, 620)
    pen.text((80, 20), "Results of the two years are shown below.", font=FONT, fill=0)
    xs, ys = (80, 600, 900, 1200), (110, 190, 270, 400, 480)
    pen.rectangle((xs[0], ys[0], xs[-1], ys[2]), fill=190)
    for y in ys:
        pen.line((xs[1] if y == ys[1] else xs[0], y, xs[-1], y), fill=0, width=4)
    for x in xs:
        pen.line((x, ys[1] if x == xs[2] else ys[0], x, ys[-1]), fill=0, width=4)
    for x, y, text in (
        *((100, 160, "Region"), (790, 125, "Sales"), (680, 205, "2019"), (980, 205, "2018")),
        *((100, 290, "South and islands"), (100, 340, "of the west"), (700, 290, "1204")),
        *((1000, 290, "998"), (100, 415, "East"), (700, 415, "7"), (1000, 415, "8")),
    ):
        pen.text((x, y), text, font=FONT, fill=0)
    pen.text((80, 530), "All numbers are in thousands of crowns.", font=FONT, fill=0)
    assert kinds(read(image)) == [
        ("paragraph", "Results of the two years are shown below."),
        (
            "table",
            "| Region | Sales 2019 | Sales 2018 |\n|---|---|---|\n"
            "| South and islands of the west | 1204 | 998 |\n| East | 7 | 8 |",
        ),
        ("paragraph", "All numbers are in thousands of crowns."),
    ]


@needs_english
def test_columns_without_lines_make_a_table() -> None:
    image, pen = sheet(1500, 460)
    rows = "Fruit Weight Price,Apples 120 14,Pears 75 19,Cherries 8 42,Plums 31 27"
    for number, row in enumerate(rows.split(",")):
        for x, cell in zip((80, 700, 1100), row.split(), strict=True):
            pen.text((x, 60 + 70 * number), cell, font=FONT, fill=0)
    ((kind, text),) = kinds(read(image))
    assert kind == "table"
    assert text.splitlines()[0] == "| Fruit | Weight | Price |"
    assert "| Cherries | 8 | 42 |" in text


@needs_english
def test_small_pictures_are_enlarged() -> None:
    small = page().resize((500, 167), Image.Resampling.LANCZOS)
    text = " ".join(part.text for part in read_image(small, OPTIONS, dpi=100))
    assert "counted more than four hundred" in text


@needs_english
def test_what_has_no_text_gives_nothing() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (300, 400), dtype=np.uint8)
    rings = Image.new("L", (600, 600), 255)
    for radius in range(40, 280, 12):
        box = (300 - radius, 300 - radius, 300 + radius, 300 + radius)
        ImageDraw.Draw(rings).ellipse(box, outline=0, width=3)
    for image in (Image.fromarray(noise), rings):
        assert read(image) == []


@needs_english
def test_the_chosen_language_is_used() -> None:
    english = ParseOptions(ocr_languages=("xyz", "eng"))
    assert read_image(page(), english, dpi=300)[0].text == " ".join(LINES)
    with pytest.raises(UnreadableDocument, match="no language of those chosen") as raised:
        read_image(page(), ParseOptions(ocr_languages=("chi_xyz",)), dpi=300)
    assert raised.value.code == "unsupported"
    assert raised.value.hint == "apt install tesseract-ocr-chi-xyz"


@needs_english
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "table-multi-row-column-cells.pdf",
            (
                "| Disability Category | Participants |",
                "| Results Accuracy | Results Time to complete |\n|",
                "|---|---|---|---|---|---|\n| Blind |",
                "| Low Vision | 5 | 2 | 3 | 98.3% n=2 (97.7%, n=3) |",
                "| Dexterity | 5 | 4 | 1 | 98.3%, n=4 | 1672.1 sec, n=4 |",
            ),
        ),
        (
            "ocr_test_rotated_90.pdf",
            ("PDF document conversion to JSON and Markdown in an easy self contained package",),
        ),
    ],
)
def test_scans_of_the_corpus(data_folder: Path, name: str, expected: tuple[str, ...]) -> None:
    pypdfium2 = pytest.importorskip("pypdfium2")
    document = pypdfium2.PdfDocument(data_folder / "formats" / "ok" / name)
    image = document[0].render(scale=200 / 72).to_pil()
    document.close()
    text = "\n\n".join(part.text for part in read_image(image, OPTIONS, dpi=200))
    for piece in expected:
        assert piece in text


# --- without it ----------------------------------------------------------------------------------


def test_blank_pages_are_not_even_looked_at(fake: Callable[[str], None]) -> None:
    fake("exit 7")
    specks = Image.new("L", (2000, 2000), 250)
    specks.putpixel((7, 7), 0)
    for image in (Image.new("RGB", (2000, 2000), "white"), Image.new("1", (9, 9)), specks):
        assert read(image) == []


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Install a program of that name that knows English and runs a script on a picture."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(script: str) -> None:
        path = folder / "tesseract"
        listing = '[ "$1" = --list-langs ] && { echo "List of languages:"; echo eng; exit; }'
        path.write_text(f"#!/bin/sh\n{listing}\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    program._languages.cache_clear()
    return install


def test_without_the_program_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not ocr_available()
    with pytest.raises(UnreadableDocument, match="not installed") as raised:
        read(page())
    assert raised.value.code == "unsupported"
    assert "apt install tesseract-ocr" in str(raised.value.hint)


def test_a_program_without_languages_counts_as_none(fake: Callable[[str], None]) -> None:
    fake("exit 1")
    assert ocr_available()
    program._languages.cache_clear()
    Path(str(program.shutil.which("tesseract"))).write_text("#!/bin/sh\necho List:\n")
    assert not ocr_available()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("cat > /dev/null; echo odd >&2; exit 3", "crashed"),
        ("exec sleep 60", "timeout"),
        ("kill -XCPU $$", "timeout"),
        ("echo terminate: std::bad_alloc >&2; exit 134", "out_of_memory"),
        ("cat > /dev/null; yes", "too_large"),
    ],
)
def test_failures_of_the_program_are_typed(
    fake: Callable[[str], None], script: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(script)
    monkeypatch.setattr(program, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(program, "MAX_OUTPUT", 1 << 20)
    with pytest.raises(UnreadableDocument) as raised:
        tesseract(Image.new("L", (3000, 1000)), 300)
    assert raised.value.code == code


def test_the_program_gets_the_picture_and_nothing_of_the_environment(
    fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSDATA_PREFIX", "/data")
    monkeypatch.setenv("SECRET", "x")
    fake('wc -c; echo "$@" $TESSDATA_PREFIX $OMP_THREAD_LIMIT $SECRET.')
    size = len("P5 30 20 255\n") + 30 * 20
    answer = tesseract(Image.new("RGB", (30, 20)), 150, "--psm", "3").split()
    assert answer == [str(size), *"stdin stdout --dpi 150 --psm 3 /data 1 .".split()]


def test_models_are_chosen_among_the_installed() -> None:
    here = {"eng", "chi_sim", "chi_tra", "jpn", "jpn_vert", "script/Greek", "osd"}
    chinese, japanese = Model("chi_sim+chi_tra"), [Model("jpn"), Model("jpn_vert", vertical=True)]
    assert of_script("Han", here) == [chinese, *japanese]
    assert of_script("Japanese", here) == [*japanese, chinese]
    assert of_script("Greek", here) == [Model("script/Greek")]
    assert of_script("Cyrillic", here) == []
    assert of_script("Latin", here) == [Model("eng")] == [first(here)]
    assert first({"fra", "deu"}) == Model("deu")
    assert chosen(("jpn_vert", "jpn", "kor"), here) == japanese
    assert chosen(("kor",), here) == []


def test_words_of_an_answer_are_read_and_broken_lines_left_out() -> None:
    tsv = (
        "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf"
        "\ttext\n4\t1\t1\t1\t1\t0\t5\t5\t90\t9\t-1\t\n5\t1\t1\t2\t3\t1\t5\t6\t40\t9\t91.5\tfirst\n"
        "5\t1\t1\t2\t3\t2\t50\t6\t4\t9\t95\t \n5\t1\t1\n"
    )
    assert words(tsv) == [Word("first", 5, 6, 45, 15, 91.5, 1, 2, 3)]
    assert certainty(words(tsv)) == (91.5, 40 * 9 * 41.5)
    assert certainty([]) == (0.0, 0.0)


def test_words_and_lines_are_joined_as_their_language_wants() -> None:
    assert joined_words(["元来", "日本", "語", "は", "2019", "年"]) == "元来日本語は 2019 年"
    assert joined_words(["佳", "“", "清", "”", ","]) == "佳“清”,"
    assert joined_lines(["con-", "spicuous and", "T-", "Shirt"]) == "conspicuous and T- Shirt"
    assert joined_lines(["漢文に", "倣い"]) == "漢文に倣い"


def lined(*rows: tuple[int, int, str], block: int = 1, height: int = 30) -> list[Word]:
    """Lay words out, 20 pixels a letter."""
    found = []
    for line, (left, top, text) in enumerate(rows):
        for word in text.split():
            right = left + 20 * len(word)
            found.append(Word(word, left, top, right, top + height, 95.0, block, block, line))
            left = right + 12
    return found


def test_lists_headings_and_sentences_over_blocks() -> None:
    placed = [
        *lined((100, 20, "A Large Title"), height=80),
        *lined((100, 140, "• first item that"), (120, 180, "goes on"), block=2),
        *lined((100, 240, "e Second item"), block=3),
        *lined((100, 300, "1. Open it"), (100, 340, "2. Close it"), block=4),
        *lined((100, 400, "A sentence that a change of"), block=5),
        *lined((900, 20, "column cuts in two."), block=6),
        *lined((900, 300, "Another one."), block=7),
    ]
    parts = [part for _, part in text_parts(list(enumerate(placed)), 30.0)]
    assert kinds(parts) == [
        ("heading", "# A Large Title"),
        ("list", "- first item that goes on\n- Second item"),
        ("list", "1. Open it\n2. Close it"),
        ("paragraph", "A sentence that a change of column cuts in two."),
        ("paragraph", "Another one."),
    ]
    assert (parts[0].level, parts[0].label) == (1, "A Large Title")


def test_two_columns_of_running_text_are_no_table() -> None:
    line = "some words that fill the line well"
    placed = [
        word
        for block, left in ((1, 100), (2, 900))
        for word in lined(*((left, 50 + 45 * n, line) for n in range(12)), block=block)
    ]
    assert aligned_tables(placed) == []


def test_cells_that_continue_below_and_spanning_headings() -> None:
    placed = lined(
        *((100, 50, "Item"), (500, 50, "Of both of the years together"), (100, 100, "Kind")),
        *((500, 100, "2019"), (900, 100, "2018"), (100, 150, "Apples"), (500, 150, "red ones")),
        *((900, 150, "14"), (500, 190, "from here"), (100, 240, "Pears"), (500, 240, "green")),
        *((900, 240, "15"),),
    )
    (table,) = aligned_tables(placed)
    assert table.rows == [
        ["Item", "Of both of the years together", "Of both of the years together"],
        ["Kind", "2019", "2018"],
        ["Apples", "red ones from here", "14"],
        ["Pears", "green", "15"],
    ]
    assert len(table.words) == len(placed)


def drawn(*lines: tuple[int, int, int, int]) -> Image.Image:
    image, pen = sheet(1200, 700)
    for line in lines:
        pen.line(line, fill=0, width=5)
    return image


FRAME = ((100, 100, 1000, 100), (100, 600, 1000, 600), (100, 100, 100, 600), (1000, 100, 1000, 600))


def test_lines_make_grids_only_where_they_part_cells() -> None:
    def found(*lines: tuple[int, int, int, int]) -> list[tuple[int, int, int]]:
        picture = prepared(drawn(*lines), 300)
        assert picture is not None
        return [(g.rows, g.columns, len(g.cells)) for g in grids(ruled_lines(picture), picture.dpi)]

    cross = ((100, 300, 1000, 300), (500, 100, 500, 600))
    assert found(*FRAME, *cross) == [(2, 2, 4)]
    assert found(*FRAME, cross[0], (500, 300, 500, 600)) == [(2, 2, 3)]
    assert found(*cross) == [(2, 2, 4)]
    assert found(*FRAME) == []
    assert found(*FRAME, (100, 150, 1000, 150)) == []
    assert found(*FRAME[:2]) == []
    hatching = [(100, 100 + 17 * n, 1000, 100 + 17 * n) for n in range(40)]
    assert found(*FRAME, *hatching, cross[1]) == []
