"""What a sync has to do: a source's listing compared with what is indexed.

Decides by the cheap fingerprint alone; content digests come later. Reads nothing of the content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag.catalog.documents import Known
from rag.errors import RagError
from rag.ports import Changed, Connector, Failed, ListingComplete


@dataclass(slots=True)
class Plan:
    """The work of one sync of one source."""

    fetch: list[Changed] = field(default_factory=list)
    """New, or with another fingerprint than the one indexed."""
    access: list[Changed] = field(default_factory=list)
    """Same fingerprint, other readers."""
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(uri, error) of what the source has but cannot show."""
    gone: list[Known] = field(default_factory=list)
    """Indexed, covered by a complete listing, and not in it."""


async def make_plan(connector: Connector, known: Mapping[str, Known]) -> Plan:
    """List the source and compare; absence counts only after a complete listing."""
    plan = Plan()
    seen: set[str] = set()
    async for change in connector.changes():
        match change:
            case Changed():
                if change.external_id not in seen:  # a source may name a document twice
                    seen.add(change.external_id)
                    _sort(plan, change, known.get(change.external_id))
            case Failed():
                seen.add(change.external_id)
                plan.failed.append((change.uri, change.error))
            case ListingComplete():
                plan.gone = [
                    document
                    for external_id, document in known.items()
                    if external_id not in seen and change.covers(external_id)
                ]
    return plan


def _sort(plan: Plan, change: Changed, known: Known | None) -> None:
    if known is None or known.fingerprint != change.fingerprint:
        plan.fetch.append(change)
    elif known.access != frozenset(change.access):
        plan.access.append(change)
    else:
        plan.unchanged += 1


def reason(error: Exception) -> str:
    """Say in one line why a document failed."""
    if isinstance(error, RagError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"internal error: {type(error).__name__}: {error}"
