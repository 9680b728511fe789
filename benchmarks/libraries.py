"""What libraries do by themselves with a file: the least, and what comes nearest to a parser.

`LIBRARIES` are the bare ones, which yield characters or objects. `COMPARABLE` yield text with
tables or the main part of a page; they are measured where they are installed.
"""

from __future__ import annotations

import csv
import email
import email.policy
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docutils.core
import lxml.etree
import pypdfium2
import python_calamine
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser


def pdf(path: Path) -> Any:
    document = pypdfium2.PdfDocument(path)
    texts = []
    for page in document:
        text = page.get_textpage()
        texts.append(text.get_text_range())
        text.close()
        page.close()
    document.close()
    return texts


def package(*parts: str) -> Callable[[Path], Any]:
    """Unzip and parse the XML of these parts."""

    def read(path: Path) -> Any:
        with zipfile.ZipFile(path) as opened:
            names = [n for n in opened.namelist() if n.startswith(parts) and n.endswith(".xml")]
            trees = [lxml.etree.fromstring(opened.read(name)) for name in names]
            return ["".join(tree.itertext()) for tree in trees]

    return read


def sheets(path: Path) -> Any:
    book = python_calamine.CalamineWorkbook.from_path(str(path))
    return [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]


def mail(path: Path) -> Any:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return [
        part.get_content() for part in message.walk() if part.get_content_type() == "text/plain"
    ]


def rows(path: Path) -> Any:
    data = path.read_bytes()
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    return list(csv.reader(text.splitlines()))


LIBRARIES: Mapping[str, tuple[str, Callable[[Path], Any]]] = {
    ".pdf": ("pypdfium2, text of the pages", pdf),
    ".docx": ("zipfile and lxml, text of all elements", package("word/")),
    ".odt": ("zipfile and lxml, text of all elements", package("content", "meta")),
    ".pptx": ("zipfile and lxml, text of all elements", package("ppt/slides/")),
    ".xlsx": ("python-calamine, cells", sheets),
    ".html": (
        "selectolax, text of the page",
        lambda path: LexborHTMLParser(path.read_bytes()).text(),
    ),
    ".md": (
        "markdown-it, tokens",
        lambda path: MarkdownIt().parse(path.read_text("utf-8", "replace")),
    ),
    ".eml": ("email, text of the parts", mail),
    ".csv": ("csv, fields", rows),
    ".ndjson": (
        "json, objects",
        lambda path: [json.loads(line) for line in path.read_text().splitlines() if line],
    ),
    ".xml": (
        "lxml, text of all elements",
        lambda path: lxml.etree.parse(path).getroot().xpath("string()"),
    ),
    ".rst": ("docutils, tree", lambda path: docutils.core.publish_doctree(path.read_text())),
}


def pdf_tables(path: Path) -> Any:
    import pdfplumber

    with pdfplumber.open(path) as document:
        return [(page.extract_text(), page.extract_tables()) for page in document.pages]


def word(path: Path) -> Any:
    import docx

    document = docx.Document(str(path))
    tables = [[[cell.text for cell in row.cells] for row in t.rows] for t in document.tables]
    return [(p.style.name if p.style else "", p.text) for p in document.paragraphs], tables


def slides(path: Path) -> Any:
    import pptx

    shapes = [shape for slide in pptx.Presentation(str(path)).slides for shape in slide.shapes]
    tables = [
        [[cell.text for cell in row.cells] for row in shape.table.rows]
        for shape in shapes
        if shape.has_table
    ]
    return [shape.text_frame.text for shape in shapes if shape.has_text_frame], tables


def workbook(path: Path) -> Any:
    import openpyxl

    book = openpyxl.load_workbook(path, data_only=True)
    return [list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets]


def main_text(path: Path) -> Any:
    import trafilatura

    return trafilatura.extract(path.read_bytes(), include_tables=True, output_format="markdown")


COMPARABLE: Mapping[str, tuple[str, Callable[[Path], Any]]] = {
    ".pdf": ("pdfplumber, text and tables", pdf_tables),
    ".docx": ("python-docx, paragraphs and tables", word),
    ".pptx": ("python-pptx, texts and tables", slides),
    ".xlsx": ("openpyxl, cells", workbook),
    ".html": ("trafilatura, main text", main_text),
}
