"""Kinds of failure: the end of a problem's address, its title and its status. They never change."""

from __future__ import annotations

from api.disconnecting import Gone
from rag import errors as e

# The first class that fits decides: status, and the end of the address that names the problem.
_FAILURES: tuple[tuple[type[e.RagError], int, str], ...] = (
    (Gone, 499, "caller-gone"),
    (e.NotFound, 404, "not-found"),
    (e.Conflict, 409, "conflict"),
    (e.TooLarge, 413, "too-large"),
    (e.InvalidFilter, 422, "invalid-filter"),
    (e.ModelMissing, 503, "model-missing"),
    (e.MissingExtra, 501, "missing-extra"),
    (e.ConfigError, 500, "configuration"),
    (e.UserError, 422, "invalid-request"),
    (e.UnreadableDocument, 422, "unreadable-document"),
    (e.Unsupported, 422, "unsupported"),
    (e.IndexMismatch, 409, "index-mismatch"),
    (e.DataFolderError, 500, "data-folder"),
    (e.StorageFull, 507, "storage-full"),
    (e.Overloaded, 503, "overloaded"),
    (e.Late, 504, "deadline"),
    (e.Unavailable, 503, "unavailable"),
    (e.Rejected, 502, "rejected"),
)
TITLES = {
    "caller-gone": "Nobody waits for it",
    "not-found": "It is not there",
    "conflict": "It contradicts what is there",
    "too-large": "It is too large",
    "invalid-filter": "The filter cannot be read",
    "model-missing": "A model is not installed",
    "missing-extra": "A part of the program is not installed",
    "configuration": "The server is configured wrongly",
    "invalid-request": "The request cannot be done as it is",
    "unreadable-document": "The document cannot be read",
    "unsupported": "This backend or format cannot do that",
    "storage-full": "There is no room left",
    "malformed": "The body is not JSON",
    "forbidden": "Not from there",
    "method-not-allowed": "Not by that method",
    "slow-body": "The body took too long",
    "media-type": "Not in that format",
    "index-mismatch": "Data and pipeline do not belong together",
    "data-folder": "The data folder cannot be used",
    "overloaded": "Too many requests at once",
    "deadline": "The deadline has passed",
    "unavailable": "A part of the system is away",
    "rejected": "A part of the system refused",
    "internal": "An error in the server",
}
REFUSALS = {
    400: "malformed",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "slow-body",
    413: "too-large",
    415: "media-type",
}
"""Kinds of what the HTTP layer itself refuses."""


def status_of(failure: Exception) -> tuple[int, str]:
    """Return the status and the kind of a failure."""
    for cls, status, kind in _FAILURES:
        if isinstance(failure, cls):
            return status, kind
    return 500, "internal"
