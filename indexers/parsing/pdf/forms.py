"""What is typed into a page: values of form fields, and text put on top of it.

Knows pdfium's annotations; nothing of the text below them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexers.parsing.pdf.fonts import PLAIN
from indexers.parsing.pdf.glyphs import displayed
from indexers.parsing.pdf.words import Stretch, Word

MAX_ANNOTATIONS = 5_000
MAX_VALUE = 20_000
"""Characters of one value."""
_LINE = 12.0
_HIDDEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
_VALUES = frozenset(
    {raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX}
)
_SWITCHES = frozenset({raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON})


def read_typed(page: pdfium.PdfPage) -> list[Stretch]:
    """Return the values of fields, and free text, at their places on the page as shown."""
    found: list[Stretch] = []
    for i in range(min(raw.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, i)
        if not annotation:
            continue
        try:
            text = _text(page, annotation)
            if text:
                found.extend(_stretches(page, annotation, text))
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
    return found


def _text(page: pdfium.PdfPage, annotation: Any) -> str:
    kind = raw.FPDFAnnot_GetSubtype(annotation)
    if raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
        return ""
    if kind == raw.FPDF_ANNOT_FREETEXT:
        return _string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
    if kind != raw.FPDF_ANNOT_WIDGET or page.formenv is None:
        return ""
    field = raw.FPDFAnnot_GetFormFieldType(page.formenv, annotation)
    if field in _VALUES:
        return _string(raw.FPDFAnnot_GetFormFieldValue, page.formenv, annotation)
    if field in _SWITCHES and raw.FPDFAnnot_IsChecked(page.formenv, annotation):
        return "☒"
    return ""


def _string(call: Any, *arguments: Any) -> str:
    size = call(*arguments, None, 0)
    if not 2 < size <= 2 * MAX_VALUE:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    call(*arguments, buffer, size)
    text = bytes(buffer)[: size - 2].decode("utf-16-le", errors="ignore")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()


def _stretches(page: pdfium.PdfPage, annotation: Any, text: str) -> Iterator[Stretch]:
    frame = raw.FS_RECTF()
    raw.FPDFAnnot_GetRect(annotation, frame)
    corners = np.array([[frame.left, frame.top, frame.right, frame.bottom]], np.float32)
    boxes = displayed(corners, page.get_bbox(), page.get_rotation() // 90)
    x0, y0, x1, y1 = boxes[0].tolist()
    lines = [line.split() for line in text.split("\n")]
    height = min((y1 - y0) / len(lines), _LINE)
    top = y0 if len(lines) > 1 else (y0 + y1 - height) / 2
    for i, words in enumerate(lines):
        if words:
            letter = (x1 - x0) / max(len(" ".join(words)), 1)
            letter = min(letter, height / 2)
            yield _stretch(words, x0, top + i * height, height, letter)


def _stretch(words: list[str], x0: float, y0: float, height: float, letter: float) -> Stretch:
    placed = []
    x = x0
    for word in words:
        placed.append(Word(word, x, x + letter * len(word)))
        x += letter * (len(word) + 1)
    look = PLAIN._replace(size=round(height / 1.2, 1))
    return Stretch(x0, y0, placed[-1].x1, y0 + height, placed, 1 << 30, look, " ".join(words))
