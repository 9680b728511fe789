"""From the bytes of a file to text with structure.

Knows which parser reads what, and that a long text is continued in another document; nothing of
any format. All of it computes, and is meant to run in a process of its own (`indexers.parser`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from time import monotonic

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Member, ParseOptions, Pulse, Yielded
from indexers.parsing.detecting import detect
from indexers.parsing.formats import FORMATS, parser_of
from indexers.parsing.mediatypes import OLE_ENCRYPTED, TEXT
from indexers.parsing.text.language import detect_language
from rag.errors import UnreadableDocument
from rag.types import Blob, Document

LANGUAGE = "meta.lang"
PULSE_S = 0.5
NEUTRAL = ("", "application/octet-stream", "binary/octet-stream")
"""Declared types that say nothing."""


def parse(blob: Blob, options: ParseOptions | None = None) -> Iterator[Document | Member]:
    """Yield the document that the blob holds, those that continue it, and the files inside it.

    Raise `UnreadableDocument` when the type is not supported or the content is not what it should
    be, and `OSError` when the file cannot be read. A title that the blob's source gave stands
    above the document's own.
    """
    content = Content(blob.read(), name=PurePath(blob.uri).name, options=options)
    for found in parse_content(content, blob.media_type, title=blob.title):
        if not isinstance(found, Pulse):
            yield found


def parse_content(
    content: Content, declared: str, *, title: str | None = None
) -> Iterator[Document | Member | Pulse]:
    """Do the same for bytes that need not be in memory, with signs of life in between.

    `declared` is the media type that their source gives.
    """
    ending = PurePath(content.name).suffix.lower()
    kind = media_type(content, declared)
    parser = parser_of(kind or "", content.options.parsers.get(ending))
    if parser is None:
        raise _unsupported(kind, content.name)
    for found in documents(_living(parser(content))):
        yield _described(found, title) if isinstance(found, Document) else found


def _living(yielded: Iterator[Yielded]) -> Iterator[Yielded]:
    """Add a sign of life when the last one was some time ago and work has gone on."""
    last = monotonic()
    for item in yielded:
        if not isinstance(item, Pulse):
            yield item
        if (now := monotonic()) - last > PULSE_S:
            last = now
            yield Pulse()


def media_type(content: Content, declared: str = "") -> str | None:
    """Tell the type by content and name; a declared one decides where those leave it open."""
    found = detect(content.name, content)
    given = declared.partition(";")[0].strip().lower()
    if given in NEUTRAL or given not in FORMATS:
        return found
    return given if found in (None, TEXT) else found


def _described(document: Document, title: str | None) -> Document:
    """Add what the source or the text itself can say, and the document does not."""
    metadata = document.metadata
    if LANGUAGE not in metadata and (language := detect_language(document.text)) is not None:
        metadata = {**metadata, LANGUAGE: language}
    return replace(document, title=title or document.title, metadata=metadata)


def _unsupported(kind: str | None, name: str) -> UnreadableDocument:
    ending = PurePath(name).suffix.lower()
    what = kind or (f"{ending} content" if ending else "binary content")
    return UnreadableDocument(
        f"{what} cannot be read",
        code="encrypted" if kind == OLE_ENCRYPTED else "unsupported",
        hint="docs/formats.md lists the formats",
    )
