"""The commit protocol: who wins, what goes to the outbox, and that the statistics keep up.

Units of work are plain functions of a connection, so they are tried on a database in memory, and
in Postgres within a transaction that is never committed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from rag.catalog import collections, documents, outbox, statistics, writing
from rag.catalog import tables as t
from rag.catalog.collections import Pipeline
from rag.catalog.outbox import Deletion
from rag.catalog.statistics import pack_terms
from rag.catalog.writing import Write
from rag.testing.postgres import PostgresServer
from rag.types import Collection, Pinned, Principal, name_uuid
from rag.vectors import SparseMatrix

LEASE_S = 900.0
READER = Principal("acme", frozenset({"user:a"}))
PINNED = Pinned("part", {}, "fingerprint")
PIPELINE = Pipeline("faiss", chunker=PINNED, embedder=PINNED, sparse=PINNED, dim=4)


Opened: TypeAlias = Callable[[], AbstractContextManager[Connection]]


@contextmanager
def in_memory() -> Iterator[Connection]:
    """Open an empty catalog in memory."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        t.metadata.create_all(connection)
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def in_postgres(postgres_server: PostgresServer) -> Iterator[Opened]:
    """Offer a catalog on Postgres that is empty every time."""

    @contextmanager
    def opened() -> Iterator[Connection]:
        with engine.connect() as connection:
            yield connection
            connection.rollback()

    with postgres_server.database() as url:
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        t.metadata.create_all(engine)
        yield opened
        engine.dispose()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Open an empty catalog, on both databases."""
    if request.param == "sqlite":
        return in_memory
    found: Opened = request.getfixturevalue("in_postgres")
    return found


@dataclass
class World:
    """One collection with one source, and short names for the protocol's verbs."""

    connection: Connection
    collection: Collection = field(init=False)
    source_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.collection = collections.create_collection(self.connection, "acme", "docs", PIPELINE)
        made = collections.ensure_source(self.connection, self.collection.id, "test", "/root")
        self.source_id = made.id

    @property
    def generation(self) -> str:
        return self.collection.live.id

    def write(self, name: str, content: str, expected: int | None = None) -> Write:
        """Build a write whose chunks are the lines of the content, its terms the letters."""
        rows = [np.array(sorted(map(ord, set(line))), np.uint32) for line in content.splitlines()]
        sparse = SparseMatrix.from_rows([(row, np.ones(len(row), np.float32)) for row in rows])
        return Write(
            document_id=name_uuid("document", self.source_id, name),
            collection_id=self.collection.id,
            source_id=self.source_id,
            external_id=name,
            uri=f"test:{name}",
            access=("user:a",),
            fingerprint=content,
            digest=content,
            text_digest=f"text of {content}",
            title=name,
            metadata={"meta.content": content},
            chunks=len(rows),
            terms=pack_terms(sparse),
            expected=expected,
        )

    def begin(self, *writes: Write, lease_s: float = LEASE_S) -> list[Write]:
        return writing.begin(self.connection, self.generation, writes, lease_s=lease_s)

    def commit(self, *writes: Write) -> list[bool]:
        return writing.commit(self.connection, self.generation, writes)

    def put(self, name: str, content: str, expected: int | None = None) -> Write:
        """Write a document from beginning to end."""
        (write,) = self.begin(self.write(name, content, expected))
        assert self.commit(write) == [True]
        return write

    def visible(self, *names: str) -> dict[str, int]:
        ids = [name_uuid("document", self.source_id, name) for name in names]
        return documents.visible(self.connection, self.generation, ids, READER)

    def pending(self) -> list[Deletion]:
        return outbox.pending_deletions(self.connection, self.generation)

    def waste(self) -> set[tuple[str, int, str]]:
        """Return what is in the outbox: document, attempt, text."""
        return {(g.document_id, g.attempt, g.text_digest) for g in (d.gone for d in self.pending())}

    def finish(self) -> list[tuple[str, str]]:
        """Strike everything off the outbox; return the texts that were dropped."""
        dropped: list[tuple[str, str]] = []
        outbox.finish_deletions(
            self.connection,
            self.pending(),
            lambda *text: dropped.append(text),
            lambda *original: pytest.fail(f"no write had an original: {original}"),
        )
        return dropped

    def states(self) -> dict[int, str]:
        rows = self.connection.execute(sa.select(t.attempts.c.id, t.attempts.c.state))
        return {row.id: row.state for row in rows}


