"""The same small report in every format that a library or a few lines can write.

Formats that nothing here can write (DOC, XLS, PPT, MSG) are tested with real files.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage

import docx
import openpyxl
import pptx

TITLE, TEXT, ITEMS = "Yearly report", "Sales grew in all regions.", ("first item", "second item")
ROWS = (("region", "sales"), ("North", "12"), ("South", "7"))

MARKDOWN = f"""---
title: {TITLE}
author: Ada
---
# {TITLE}

{TEXT}

- {ITEMS[0]}
- {ITEMS[1]}

| region | sales |
|---|---|
| North | 12 |
| South | 7 |
"""
HTML = f"""<!doctype html><html lang="en"><head><title>{TITLE}</title><meta name="author" content="Ada">
</head><body><nav>Home | About</nav><h1>{TITLE}</h1><p>{TEXT}</p><ul><li>{ITEMS[0]}<li>{ITEMS[1]}</ul>
<table><tr><th>region<th>sales<tr><td>North<td>12<tr><td>South<td>7</table></body></html>"""
RST = f"""{TITLE}
=============

:Author: Ada

{TEXT}

- {ITEMS[0]}
- {ITEMS[1]}

====== =====
region sales
====== =====
North  12
South  7
====== =====
"""
ORG = f"""#+TITLE: {TITLE}
#+AUTHOR: Ada

* {TITLE}

{TEXT}

- {ITEMS[0]}
- {ITEMS[1]}

