"""Styles of Word documents (ECMA-376 part 1, 17.7): what a paragraph is by its style.

Knows inheritance between styles, and the names of those for headings, titles, quotes and code in
many languages; nothing of paragraphs themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
BODY_TEXT = 9
"""The outline level that is none."""
MAX_INHERITANCE = 32

Role: TypeAlias = Literal["", "title", "quote", "code"]

_HEADING = re.compile(
    r"(?:heading|head|h|überschrift|berschrift|titre|título|ttulo|titulo|títol|titolo|kop|rubrik|"
    r"overskrift|otsikko|fyrirsögn|nagłówek|nagwek|nadpis|naslov|címsor|cmsor|titlu|pealkiri|"
    r"virsraksts|antraštė|заголовок|επικεφαλίδα|başlık|balk|judul|đầu đề|見出し|标题|標題|제목|"
    r"หัวเรื่อง|عنوان|العنوان|כותרת) ?([1-9])"
)
_TITLE = re.compile(
    r"title|titel|titre|título|titulo|títol|titolo|tytuł|otsikko|název|názov|cím|titlu|название|"
    r"заголовок|τίτλος|konu başlığı|表題|标题|標題|제목|العنوان|שם"
)
_QUOTE = re.compile(
    r"(?:intense )?quot(?:e|ation)s?|block ?text|zitat|citation|cita|citazione|引用"
)
_CODE = re.compile(
    r"preformatted text|(?:source|program|block)? ?code(?: block)?|quellcode|"
    r"verbatim|listing|macro(?: text)?"
)


@dataclass(frozen=True, slots=True)
class Style:
    """What a style says, and with it those that it inherits from."""

    level: int = 0
    """Of a heading: 1 is the highest; 0 is none."""
    role: Role = ""
    number: tuple[str, str] | None = None
    """The list that the style belongs to, and the style that says so."""
    indent: int | None = None
    """From the left, in twentieths of a point."""
    is_hidden: bool = False


class Styles:
    """The styles of a document."""

    def __init__(self, root: etree._Element | None) -> None:
        """Read the part of styles; none is a document without any."""
        self._elements: dict[str, etree._Element] = {}
        self._defaults: dict[str, str] = {}
        self._resolved: dict[str, Style] = {}
        if root is None:
            return
        for element in root.iterchildren(f"{W}style"):
            name = element.get(f"{W}styleId") or ""
            self._elements.setdefault(name, element)
            if is_on(element.get(f"{W}default", "0")):
                self._defaults.setdefault(element.get(f"{W}type") or "", name)

    def style(self, name: str | None, kind: str = "paragraph") -> Style:
        """Return a style by its id, the default one of its kind where there is none."""
        name = name or self._defaults.get(kind, "")
        if name not in self._resolved:
            style = Style()
            seen: list[str] = []
            current: str | None = name
            while current in self._elements and len(seen) < MAX_INHERITANCE:
                seen.append(current)
                current = value(self._elements[current].find(f"{W}basedOn"))
            for ancestor in reversed(seen):
                style = _refined(style, self._elements[ancestor], ancestor)
            self._resolved[name] = style
        return self._resolved[name]

    def number_of(self, name: str) -> str | None:
        """Return the list that a style of lists stands for (17.9.21)."""
        element = self._elements.get(name)
        return None if element is None else value(element.find(f".//{W}numPr/{W}numId"))


def _refined(style: Style, element: etree._Element, style_id: str) -> Style:
    """Return what a style makes of the one that it is based on."""
    name = (value(element.find(f"{W}name")) or style_id).strip().lower()
    for alias in (name, style_id.lower()):
        if (heading := _HEADING.fullmatch(alias)) is not None:
            style = replace(style, level=int(heading[1]), role="")
            break
    else:
        style = replace(style, role=role(name) or style.role)
    properties = element.find(f"{W}pPr")
    if properties is not None:
        outline = integer(value(properties.find(f"{W}outlineLvl")))
        if outline is not None:
            style = replace(style, level=outline + 1 if 0 <= outline < BODY_TEXT else 0)
        number = value(properties.find(f"{W}numPr/{W}numId"))
        if number is not None:
            style = replace(style, number=(number, style_id))
        if (left := indent(properties)) is not None:
            style = replace(style, indent=left)
    if (hidden := is_hidden(element.find(f"{W}rPr"))) is not None:
        style = replace(style, is_hidden=hidden)
    return style


def role(name: str) -> Role:
    """Tell what paragraphs of a style are by its name, in any of many languages."""
    name = name.strip().lower()
    if _TITLE.fullmatch(name):
        return "title"
    if _QUOTE.fullmatch(name):
        return "quote"
    return "code" if _CODE.fullmatch(name) else ""


def value(element: etree._Element | None) -> str | None:
    """Return the attribute `w:val` of an element that may be absent."""
    return None if element is None else element.get(f"{W}val")


def integer(text: str | None) -> int | None:
    """Read a number; None where it is none."""
    if text is None or not re.fullmatch(r"[+-]?\d{1,9}(?:\.\d*)?", text.strip(), re.ASCII):
        return None
    return int(float(text))


def is_on(text: str | None) -> bool:
    """Whether a switch is on: it is unless it says that it is not (17.17.4)."""
    return text not in ("0", "false", "off", "none")


def is_hidden(properties: etree._Element | None) -> bool | None:
    """Whether the properties of a run hide its text; None where they say nothing of it."""
    if properties is None:
        return None
    vanish = properties.find(f"{W}vanish")
    return None if vanish is None else is_on(vanish.get(f"{W}val"))


def indent(properties: etree._Element) -> int | None:
    """Return the indentation that properties of a paragraph ask for."""
    element = properties.find(f"{W}ind")
    if element is None:
        return None
    return integer(element.get(f"{W}left", element.get(f"{W}start")))
