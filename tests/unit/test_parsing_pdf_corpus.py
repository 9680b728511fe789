"""Real PDFs: what must come out of them, and what must happen to broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, ParseOptions
from indexers.parsing.pdf.parser import parse_pdf
from rag.errors import UnreadableDocument
from rag.types import Document


def read(path: Path, *, ocr: bool = False, passwords: tuple[str, ...] = ()) -> Document:
    """Return the one document of a file."""
    options = ParseOptions(passwords=passwords, ocr=ocr)
    found = documents(parse_pdf(Content(path.read_bytes(), name=path.name, options=options)))
    (document,) = (one for one in found if isinstance(one, Document))
    assert isinstance(document, Document)
    return document


def flat(text: str) -> str:
    return " ".join(text.split())


def blocks(document: Document, kind: str) -> list[str]:
    return [document.text[b.start : b.end] for b in document.blocks if b.kind == kind]


def entries(folder: Path) -> list[dict[str, Any]]:
    manifest = json.loads((folder / "formats" / "manifest.json").read_text())
    return [entry for entry in manifest if entry["file"].endswith(".pdf")]


@pytest.mark.data
def test_what_the_corpus_says_is_found(data_folder: Path) -> None:
    wanted = [e for e in entries(data_folder) if "contains" in e and "OCR" not in e["checked"]]
    assert len(wanted) > 10
    for entry in wanted:
        text = flat(read(data_folder / "formats" / entry["file"]).text)
        assert [words for words in entry["contains"] if flat(words) not in text] == []


@pytest.mark.data
def test_broken_files_end_in_an_error_with_a_code_or_in_text(data_folder: Path) -> None:
    found = {}
    for entry in entries(data_folder):
        name = entry["file"].removeprefix("hostile/")
        if "expect" in entry and name != entry["file"]:
            try:
                found[name] = flat(read(data_folder / "formats" / entry["file"]).text)[:11]
            except UnreadableDocument as error:
                found[name] = error.code
    assert found == {
        "libreoffice-writer-password.pdf": "encrypted",
        "r4-aes-user-password.pdf": "encrypted",
        "truncated-60pct.pdf": "malformed",
        "header-only.pdf": "malformed",
        "garbage-xref.pdf": "Lorem ipsum",
        "png-named.pdf": "malformed",
        "pages-loop.pdf": "malformed",
        "flate-bomb-64MB.pdf": "",
    }


@pytest.mark.data
def test_passwords_are_tried_in_order(data_folder: Path) -> None:
    for entry in entries(data_folder):
        if "password" in entry:
            path = data_folder / "formats" / entry["file"]
            assert read(path, passwords=("wrong", entry["password"])).text
            with pytest.raises(UnreadableDocument, match="none of those that are configured"):
                read(path, passwords=("wrong",))


@pytest.mark.data
def test_a_paper_in_two_columns(data_folder: Path) -> None:
    document = read(data_folder / "formats/ok/multi-column-2p.pdf")
    assert document.title == "Dense Passage Retrieval for Open-Domain Question Answering"
    assert blocks(document, "table") == []
    labels = [(b.level, b.label) for b in document.blocks if b.kind == "heading"]
    assert labels[0] == (1, document.title)
    assert labels[2:] == [
        (2, "Abstract"),
        (2, "1 Introduction"),
        (2, "2 Background"),
        (2, "3 Dense Passage Retriever (DPR)"),
        (3, "3.1 Overview"),
    ]
    text = flat(document.text)
    assert "a simple dual-encoder framework" in text
    assert "a strong Lucene-BM25 system greatly by 9%-19% absolute" in text
    assert "two-stage framework: (1) a context retriever first selects" in text
    assert text.index("of improving retrieval.") < text.index("Retrieval in open-domain QA is")
    first, second = (place for place in document.places if place.number == 1), document.places[-1]
    assert next(first).start == 0
    assert document.text[second.start :].startswith("QA datasets, it also suffers from")


@pytest.mark.data
def test_a_table_with_lines_and_merged_cells(data_folder: Path) -> None:
    document = read(data_folder / "formats/ok/2305.03393v1-pg9.pdf")
    (table,) = blocks(document, "table")
    head, _, *rows = table.split("\n")
    assert head == (
        "| # enc-layers | # dec-layers | Language | TEDs simple | TEDs complex | TEDs all "
        "| mAP (0.75) | Inference time (secs) |"
    )
    assert len(rows) == 8
    assert rows[2] == "| 4 | 4 | OTSL | 0.938 | 0.904 | 0.927 | 0.853 | 1.97 |"
    assert "5.1 Hyper Parameter Optimization" in [b.label for b in document.blocks]


@pytest.mark.data
def test_a_table_whose_cells_go_over_columns(data_folder: Path) -> None:
    (table,) = blocks(read(data_folder / "formats/ok/google-doc-document.pdf"), "table")
    assert table.split("\n")[2] == "| Continent | Asia | Europe | Europe | Europe | Europe |"


@pytest.mark.data
def test_code_between_prose(data_folder: Path) -> None:
    document = read(data_folder / "formats/ok/code_and_formula.pdf")
    assert blocks(document, "code") == [
        "function add(a, b) {\n    return a + b;\n}\nconsole.log(add(3, 5));"
    ]
    assert document.title == "JavaScript Code Example"


@pytest.mark.data
def test_a_scan_that_is_not_read_is_empty_and_says_so(data_folder: Path) -> None:
    document = read(data_folder / "formats/ok/loremipsum-flat.pdf")
    assert document.text == ""
    assert document.metadata["meta.ocr"] == "missing"


@pytest.mark.data
def test_running_lines_of_a_filing_are_gone_and_titles_of_its_parts_are_headings(
    data_folder: Path,
) -> None:
    document = read(data_folder / "sec10q/pdf/2023_Q3_AAPL.pdf")
    assert "Form 10-Q | " not in document.text
    labels = {b.label: b.level for b in document.blocks if b.kind == "heading"}
    assert labels["PART I — FINANCIAL INFORMATION"] < labels["Item 1. Financial Statements"]
    assert labels["Item 1. Financial Statements"] < labels["Note 2 – Revenue"]
    assert labels["Note 2 – Revenue"] < labels["Cash, Cash Equivalents and Marketable Securities"]
    assert [place.number for place in document.places if place.start == 0] == [1]
    assert {place.number for place in document.places} == set(range(1, 30))
