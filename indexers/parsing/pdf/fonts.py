"""What a stretch of text looks like: how large, bold, italic, with letters of one width.

Knows pdfium's fonts and what their names betray; nothing of what the look means.
"""

from __future__ import annotations

import ctypes
import math
import re
from typing import NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

_BOLD_WEIGHT = 700
_BOLD = re.compile(r"bold|black|heavy|demi|-medi$|^[a-z]{2}(?:ss)?bx\d", re.IGNORECASE)
_ITALIC = re.compile(r"ital|obliq|slanted|-it\b|^[a-z]{2}(?:ti|sl|bxti)\d", re.IGNORECASE)
_MONO = re.compile(
    r"courier|mono|nimbusmon|consol|typewriter|menlo|monaco|fixed|sourcecode|firacode|^[a-z]{2}tt\d",
    re.IGNORECASE,
)
_FIXED_PITCH, _ITALIC_FLAG, _FORCE_BOLD = 1 << 0, 1 << 6, 1 << 18
"""Flags of font descriptors, PDF 32000-1:2008, table 123."""
_FILL_AND_STROKE = raw.FPDF_TEXTRENDERMODE_FILL_STROKE
_MAX_NAME = 256


class Look(NamedTuple):
    """How text looks; `size` is the height of its font in points, as shown."""

    size: float
    bold: bool = False
    italic: bool = False
    mono: bool = False


PLAIN = Look(10.0)


class Fonts:
    """The fonts of a page that is open; each is asked once."""

    def __init__(self, text_page: pdfium.PdfTextPage) -> None:
        self._text_page = text_page
        self._matrix = raw.FS_MATRIX()
        self._known: dict[int, Look] = {}

    def look(self, index: int) -> Look:
        """Return what the character with pdfium's index looks like."""
        shown = raw.FPDFText_GetTextObject(self._text_page, index)
        if not shown:
            return PLAIN
        font = raw.FPDFTextObj_GetFont(shown)
        address = ctypes.cast(font, ctypes.c_void_p).value or 0
        if address not in self._known:
            self._known[address] = _font_look(font) if address else PLAIN
        look = self._known[address]._replace(size=self._size(index))
        if not look.bold and raw.FPDFTextObj_GetTextRenderMode(shown) == _FILL_AND_STROKE:
            return look._replace(bold=True)
        return look

    def _size(self, index: int) -> float:
        matrix = self._matrix
        size = raw.FPDFText_GetFontSize(self._text_page, index)
        if raw.FPDFText_GetMatrix(self._text_page, index, matrix):
            size *= math.hypot(matrix.c, matrix.d)
        return round(size, 1) if math.isfinite(size) else PLAIN.size


def _font_look(font: object) -> Look:
    buffer = ctypes.create_string_buffer(_MAX_NAME)
    raw.FPDFFont_GetBaseFontName(font, buffer, _MAX_NAME)
    name = buffer.value.decode("latin-1").partition("+")[2] or buffer.value.decode("latin-1")
    flags = max(0, raw.FPDFFont_GetFlags(font))
    heavy = bool(flags & _FORCE_BOLD)
    if not name:  # the weight is guessed from the width of stems: only where nothing else tells
        heavy = raw.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT
    return Look(
        PLAIN.size,
        bold=heavy or _BOLD.search(name) is not None,
        italic=bool(flags & _ITALIC_FLAG) or _ITALIC.search(name) is not None,
        mono=bool(flags & _FIXED_PITCH) or _MONO.search(name) is not None,
    )
