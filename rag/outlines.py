"""What a chunk says of where it stands, as JSON can hold it: headings, places, inner headings.

Knows the form that stores and backups keep alike; a list of headings alone is that of version 0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from rag.types import Chunk, Place


def outline_of(chunk: Chunk) -> list[Any]:
    """Return the headings above a chunk; in lists with its places and inner headings, if any."""
    if not chunk.places and not chunk.outline:
        return list(chunk.heading)
    places = [list(astuple(place)) for place in chunk.places]
    return [list(chunk.heading), places, [list(inside) for inside in chunk.outline]]


def outlined(
    outline: Sequence[Any],
) -> tuple[tuple[str, ...], tuple[Place, ...], tuple[tuple[int, int, str], ...]]:
    """Return heading, places and outline of a chunk, in the order of its fields."""
    if not outline or not isinstance(outline[0], list):
        return tuple(outline), (), ()
    heading, places, inside = outline
    return (
        tuple(heading),
        tuple(Place(*place) for place in places),
        tuple((start, level, label) for start, level, label in inside),
    )
