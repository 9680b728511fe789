"""What runs in the child process: one file becomes documents and members, as frames.

The parent sends name, type and options, and a descriptor of the bytes; it gets the documents as
they are kept (`rag.parsed`) and the files inside as they are. Nothing else of the parent is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from indexers.parsing import parse_content
from indexers.parsing.content import Content, Member, ParseOptions, Pulse
from rag.parsed import pack_document

TASK = "indexers.parsing.child:serve"


def serve(
    request: dict[str, Any], descriptor: int | None
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Parse the bytes behind the descriptor; raise `UnreadableDocument`."""
    options = ParseOptions(
        passwords=tuple(request["passwords"]),
        parsers=request["parsers"],
        ocr=request["ocr"],
        ocr_languages=tuple(request["ocr_languages"]),
    )
    content = Content(
        b"" if descriptor is None else descriptor, name=request["name"], options=options
    )
    for found in parse_content(content, request["media_type"], title=request["title"]):
        if isinstance(found, Pulse):
            yield {"kind": "pulse", "reached": content.reached}, b""
        elif isinstance(found, Member):
            error = found.error
            head = {
                "kind": "member",
                "error": error and {"message": str(error), "code": error.code},
                "name": found.name,
                "media_type": found.media_type,
                "title": found.title,
                "metadata": dict(found.metadata),
            }
            yield head, found.content
        else:
            yield {"kind": "document", "reached": content.reached}, pack_document(found)
