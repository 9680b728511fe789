"""Reading a picture of a page: which way up it is, in which language, and what stands in it.

Knows in which order to try; nothing of how a page is cut into blocks. A first reading that is sure
of itself is taken. Otherwise Tesseract is asked for direction and script, and the best of a few
further readings is taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from PIL import Image

from indexers.parsing.content import ParseOptions, Part
from indexers.parsing.ocr import languages
from indexers.parsing.ocr.languages import Model
from indexers.parsing.ocr.page import Page, completed, read_page
from indexers.parsing.ocr.parts import page_parts
from indexers.parsing.ocr.picture import Picture, prepared
from indexers.parsing.ocr.tesseract import installed_languages, not_installed, tesseract
from indexers.parsing.text.language import detect_language
from rag.errors import UnreadableDocument

GOOD = 75.0
"""Mean confidence of a reading that needs no second one. Right ones of printed pages have 80 to 97,
those in a wrong language or direction 5 to 60."""
POOR = 45.0
"""Below, the text is noise."""

_BUDGET = 40_000_000
"""Pixels of further readings: four of a page of a book, more of what is smaller."""
_BLIND_BUDGET = 8_000_000
"""The same where direction and script are unknown."""
_SMALL = 2_000_000
"""Pixels; a larger picture in which nothing looks like a word is no page of text."""
_LEAST_SURE_OF_DIRECTION = 0.8
"""What Tesseract gives is about 2 for some lines of text and 15 for a page."""
_LETTERS = 200

_DIRECTION = re.compile(r"^Rotate: (\d+)\s+Orientation confidence: ([\d.]+)", re.MULTILINE)
_SCRIPT = re.compile(r"^Script: (\w+)", re.MULTILINE)


def ocr_available() -> bool:
    """Whether Tesseract is installed and has at least one language."""
    return bool(installed_languages())


def read_image(image: Image.Image, options: ParseOptions, *, dpi: int) -> list[Part]:
    """Return what stands in the picture of a page, in reading order; the parts have no places.

    `dpi`: dots per inch at which the page was scanned or drawn; small ones are enlarged. Raise
    `UnreadableDocument`: Tesseract or a chosen language is not installed, or it takes too long.
    """
    installed = installed_languages()
    if not installed:
        raise not_installed()
    picked = _picked(options, installed)
    picture = prepared(image, dpi)
    if picture is None:
        return []
    page = _best(picture, picked, installed)
    return page_parts(completed(page)) if page.confidence >= POOR else []


def _picked(options: ParseOptions, installed: Collection[str]) -> list[Model]:
    """Return the models of the languages that were chosen; empty where none was."""
    models = languages.chosen(options.ocr_languages, installed)
    if options.ocr_languages and not models:
        names = ", ".join(options.ocr_languages)
        packages = " ".join(
            f"tesseract-ocr-{name.replace('_', '-')}" for name in options.ocr_languages
        )
        raise UnreadableDocument(
            f"tesseract has no language of those chosen ({names})",
            code="unsupported",
            hint=f"apt install {packages}",
        )
    return models


def _best(picture: Picture, picked: list[Model], installed: Collection[str]) -> Page:
    first = picked[0] if picked else languages.first(installed)
    best = read_page(picture, first)
    if _is_good(best):
        return best if picked else _in_its_language(picture, best, installed)
    is_blank = not best.words and not best.tables
    if is_blank and picture.pixels.size > _SMALL:
        return best
    seen = _seen(picture)
    if is_blank and seen is None:
        return best
    left = _BUDGET if seen else _BLIND_BUDGET
    for degrees, model in _further(first, picked, seen, best.is_sideways, installed):
        left -= picture.pixels.size
        if left < 0:
            break
        best = max(best, read_page(picture.turned(degrees), model), key=lambda page: page.weight)
        if _is_good(best):
            break
    return best


def _is_good(page: Page) -> bool:
    return page.confidence >= GOOD and not page.is_sideways


class _Seen(NamedTuple):
    """By how many degrees a picture must be turned clockwise, and its script."""

    degrees: int
    script: str


def _seen(picture: Picture) -> _Seen | None:
    """Ask Tesseract for direction and script; None when it cannot tell, as with few letters."""
    try:
        answer = tesseract(picture.image(), picture.dpi, "--psm", "0", "-l", "osd")
    except UnreadableDocument as exc:
        if exc.code == "timeout":
            raise
        return None
    direction, script = _DIRECTION.search(answer), _SCRIPT.search(answer)
    if direction is None or script is None or float(direction[2]) < _LEAST_SURE_OF_DIRECTION:
        return None
    return _Seen(int(direction[1]) % 360, script[1])


def _further(
    first: Model,
    picked: list[Model],
    seen: _Seen | None,
    is_sideways: bool,
    installed: Collection[str],
) -> Iterator[tuple[int, Model]]:
    """Yield the further ways to read a picture, the likeliest first."""
    turns = [270, 90, 180] if is_sideways else [180, 90, 270]
    if seen is None:
        scripts = ("Han", "Japanese", "Korean")
        guesses = picked or [
            m for script in scripts for m in languages.of_script(script, installed)
        ]
        ways = [(0, model) for model in guesses] + [(turn, first) for turn in turns]
        ways = ways[len(guesses) :] + ways[: len(guesses)] if is_sideways else ways
    else:
        models = picked or languages.of_script(seen.script, installed) or [first]
        ways = [(seen.degrees, model) for model in models]
        ways += [(turn, models[0]) for turn in (0, *turns)]
    yield from (way for way in dict.fromkeys(ways) if way != (0, first))


def _in_its_language(picture: Picture, page: Page, installed: Collection[str]) -> Page:
    """Read a page once more when it is in another language of Latin letters that is installed."""
    if not set(languages.LATIN.values()).intersection(installed) - {"eng"}:
        return page
    text = " ".join(word.text for word in page.all_words())
    code = detect_language(text) if sum(map(str.isalpha, text)) >= _LETTERS else None
    name = languages.LATIN.get(code or "")
    if name is None or name == "eng" or name not in installed:
        return page
    return max(page, read_page(picture, Model(f"{name}+eng")), key=lambda other: other.weight)
