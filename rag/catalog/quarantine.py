"""Files that cannot be parsed: passed over until they change, or somebody asks for another try.

Units of work on a connection. An entry belongs to a source; it goes when the file is read after
all, when the source has it no more, and when another version of the program comes.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rag import __version__
from rag.catalog import tables as t

SLICE = 500


@dataclass(frozen=True, slots=True)
class Refused:
    """A file, or a member of one, that cannot be parsed as it is now."""

    external_id: str
    container: str | None
    uri: str
    fingerprint: str
    """Of the file, or of the container around the member."""
    code: str
    """One of `rag.errors.UNREADABLE`."""
    reason: str
    program: str = __version__
    """The version that could not read it."""

    @property
    def file(self) -> str:
        """External id of the file that the source lists."""
        return self.container or self.external_id


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An entry as it is shown."""

    id: int
    collection: str
    kind: str
    root: str
    """Of the source."""
    refused: Refused
    since: float


def quarantine(connection: Connection, source_id: str, refused: Sequence[Refused]) -> None:
    """Put files into quarantine, in place of what stood there of them."""
    release(connection, source_id, [one.external_id for one in refused])
    now = time.time()
    values = [
        {
            "source": source_id,
            "external_id": one.external_id,
            "container": one.container,
            "uri": one.uri,
            "fingerprint": one.fingerprint,
            "code": one.code,
            "reason": one.reason,
            "program": one.program,
            "created": now,
        }
        for one in {one.external_id: one for one in refused}.values()
    ]
    if values:
        connection.execute(t.quarantine.insert(), values)


def release(connection: Connection, source_id: str, external_ids: Sequence[str]) -> None:
    """Take files out of quarantine; those that are not in it are no error."""
    for start in range(0, len(external_ids), SLICE):
        connection.execute(
            t.quarantine.delete().where(
                t.quarantine.c.source == source_id,
                t.quarantine.c.external_id.in_(external_ids[start : start + SLICE]),
            )
        )


def in_quarantine(connection: Connection, source_id: str) -> dict[str, Refused]:
    """Return the entries of a source by external id."""
    rows = connection.execute(
        sa.select(*_REFUSED).where(t.quarantine.c.source == source_id).order_by(t.quarantine.c.id)
    )
    return {row.external_id: Refused(*row) for row in rows}


def list_quarantined(connection: Connection, collection_ids: Collection[str]) -> list[Quarantined]:
    """List the entries of these collections, the oldest first."""
    rows = connection.execute(
        sa.select(
            t.quarantine.c.id,
            t.quarantine.c.created,
            t.collections.c.name,
            t.sources.c.kind,
            t.sources.c.root,
            *_REFUSED,
        )
        .join(t.sources, t.sources.c.id == t.quarantine.c.source)
        .join(t.collections, t.collections.c.id == t.sources.c.collection)
        .where(t.collections.c.id.in_(collection_ids))
        .order_by(t.quarantine.c.id)
    )
    return [
        Quarantined(row.id, row.name, row.kind, row.root, Refused(*row[5:]), row.created)
        for row in rows
    ]


_REFUSED = (
    t.quarantine.c.external_id,
    t.quarantine.c.container,
    t.quarantine.c.uri,
    t.quarantine.c.fingerprint,
    t.quarantine.c.code,
    t.quarantine.c.reason,
    t.quarantine.c.program,
)
