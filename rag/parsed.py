"""A parsed document as bytes: what a chunker needs to cut it again, without its source.

One line of JSON with title, metadata and blocks, then the text as it is. Bytes without such a line
are a text alone, as version 0.1 kept them.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Final

from rag.errors import Rejected
from rag.types import Block, Document, Place

MARK: Final = b'{"cumulo":'
FORMAT: Final = 1


def pack_document(document: Document) -> bytes:
    """Write a document as bytes; equal documents give equal bytes."""
    head = {
        "cumulo": FORMAT,
        "title": document.title,
        "metadata": dict(document.metadata),
        "blocks": [astuple(block) for block in document.blocks],
    }
    if document.places:
        head["places"] = [astuple(place) for place in document.places]
    line = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    return f"{line}\n{document.text}".encode()


def unpack_document(content: bytes) -> Document:
    """Read a document back; raise `Rejected` when a newer version wrote it."""
    line, _, text = content.partition(b"\n")
    if not line.startswith(MARK):
        return Document(content.decode())
    head = json.loads(line)
    if head["cumulo"] > FORMAT:
        raise Rejected(
            f"a parsed text has format {head['cumulo']}, this program reads up to {FORMAT}",
            hint="use the newer program that wrote it",
        )
    return Document(
        text.decode(),
        tuple(Block(*block) for block in head["blocks"]),
        head["title"],
        head["metadata"],
        tuple(Place(*place) for place in head.get("places", ())),
    )


def has_structure(content: bytes) -> bool:
    """Tell whether these bytes hold more than a text, so that the same chunks can be cut again."""
    return content.startswith(MARK)
