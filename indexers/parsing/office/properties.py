"""What a file of the Office Open XML formats says of itself (ECMA-376 part 2, 11 and part 1, 15.2).

Knows the core and the extended properties, and which titles are none; nothing of the text.
"""

from __future__ import annotations

from lxml import etree

from indexers.parsing.content import Properties
from indexers.parsing.metadata import metadata
from indexers.parsing.moments import moment
from indexers.parsing.office.package import Package
from indexers.parsing.office.titles import usable_title
from indexers.parsing.xmlsafe import local

_NAMES = {
    "creator": "author",
    "created": "created",
    "modified": "modified",
    "subject": "subject",
    "keywords": "keywords",
    "category": "category",
    "language": "lang",
}


def package_properties(package: Package) -> Properties:
    """Return title and metadata."""
    core = texts(package.related_xml("", "core-properties"))
    found: dict[object, object] = {}
    for name, own in _NAMES.items():
        if text := core.get(name, "").strip():
            found[own] = moment(text) if own in ("created", "modified") else text
    counts = package_counts(package)
    if counts.get("Words") and counts.get("Pages"):
        found["pages"] = counts["Pages"]  # libraries leave that of their template, and no words
    return Properties(usable_title(core.get("title")), metadata(found))


def package_counts(package: Package) -> dict[str, int]:
    """Return the numbers among the extended properties: `Pages`, `Words`, …"""
    extended = texts(package.related_xml("", "extended-properties"))
    extended = extended or texts(package.related_xml("", "extendedProperties"))
    return {
        name: int(text) for name, text in extended.items() if text.isdecimal() and len(text) < 10
    }


def texts(root: etree._Element | None) -> dict[str, str]:
    """Return the text of each child of a flat list of properties, by its name."""
    if root is None:
        return {}
    return {local(element): element.text for element in root if element.text and local(element)}
