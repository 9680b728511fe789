"""Citations are opened with other libraries, and the quote stands where they say."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from pathlib import Path

import docx
import openpyxl
import pptx
import pypdfium2
import pytest

from indexers import ingest as job
from rag.citing import cite, quotes
from rag.runtime import Runtime, open_runtime
from rag.settings import Settings, load_settings
from rag.types import DEFAULT_TENANT, Citation, Query, local_owner

NAME = "docs"
WORDS = ("apples", "bridges", "candles", "dolphins", "engines", "forests")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A data folder into which one file of each kind was ingested."""
    folder = tmp_path_factory.mktemp("docs")
    write_all(folder)
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("data"), defaults={"embedder": "hashing"}
    )

    async def ingest() -> None:
        async with open_runtime(settings) as opened:
            collection = await job.open_collection(opened, DEFAULT_TENANT, NAME)
            listings = await job.list_paths(opened, collection, [folder], {})
            summary = await job.ingest(opened, collection, listings)
            assert (summary.added, summary.failed) == (5, 0)

    asyncio.run(ingest())
    return settings


def write_all(folder: Path) -> None:
    presentation = pptx.Presentation()
    for word in WORDS:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = f"About {word}"
        slide.placeholders[1].text = f"The slide tells of {word} in one sentence."
    presentation.save(folder / "slides.pptx")
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("Second")):
        sheet.append(["number", "subject"])
        for n in range(60):
            sheet.append([n, f"{sheet.title} row about {WORDS[n % 6]}{n}"])
    book.save(folder / "book.xlsx")
    with (folder / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "subject"])
        rows.writerows([n, f"line of {WORDS[n % 6]}{n}"] for n in range(500))
    document = docx.Document()
    for word in WORDS:
        document.add_heading(f"Chapter of {word}", 1)
        document.add_heading("Details", 2)
        document.add_paragraph(f"This paragraph explains {word} at some length, as books do.")
    document.save(folder / "book.docx")
    (folder / "pages.pdf").write_bytes(pdf())


def pdf() -> bytes:
    """Write six pages with a sentence on each."""
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "",
        "<</Type/Font/Subtype/Type1/BaseFont/Times-Roman>>",
    ]
    for word in WORDS:
        shown = f"BT /F1 12 Tf 72 700 Td (This page is about {word} and nothing else.) Tj ET"
        number = len(objects) + 1
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {number + 1} 0 R"
            "/Resources<</Font<</F1 3 0 R>>>>>>"
        )
        objects.append(f"<</Length {len(shown)}>>stream\n{shown}\nendstream")
    kids = " ".join(f"{n} 0 R" for n in range(4, 4 + 2 * len(WORDS), 2))
    objects[1] = f"<</Type/Pages/Kids[{kids}]/Count {len(WORDS)}>>"
    body, places = b"%PDF-1.4\n", []
    for number, written in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{written}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}trailer"
    end += f"<</Root 1 0 R/Size {len(places) + 1}>>\nstartxref\n{len(body)}\n%%EOF"
    return body + end.encode()


async def citations(runtime: Runtime, file: str, *words: str) -> list[Citation]:
    """Return the quotes of a file that hold the words, as citations."""
    query = Query(" ".join(words), NAME, local_owner(), k=50, mode="sparse")
    hits = [h for h in (await runtime.retrieval.search(query)).hits if h.uri.endswith(file)]
    found = [quote for quote in quotes(hits) if all(word in quote.text for word in words)]
    return [cite(n, quote) for n, quote in enumerate(found, start=1)]


def path_of(citation: Citation) -> Path:
    return Path(citation.uri.removeprefix("file://"))


@pytest.mark.parametrize("word", WORDS)
async def test_slides(runtime: Runtime, word: str) -> None:
    (found,) = await citations(runtime, ".pptx", word, "tells")
    assert found.location is not None
    slide = pptx.Presentation(str(path_of(found))).slides[found.location.number - 1]
    texts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
    assert f"The slide tells of {word} in one sentence." in texts
    assert str(found.location) == f"slide {WORDS.index(word) + 1}"


@pytest.mark.parametrize("sheet", ["Sheet", "Second"])
@pytest.mark.parametrize("row", [0, 17, 59])
async def test_cells(runtime: Runtime, sheet: str, row: int) -> None:
    for found in await citations(runtime, ".xlsx", f"{sheet} row", f"{WORDS[row % 6]}{row}"):
        assert found.location is not None
        assert found.location.label == sheet
        book = openpyxl.load_workbook(path_of(found))
        cells = book[found.location.label][found.location.cells]
        assert any(
            cell.value == f"{sheet} row about {WORDS[row % 6]}{row}" for r in cells for cell in r
        )
        for cell_row in cells:
            for cell in cell_row:
                assert str(cell.value) in found.quote
        break
    else:
        raise AssertionError("nothing is cited")


@pytest.mark.parametrize("row", [3, 250, 499])
async def test_rows_of_delimited_files(runtime: Runtime, row: int) -> None:
    for found in await citations(runtime, ".csv", f"{WORDS[row % 6]}{row}"):
        assert found.location is not None
        first, last = map(int, re.findall(r"\d+", found.location.cells))
        lines = list(csv.reader(io.StringIO(path_of(found).read_text())))
        assert [str(row), f"line of {WORDS[row % 6]}{row}"] in lines[first - 1 : last]
        break
    else:
        raise AssertionError("nothing is cited")


@pytest.mark.parametrize("word", WORDS)
async def test_pages(runtime: Runtime, word: str) -> None:
    (found,) = await citations(runtime, ".pdf", word)
    assert found.location is not None
    page = pypdfium2.PdfDocument(path_of(found))[found.location.number - 1]
    assert found.quote in page.get_textpage().get_text_range()


@pytest.mark.parametrize("word", WORDS)
async def test_headings(runtime: Runtime, word: str) -> None:
    (found,) = await citations(runtime, ".docx", word, "explains")
    paragraphs = docx.Document(str(path_of(found))).paragraphs
    place = next(i for i, p in enumerate(paragraphs) if p.text == found.quote)
    above = [p.text for p in paragraphs[place - 2 : place]]
    assert list(found.heading) == above == [f"Chapter of {word}", "Details"]
