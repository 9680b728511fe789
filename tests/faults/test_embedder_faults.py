"""An embedder that refuses, fails, hangs or answers nonsense.

Whatever it does, no wrong vector is stored or kept, no document is lost, a bad one fails alone,
and an outage is not made worse by retries. Time is not waited for.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from connectors.filesystem import FilesystemConnector
from indexers import ingest as job
from indexers.ingest import Listing
from indexers.summary import Summary
from rag.catalog.database import Catalog
from rag.embedders.hashing import HashingEmbedder
from rag.embedding import RetryingEmbedder
from rag.errors import RagError, Rejected, Unavailable
from rag.runtime import Runtime, open_runtime
from rag.settings import Settings
from rag.testing.waiting import FakeTime
from rag.types import Generation, Query, Role, local_owner
from rag.vectors import Embedded, Matrix, check_unit_rows
from tests.faults.checking import (
    brief,
    content,
    differences,
    half_visible,
    leftovers,
    read_state,
)
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.model import MEMORY

DOCUMENTS = 12
POISON = "The page 4 is poisonous."
DIM = HashingEmbedder.Options().dim


class FakeEmbedder(HashingEmbedder):
    """A service that can be ill: the hashing embedder behind a script of faults."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__(self.Options())
        self.time = time
        self.ill: Callable[[Sequence[str]], RagError | None] = lambda texts: None
        """Whether a call is refused, and with what."""
        self.spoil: Callable[[Matrix], Matrix] = lambda vectors: vectors
        self.hangs: Callable[[Sequence[str]], bool] = lambda texts: False
        self.calls = 0
        self.faults = 0

    async def embed(self, texts: Sequence[str], role: Role) -> Embedded:
        self.calls += 1
        if self.hangs(texts):
            self.faults += 1
            await self.time.hang()
        if (error := self.ill(texts)) is not None:
            self.faults += 1
            raise error
        embedded = await super().embed(texts, role)
        vectors = self.spoil(embedded.vectors)
        self.faults += vectors is not embedded.vectors
        return Embedded(vectors, embedded.tokens)

    def recover(self) -> None:
        self.ill, self.spoil, self.hangs = lambda _: None, lambda v: v, lambda _: False


class Wired(Runtime):
    """A runtime whose embedder is the fake, wrapped as every embedder is."""

    def __init__(self, settings: Settings, catalog: Catalog, seed: int = 0) -> None:
        super().__init__(settings, catalog)
        self.time = FakeTime()
        self.fake = FakeEmbedder(self.time)
        draw = random.Random(seed).random
        self._wrapped = RetryingEmbedder(
            self.fake,
            "fake",
            settings.embedding,
            retrying=self.time.retrying("the embedder 'fake'", draw=draw),
        )

    def embedder(self, generation: Generation) -> Any:
        return self._wrapped


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    for n in range(DOCUMENTS):
        (root / f"page{n:02}.txt").write_text(f"The page {n} is about subject{n}.")
    return root


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexers.pipeline.WINDOW_DOCUMENTS", 3)


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Wired]:
    opened = Wired(settings, await Catalog.open(settings.data_dir / "catalog.sqlite"))
    yield opened
    await opened.close()


async def ingest(runtime: Runtime, folder: Path) -> Summary:
    collection = await job.open_collection(runtime, "default", "docs")
    connector = FilesystemConnector(FilesystemConnector.Options(), str(folder))
    return await job.ingest(
        runtime, collection, [Listing(connector.kind, connector.root, connector)]
    )


async def bad_vectors(runtime: Runtime) -> int:
    """Look at every vector in the store and in the cache; count those that are no unit rows."""
    state = await read_state(runtime)
    stored = [
        np.frombuffer(row.vector, np.float32)
        for rows in state.rows.values()
        for version in rows.values()
        for row in version
    ]
    return sum(not is_unit(vector) for vector in (*stored, *cached_vectors(runtime)))


def cached_vectors(runtime: Runtime) -> list[Matrix]:
    """Read the cache's file; what stands before a vector is a checksum."""
    file = runtime.settings.data_dir / "cache" / "vectors.sqlite"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT vector FROM vectors").fetchall()
    return [np.frombuffer(blob[-DIM * 4 :], np.float32) for (blob,) in rows]


def is_unit(vector: Matrix) -> bool:
    try:
        check_unit_rows(vector.reshape(1, -1))
    except RagError:
        return False
    return len(vector) == DIM