def waste_of(write: Write) -> tuple[str, int, str]:
    return write.document_id, write.attempt, write.text_digest


@pytest.fixture
def world(opened: Opened) -> Iterator[World]:
    with opened() as connection:
        yield World(connection)


# --- compare and set -----------------------------------------------------------------------------


def test_of_two_writers_with_one_view_exactly_one_wins(world: World) -> None:
    before = world.put("a", "old")
    first, second = world.begin(
        world.write("a", "one", before.attempt), world.write("a", "two", before.attempt)
    )
    assert world.commit(second) == [True]
    assert world.commit(first) == [False]
    assert world.visible("a") == {first.document_id: second.attempt}
    assert world.states() == {
        before.attempt: "committed",
        first.attempt: "abandoned",
        second.attempt: "committed",
    }
    assert world.waste() == {waste_of(before), waste_of(first)}


def test_a_document_twice_in_one_commit_is_taken_once(world: World) -> None:
    first, other, second = world.begin(
        world.write("a", "one"), world.write("b", "b"), world.write("a", "two")
    )
    assert world.commit(first, other, second) == [True, True, False]
    assert world.visible("a", "b") == {
        first.document_id: first.attempt,
        other.document_id: other.attempt,
    }
    assert world.waste() == {waste_of(second)}


def test_a_new_version_replaces_everything_that_is_shown(world: World) -> None:
    before = world.put("a", "old")
    moved = replace(world.write("a", "new", before.attempt), uri="test:elsewhere", title="New")
    (after,) = world.begin(replace(moved, access=("user:b", "user:b")))
    assert world.commit(after) == [True]
    assert world.visible("a") == {}  # for the reader of before
    reader = Principal("acme", frozenset({"user:b"}))
    shown = documents.get_document(world.connection, after.document_id, reader)
    assert (shown.uri, shown.title, shown.access) == ("test:elsewhere", "New", ("user:b",))
    assert shown.metadata == {"meta.content": "new"}
    assert shown.text_digest == after.text_digest
    assert world.waste() == {waste_of(before)}


def test_an_abandoned_attempt_cannot_be_committed(world: World) -> None:
    first, second = world.begin(world.write("a", "one"), world.write("b", "two"))
    writing.abandon(world.connection, world.generation, [first])
    assert world.states() == {first.attempt: "abandoned", second.attempt: "open"}
    assert world.waste() == {waste_of(first)}
    assert world.commit(first, second) == [False, True]
    assert world.visible("a", "b") == {second.document_id: second.attempt}


def test_abandoning_what_is_committed_changes_nothing(world: World) -> None:
    write = world.put("a", "one")
    writing.abandon(world.connection, world.generation, [write])
    assert world.states() == {write.attempt: "committed"}
    assert world.waste() == set()


def test_only_expired_attempts_are_given_up(world: World) -> None:
    (expired,) = world.begin(world.write("a", "one"), lease_s=-1)
    (done,) = world.begin(world.write("b", "two"), lease_s=-1)
    assert world.commit(done) == [True]
    (open_,) = world.begin(world.write("c", "three"))
    assert writing.abandon_expired(world.connection, world.generation) == 1
    assert world.states() == {
        expired.attempt: "abandoned",
        done.attempt: "committed",
        open_.attempt: "open",
    }
    assert world.waste() == {waste_of(expired)}
    assert world.commit(expired, open_) == [False, True]


def test_attempt_numbers_are_never_used_again(world: World) -> None:
    used: list[int] = []
    for round_ in range(4):
        write = world.put("a", f"round {round_}")
        used.append(write.attempt)
        writing.remove(world.connection, {write.document_id: None}, "request")
        world.finish()
        assert world.states() == {}  # not even the number's row is left
    assert used == sorted(set(used))


