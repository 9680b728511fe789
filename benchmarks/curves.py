"""Curves over one axis as an SVG picture, each with a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN, GAP = 720, 180, 70, 40
COLOURS = ("#2563eb", "#c2410c")
LINES = 4


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y) with the name of what y is."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(curves: Sequence[Curve], axis: str) -> str:
    """Draw the curves below each other over one x axis that starts at 0."""
    right = max(x for curve in curves for x, _ in curve.points)
    height = len(curves) * (HEIGHT + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for n, curve in enumerate(curves):
        parts += _panel(curve, COLOURS[n % len(COLOURS)], GAP + n * (HEIGHT + GAP), right)
    parts.append(
        f'<text x="{WIDTH / 2}" y="{height - 6}" text-anchor="middle">{escape(axis)}</text></svg>'
    )
    return "\n".join(parts) + "\n"


def _panel(curve: Curve, colour: str, top: float, right: float) -> list[str]:
    highest = _round_up(max(y for _, y in curve.points))
    wide = WIDTH - MARGIN - 20
    parts = [f'<text x="{MARGIN}" y="{top - 8}" fill="{colour}">{escape(curve.name)}</text>']
    for i in range(LINES + 1):
        y = top + HEIGHT * (1 - i / LINES)
        parts.append(f'<line x1="{MARGIN}" x2="{MARGIN + wide}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        value = f"{highest * i / LINES:,.0f}"
        parts.append(f'<text x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{value}</text>')
        x = MARGIN + wide * i / LINES
        seconds = f"{right * i / LINES:,.0f}"
        parts.append(f'<text x="{x}" y="{top + HEIGHT + 16}" text-anchor="middle">{seconds}</text>')
    points = " ".join(
        f"{MARGIN + wide * x / right:.1f},{top + HEIGHT * (1 - y / highest):.1f}"
        for x, y in curve.points
    )
    parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return parts


def _round_up(value: float) -> float:
    """Return the next 1, 2, 4 or 8 times a power of ten."""
    step = 10.0 ** (len(str(int(value))) - 1)
    return next(step * n for n in (1, 2, 4, 8, 10) if step * n >= value)
