"""Lines, shaded boxes and pictures on a page: what is drawn there besides text.

Knows pdfium's page objects; nothing of what the lines and boxes mean.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexers.parsing.pdf.calls import object_kinds
from indexers.parsing.pdf.glyphs import displayed, uprighted
from indexers.parsing.pdf.matrices import IDENTITY, Matrix, moved, moved_box, product

MAX_OBJECTS = 20_000
"""Page objects that are looked at; more are drawings, not tables."""
MAX_SHAPES = 5_000
MAX_DEPTH = 3
"""Of forms in forms."""
THIN = 2.6
"""Points: what is thinner is a line."""
_SHORT = 4.0
_STRAIGHT = 0.5
_MAX_SEGMENTS = 200
_RECTANGLE = 6
"""Segments: a rectangle has five; what has more is another shape."""


_WHITE = 0xFFFFFF


class Box(NamedTuple):
    """A box on the page in points; the origin is the top left."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)


@dataclass(slots=True)
class Marks:
    """What is drawn on a page; each kind from top to bottom."""

    across: list[Box] = field(default_factory=list)
    """Horizontal lines."""
    down: list[Box] = field(default_factory=list)
    """Vertical lines."""
    fills: list[Box] = field(default_factory=list)
    """Shaded boxes, white ones too."""
    images: list[Box] = field(default_factory=list)


class _Shape(NamedTuple):
    """A thing that is drawn: its box is left, top, right, bottom with y upwards."""

    box: tuple[float, float, float, float]
    colour: int | None = None
    """Of the area that is filled; None: a line is drawn."""
    is_image: bool = False


def read_marks(page: pdfium.PdfPage, turn: int = 0) -> Marks:
    """Return what is drawn on the page as it is shown, or turned as text of that direction is."""
    shapes = []
    for shape in _shapes(page):
        shapes.append(shape)
        if len(shapes) == MAX_SHAPES:
            break
    marks = Marks()
    if not shapes:
        return marks
    boxes = np.array([shape.box for shape in shapes], np.float32)
    boxes = displayed(boxes, page.get_bbox(), page.get_rotation() // 90)
    boxes = uprighted(boxes, turn, *page.get_size())
    sizes = boxes[:, 2:] - boxes[:, :2]
    short, long = sizes.min(axis=1).tolist(), sizes.max(axis=1).tolist()
    shades = {s.colour for s, thickness in zip(shapes, short, strict=True) if thickness > THIN}
    shades.add(_WHITE)
    for shape, row, least, most in zip(shapes, boxes.tolist(), short, long, strict=True):
        box = Box(*row)
        if shape.is_image:
            marks.images.append(box)
        elif shape.colour is not None and shape.colour in shades:
            marks.fills.append(box)
        elif least <= THIN and most > _SHORT:
            (marks.across if box.x1 - box.x0 > box.y1 - box.y0 else marks.down).append(box)
    for kept in (marks.across, marks.down, marks.fills):
        kept.sort(key=lambda box: (box.y0, box.x0))
    return marks


def _shapes(page: pdfium.PdfPage) -> Iterator[_Shape]:
    budget = MAX_OBJECTS
    count = min(raw.FPDFPage_CountObjects(page), budget)
    for i, kind in enumerate(object_kinds(page, count)):
        if kind == raw.FPDF_PAGEOBJ_TEXT:
            continue
        stack = [(raw.FPDFPage_GetObject(page, i), IDENTITY, 0)]
        while stack and budget:
            budget -= 1
            yield from _object(*stack.pop(), stack)


def _object(
    found: Any, matrix: Matrix, depth: int, stack: list[tuple[Any, Matrix, int]]
) -> Iterator[_Shape]:
    kind = raw.FPDFPageObj_GetType(found)
    if kind == raw.FPDF_PAGEOBJ_PATH:
        yield from _path(found, matrix)
    elif kind == raw.FPDF_PAGEOBJ_IMAGE:
        yield _Shape(moved_box(_bounds(found), matrix), is_image=True)
    elif kind == raw.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
        inner = product(_matrix(found), matrix)
        count = min(raw.FPDFFormObj_CountObjects(found), MAX_OBJECTS)
        stack.extend((raw.FPDFFormObj_GetObject(found, i), inner, depth + 1) for i in range(count))


def _path(found: Any, matrix: Matrix) -> Iterator[_Shape]:
    """Yield a path's box where it is filled or a single line, else the lines that it has."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(found, fill, stroke)
    box = moved_box(_bounds(found), matrix)
    is_thin = min(box[2] - box[0], box[1] - box[3]) <= THIN
    if is_thin and not fill.value:
        yield _Shape(box)
        return
    if is_thin and not stroke.value:
        yield _Shape(box, _colour(found))
        return
    count = raw.FPDFPath_CountSegments(found)
    if fill.value and count <= _RECTANGLE:
        yield _Shape(box, _colour(found))
    if count <= _MAX_SEGMENTS and (stroke.value or count > _RECTANGLE):
        yield from _lines(found, product(_matrix(found), matrix), count)


def _lines(found: Any, matrix: Matrix, count: int) -> Iterator[_Shape]:
    """Yield the lines of a path that go straight across or down."""
    x, y = ctypes.c_float(), ctypes.c_float()
    start = last = (0.0, 0.0)
    for i in range(count):
        segment = raw.FPDFPath_GetPathSegment(found, i)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = moved((x.value, y.value), matrix)
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == raw.FPDF_SEGMENT_LINETO:
            yield from _straight(last, point)
        if raw.FPDFPathSegment_GetClose(segment):
            yield from _straight(point, start)
        last = point


def _straight(one: tuple[float, float], other: tuple[float, float]) -> Iterator[_Shape]:
    (x0, x1), (y0, y1) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    if min(x1 - x0, y1 - y0) < _STRAIGHT < max(x1 - x0, y1 - y0):
        yield _Shape((x0, y1, x1, y0))


def _bounds(found: Any) -> tuple[float, float, float, float]:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    raw.FPDFPageObj_GetBounds(found, left, bottom, right, top)
    return left.value, top.value, right.value, bottom.value


def _colour(found: Any) -> int:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFPageObj_GetFillColor(found, red, green, blue, alpha)
    return red.value << 16 | green.value << 8 | blue.value if alpha.value else _WHITE


def _matrix(found: Any) -> Matrix:
    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(found, matrix):
        return IDENTITY
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f
