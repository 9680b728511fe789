"""Files that are attached to a PDF."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexers.parsing.content import Member

MAX_ATTACHMENTS = 1_000
MAX_BYTES = 64 << 20
"""Of one attachment; larger ones are left out."""


def read_attachments(document: pdfium.PdfDocument) -> Iterator[Member]:
    """Yield the files that are attached; those that cannot be read are left out."""
    for i in range(min(document.count_attachments(), MAX_ATTACHMENTS)):
        try:
            attachment = document.get_attachment(i)
            name = attachment.get_name()
            if _size(attachment) <= MAX_BYTES:
                yield Member(name, bytes(attachment.get_data()))
        except (pdfium.PdfiumError, UnicodeDecodeError):
            continue


def _size(attachment: pdfium.PdfAttachment) -> int:
    size = ctypes.c_ulong()
    raw.FPDFAttachment_GetFile(attachment, None, 0, size)
    return size.value
