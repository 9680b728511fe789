"""Office Open XML packages (ECMA-376 part 2): parts, and the relations between them.

Knows how to find and read parts, in the transitional and in the strict form of the standard;
nothing of what stands in them.
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import unquote

from lxml import etree

from indexers.parsing.content import Content
from indexers.parsing.office.ole import is_ole, refuse_encrypted_package
from indexers.parsing.unzipping import MAX_XML_BYTES, SafeZip, open_zip, read_entry
from indexers.parsing.xmlsafe import local, parse_xml, without_entities
from rag.errors import UnreadableDocument

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/"


class Relation(NamedTuple):
    """A link from one part to another."""

    kind: str
    """The last word of its type: `styles`, `slide`, …"""
    target: str
    """Name of the part, or an address where it lies outside."""
    is_external: bool


class Package:
    """The parts of a file; those that are missing or damaged cost no more than themselves."""

    def __init__(self, archive: SafeZip) -> None:
        """Take an open archive."""
        self.archive = archive
        self._relations: dict[str, dict[str, Relation]] = {}

    def names(self) -> list[str]:
        """Return the names of all parts."""
        return self.archive.names()

    def read(self, name: str, limit: int = MAX_XML_BYTES) -> bytes:
        """Return a part, brought into transitional form; raise `UnreadableDocument`."""
        data = read_entry(self.archive, name, limit, partial=True)
        return _STRICT.sub(_TRANSITIONAL, data) if b"purl.oclc.org" in data else data

    def xml(self, name: str) -> etree._Element | None:
        """Return the root of a part; None where it is missing or unreadable."""
        try:
            return without_entities(parse_xml(self.read(name)))
        except UnreadableDocument:
            return None

    def relations(self, name: str) -> dict[str, Relation]:
        """Return the relations of a part by their ids; of the package itself for an empty name."""
        if name not in self._relations:
            folder, base = posixpath.split(name)
            root = self.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
            self._relations[name] = {} if root is None else dict(_relations(root, folder))
        return self._relations[name]

    def related(self, name: str, kind: str) -> list[str]:
        """Return the parts to which a part has relations of a kind."""
        return [
            relation.target
            for relation in self.relations(name).values()
            if relation.kind == kind and not relation.is_external
        ]

    def related_xml(self, name: str, kind: str) -> etree._Element | None:
        """Return the root of the one part to which a part is related in that way."""
        names = self.related(name, kind)
        return self.xml(names[0]) if names else None

    def main(self, customary: str) -> str:
        """Return the name of the main part, which is the customary one where none is declared."""
        declared = [name for name in self.related("", "officeDocument") if self.has(name)]
        return declared[0] if declared else customary

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return self.archive.find(name) is not None


def open_package(content: Content) -> Package:
    """Open a file; raise `UnreadableDocument` when it is encrypted, a bomb, or no package."""
    if is_ole(content):
        refuse_encrypted_package(content)
        raise UnreadableDocument("it is a file of an older format, under a newer name")
    return Package(open_zip(content))


def _relations(root: etree._Element, folder: str) -> list[tuple[str, Relation]]:
    found = []
    for element in root:
        if local(element) != "Relationship":
            continue
        target = element.get("Target") or ""
        is_external = element.get("TargetMode") == "External"
        if not is_external:
            target = posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")
        kind = (element.get("Type") or "").rpartition("/")[2]
        found.append((element.get("Id") or "", Relation(kind, target, is_external)))
    return found
