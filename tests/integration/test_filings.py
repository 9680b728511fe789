"""Real company filings in PDF: tables stay whole in chunks, and citations name the right page.

What must be there is read from the page's bare text, by the library alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import aclosing
from functools import cache
from pathlib import Path

import pypdfium2
import pytest

from indexers.ingest import chunk_spec
from indexers.inspecting import inspect
from rag.errors import ModelMissing
from rag.places import locate
from rag.runtime import configured_embedder
from rag.settings import load_settings
from rag.types import Document, Span

pytestmark = pytest.mark.data

FILINGS = Path(__file__).parents[3] / "shared" / "data" / "sec10q" / "pdf"
TABLES = [  # file, page, the first words of the first and the last row
    ("2022_Q3_AAPL", 4, "Net sales:", "Diluted"),
    ("2022_Q3_AAPL", 6, "Current assets:", "Total liabilities and shareholders"),
    ("2022_Q3_AAPL", 8, "Operating activities:", "Cash paid for interest"),
    ("2022_Q3_AAPL", 18, "iPhone", "Total net sales"),
    ("2023_Q1_AAPL", 4, "Net sales:", "Diluted"),
    ("2023_Q1_AAPL", 20, "iPhone", "Total net sales"),
    ("2023_Q2_AAPL", 19, "iPhone", "Total net sales"),
    ("2023_Q3_AAPL", 19, "iPhone", "Total net sales"),
    ("2023_Q3_AAPL", 20, "Gross margin:", "Total gross margin percentage"),
    ("2023_Q3_AAPL", 21, "Research and development", "Total operating expenses"),
    ("2022_Q3_AMZN", 4, "Net product sales", "Diluted"),
    ("2022_Q3_AMZN", 20, "Online stores", "Consolidated"),
    ("2023_Q1_AMZN", 21, "Online stores", "Consolidated"),
    ("2023_Q3_AMZN", 20, "Online stores", "Consolidated"),
    ("2023_Q3_AMZN", 19, "Operating expenses", "Net income"),
    ("2022_Q3_NVDA", 3, "Cost of revenue", "Diluted"),
    ("2022_Q3_NVDA", 8, "Net cash provided by", "Cash and cash equivalents at end"),
    ("2022_Q3_NVDA", 23, "Gaming", "Total revenue"),
    ("2023_Q2_NVDA", 24, "Data Center", "Total revenue"),
    ("2023_Q3_NVDA", 24, "Data Center", "Total revenue"),
]
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Parse and cut a filing as an ingest with the default embedder does; each once."""
    if not FILINGS.is_dir():
        pytest.skip("no ../shared/data")
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"))
    try:
        embedder = configured_embedder(settings, "minilm")
    except ModelMissing as exc:
        pytest.skip(str(exc))
    spec = chunk_spec(settings.chunking, embedder)

    async def read(name: str) -> tuple[Document, list[Span]]:
        path = FILINGS / f"{name}.pdf"
        async with aclosing(inspect(path, settings.parsing, (embedder, spec))) as found:
            (one,) = [one async for one in found if not one.path]
        assert one.document is not None
        return one.document, list(one.spans)

    done: dict[str, tuple[Document, list[Span]]] = {}

    async def once(name: str) -> tuple[Document, list[Span]]:
        if name not in done:
            done[name] = await read(name)
        return done[name]

    yield once
    asyncio.run(embedder.close())


@cache
def bare_text(name: str, page: int) -> str:
    document = pypdfium2.PdfDocument(FILINGS / f"{name}.pdf")
    return document[page - 1].get_textpage().get_text_range().replace("\r\n", "\n")


def numbers_between(text: str, first: str, last: str) -> list[str]:
    """Return the numbers of the lines from one that begins so to one that begins so."""
    row = re.search(rf"^{re.escape(first)}(?:\s*(?:\(\d\))?\s*[$\d(]|\s*$)", text, re.MULTILINE)
    assert row is not None
    start = row.start()
    end = text.index("\n", text.index(last, start + len(first)))
    return _NUMBER.findall(text[start:end])


@pytest.mark.parametrize(("name", "page", "first", "last"), TABLES)
async def test_tables_are_whole_in_one_chunk(
    parsed,
    name: str,
    page: int,
    first: str,
    last: str,  # type: ignore[no-untyped-def]
) -> None:
    numbers = numbers_between(bare_text(name, page), first, last)
    assert len(numbers) >= 8
    document, spans = await parsed(name)
    chunks = [(document.text[span.start : span.end], span) for span in spans]
    whole = [
        (text, span)
        for text, span in chunks
        if f"\n| {first}" in text
        and f"\n| {last}" in text
        and all(number in text for number in numbers)
    ]
    assert whole, "no chunk holds the table from its first to its last row"
    pages = [locate(document.places, document.text, span.start, span.end) for _, span in whole]
    assert page in [found.number for found in pages if found is not None]


async def test_quotes_stand_on_the_page_that_is_cited(parsed) -> None:  # type: ignore[no-untyped-def]
    """Every long sentence of a filing is found on the page that its citation names."""
    document, spans = await parsed("2023_Q3_AAPL")
    checked = 0
    for span in spans:
        for line in document.text[span.start : span.end].split("\n"):
            if len(line) < 120 or line.startswith("|"):
                continue
            start = document.text.index(line, span.start)
            found = locate(document.places, document.text, start, start + len(line))
            assert found is not None
            pages = range(found.number, found.last + 1)
            words = "".join("".join(bare_text("2023_Q3_AAPL", page).split()) for page in pages)
            assert re.sub(r"\W", "", line[:60]) in re.sub(r"\W", "", words)
            checked += 1
    assert checked > 100
