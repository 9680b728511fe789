"""What a doctor says: findings of a closed set of kinds, each with what to do when it is left.

Knows words only; what is looked at and how it is mended stands in the modules beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "database",
    "collection",
    "document",
    "checksum",
    "receipt",
    "statistics",
    "undrained",
    "index",
    "index_orphaned",
    "rows_damaged",
    "rows_missing",
    "rows_extra",
    "rows_fields",
    "rows_text",
    "rows_terms",
    "rows_orphaned",
    "text",
    "original",
    "file_orphaned",
    "cache",
    "cache_orphaned",
]
TITLES: Final[dict[Kind, str]] = {
    "database": "the catalog's file is damaged",
    "collection": "a collection has no live generation",
    "document": "a document has no version",
    "checksum": "what the catalog says of a document is not what was written",
    "receipt": "a deletion is done, and its receipt does not say so",
    "statistics": "the statistics are not those of the visible chunks",
    "undrained": "deletions and given up writes wait to be carried out",
    "index": "an index is missing or cannot be read",
    "index_orphaned": "an index belongs to no collection",
    "rows_damaged": "rows of an index cannot be read",
    "rows_missing": "rows of a document are missing",
    "rows_extra": "rows of a document are too many",
    "rows_fields": "fields of rows are not what the catalog says",
    "rows_text": "rows are not what the kept text says",
    "rows_terms": "terms of rows are not what the catalog says",
    "rows_orphaned": "rows belong to no version",
    "text": "a kept text is missing or damaged",
    "original": "a kept original is missing or damaged",
    "file_orphaned": "a kept file belongs to no version",
    "cache": "the vector cache cannot be read",
    "cache_orphaned": "cached vectors belong to no document",
}
FIX: Final = "run: rag doctor --fix"
RESTORE: Final = "restore a backup: rag restore"
DOUBTFUL: Final = "the catalog is empty: is it that of this data folder? if so, remove it by hand"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree with something else, and whether it has been mended."""

    kind: Kind
    what: str
    collection: str | None = None
    """Name of the collection that it is in, where it is in one."""
    document: str | None = None
    uri: str | None = None
    fixed: bool = False
    todo: str | None = None
    """What to do, when it is not fixed."""


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found."""

    findings: list[Finding] = field(default_factory=list)
    collections: int = 0
    documents: int = 0
    rows: int = 0
    files: int = 0

    @property
    def left(self) -> list[Finding]:
        """What is not fixed."""
        return [finding for finding in self.findings if not finding.fixed]

    def counts(self) -> dict[Kind, int]:
        """Count the findings by kind, in the order in which they were found."""
        return dict(Counter(finding.kind for finding in self.findings))


@dataclass(slots=True)
class Progress:
    """How far an examination is; whoever shows it reads."""

    stage: str = ""
    done: int = 0
    total: int = 0
    """0 when it is not known."""

    def begin(self, stage: str, total: int = 0) -> None:
        """Begin another part of the work."""
        self.stage, self.done, self.total = stage, 0, total
