"""Pages that are pictures: what the reader of images makes of them.

Knows when a page is a picture, and how large it is drawn; nothing of how images are read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pypdfium2 as pdfium

from indexers.parsing.content import ParseOptions, Part
from indexers.parsing.pdf.marks import Box
from rag.errors import UnreadableDocument

DPI = 300
MAX_PIXELS = 12_000_000
MAX_SIDE = 20_000
FEW_LETTERS = 32
"""Less text than this on a page that is a picture is a stamp or a page number."""
_LEAST_SHARE = 0.5
"""Of the page that its pictures must cover."""


def is_scan(page: pdfium.PdfPage, images: Sequence[Box], letters: int) -> bool:
    """Whether a page is a picture without a text layer."""
    width, height = page.get_size()
    covered = sum(_clipped(image, width, height) for image in images)
    return letters < FEW_LETTERS and covered >= _LEAST_SHARE * width * height > 0


def can_read(options: ParseOptions) -> bool:
    """Whether pictures are to be read, and can be."""
    if not options.ocr:
        return False
    try:
        from indexers.parsing.ocr.reading import ocr_available
    except ImportError:
        return False
    return ocr_available()


def read_scan(page: pdfium.PdfPage, options: ParseOptions) -> list[Part]:
    """Return the text of a page that is a picture; none where it cannot be read."""
    from indexers.parsing.ocr.reading import read_image

    width, height = page.get_size()
    scale = min(DPI / 72, math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    try:
        image = page.render(scale=scale, grayscale=True).to_pil()
        return read_image(image, options, dpi=round(scale * 72))
    except (UnreadableDocument, pdfium.PdfiumError):
        return []


def _clipped(box: Box, width: float, height: float) -> float:
    return Box(max(0, box.x0), max(0, box.y0), min(width, box.x1), min(height, box.y1)).area
