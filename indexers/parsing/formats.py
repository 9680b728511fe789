"""The formats that can be read: media type and the function that reads it.

Functions are named, not imported: only a process that parses loads a parser's libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from indexers.parsing import mediatypes as m
from indexers.parsing.content import Parser

FORMATS: Mapping[str, str] = {
    m.TEXT: "text.text:parse_plain",
    m.SOURCE_CODE: "text.text:parse_code",
    m.MARKDOWN: "markup.markdown:parse_source",
    m.HTML: "markup.html:parse_page",
    m.RST: "markup.rst:parse_rst",
    m.ORG: "markup.org:parse_org",
    m.CSV: "data.delimited:parse_delimited",
    m.TSV: "data.delimited:parse_delimited",
    m.JSON: "data.json_records:parse_json",
    m.JSON_LINES: "data.json_records:parse_ndjson",
    m.NOTEBOOK: "data.notebooks:parse_notebook",
    m.XML: "data.xml:parse_xml",
    m.SVG: "data.xml:parse_xml",
    m.MAIL: "mail.eml:parse_eml",
    m.MBOX: "mail.mbox:parse_mbox",
    m.MSG: "mail.msg:parse_msg",
    m.PDF: "pdf.parser:parse_pdf",
    m.RTF: "rtf.reader:parse_rtf",
    m.EPUB: "markup.epub:parse_epub",
    m.DOCX: "office.docx:parse_docx",
    m.DOC: "office.doc:parse_doc",
    m.ODT: "office.odf:parse_odt",
    m.PPTX: "office.pptx:parse_pptx",
    m.PPT: "office.ppt:parse_ppt",
    m.ODP: "office.odf:parse_odp",
    m.XLSX: "office.sheets:parse_sheets",
    m.XLSB: "office.sheets:parse_sheets",
    m.XLS: "office.sheets:parse_sheets",
    m.ODS: "office.ods:parse_ods",
    m.ZIP: "archives.archive:parse_zip",
    m.TAR: "archives.archive:parse_tar",
    m.GZIP: "archives.archive:parse_compressed",
    m.BZIP2: "archives.archive:parse_compressed",
    m.XZ: "archives.archive:parse_compressed",
    m.PNG: "ocr.image:parse_image",
    m.JPEG: "ocr.image:parse_image",
    m.TIFF: "ocr.image:parse_image",
    m.GIF: "ocr.image:parse_image",
    m.BMP: "ocr.image:parse_image",
    m.WEBP: "ocr.image:parse_image",
}


def parser_of(media_type: str, given: str | None = None) -> Parser | None:
    """Return the function that reads a media type, if there is one; `given` stands above it."""
    if given is None and media_type in FORMATS:
        given = f"indexers.parsing.{FORMATS[media_type]}"
    if given is None:
        return None
    module, _, function = given.partition(":")
    return cast(Parser, getattr(import_module(module), function))
