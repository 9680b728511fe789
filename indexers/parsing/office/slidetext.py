"""Text in the shapes of slides (DrawingML, ECMA-376 part 1, 21.1.2).

Knows runs, line breaks, levels, bullets and numbers, also those that a shape inherits from its
layout; nothing of where shapes stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lxml import etree

from indexers.parsing.office.counting import marker, written
from indexers.parsing.office.drawings import A
from indexers.parsing.office.equations import equation_text
from indexers.parsing.office.grouping import Line, plain_line
from indexers.parsing.office.wordruns import chosen
from indexers.parsing.office.wordstyles import integer
from indexers.parsing.xmlsafe import local

LEVELS = 9
_LEVEL_INDENT = 1000
_BULLETS = frozenset({"buNone", "buChar", "buAutoNum", "buBlip"})
_NUMBERS = {
    "arabic": "decimal",
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}
_FORMS = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}
_PAGE_NUMBER = "slidenum"


def body_lines(body: etree._Element, inherited: Sequence[etree._Element]) -> Iterator[Line]:
    """Yield the paragraphs of a text body, items of lists as such.

    `inherited`: the list styles (`a:lstStyle` and its like) that apply, the nearest first.
    """
    own = body.find(f"{A}lstStyle")
    styles = [*([] if own is None else [own]), *inherited]
    counts = [0] * LEVELS
    for paragraph in body.iterchildren(f"{A}p"):
        text = paragraph_text(paragraph).strip()
        if not text:
            continue
        properties = paragraph.find(f"{A}pPr")
        level = 0 if properties is None else integer(properties.get("lvl")) or 0
        level = min(max(level, 0), LEVELS - 1)
        bullet = _bullet(properties, styles, level)
        kind = "" if bullet is None else local(bullet)
        counts[level + 1 :] = [0] * (LEVELS - level - 1)
        if bullet is None or kind == "buNone":
            counts[level] = 0
            yield plain_line(text)
        else:
            counts[level] = counts[level] + 1 if kind == "buAutoNum" else 0
            mark = marker(_label(bullet, counts[level]) if counts[level] else "")
            yield Line("list", text, marker=mark, indent=level * _LEVEL_INDENT)


def body_text(body: etree._Element) -> str:
    """Return the text of a body without structure."""
    return "\n".join(filter(None, (paragraph_text(p).strip() for p in body.iter(f"{A}p"))))


def paragraph_text(paragraph: etree._Element) -> str:
    """Return the text of a paragraph; breaks are newlines, numbers of slides are left out."""
    pieces: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        node = stack.pop()
        name = local(node)
        if name == "t":
            pieces.append((node.text or "").replace("\v", "\n").replace("_x000B_", "\n"))
        elif name == "br":
            pieces.append("\n")
        elif name in ("oMath", "oMathPara"):
            pieces.append(f" {equation_text(node).strip()} ")
        elif name == "AlternateContent":
            stack.extend(reversed(chosen(node)))
        elif name and not name.endswith("Pr") and node.get("type") != _PAGE_NUMBER:
            stack.extend(reversed(node))
    return "".join(pieces)


def _bullet(
    properties: etree._Element | None, styles: Sequence[etree._Element], level: int
) -> etree._Element | None:
    """Return what the paragraph, or else the nearest style, says of bullets at this level."""
    levels = (style.find(f"{A}lvl{level + 1}pPr") for style in styles)
    for candidate in (properties, *levels):
        if candidate is not None:
            for child in candidate:
                if local(child) in _BULLETS:
                    return child
    return None


def _label(bullet: etree._Element, count: int) -> str:
    """Write the number of an item in the scheme that it asks for (20.1.10.61)."""
    scheme = bullet.get("type") or "arabicPeriod"
    start = integer(bullet.get("startAt")) or 1
    style = next((own for name, own in _NUMBERS.items() if scheme.startswith(name)), "decimal")
    form = next((form for name, form in _FORMS.items() if scheme.endswith(name)), "{}.")
    return form.format(written(count + min(max(start, 1), 32767) - 1, style))
