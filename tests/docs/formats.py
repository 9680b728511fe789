"""The page of formats: what each yields is read from what the parsers make of the samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from indexers.parsing import media_type, parse
from indexers.parsing.content import Content, Member
from indexers.parsing.formats import FORMATS
from indexers.parsing.mediatypes import BINARY_ENDINGS, TEXT_ENDINGS
from rag.errors import UNREADABLE
from rag.types import Blob, Document
from tests.docs.samples import samples

UNSAMPLED = {  # what nothing here can write; tests read real files
    "application/msword": "as DOCX, without text boxes and formulas",
    "application/vnd.ms-excel": "as XLSX, without number formats and comments",
    "application/vnd.ms-excel.sheet.binary.macroEnabled.12": "as XLS",
    "application/vnd.ms-powerpoint": "text of slides and notes, `slide`",
    "application/vnd.ms-outlook": "as mail",
    "application/vnd.oasis.opendocument.presentation": "as PPTX",
    "application/vnd.oasis.opendocument.spreadsheet": "as XLSX",
    "image/svg+xml": "its texts",
    "application/x-bzip2": "as gzip",
    "application/x-xz": "as gzip",
}
OCR = "text by Tesseract: paragraphs, lists, tables; `page` where there are several"
SHOWN = 12
"""Endings in a row."""
NOTES = """
## What is kept, and how
- **PDF**: columns in reading order; paragraphs over line and page breaks; headings from outline, size
  and weight; tables with and without lines, their heads repeated over the columns that they span;
  footnotes at the end of their page; running heads, feet and page numbers dropped; form fields;
  attachments. Pages without text are read by Tesseract.
- **Word processors**: headings by style or outline level, in any language; numbered labels as they
  are seen; footnotes, comments (as quotes), text boxes, charts; of tracked changes the accepted text;
  formulas behind the words of their line, in brackets.
- **Slides**: the title is a heading, shapes in reading order, notes as quotes.
- **Sheets**: each block of cells is a table with its range, values as they are shown (percent,
  currency, ISO dates); a sheet's name is a heading.
- **CSV, TSV**: the lines as they stand, under their header, which is repeated every 200 rows; read as a
  stream. **JSON**: short values as lists, like objects as tables, long ones under headings.
- **Mail**: head and text of the mail; what earlier mails said is quoted; attachments are documents.
- **HTML**: navigation, banners, side bars and blocks of links are dropped where they stand beside content.
- **Text** of any encoding: byte order marks, declarations, then detection. NUL and control characters
  are dropped, line ends are `\\n`.
- `meta.lang` is what the file declares, else what its text looks like, else nothing. `meta.author`,
  `meta.created`, `meta.modified`, `meta.pages` and others are there where the file says them.

## Containers
Archives and mails are documents themselves (a list of what is inside, the mail's text); what is inside
becomes documents of their own, with addresses `file!/path/inside`, `meta.container` and the readers of
the file. They live and die with it. A text beyond a million characters is continued in `file!/#2`, … .
Six levels deep, 10,000 members and 1 GiB unpacked are the limits.

## Scanned pages and images
They need the program Tesseract with its languages, for example on Debian
`apt install tesseract-ocr tesseract-ocr-chi-sim tesseract-ocr-chi-tra`. The script of a page decides
which of the installed languages is used; `parsing.ocr_languages` says otherwise, `parsing.ocr: false`
turns it off. Without Tesseract a scanned PDF has no text and `meta.ocr` says so; an image is refused.

## When a file cannot be read
Every file is parsed in a process that can reach neither network nor files, within limits of memory and
time ([settings](settings.md), `parsing`). A parser that dies of a file gets a second try. Then the file is
in quarantine with its reason: `rag failures list`, `rag failures retry`. It is tried again when it
changes. `rag parse FILE` shows text, structure and chunks of a file before anything is ingested.

| code | why |
|---|---|
"""
CHUNKS = """
## Parsers of your own
`parsing.parsers` maps endings of names to functions, `{".xyz": "my_package.xyz:parse_xyz"}`. A parser
is a generator that takes a `Content` and yields `Part`, `Properties` and `Member` of
`indexers.parsing.content`; it runs in the same child process, under the same limits.

## Chunks
A chunk is a span of the parsed text: spans follow each other without gap or overlap, so joining
them gives the text back. Code, tables, lists and quotes stay whole where they fit; what does not fit
is cut at lines, then sentences, then words. Sizes are measured in the embedder's tokens and never
exceed its limit. What is embedded is the document's title, the headings above the span, and the
span; never the file name. A table of up to `chunking.table_tokens` is one chunk also beyond that
limit: embedded are its column heads and the labels of its rows, found by its words is all of it.
"""


def page() -> str:
    lines = [
        "# Formats",
        "<!-- Generated by tests/docs/generate.py; edit the code instead. -->\n",
        "The content decides what a file is, then the ending of its name. *Kept* and *metadata* are what",
        "the parsers make of one small report in each format; *places* are what citations name beside",
        "headings and character offsets.\n",
        "| media type | endings | kept | places | metadata | inside |",
        "|---|---|---|---|---|---|",
        *sorted(_rows()),
        NOTES + "\n".join(f"| `{code}` | {why} |" for code, why in UNREADABLE.items()),
        CHUNKS.rstrip(),
        "",
    ]
    return "\n".join(lines)


def _rows() -> Iterator[str]:
    endings: dict[str, list[str]] = defaultdict(list)
    for ending, kind in {**TEXT_ENDINGS, **BINARY_ENDINGS}.items():
        endings[kind].append(f"`.{ending}`")
    seen = set()
    for ending, content in samples().items():
        kind = media_type(Content(content, name=f"sample{ending}"))
        if kind in seen or kind is None:
            continue
        seen.add(kind)
        yield _row(kind, endings[kind], *_yielded(ending, content))
    for kind in set(FORMATS) - seen:
        kept = OCR if kind.startswith("image/") and kind != "image/svg+xml" else UNSAMPLED[kind]
        yield _row(kind, endings[kind], kept, "", "", "")


def _yielded(ending: str, content: bytes) -> tuple[str, str, str, str]:
    """Return what a format keeps, its places, its metadata, and whether there are files inside."""
    kinds, places, names, inside = {}, {}, {}, False
    for found in parse(Blob(f"sample{ending}", "", content=content)):
        if isinstance(found, Member):
            inside = True
            continue
        assert isinstance(found, Document)
        kinds.update(dict.fromkeys(f"{block.kind}s" for block in found.blocks))
        places.update(dict.fromkeys(_place(place.kind, place.row) for place in found.places))
        names.update({"title": None} if found.title else {})
        names.update(dict.fromkeys(name.removeprefix("meta.") for name in found.metadata))
    return ", ".join(kinds), ", ".join(places), ", ".join(names), "yes" if inside else ""


def _place(kind: str, row: int) -> str:
    return "cells" if row else kind


def _row(kind: str, endings: list[str], *cells: str) -> str:
    shown = " ".join(endings[:SHOWN]) + (" …" if len(endings) > SHOWN else "")
    return f"| `{kind}` | {shown} | {' | '.join(cells)} |"
