"""Opening a file: passwords, and errors that say what is wrong.

Knows pdfium's errors; nothing of pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexers.parsing.content import Content
from indexers.parsing.pdf.repairing import repaired
from rag.errors import UnreadableDocument

HEAD = 1024
"""Bytes in which the header must begin."""
IN_MEMORY = 16 << 20
"""Bytes up to which a file is read at once; larger ones are read where pdfium looks."""


def open_document(content: Content) -> pdfium.PdfDocument:
    """Open the file, with one of the passwords where it needs one; its owner closes it.

    Raise `UnreadableDocument`: `encrypted` when no password fits, else `malformed`.
    """
    if b"%PDF" not in content.head(HEAD):
        raise UnreadableDocument("the content is not a PDF: it has no header")
    if content.size > IN_MEMORY:
        return _opened(content.open(), content.options.passwords)
    data = content.read()
    try:
        return _opened(data, content.options.passwords)
    except UnreadableDocument as error:
        mended = repaired(data) if error.code == "malformed" else None
        if mended is None:
            raise
        return _opened(mended, ())


def _opened(source: bytes | BinaryIO, passwords: Sequence[str]) -> pdfium.PdfDocument:
    for password in (None, *passwords):
        try:
            document = pdfium.PdfDocument(source, password=password)
        except pdfium.PdfiumError as error:
            code = getattr(error, "err_code", None)
            if code == raw.FPDF_ERR_PASSWORD:
                continue
            if code == raw.FPDF_ERR_SECURITY:
                raise UnreadableDocument(
                    "the PDF is protected in a way that cannot be opened", code="encrypted"
                ) from None
            raise UnreadableDocument("the PDF is damaged beyond repair") from None
        if document.get_formtype() != raw.FORMTYPE_NONE:
            document.init_forms()
        return document
    raise UnreadableDocument(
        "the PDF needs a password"
        + (", and none of those that are configured opens it" if passwords else ""),
        code="encrypted",
        hint="configure its password, or save it without one",
    )