def test_attempts_are_numbered_in_the_order_of_the_writes(world: World) -> None:
    writes = world.begin(*(world.write(f"page {n}", f"text {n}") for n in range(300)))
    assert [w.external_id for w in writes] == [f"page {n}" for n in range(300)]
    assert [w.attempt for w in writes] == sorted({w.attempt for w in writes})
    assert world.begin() == []


# --- removing ------------------------------------------------------------------------------------


def test_a_removed_document_is_gone_and_its_text_waits_in_the_outbox(world: World) -> None:
    write, kept = world.put("a", "one"), world.put("b", "two")
    assert writing.remove(world.connection, {write.document_id: write.attempt}, "request") == [
        write.document_id
    ]
    assert world.visible("a", "b") == {kept.document_id: kept.attempt}
    assert world.waste() == {waste_of(write)}
    assert set(documents.traced_documents(world.connection, world.collection.id)) == {
        write.document_id,
        kept.document_id,
    }
    assert documents.readers(world.connection, write.document_id) == set()


def test_a_document_written_since_is_not_removed(world: World) -> None:
    before = world.put("a", "one")
    after = world.put("a", "two", before.attempt)
    assert writing.remove(world.connection, {after.document_id: before.attempt}, "request") == []
    assert world.visible("a") == {after.document_id: after.attempt}
    assert writing.remove(world.connection, {after.document_id: None}, "request") == [
        after.document_id
    ]


def test_texts_stay_while_somebody_needs_them(world: World) -> None:
    before = world.put("a", "same")
    (coming,) = world.begin(replace(world.write("a", "same", before.attempt), title="retitled"))
    (stranger,) = world.begin(world.write("b", "same"))
    writing.remove(world.connection, {before.document_id: None}, "request")
    assert world.finish() == []  # an open attempt of the document has the text
    writing.abandon(world.connection, world.generation, [coming])
    assert world.finish() == [(before.document_id, before.text_digest)]
    assert world.commit(stranger) == [True]  # another document's equal text is its own
    replaced = world.put("b", "same", stranger.attempt)
    assert world.waste() == {waste_of(stranger)}
    assert world.finish() == []  # the visible version has the text
    assert world.visible("b") == {replaced.document_id: replaced.attempt}
    assert world.pending() == []


def test_access_is_replaced_whole(world: World) -> None:
    write = world.put("a", "one")
    writing.set_access(world.connection, write.document_id, ["user:b", "group:c", "user:b"])
    assert documents.readers(world.connection, write.document_id) == {"user:b", "group:c"}
    assert world.visible("a") == {}
    writing.set_access(world.connection, write.document_id, [])
    for subjects in (frozenset[str](), frozenset({"user:a", "user:b", "public", ""})):
        nobody = Principal("acme", subjects)
        ids = [write.document_id]
        assert documents.visible(world.connection, world.generation, ids, nobody) == {}


# --- any history ---------------------------------------------------------------------------------

CONTENTS = ("", "ab", "abc\nb", "x\ny\nxy", "abc\nabd\nabe")
VERBS = ("put", "begin", "commit", "commit all", "remove", "abandon", "expire", "finish")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.integers(0, 2),  # document
        st.integers(0, len(CONTENTS) - 1),
    ),
    min_size=5,
    max_size=30,
)


