"""The characters of a page with their boxes, as a reader sees the page.

Knows pdfium's text page and the rotation of pages and of text; nothing of words or lines. One call
into pdfium is made per character: everything else works on arrays.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexers.parsing.pdf.calls import loose_boxes

MAX_PAGE_CHARACTERS = 1_000_000
"""More of one page is not read."""

Codes: TypeAlias = npt.NDArray[np.uint32]
Boxes: TypeAlias = npt.NDArray[np.float32]
Frame: TypeAlias = tuple[float, float, float, float]

_LEAST_TURNED = 3
"""Characters that stand above each other before the page is searched for turned text."""
_STILL = 0.5
_HYPHEN = 0x2D
_FIRST_CJK = 0x2E80


@dataclass(slots=True)
class Glyphs:
    """Characters in the order of the file, of one direction of writing."""

    codes: Codes
    boxes: Boxes
    """Rows of left, top, right, bottom in points; the origin is the top left of the page."""
    indices: npt.NDArray[np.int64]
    """What pdfium calls each of them."""
    turn: int = 0
    """In quarters, clockwise, how the text is turned on the page as shown; 0 is upright."""


def read_glyphs(page: pdfium.PdfPage, text_page: pdfium.PdfTextPage) -> list[Glyphs]:
    """Return the characters of the page, those of each direction of writing for themselves.

    Upright text comes first. Boxes are those of the page as it is shown, with its rotation
    applied; those of turned text are turned until it is upright.
    """
    count = min(text_page.count_chars(), MAX_PAGE_CHARACTERS)
    if count <= 0:
        return []
    codes, boxes = _codes(text_page, count), loose_boxes(text_page, count)
    codes[(codes == 0x02) | (codes == 0xFFFE)] = _HYPHEN  # what pdfium makes of one at a line's end
    shown = (codes >= 32) | (codes == 0x0A) | (codes == 0x0D) | (codes == 0x09)
    shown &= (codes != 0x7F) & np.isfinite(boxes).all(axis=1)
    frame, turn = page.get_bbox(), page.get_rotation() // 90
    boxes = displayed(boxes, frame, turn)
    width, height = page.get_size()
    middle_x, middle_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    shown &= (middle_x > -1) & (middle_x < width + 1) & (middle_y > -1) & (middle_y < height + 1)
    directions = _directions(text_page, codes, boxes, turn)
    found = []
    for direction in np.unique(directions[shown]):
        chosen = np.flatnonzero(shown & (directions == direction))
        upright = uprighted(boxes[chosen], int(direction), width, height)
        found.append(Glyphs(codes[chosen], upright, chosen, int(direction)))
    return found


def displayed(boxes: Boxes, frame: Frame, turn: int) -> Boxes:
    """Turn boxes (left, top, right, bottom, y upwards) to the page as shown, y downwards.

    `frame` is the page's visible box, `turn` its rotation in quarters, clockwise.
    """
    left, bottom, right, top = frame
    x0, y1, x1, y0 = boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
    match turn:
        case 1:
            columns = (y0 - bottom, x0 - left, y1 - bottom, x1 - left)
        case 2:
            columns = (right - x1, y0 - bottom, right - x0, y1 - bottom)
        case 3:
            columns = (top - y1, right - x1, top - y0, right - x0)
        case _:
            columns = (x0 - left, top - y1, x1 - left, top - y0)
    turned = np.stack(columns, axis=1)
    return np.stack(
        (
            np.minimum(turned[:, 0], turned[:, 2]),
            np.minimum(turned[:, 1], turned[:, 3]),
            np.maximum(turned[:, 0], turned[:, 2]),
            np.maximum(turned[:, 1], turned[:, 3]),
        ),
        axis=1,
    )


def uprighted(boxes: Boxes, turn: int, width: float, height: float) -> Boxes:
    """Turn boxes of a page (y downwards) so that text written in the direction is upright."""
    x0, y0, x1, y1 = boxes.T
    match turn:
        case 1:  # written downwards
            columns = (y0, width - x1, y1, width - x0)
        case 2:
            columns = (width - x1, height - y1, width - x0, height - y0)
        case 3:  # written upwards
            columns = (height - y1, x0, height - y0, x1)
        case _:
            return boxes
    return np.stack(columns, axis=1)


def _codes(text_page: pdfium.PdfTextPage, count: int) -> Codes:
    """Return the code points, 0 where pdfium knows none."""
    buffer = (ctypes.c_ushort * (count + 1))()
    written = raw.FPDFText_GetText(text_page, 0, count, buffer)
    if written == count + 1:
        codes = np.array(buffer, np.uint32)[:count]
    else:  # some characters are left out of the text
        calls = map(raw.FPDFText_GetUnicode, repeat(text_page.raw), range(count))
        codes = np.fromiter(calls, np.uint32, count)
    is_half = (codes >= 0xD800) & (codes < 0xE000)
    if is_half.any():
        high, low = codes[:-1], codes[1:]
        pairs = np.flatnonzero((high >> 10 == 0x36) & (low >> 10 == 0x37))
        whole = 0x10000 + ((codes[pairs] & 0x3FF) << 10) + (codes[pairs + 1] & 0x3FF)
        codes[is_half] = 0
        codes[pairs] = whole
    codes[codes > 0x10FFFF] = 0
    return codes


def _directions(
    text_page: pdfium.PdfTextPage, codes: Codes, boxes: Boxes, turn: int
) -> npt.NDArray[np.int8]:
    """Return for each character in quarters, clockwise, how its text is turned as shown."""
    directions = np.zeros(len(codes), np.int8)
    moved = np.diff(boxes, axis=0)
    below = (np.abs(moved[:, [0, 2]]).sum(axis=1) < _STILL) & (np.abs(moved[:, 1]) > _STILL)
    before = (np.abs(moved[:, [1, 3]]).sum(axis=1) < _STILL) & (moved[:, 0] < -_STILL)
    if np.count_nonzero(below | before) < _LEAST_TURNED:
        return directions
    calls = map(raw.FPDFText_GetCharAngle, repeat(text_page.raw), range(len(codes)))
    angles = np.fromiter(calls, np.float32, len(codes))
    quarters = np.rint(angles / (np.pi / 2)).astype(np.int64)
    directions[:] = np.where(angles < 0, turn, quarters + turn) % 4
    columns = np.flatnonzero(below & (moved[:, 1] > 0) & (codes[1:] > _FIRST_CJK)) + 1
    directions[columns] = directions[columns - 1] = 1  # vertical writing, as in Japan
    for i in np.flatnonzero(codes[1:] <= 32) + 1:  # spaces that pdfium adds have no direction
        directions[i] = directions[i - 1]
    return directions
