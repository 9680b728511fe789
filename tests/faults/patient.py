"""A healthy data folder, and copies of it that can be hurt and examined.

It holds the collection `docs` of markdown files, and one uploaded document whose original is kept.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexers import ingest as job
from indexers.doctor.examining import examine
from indexers.doctor.findings import Report
from indexers.summary import Summary
from rag.catalog.collections import get_collection
from rag.filters import Filter
from rag.ports import Index
from rag.runtime import open_runtime
from rag.settings import Settings, load_settings
from rag.types import Query, local_owner
from rag.vectors import Batch

NAME = "docs"
UPLOAD = "handed over.md"
QUESTIONS = ("topic3", "subject7 settings", "whales under water")
PAGES: Mapping[str, str] = {
    f"page{n:02}.md": f"# Page {n}\n\nThe topic{n} word stands only here.\n\n"
    + "\n\n".join(
        f"## Details {k}\n\n" + f"More about subject{n} and its settings, part {k}. " * 25
        for k in range(n % 3 + 1)
    )
    for n in range(9)
}
HANDED = "# Memo\n\nWhales sing under water.\n"


@dataclass(slots=True)
class Patient:
    """A data folder to be hurt; nothing has it open meanwhile."""

    settings: Settings
    random: random.Random
    source: Path
    """The folder of the markdown files."""

    @contextmanager
    def catalog(self) -> Iterator[sqlite3.Connection]:
        """Change the catalog behind everybody's back."""
        path = self.settings.data_dir / "catalog.sqlite"
        with closing(sqlite3.connect(path)) as connection, connection:
            yield connection

    @contextmanager
    def rows(self) -> Iterator[sqlite3.Connection]:
        """Change the rows behind everybody's back."""
        with closing(sqlite3.connect(self.index_file)) as connection, connection:
            yield connection

    def one(self, sql: str, *parameters: Any) -> Any:
        """Return the single value that the catalog answers."""
        with self.catalog() as connection:
            return connection.execute(sql, parameters).fetchone()[0]

    @property
    def generation(self) -> str:
        return str(self.one("SELECT live FROM collections WHERE name = ?", NAME))

    @property
    def index_file(self) -> Path:
        return self.settings.data_dir / "stores" / "faiss" / f"{self.generation}.sqlite"

    @property
    def cache_file(self) -> Path:
        return self.settings.data_dir / "cache" / "vectors.sqlite"

    def documents(self) -> list[str]:
        """Return the ids of the documents of markdown files, in a random order."""
        with self.catalog() as connection:
            found = [
                row[0]
                for row in connection.execute(
                    "SELECT id FROM documents WHERE external_id <> ? ORDER BY id", (UPLOAD,)
                )
            ]
        self.random.shuffle(found)
        return found

    def uploaded(self) -> str:
        """Return the id of the document that was handed over."""
        return str(self.one("SELECT id FROM documents WHERE external_id = ?", UPLOAD))

    def kept(self, folder: str, document: str) -> Path:
        """Return the kept file of a document."""
        (file,) = (self.settings.data_dir / folder / document).iterdir()
        return file

    @contextmanager
    def _without_keys(self) -> Iterator[sqlite3.Connection]:
        with self.catalog() as connection:
            yield connection

    async def change_rows(
        self, where: Filter, change: Callable[[Index, Batch], Awaitable[Any]]
    ) -> None:
        """Do something to rows through the port, with rows that are valid in themselves."""
        async with open_runtime(self.settings) as runtime:
            found = await runtime.catalog.read(get_collection, "default", NAME)
            index = await runtime.index(found.live)
            batches = [batch async for batch in index.scan(where)]
            (batch,) = batches
            await change(index, batch)

    # --- what is done with it ----------------------------------------------------------------

    async def examine(self, *, fix: bool = False) -> Report:
        async with open_runtime(self.settings) as runtime:
            return await examine(runtime, fix=fix)

    async def ingest(self) -> Summary:
        """Bring the collection level with its folder."""
        async with open_runtime(self.settings) as runtime:
            found = await job.open_collection(runtime, "default", NAME)
            listings = await job.list_paths(runtime, found, [self.source], {})
            return await job.ingest(runtime, found, listings)

    async def hand_over(self) -> None:
        async with open_runtime(self.settings) as runtime:
            found = await job.open_collection(runtime, "default", NAME)
            await job.ingest(runtime, found, [job.upload(UPLOAD, HANDED.encode())])

    async def answers(self) -> list[Any]:
        """Return what searches find."""
        found = []
        async with open_runtime(self.settings) as runtime:
            for text in QUESTIONS:
                for mode in ("dense", "sparse"):
                    query = Query(text, NAME, local_owner(), k=30, mode=mode)  # type: ignore[arg-type]
                    hits = (await runtime.retrieval.search(query)).hits
                    found.append(
                        sorted(
                            (-round(h.score, 4), h.uri, h.chunk.start, h.chunk.end, h.chunk.text)
                            for h in hits
                        )
                    )
        return found


@dataclass(frozen=True, slots=True)
class Healthy:
    """A data folder that nothing is wrong with, what it answers, and copies of it to be hurt."""

    folder: Path
    answers: list[Any]

    @staticmethod
    async def made(folder: Path) -> Healthy:
        source = folder / "source"
        source.mkdir(parents=True)
        for name, text in PAGES.items():
            (source / name).write_text(text)
        patient = Patient(_settings(folder / "data"), random.Random(0), source)
        await patient.ingest()
        await patient.hand_over()
        return Healthy(folder, await patient.answers())

    def patient(self, folder: Path, rng: random.Random) -> Patient:
        """Copy the data folder to this place, instead of what is there; the source stays."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder / "data", folder)
        return Patient(_settings(folder), rng, self.folder / "source")


def _settings(folder: Path) -> Settings:
    return load_settings(data_dir=folder, defaults={"embedder": "hashing"})