async def assert_as_undisturbed(runtime: Runtime, folder: Path, elsewhere: Path) -> None:
    """After recovery one more run leaves what a run without faults makes of the folder."""
    await ingest(runtime, folder)
    state = await read_state(runtime)
    wrong = half_visible(state) + leftovers(state)
    assert not wrong, brief(wrong)
    settings = runtime.settings.model_copy(update={"data_dir": elsewhere})
    async with open_runtime(settings) as fresh:
        await ingest(fresh, folder)
        wrong = differences(content(state), content(await read_state(fresh)))
    assert not wrong, brief(wrong)


async def found(runtime: Runtime) -> int:
    query = Query("page", "docs", local_owner(), k=100, mode="sparse")
    return len((await runtime.retrieval.search(query)).hits)


# --- answers that are wrong ----------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[[Matrix], Matrix], str]] = {
    "NaN": (lambda v: np.full_like(v, np.nan), "squared length nan"),
    "NaN in one row": (lambda v: np.concatenate([v[:-1], v[-1:] * np.nan]), "squared length nan"),
    "infinity": (lambda v: np.full_like(v, np.inf), "squared length inf"),
    "zero": (np.zeros_like, "squared length 0"),
    "wrong dimension": (lambda v: np.ascontiguousarray(v[:, 1:]), "dimension 256"),
    "float64": (lambda v: v.astype(np.float64), "float64"),
    "too few rows": (lambda v: v[1:], "gave vectors of shape"),
    "too many rows": (lambda v: np.concatenate([v, v]), "gave vectors of shape"),
    "no unit rows": (lambda v: v * np.float32(1.01), "squared length 1.02"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_wrong_answers_are_named_and_nothing_of_them_is_kept(
    runtime: Wired, folder: Path, tmp_path: Path, what: str
) -> None:
    runtime.fake.spoil, message = WRONG[what]
    summary = await ingest(runtime, folder)
    assert runtime.fake.faults > 0
    assert (summary.added, summary.failed) == (0, DOCUMENTS)
    assert all(
        "the embedder 'fake' gave" in failure["error"] and message in failure["error"]
        for failure in summary.failures
    )
    assert runtime.time.slept == []  # what is wrong is not asked for again
    assert await bad_vectors(runtime) == 0
    assert cached_vectors(runtime) == []
    with pytest.raises(Rejected, match=message):
        await runtime.retrieval.search(Query("page", "docs", local_owner(), mode="dense"))
    runtime.fake.recover()
    await assert_as_undisturbed(runtime, folder, tmp_path / "undisturbed")
    assert await found(runtime) == DOCUMENTS


@pytest.mark.parametrize("how", ["refused", "wrong"])
async def test_a_bad_document_fails_alone(
    runtime: Wired, folder: Path, tmp_path: Path, how: str
) -> None:
    (folder / "page04.txt").write_text(POISON)

    def refuse(texts: Sequence[str]) -> RagError | None:
        return Rejected("not this text") if any(POISON in text for text in texts) else None

    healthy = HashingEmbedder(HashingEmbedder.Options())
    poisoned = (await healthy.embed([POISON], "passage")).vectors[0]

    def spoil(vectors: Matrix) -> Matrix:
        rows = np.flatnonzero((vectors == poisoned).all(axis=1))
        if not len(rows):
            return vectors
        spoiled = vectors.copy()
        spoiled[rows] = np.nan
        return spoiled

    if how == "refused":
        runtime.fake.ill = refuse
    else:
        runtime.fake.spoil = spoil
    summary = await ingest(runtime, folder)
    assert runtime.fake.faults > 0
    assert (summary.added, summary.failed) == (DOCUMENTS - 1, 1)
    assert summary.failures[0]["uri"].endswith("page04.txt")
    assert await bad_vectors(runtime) == 0
    assert await found(runtime) == DOCUMENTS - 1
    runtime.fake.recover()
    await assert_as_undisturbed(runtime, folder, tmp_path / "undisturbed")


# --- services that are away ----------------------------------------------------------------------


async def test_too_many_requests_are_waited_for_as_long_as_asked(
    runtime: Wired, folder: Path
) -> None:
    refused = iter([Unavailable("429 too many requests", retry_after=20.0)] * 3)
    runtime.fake.ill = lambda _: next(refused, None)
    summary = await ingest(runtime, folder)
    assert runtime.fake.faults == 3
    assert (summary.added, summary.failed) == (DOCUMENTS, 0)
    assert 20 <= runtime.time.passed < 100


async def test_an_outage_ends_the_run_and_a_later_run_completes_it(
    runtime: Wired, folder: Path, tmp_path: Path
) -> None:
    runtime.fake.ill = lambda _: Unavailable("500 internal error")
    with pytest.raises(Unavailable, match=r"the embedder 'fake' failed .* 500 internal error"):
        await ingest(runtime, folder)
    assert runtime.fake.calls <= 2 * runtime.settings.embedding.attempts
    assert await found(runtime) == 0
    runtime.fake.recover()
    await assert_as_undisturbed(runtime, folder, tmp_path / "undisturbed")


async def test_a_hanging_embedder_ends_by_the_deadline_and_leaves_nothing_behind(
    runtime: Wired, folder: Path, tmp_path: Path
) -> None:
    runtime.fake.hangs = lambda _: True
    before = asyncio.all_tasks()
    with pytest.raises(Unavailable, match=r"the embedder 'fake' .*gave no answer within"):
        await ingest(runtime, folder)
    assert runtime.fake.faults > 0
    assert asyncio.all_tasks() == before
    assert runtime.time.passed >= runtime.settings.embedding.timeout_s
    with pytest.raises(Unavailable, match=r"gave no answer within 29\.9 s"):
        await runtime.retrieval.search(Query("page", "docs", local_owner(), mode="dense"))
    runtime.fake.recover()
    await assert_as_undisturbed(runtime, folder, tmp_path / "undisturbed")


async def test_one_hang_is_survived(runtime: Wired, folder: Path) -> None:
    runtime.fake.hangs = lambda _: runtime.fake.calls == 1
    summary = await ingest(runtime, folder)
    assert runtime.fake.faults == 1
    assert (summary.added, summary.failed) == (DOCUMENTS, 0)


# --- everything at random ------------------------------------------------------------------------

SICKNESS = ("429", "500 for half", "500 always", "hang", *WRONG)
CALLS = 100
"""Of one trial at least, so that the reserve of retries does not count for much."""


def fall_ill(fake: FakeEmbedder, sickness: str, rng: random.Random) -> None:
    share = 0.5 if sickness in ("429", "500 for half") else rng.uniform(0.02, 0.2)

    def ill(texts: Sequence[str]) -> bool:
        return rng.random() < share

    match sickness:
        case "429":
            fake.ill = lambda t: Unavailable("429", retry_after=rng.random()) if ill(t) else None
        case "500 for half":
            fake.ill = lambda t: Unavailable("500") if ill(t) else None
        case "500 always":
            fake.ill = lambda _: Unavailable("500")
        case "hang":
            fake.hangs = ill
        case _:
            spoil = WRONG[sickness][0]
            fake.spoil = lambda vectors: spoil(vectors) if ill(()) else vectors


@lanes("embedders")
async def test_any_illness(lane: Lane, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexers.pipeline.WINDOW_DOCUMENTS", 1)
    worst = 0.0
    for trial in lane.run(small=2):
        with TemporaryDirectory(dir=MEMORY) as place:
            worst = max(worst, await fall_ill_once(trial, settings, Path(place)))
    lane.figures["most calls per call needed, in runs that went through"] = round(worst, 3)


async def fall_ill_once(trial: Trial, settings: Settings, place: Path) -> float:
    """Ingest under an illness and again after it; return the calls made per call needed."""
    sickness, docs, calls = trial.random.choice(SICKNESS), place / "docs", 0.0
    docs.mkdir()
    for n in range(CALLS):
        (docs / f"{n:03}.txt").write_text(f"The page {n} is about subject{n}.")
    mine = settings.model_copy(update={"data_dir": place / "data"})
    runtime = Wired(mine, await Catalog.open(mine.data_dir / "catalog.sqlite"), trial.seed)
    fake = runtime.fake
    try:
        fall_ill(fake, sickness, trial.random)
        if not await ends(ingest(runtime, docs)) and sickness not in WRONG:
            calls = fake.calls / CALLS
        trial.fault = f"{sickness}: {fake.faults} of {fake.calls} calls"
        trial.fired = fake.faults > 0
        trial.check(calls <= 1.3, f"{calls:.2f} calls were made for each that was needed")
        trial.check(await bad_vectors(runtime) == 0, "a bad vector was stored or kept")
        fake.recover()
        await assert_as_undisturbed(runtime, docs, place / "undisturbed")
    finally:
        await runtime.close()
    return calls


async def ends(run: Any) -> bool:
    """Tell whether a run was ended by an embedder that is away."""
    try:
        await run
    except Unavailable:
        return True
    return False
