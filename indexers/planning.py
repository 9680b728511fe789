"""What a sync has to do: a source's listing compared with what is indexed.

Decides by the cheap fingerprint alone; content digests come later. What was taken out of a file
(the members of an archive, the parts of a long table) shares the fate of the file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rag.catalog.documents import Known
from rag.catalog.quarantine import Refused
from rag.errors import RagError
from rag.given import same
from rag.ports import Changed, Connector, Failed, ListingComplete

T = TypeVar("T", Known, Refused)


@dataclass(frozen=True, slots=True)
class Before:
    """What there is of a source before it is listed, by external id."""

    known: Mapping[str, Known]
    quarantine: Mapping[str, Refused] = field(default_factory=dict)
    doubted: frozenset[str] = frozenset()
    """Files that are read again although they have not changed."""

    def doubting(self, again: Collection[str], program: str) -> Before:
        """Doubt what must not save a file from being read again.

        That is: `again` names it, another program could not read it or a member of it, or not all
        that was taken out of it is as old as itself.
        """
        doubted = {*again, *(r.file for r in self.quarantine.values() if r.program != program)}
        for known in self.known.values():
            file = self.known.get(known.container or "")
            if file is not None and file.fingerprint != known.fingerprint:
                doubted.add(file.external_id)
        return Before(
            {
                id_: replace(known, fingerprint="", digest="") if id_ in doubted else known
                for id_, known in self.known.items()
            },
            self.quarantine,
            frozenset(doubted),
        )


@dataclass(slots=True)
class Plan:
    """The work of one sync of one source."""

    fetch: list[Changed] = field(default_factory=list)
    """New, or with another fingerprint than the one indexed."""
    access: list[Changed] = field(default_factory=list)
    """Same fingerprint, other readers."""
    unchanged: int = 0
    quarantined: int = 0
    """Could not be parsed before, and have not changed."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(uri, error) of what the source has but cannot show."""
    gone: list[Known] = field(default_factory=list)
    """Indexed, covered by a complete listing, and not in it."""
    released: list[str] = field(default_factory=list)
    """In quarantine, and not in the source any more."""


async def make_plan(connector: Connector, before: Before) -> Plan:
    """List the source and compare; absence counts only after a complete listing."""
    plan = Plan()
    seen: set[str] = set()
    members, refused = _by_file(before.known.values()), _by_file(before.quarantine.values())
    async for change in connector.changes():
        match change:
            case Changed():
                id_ = change.external_id
                if id_ not in seen:  # a source may name a document twice
                    seen.add(id_)
                    _sort(plan, change, before, members[id_], refused[id_])
            case Failed():
                seen.add(change.external_id)
                plan.failed.append((change.uri, change.error))
            case ListingComplete():
                plan.gone = [k for k in before.known.values() if _is_gone(k, seen, change)]
                plan.released = [
                    refused.external_id
                    for refused in before.quarantine.values()
                    if _is_gone(refused, seen, change)
                ]
    return plan


def _by_file(entries: Iterable[T]) -> defaultdict[str, list[T]]:
    """Group what was taken out of files by the file."""
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for entry in entries:
        if entry.container is not None:
            groups[entry.container].append(entry)
    return groups


def _is_gone(entry: Known | Refused, seen: set[str], complete: ListingComplete) -> bool:
    file = entry.container or entry.external_id
    return file not in seen and complete.covers(file)


def _sort(
    plan: Plan, change: Changed, before: Before, members: list[Known], refused: list[Refused]
) -> None:
    known = before.known.get(change.external_id)
    held = before.quarantine.get(change.external_id)
    doubted = change.external_id in before.doubted
    if held is not None and held.fingerprint == change.fingerprint and not doubted:
        plan.quarantined += 1  # what is indexed of it stays as it is
    elif known is None or known.fingerprint != change.fingerprint or _is_described(change, known):
        plan.fetch.append(change)
    else:
        plan.quarantined += len(refused)
        _sort_readers(plan, change, [known, *members])


def _is_described(change: Changed, known: Known) -> bool:
    """Tell whether a person gives other metadata now."""
    return change.given is not None and not same(change.given, known.given)


def _sort_readers(plan: Plan, change: Changed, documents: list[Known]) -> None:
    """Find the documents of an unchanged file that have other readers now."""
    for known in documents:
        if known.access != frozenset(change.access):
            plan.access.append(replace(change, external_id=known.external_id, uri=known.uri))
        else:
            plan.unchanged += 1


def reason(error: Exception) -> str:
    """Say in one line why a document failed."""
    if isinstance(error, RagError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"internal error: {type(error).__name__}: {error}"
