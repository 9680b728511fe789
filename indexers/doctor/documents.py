"""A generation document by document: versions against rows and files, both ways, and mending them.

The store was read before the catalog, so whatever a writer did in between looks wrong at first:
every suspect is looked at again, between two equal answers of the catalog.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Collection as Many
from collections.abc import Sequence

from indexers.doctor.checkup import Checkup, Examined
from indexers.doctor.findings import RESTORE, Finding
from indexers.doctor.judging import Case, due_fields, judge
from indexers.doctor.rewriting import Rewriting
from indexers.doctor.rows import Held, take
from rag.catalog import auditing
from rag.catalog.auditing import Version
from rag.catalog.checksums import SLICE
from rag.catalog.recounting import is_packed
from rag.errors import RagError, Rejected
from rag.filters import Compare, Eq, Filter, In, Not
from rag.ports import Index
from rag.types import Collection

PAGE = 256


async def check_documents(checkup: Checkup, examined: Examined, held: Held | None) -> None:
    """Compare every version with its rows and files; what is left of `held` is nobody's."""
    generation = examined.collection.live
    after = ""
    while ids := await checkup.runtime.catalog.read(
        auditing.document_ids, generation.id, after, PAGE
    ):
        after = ids[-1]
        versions, unreadable = await _versions(checkup, examined, ids)
        sound = [version for version in versions if version.intact]
        for version in versions:
            if not version.intact:
                await _distrust(checkup, examined, version.document_id, version)
        for document_id in unreadable:
            await _distrust(checkup, examined, document_id, None)
        judged = await asyncio.to_thread(judge, checkup.runtime, examined.collection, sound, held)
        for version in versions:
            (held or {}).pop(version.attempt, None)
        if judged:
            await _treat(checkup, examined, [case.version.document_id for case in judged])
        checkup.report.documents += len(ids)
        checkup.progress.done += len(ids)
    if examined.index is not None:
        await _check_orphans(checkup, examined, examined.index, held or {})


async def _versions(
    checkup: Checkup, examined: Examined, ids: Sequence[str]
) -> tuple[list[Version], list[str]]:
    """Read versions; return also the ids of those that cannot be read."""
    if not ids:
        return [], []
    catalog = checkup.runtime.catalog
    try:
        return await catalog.read(auditing.versions, examined.collection.live.id, ids), []
    except Rejected:
        if len(ids) == 1:
            return [], list(ids)
    middle = len(ids) // 2
    first, second = [
        await _versions(checkup, examined, part) for part in (ids[:middle], ids[middle:])
    ]
    return first[0] + second[0], first[1] + second[1]


async def _distrust(
    checkup: Checkup, examined: Examined, document_id: str, version: Version | None
) -> None:
    """Report a version that is not what was written; it stays hidden until it is read anew."""
    collection = examined.collection
    checkup.spared.add(document_id)
    if checkup.fix:
        await checkup.runtime.catalog.write(auditing.distrust, collection.live.id, document_id)
    todo = RESTORE if version is None else _ingest(version, collection)
    checkup.found(
        Finding(
            "checksum",
            "what the catalog says of it is not what was written; it is left out of hits",
            collection.name,
            document_id,
            None if version is None else version.uri,
            todo=todo if checkup.fix else None,
        )
    )


# --- what is wrong with rows and files -----------------------------------------------------------


async def _treat(checkup: Checkup, examined: Examined, ids: Sequence[str]) -> None:
    """Report what is still wrong at a second look; mend it where that is asked for."""
    cases = await _look(checkup, examined, ids)
    reason: dict[str, str] = {}
    left: dict[str, Case] = {}
    if checkup.fix and cases:
        reason = await _mend(checkup, examined, cases)
        left = await _look(checkup, examined, cases)
    for document_id, case in cases.items():
        version = case.version
        remaining = left[document_id].problems if document_id in left else {}
        for kind, what in case.problems.items():
            # What is lost for good is said once, and then no longer promised.
            fixed = checkup.fix and kind not in remaining and kind != "original"
            todo = reason.get(version.uri, _ingest(version, examined.collection))
            checkup.found(
                Finding(
                    kind,
                    what,
                    examined.collection.name,
                    document_id,
                    version.uri,
                    fixed=fixed,
                    todo=None if fixed or not checkup.fix else todo,
                )
            )


