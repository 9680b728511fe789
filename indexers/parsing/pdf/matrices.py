"""Affine maps as PDF writes them: (a, b, c, d, e, f), see PDF 32000-1:2008, 8.3.3."""

from __future__ import annotations

from typing import TypeAlias

Matrix: TypeAlias = tuple[float, float, float, float, float, float]
Corners: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom; y upwards."""

IDENTITY: Matrix = (1, 0, 0, 1, 0, 0)


def product(inner: Matrix, outer: Matrix) -> Matrix:
    """Return the map that applies the inner one first."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    )


def moved(point: tuple[float, float], matrix: Matrix) -> tuple[float, float]:
    """Return where the map puts a point."""
    (x, y), (a, b, c, d, e, f) = point, matrix
    return a * x + c * y + e, b * x + d * y + f


def moved_box(box: Corners, matrix: Matrix) -> Corners:
    """Return the upright box around what the map makes of a box."""
    if matrix == IDENTITY:
        return box
    points = [moved((x, y), matrix) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs, ys = zip(*points, strict=True)
    return min(xs), max(ys), max(xs), min(ys)
