"""Entity tags, so that what a client has already is not sent again (RFC 9110, 8.8.3 and 13.1.2)."""

from __future__ import annotations

import re
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def tag_of(*parts: str | bytes) -> str:
    """Make the tag of a content out of what it depends on."""
    digest = blake2b(digest_size=16)
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return f'"{digest.hexdigest()}"'


def headers_of(tag: str) -> dict[str, str]:
    """Return the headers of a reply with a tag: kept by its caller alone, and asked for again."""
    return {"ETag": tag, "Cache-Control": "private, no-cache"}


def unchanged(request: Request, tag: str) -> Response | None:
    """Return the reply to a client that has the content with this tag; None where it has not."""
    if not is_matched(request.headers.get("if-none-match", ""), tag):
        return None
    return Response(status_code=304, headers=headers_of(tag))


def is_matched(header: str, tag: str) -> bool:
    """Tell whether a list of tags has this one, by the weak comparison."""
    if header.strip() == "*":
        return True
    return tag.strip('"') in _TAG.findall(header)
