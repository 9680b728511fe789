"""One examination: what its parts share, and what they look at.

Knows nothing of what can be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from indexers.doctor.findings import FIX, Finding, Progress, Report
from indexers.vector_cache import VectorCache
from rag.errors import Rejected
from rag.ports import Index
from rag.runtime import Runtime
from rag.types import Collection


@dataclass(frozen=True, slots=True)
class Checkup:
    """What the parts of one examination share."""

    runtime: Runtime
    cache: VectorCache
    fix: bool
    report: Report
    progress: Progress
    spared: set[str] = field(default_factory=set)
    """Documents of which the catalog's word is doubtful: nothing of theirs counts as unneeded."""

    def found(self, finding: Finding) -> None:
        """Add a finding to the report."""
        if not self.fix and finding.todo is None:
            finding = replace(finding, todo=FIX)
        self.report.findings.append(finding)

    @contextmanager
    def reading(self, collection: Collection) -> Iterator[None]:
        """Report an index that fails to be read, once; one that was repaired must not."""
        try:
            yield
        except Rejected as exc:
            if self.fix:
                raise
            what = f"the index cannot be read: {exc.message}"
            finding = Finding("index", what, collection.name, todo=FIX)
            if finding not in self.report.findings:
                self.found(finding)


@dataclass(frozen=True, slots=True)
class Examined:
    """A generation under examination."""

    collection: Collection
    """Its `live` generation is the one examined."""
    index: Index | None
    """None where there is none to look into."""
