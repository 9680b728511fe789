"""One reading of a picture: the text beside its ruled tables, and the cells of these.

Knows how a picture is split and what Tesseract is asked; nothing of paragraphs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from indexers.parsing.ocr.languages import Model
from indexers.parsing.ocr.leftovers import leftovers
from indexers.parsing.ocr.lines import Lines, ruled_lines, without
from indexers.parsing.ocr.picture import Picture, has_ink
from indexers.parsing.ocr.ruling import Grid, grids
from indexers.parsing.ocr.sheets import Snippet, sheets, snippet
from indexers.parsing.ocr.tesseract import tesseract
from indexers.parsing.ocr.words import Word, certainty, run_sideways, words

_AUTOMATIC, _VERTICAL_BLOCK, _ONE_BLOCK = "3", "5", "6"
_NOISE = 40.0
"""Mean confidence of what a drawing gives that was taken for a table."""
_CERTAIN = 70.0
"""Of a word that only a second look found."""

Found = dict[tuple[int, int], list[Word]]


@dataclass(frozen=True, slots=True)
class RuledTable:
    """A ruled table and the words of its cells, by the cells' numbers."""

    grid: Grid
    cells: dict[int, list[Word]]


@dataclass(frozen=True, slots=True)
class Page:
    """What was read: words in reading order, and tables."""

    picture: Picture
    """Without what was taken for tables."""
    model: Model
    words: list[Word]
    tables: list[RuledTable]
    confidence: float
    """Mean, 0 to 100."""
    sure: float

    @property
    def is_sideways(self) -> bool:
        """Whether its lines run up or down although they were read as horizontal text."""
        return not self.model.vertical and run_sideways(self.words)

    @property
    def weight(self) -> float:
        """Return what readings of one picture are compared by."""
        return self.sure * (0.5 if self.is_sideways else 1.0)

    def all_words(self) -> Iterator[Word]:
        """Yield the words beside the tables and those inside."""
        yield from self.words
        for table in self.tables:
            for found in table.cells.values():
                yield from found


def read_page(picture: Picture, model: Model) -> Page:
    """Read a picture that is the right way up, with given languages."""
    found = [] if model.vertical else grids(ruled_lines(picture), picture.dpi)
    flat = [line for grid in found for line in grid.lines.flat]
    steep = [line for grid in found for line in grid.lines.steep]
    clean = Picture(without(picture, Lines(flat, steep)), picture.dpi)
    tables = _tables(clean, found, model)
    beside = _beside(clean, tables)
    page = Page(beside, model, _read(beside, model), tables, 0.0, 0.0)
    confidence, sure = certainty(page.all_words())
    return replace(page, confidence=confidence, sure=sure)


def completed(page: Page) -> Page:
    """Look once more at what no word covers; its words are put where they are read."""
    if page.model.vertical or page.is_sideways:
        return page
    snippets = leftovers(page.picture.pixels, page.picture.dpi, page.words)
    found = list(page.words)
    block = max((word.block for word in found), default=0)
    for members in _snippets_read(snippets, page.picture.dpi, page.model).values():
        sure = [word for word in members if word.confidence >= _CERTAIN and _says(word.text)]
        if sure and not run_sideways(sure):
            block += 1
            at = place(sure[0].left, sure[0].bottom, sure[-1].right, found)
            found[at:at] = [word._replace(block=block) for word in sure]
    return replace(page, words=found)


def _says(text: str) -> bool:
    """Whether it is a number or at least two letters; a single one may be a crumb of a larger."""
    return any(map(str.isdigit, text)) or sum(map(str.isalpha, text)) > 1


def place(left: int, top: int, right: int, found: Sequence[Word]) -> int:
    """Return the number of the first word that is read after what stands above `top`."""
    for number, word in enumerate(found):
        if word.top >= top and word.right > left and word.left < right:
            return number
    return len(found)


def _tables(clean: Picture, found: list[Grid], model: Model) -> list[RuledTable]:
    """Read the cells of all tables; what gives only noise is no table."""
    snippets = [
        cut
        for table, grid in enumerate(found)
        for number, cell in enumerate(grid.cells)
        if (cut := snippet((table, number), clean.pixels, cell[:4])) is not None
    ]
    cells = _snippets_read(snippets, clean.dpi, model)
    tables = []
    for number, grid in enumerate(found):
        own = {cell: texts for (table, cell), texts in cells.items() if table == number}
        if own and certainty(word for texts in own.values() for word in texts)[0] >= _NOISE:
            tables.append(RuledTable(grid, own))
    return tables


def _snippets_read(snippets: Sequence[Snippet], dpi: int, model: Model) -> Found:
    """Read snippets one below the other; return the words of each that has some."""
    found: Found = {}
    for sheet in sheets(snippets, dpi):
        tsv = tesseract(sheet.image, dpi, "-l", model.languages, "--psm", _ONE_BLOCK, "tsv")
        for owner, word in sheet.on_page(words(tsv)):
            found.setdefault(owner, []).append(word)
    return found


def _beside(clean: Picture, tables: list[RuledTable]) -> Picture:
    """Return the picture without the tables."""
    if not tables:
        return clean
    pixels = clean.pixels.copy()
    for table in tables:
        grid = table.grid
        pixels[grid.top : grid.bottom, grid.left : grid.right] = 255
    return Picture(pixels, clean.dpi)


def _read(picture: Picture, model: Model) -> list[Word]:
    if not has_ink(picture.pixels):
        return []
    mode = _VERTICAL_BLOCK if model.vertical else _AUTOMATIC
    tsv = tesseract(picture.image(), picture.dpi, "-l", model.languages, "--psm", mode, "tsv")
    return words(tsv)
