"""The problems that operations may reply with, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

from api.schemas.shared import Problem

MEANINGS = {
    400: "The body is not JSON.",
    403: "The request comes from a page of another host.",
    404: "The collection, document, run or model does not exist, or is not the caller's to know.",
    408: "The body took too long to arrive.",
    409: "It contradicts what is there.",
    413: "The body or a file is larger than the limits.",
    415: "The body is in another format than the operation takes.",
    422: "The body, a parameter or a filter cannot be read, or cannot be done.",
    500: "The server failed; its log has more under the request's id.",
    501: "A part of the program that this needs is not installed.",
    502: "A model or store refused.",
    503: "A model or store is away, or too much is asked at once; see `Retry-After`.",
    504: "The deadline passed.",
    507: "There is no room left on the disk.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "model": Problem} for status, meaning in MEANINGS.items()
}
"""For `APIRouter(responses=PROBLEMS)`; `api.documenting` gives them their media type."""
