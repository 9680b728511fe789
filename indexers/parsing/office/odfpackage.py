"""OpenDocument files (ODF 1.3 part 2): their parts, and what they say of themselves.

Knows the package, encryption and metadata; nothing of texts, sheets and slides.
"""

from __future__ import annotations

from indexers.parsing.content import Content, Properties
from indexers.parsing.metadata import metadata
from indexers.parsing.moments import moment
from indexers.parsing.office.titles import usable_title
from indexers.parsing.unzipping import SafeZip, open_zip, read_entry
from indexers.parsing.xmlsafe import local, parse_xml, stream_xml, without_entities
from rag.errors import UnreadableDocument

_ODF = "{urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TEXT, TABLE, DRAW, STYLE, META, CHART = (
    f"{_ODF}{name}:1.0}}" for name in "office text table drawing style meta chart".split()
)
PRESENTATION = f"{_ODF}presentation:1.0}}"
SVG = f"{_ODF}svg-compatible:1.0}}"
DC = "{http://purl.org/dc/elements/1.1/}"
XLINK = "{http://www.w3.org/1999/xlink}"
_MANIFEST = f"{_ODF}manifest:1.0}}"
_NAMES = {
    "creation-date": "created",
    "date": "modified",
    "subject": "subject",
    "language": "lang",
}


def open_odf(content: Content) -> SafeZip:
    """Open a file; raise `UnreadableDocument` when it is encrypted, a bomb, or no package."""
    archive = open_zip(content)
    refuse_encrypted(archive)
    return archive


def refuse_encrypted(archive: SafeZip) -> None:
    """Raise `encrypted` where the content is (ODF 1.3 part 2, 3.4)."""
    if archive.find("encrypted-package") is not None:
        raise _encrypted()
    if archive.find("META-INF/manifest.xml") is None:
        return
    with archive.open("META-INF/manifest.xml") as stream:
        for entry in stream_xml(stream, [f"{_MANIFEST}file-entry"]):
            is_content = entry.get(f"{_MANIFEST}full-path") == "content.xml"
            if is_content and entry.find(f"{_MANIFEST}encryption-data") is not None:
                raise _encrypted()


def _encrypted() -> UnreadableDocument:
    return UnreadableDocument(
        "the file is encrypted", code="encrypted", hint="save it without a password"
    )


def odf_properties(archive: SafeZip) -> Properties:
    """Return title and metadata (part 3, 4.3); none where they are missing or damaged."""
    try:
        root = without_entities(parse_xml(read_entry(archive, "meta.xml", partial=True)))
    except UnreadableDocument:
        return Properties()
    found: dict[object, object] = {}
    title, keywords, authors = None, [], {}
    for element in root.iterfind(f"{OFFICE}meta/*"):
        name, text = local(element), (element.text or "").strip()
        if name == "document-statistic":
            count = element.get(f"{META}page-count") or ""
            found["pages"] = (int(count) or None) if count.isdecimal() and len(count) < 10 else None
        elif name == "title":
            title = usable_title(text)
        elif name == "keyword" and text:
            keywords.append(text)
        elif name in ("creator", "initial-creator") and text:
            authors[name] = text
        elif name in _NAMES and text:
            own = _NAMES[name]
            found[own] = moment(text) if own in ("created", "modified") else text
    found["author"] = authors.get("initial-creator") or authors.get("creator")
    found["keywords"] = ", ".join(keywords) or None
    return Properties(title, metadata(found))
