"""Snippets of a page copied below each other, so that they are read one by one.

Knows how a sheet of snippets is laid out and where on the page its words stand. Read in its place,
a word of one cell easily joins the line of its neighbour, or is overlooked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from indexers.parsing.ocr.picture import DARK, Pixels
from indexers.parsing.ocr.words import Word

_MAX_HEIGHT = 30_000
"""Of a sheet; Tesseract takes 32,767 pixels."""
_MARGIN_IN = 0.12
_SPECK = 6
"""Pixels of ink that are no letter."""


class Snippet(NamedTuple):
    """The ink in a part of a page, and where it stands there."""

    owner: tuple[int, int]
    left: int
    top: int
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture of snippets below each other, and where on it each begins."""

    image: Image.Image
    snippets: tuple[Snippet, ...]
    tops: tuple[int, ...]
    margin: int

    def on_page(self, words: Sequence[Word]) -> Iterator[tuple[tuple[int, int], Word]]:
        """Yield the words in their order, each where it stands on the page, and its owner."""
        for word in words:
            middle = (word.top + word.bottom) // 2 + self.margin // 2
            at = max(0, int(np.searchsorted(self.tops, middle, side="right")) - 1)
            snippet = self.snippets[at]
            right, down = snippet.left - self.margin, snippet.top - self.tops[at]
            moved = word._replace(
                left=word.left + right,
                top=word.top + down,
                right=word.right + right,
                bottom=word.bottom + down,
            )
            yield snippet.owner, moved


def snippet(
    owner: tuple[int, int], pixels: Pixels, room: tuple[int, int, int, int]
) -> Snippet | None:
    """Cut the ink out of a room (left, top, right, bottom) of a page; None when there is none."""
    left, top, right, bottom = room
    cut = pixels[top:bottom, left:right]
    ink = cut < DARK
    if np.count_nonzero(ink) < _SPECK:
        return None
    rows, columns = np.nonzero(ink.any(axis=1))[0], np.nonzero(ink.any(axis=0))[0]
    cut = cut[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Snippet(owner, left + int(columns[0]), top + int(rows[0]), cut)


def sheets(snippets: Sequence[Snippet], dpi: int) -> Iterator[Sheet]:
    """Copy the snippets below each other, on several sheets where they are too many for one."""
    margin = max(4, round(_MARGIN_IN * dpi))
    batch: list[Snippet] = []
    height = margin
    for snippet in snippets:
        more = snippet.pixels.shape[0] + margin
        if batch and height + more > _MAX_HEIGHT:
            yield _sheet(batch, margin)
            batch, height = [], margin
        batch.append(snippet)
        height += more
    if batch:
        yield _sheet(batch, margin)


def _sheet(snippets: Sequence[Snippet], margin: int) -> Sheet:
    width = max(snippet.pixels.shape[1] for snippet in snippets) + 2 * margin
    height = sum(snippet.pixels.shape[0] + margin for snippet in snippets) + margin
    page = np.full((height, width), 255, dtype=np.uint8)
    tops, top = [], margin
    for snippet in snippets:
        high, wide = snippet.pixels.shape
        page[top : top + high, margin : margin + wide] = snippet.pixels
        tops.append(top)
        top += high + margin
    return Sheet(Image.fromarray(page), tuple(snippets), tuple(tops), margin)