| region | sales |
|--------+-------|
| North  |    12 |
| South  |     7 |
"""
RTF = (
    r"{\rtf1\ansi{\info{\title Yearly report}{\author Ada}}{\stylesheet{\s1 heading 1;}}"
    r"\pard\s1 Yearly report\par\pard Sales grew in all regions.\par"
    r"\trowd\cellx1000\cellx2000\intbl region\cell sales\cell\row"
    r"\trowd\cellx1000\cellx2000\intbl North\cell 12\cell\row\pard}"
)
JSON = '{"title": "Yearly report", "items": ["first item", "second item"], "sales": [{"region": "North", "sales": 12}, {"region": "South", "sales": 7}]}'
NDJSON = '{"region": "North", "sales": 12}\n{"region": "South", "sales": 7}\n'
XML = "<report><title>Yearly report</title><row><region>North</region><sales>12</sales></row><row><region>South</region><sales>7</sales></row></report>"
CSV = "region,sales\nNorth,12\nSouth,7\n"
NOTEBOOK = '{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Yearly report\\n", "Sales grew in all regions."]}, {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": ["print(12)"]}], "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}'


def samples() -> Mapping[str, bytes]:
    """Return contents by the ending of their names."""
    return {
        ".md": MARKDOWN.encode(),
        ".html": HTML.encode(),
        ".txt": f"{TITLE}\n\n{TEXT}\n".encode(),
        ".py": b"def total():\n    return 19\n",
        ".rst": RST.encode(),
        ".org": ORG.encode(),
        ".rtf": RTF.encode(),
        ".pdf": pdf(),
        ".docx": word(),
        ".odt": open_document(),
        ".epub": book(),
        ".pptx": slides(),
        ".xlsx": workbook(),
        ".csv": CSV.encode(),
        ".tsv": CSV.replace(",", "\t").encode(),
        ".json": JSON.encode(),
        ".ndjson": NDJSON.encode(),
        ".xml": XML.encode(),
        ".ipynb": NOTEBOOK.encode(),
        ".eml": mail(),
        ".mbox": b"From ada Mon Jan  1 00:00:00 2024\n" + mail() + b"\n",
        ".zip": archive({"notes.md": MARKDOWN.encode()}),
        ".tar.gz": tarball(),
        ".gz": gzip.compress(MARKDOWN.encode(), mtime=0),
    }


def word() -> bytes:
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = TITLE, "Ada"
    document.add_heading(TITLE, 1)
    document.add_paragraph(TEXT)
    for item in ITEMS:
        document.add_paragraph(item, style="List Bullet")
    table = document.add_table(len(ROWS), 2)
    for row, cells in zip(table.rows, ROWS, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    return _saved(document)


def slides() -> bytes:
    presentation = pptx.Presentation()
    presentation.core_properties.title, presentation.core_properties.author = TITLE, "Ada"
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = TITLE
    slide.placeholders[1].text = "\n".join(ITEMS)
    shape = slide.shapes.add_table(len(ROWS), 2, 0, 5_000_000, 3_000_000, 900_000)
    for row, cells in zip(shape.table.rows, ROWS, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    slide.notes_slide.notes_text_frame.text = "Speak slowly."
    return _saved(presentation)


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.properties.title, book.properties.creator = TITLE, "Ada"
    book.properties.created = book.properties.modified = datetime(2024, 1, 1)
    book.active.title = "Sales"
    for row in ROWS:
        book.active.append([int(cell) if cell.isdigit() else cell for cell in row])
    return _saved(book)


def open_document() -> bytes:
    names = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    rows = "".join(
        "<table:table-row>"
        + "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in row)
        + "</table:table-row>"
        for row in ROWS
    )
    items = "".join(f"<text:list-item><text:p>{item}</text:p></text:list-item>" for item in ITEMS)
    content = (
        f'<office:document-content {names}><office:body><office:text><text:h text:outline-level="1">'
        f"{TITLE}</text:h><text:p>{TEXT}</text:p><text:list>{items}</text:list>"
        f"<table:table>{rows}</table:table></office:text></office:body></office:document-content>"
    )
    meta = (
        f"<office:document-meta {names}><office:meta><dc:title>{TITLE}</dc:title>"
        "<dc:creator>Ada</dc:creator></office:meta></office:document-meta>"
    )
    kind = b"application/vnd.oasis.opendocument.text"
    return archive({"mimetype": kind, "content.xml": content.encode(), "meta.xml": meta.encode()})


def book() -> bytes:
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Yearly report</dc:title>'
        "<dc:creator>Ada</dc:creator><dc:language>en</dc:language></metadata>"
        '<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/>'
        "</rootfiles></container>"
    )
    return archive(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": container.encode(),
            "book.opf": package.encode(),
            "a.xhtml": HTML.encode(),
        }
    )


def mail() -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "Ada <ada@example.org>", "bob@example.org"
    message["Subject"], message["Date"] = TITLE, "Mon, 01 Jan 2024 10:00:00 +0000"
    message.set_content(f"{TEXT}\n\n- {ITEMS[0]}\n- {ITEMS[1]}\n\n> Did sales grow?\n")
    message.add_attachment(CSV, subtype="csv", filename="sales.csv")
    message.set_boundary("report")
    return message.as_bytes()


def pdf() -> bytes:
    """Write one page: a large line, a sentence, and rows of cells in columns."""
    lines = [(24, 72, 700, TITLE), (11, 72, 660, TEXT)]
    for n, row in enumerate(ROWS):
        lines += [(11, 72 + 200 * i, 620 - 16 * n, cell) for i, cell in enumerate(row)]
    shown = " ".join(f"BT /F1 {s} Tf {x} {y} Td ({text}) Tj ET" for s, x, y, text in lines)
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        "/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(shown)}>>stream\n{shown}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        f"<</Title({TITLE})/Author(Ada)>>",
    ]
    body = "%PDF-1.4\n" + "".join(f"{n} 0 obj{o}endobj\n" for n, o in enumerate(objects, start=1))
    return f"{body}trailer<</Root 1 0 R/Info 6 0 R/Size 7>>\n%%EOF".encode()


def archive(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name, content in members.items():
            opened.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def tarball() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as opened:
        info = tarfile.TarInfo("notes.md")
        info.size = len(MARKDOWN.encode())
        opened.addfile(info, io.BytesIO(MARKDOWN.encode()))
    return gzip.compress(stream.getvalue(), mtime=0)


def _saved(document: object) -> bytes:
    stream = io.BytesIO()
    document.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()