async def _look(checkup: Checkup, examined: Examined, ids: Many[str]) -> dict[str, Case]:
    """Judge the current versions of documents; leave out what a writer changes meanwhile."""
    before, _ = await _versions(checkup, examined, sorted(ids))
    held = None
    if examined.index is not None:
        mine = In("attempt", [version.attempt for version in before])
        with checkup.reading(examined.collection):
            held = await take(examined.index, mine)
    sound = [version for version in before if version.intact]
    judged = await asyncio.to_thread(judge, checkup.runtime, examined.collection, sound, held)
    after, _ = await _versions(checkup, examined, [case.version.document_id for case in judged])
    return {case.version.document_id: case for case in judged if case.version in after}


async def _mend(checkup: Checkup, examined: Examined, cases: dict[str, Case]) -> dict[str, str]:
    """Do what can be done; return why not, by address of the document."""
    generation, catalog = examined.collection.live, checkup.runtime.catalog
    for case in cases.values():
        if "original" in case.problems:
            await catalog.write(auditing.give_up_original, generation.id, case.version)
    if examined.index is None:
        return {}
    cases = await _patch(checkup, examined, examined.index, cases)
    writing = Rewriting(checkup.runtime, examined.collection, examined.index, checkup.cache)
    lost: list[Version] = []
    readable: list[Version] = []
    for case in cases.values():
        if "text" in case.problems:
            lost.append(case.version)
        elif case.broken or "rows_fields" in case.problems:
            whole = await asyncio.to_thread(writing.has_structure, case.version)
            (readable if whole else lost).append(case.version)
    for case in cases.values():
        if not is_packed(case.version.terms):
            await catalog.write(auditing.clear_terms, generation.id, case.version)
    try:
        failed = await writing.from_texts(readable)
        failed |= await writing.from_originals([v for v in lost if v.original_digest is not None])
    except RagError as exc:
        failed = {case.version.uri: str(exc) for case in cases.values()}
    for version in lost:
        if version.original_digest is None:
            await catalog.write(auditing.invalidate, generation.id, version)
    return failed


async def _patch(
    checkup: Checkup, examined: Examined, index: Index, cases: dict[str, Case]
) -> dict[str, Case]:
    """Set wrong fields right where nothing else is wrong with rows; return what is wrong then."""
    for case in cases.values():
        if "rows_fields" in case.problems and not case.broken:
            fields = due_fields(examined.collection, case.version)
            await index.patch(Eq("attempt", case.version.attempt), fields)
    return await _look(checkup, examined, cases)


# --- rows that are nobody's ----------------------------------------------------------------------


async def _check_orphans(checkup: Checkup, examined: Examined, index: Index, held: Held) -> None:
    """Find rows of attempts that are not visible, not open and in no outbox, and remove them."""
    numbered = sorted(attempt for attempt in held if attempt is not None)
    for start in range(0, len(numbered), SLICE):
        for attempt in await checkup.runtime.catalog.read(
            auditing.unaccounted, examined.collection.live.id, numbered[start : start + SLICE]
        ):
            await _orphan(checkup, examined, index, Eq("attempt", attempt), f"attempt {attempt}")
    if None in held:
        nameless = Not(Compare("attempt", "ge", -(2.0**63)))
        await _orphan(checkup, examined, index, nameless, "no attempt")


async def _orphan(
    checkup: Checkup, examined: Examined, index: Index, where: Filter, whose: str
) -> None:
    rows = 0
    with checkup.reading(examined.collection):
        rows = await (index.delete(where) if checkup.fix else index.count(where))
    if rows:  # else its writer has removed them meanwhile
        checkup.found(
            Finding(
                "rows_orphaned",
                f"{rows} rows of {whose} belong to no version",
                examined.collection.name,
                fixed=checkup.fix,
            )
        )


def _ingest(version: Version, collection: Collection) -> str:
    """Say how its source gives a document again."""
    if version.source.kind == "filesystem":
        root = shlex.quote(version.source.root)
        return f"run: rag ingest {root} --collection {collection.name}"
    return f"hand {version.uri} over again"