class History:
    """A catalog beside a model of it in dicts; every step is done to both and compared."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.visible: dict[str, Write] = {}
        self.begun: list[Write] = []
        self.open: set[int] = set()
        self.committed: set[int] = set()
        self.waste: set[tuple[str, int, str]] = set()
        self.texts: set[tuple[str, str]] = set()

    def step(self, verb: str, name: str, content: str) -> None:
        if verb == "put":
            self.commit([self.begin(name, content)])
        elif verb == "begin":
            self.begin(name, content)
        elif verb.startswith("commit"):
            self.commit([w for w in self.begun if w.external_id == name or verb == "commit all"])
        elif verb == "remove":
            self.remove(name)
        elif verb == "finish":
            self.finish()
        else:
            self.give_up(name, expired=verb == "expire")

    def begin(self, name: str, content: str) -> Write:
        seen = self.visible.get(name)
        lease = -1.0 if name == "page 0" else LEASE_S  # its writers are always too slow
        write = self.world.write(name, content, seen.attempt if seen else None)
        (begun,) = self.world.begin(write, lease_s=lease)
        assert begun.attempt > max((w.attempt for w in self.begun), default=0)
        self.begun.append(begun)
        self.open.add(begun.attempt)
        self.texts.add((begun.document_id, begun.text_digest))
        return begun

    def commit(self, writes: list[Write]) -> None:
        won = self.world.commit(*writes)
        touched: set[str] = set()
        before = dict(self.visible)
        for write, wins in zip(writes, won, strict=True):
            name = write.external_id
            if write is before.get(name):  # a second call, because a reply was lost
                assert wins
                continue
            current = before[name].attempt if name in before else None
            expected = write.attempt in self.open and write.expected == current
            assert wins == (expected and name not in touched)
            touched.add(name)
            self.open.discard(write.attempt)
            if not wins:
                self.waste.add(waste_of(write))
            elif name in before:
                self.waste.add(waste_of(before[name]))
            if wins:
                self.visible[name] = write
                self.committed.add(write.attempt)

    def remove(self, name: str) -> None:
        write = self.visible.pop(name, None)
        document_id = name_uuid("document", self.world.source_id, name)
        writing.remove(
            self.world.connection, {document_id: write.attempt if write else None}, "request"
        )
        if write:
            self.waste.add(waste_of(write))

    def give_up(self, name: str, *, expired: bool) -> None:
        connection, generation = self.world.connection, self.world.generation
        lost = [w for w in self.begun if w.external_id == ("page 0" if expired else name)]
        if expired:
            writing.abandon_expired(connection, generation)
            wasted = [w for w in lost if w.attempt in self.open]
        else:  # also what another writer gave up: rows may have come since it drained
            writing.abandon(connection, generation, lost)
            wasted = [w for w in lost if w.attempt not in self.committed]
        self.waste |= {waste_of(w) for w in wasted}
        self.open -= {w.attempt for w in lost}

    def finish(self) -> None:
        self.texts -= set(self.world.finish())
        self.committed -= {attempt for _, attempt, _ in self.waste}
        self.waste.clear()
        needed = {(w.document_id, w.text_digest) for w in self.visible.values()}
        needed |= {(w.document_id, w.text_digest) for w in self.begun if w.attempt in self.open}
        assert self.texts == needed

    def compare(self) -> None:
        world, kept = self.world, self.visible.values()
        assert world.visible("page 0", "page 1", "page 2") == {
            w.document_id: w.attempt for w in kept
        }
        assert world.waste() == self.waste
        states = world.states()
        assert {a for a, state in states.items() if state == "open"} == self.open
        lines = [line for w in kept for line in w.digest.splitlines()]
        counted: dict[str, Any] = Counter(letter for line in lines for letter in set(line))
        found = statistics.frequencies(world.connection, world.generation, range(128))
        assert found == {ord(letter): n for letter, n in counted.items()}
        rows = world.connection.execute(sa.select(sa.func.count()).select_from(t.frequencies))
        assert rows.scalar() == len(found)  # terms that no chunk has leave no row
        live = collections.get_collection(world.connection, "acme", "docs")
        assert (live.live.chunks, live.documents) == (len(lines), len(kept))


@settings(
    max_examples=int(os.environ.get("CUMULO_TEST_EXAMPLES", "40")),
)
@given(STEPS)
def test_any_history_leaves_what_the_model_says(
    opened: Opened, steps: list[tuple[str, int, int]]
) -> None:
    with opened() as connection:
        history = History(World(connection))
        for verb, document, content in steps:
            history.step(verb, f"page {document}", CONTENTS[content])
            history.compare()
        history.finish()
