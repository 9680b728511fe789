"""From the bytes of a file to text with structure.

Knows which media types can be read and which module reads each; nothing of their syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath

from indexers.parsing.decoding import HEAD, binary_format
from indexers.parsing.html import parse_html
from indexers.parsing.markdown import parse_markdown
from indexers.parsing.text import parse_text
from rag.errors import UnreadableDocument
from rag.types import Blob, Document

MARKDOWN = "text/markdown"
HTML = "text/html"
TEXT = "text/plain"

PARSERS: Mapping[str, Callable[[bytes], Document]] = {
    MARKDOWN: parse_markdown,
    HTML: parse_html,
    TEXT: parse_text,
}
EXTENSIONS: Mapping[str, str] = {
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".mdown": MARKDOWN,
    ".mkd": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".txt": TEXT,
    ".text": TEXT,
    ".log": TEXT,
    ".rst": TEXT,
    ".adoc": TEXT,
    ".asciidoc": TEXT,
    ".org": TEXT,
}


def media_type(name: str, head: bytes) -> str | None:
    """Return the type of a file by its name's ending and its first bytes; None: cannot be read.

    A name without an ending (README, LICENSE) is judged by the bytes alone.
    """
    if binary_format(head[:HEAD]) is not None:
        return None
    ending = _ending(name)
    if not ending:
        start = head[:HEAD].lstrip().lower()
        return HTML if start.startswith((b"<!doctype html", b"<html")) else TEXT
    return EXTENSIONS.get(ending)


def parse(blob: Blob) -> Iterator[Document | Blob]:
    """Yield the document that the blob holds; a title that its source gave stands above its own.

    Raise `UnreadableDocument` when the type is not supported or the content is not what it should
    be, and `OSError` when the file cannot be read.
    """
    data = blob.read()
    kind = blob.media_type.partition(";")[0].strip().lower()
    if kind not in PARSERS:
        kind = media_type(blob.uri, data[:HEAD]) or kind
    if kind not in PARSERS:
        raise _unsupported(blob, data)
    document = PARSERS[kind](data)
    yield replace(document, title=blob.title) if blob.title else document


def _ending(name: str) -> str:
    return PurePath(name).suffix.lower()


def _unsupported(blob: Blob, data: bytes) -> UnreadableDocument:
    found = binary_format(data[:HEAD]) or _ending(blob.uri) or blob.media_type or "unknown"
    return UnreadableDocument(
        f"{found} content ({blob.media_type or 'no media type'}) cannot be read",
        hint="supported are " + ", ".join(sorted(EXTENSIONS)) + " and text without an ending",
    )
