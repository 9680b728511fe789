"""What is wrong with a document: its version in the catalog against its rows and kept files.

Computes and reads files, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from indexers.doctor.findings import Kind
from indexers.doctor.rows import Held, Rows, digest, digest_fields, identity, sum_terms
from rag.blobs import Blobs
from rag.catalog.auditing import Version
from rag.catalog.recounting import is_packed
from rag.errors import NotFound, Rejected
from rag.parsed import unpack_document
from rag.runtime import Runtime
from rag.types import Collection, Metadata, chunk_id

REWRITTEN: frozenset[Kind] = frozenset({"rows_missing", "rows_extra", "rows_text", "rows_terms"})
"""What only new rows mend."""


@dataclass(frozen=True, slots=True)
class Case:
    """A version with something wrong, in words by kind."""

    version: Version
    problems: Mapping[Kind, str]

    @property
    def broken(self) -> bool:
        """Whether its rows have to be written again."""
        return not REWRITTEN.isdisjoint(self.problems)


def judge(
    runtime: Runtime, collection: Collection, versions: Sequence[Version], held: Held | None
) -> list[Case]:
    """Return what is wrong with these versions; without rows, of their files alone."""
    cases = []
    for version in versions:
        problems: dict[Kind, str] = {}
        text = None
        content, wrong = _kept(runtime.texts, version.document_id, version.text_digest)
        if content is None:
            problems["text"] = f"its text {wrong}"
        else:
            text = unpack_document(content).text
        if version.original_digest is not None:
            original, wrong = _kept(runtime.originals, version.document_id, version.original_digest)
            if original is None:
                problems["original"] = f"its original {wrong}"
        if held is not None:
            rows = held.get(version.attempt, Rows())
            problems |= dict(_judge_rows(collection, version, rows, text))
        if problems:
            cases.append(Case(version, problems))
    return cases


def due_fields(collection: Collection, version: Version) -> Metadata:
    """Return the fields that each row of a version has."""
    return {
        **version.metadata,
        **version.given,
        "tenant": collection.tenant,
        "subjects": list(version.access),
        "document": version.document_id,
        "attempt": version.attempt,
        "uri": version.uri,
        "title": version.title,
    }


def _kept(blobs: Blobs, document_id: str, digest: str) -> tuple[bytes | None, str]:
    """Return a kept content, or what is wrong with it."""
    try:
        return blobs.get(document_id, digest), ""
    except NotFound:
        return None, "is missing"
    except Rejected:
        return None, "is damaged"


def _judge_rows(
    collection: Collection, version: Version, rows: Rows, text: str | None
) -> Iterator[tuple[Kind, str]]:
    due = {
        identity(
            chunk_id(collection.live.id, version.document_id, version.attempt, ordinal),
            version.document_id,
            version.attempt,
            ordinal,
        )
        for ordinal in range(version.chunks)
    }
    there = rows.unpacked()
    mine = [row for row in there if row[0] in due]
    if missing := version.chunks - len({row[0] for row in mine}):
        yield "rows_missing", f"{missing} of its {version.chunks} rows are missing"
    if extra := len(there) - len({row[0] for row in mine}):
        yield "rows_extra", f"it has {extra} rows beside its {version.chunks}"
    fields = digest_fields(due_fields(collection, version))
    if wrong := sum(row[4] != fields for row in mine):
        yield "rows_fields", f"the fields of {wrong} of its {version.chunks} rows are other ones"
    if text is not None and (
        wrong := sum(digest(text[start:end]) != found for _, start, end, found, _ in mine)
    ):
        yield "rows_text", f"{wrong} of its {version.chunks} rows are not a span of its text"
    if not missing and not extra and rows.terms != _due_terms(version.terms):
        yield "rows_terms", "the terms of its rows are not those that the catalog counts"


def _due_terms(packed: bytes) -> int | None:
    if not is_packed(packed):
        return None
    terms, counts = np.frombuffer(packed, "<u4").reshape(2, -1)
    return sum_terms(terms, counts)
