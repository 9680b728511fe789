"""BEIR folders: queries, judgements, and the corpus as a source of documents.

Layout: `corpus.jsonl` {_id, title, text}, `queries.jsonl` {_id, text, metadata}, and
`qrels/<split>.tsv` (query-id, corpus-id, score; header line). Knows files, no metric.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import NotFound, UserError
from rag.ports import Change, Changed, ListingComplete
from rag.types import LOCAL_OWNER, Blob

Qrels = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Question:
    """A query with the answers that its dataset knows."""

    id: str
    text: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BeirDataset:
    """One split of a BEIR folder."""

    name: str
    path: Path
    questions: tuple[Question, ...]
    """Those with judgements, in the order of the file."""
    qrels: Qrels


def load_beir(path: Path, split: str = "test") -> BeirDataset:
    """Read queries and judgements of a split; raise `NotFound` or `UserError` on bad folders."""
    for name in ("corpus.jsonl", "queries.jsonl", f"qrels/{split}.tsv"):
        if not (path / name).is_file():
            raise NotFound(
                f"{path} has no {name}", hint="a BEIR folder is wanted; see docs/evals.md"
            )
    qrels = read_qrels(path / "qrels" / f"{split}.tsv")
    questions = tuple(
        Question(row["_id"], row["text"], tuple((row.get("metadata") or {}).get("answers") or ()))
        for row in _rows(path / "queries.jsonl")
        if row["_id"] in qrels
    )
    return BeirDataset(path.resolve().name, path, questions, qrels)


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read judgements: query id to document id to relevance."""
    qrels: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for number, row in enumerate(rows, start=1):
            if number == 1 and row[2:] == ["score"]:
                continue
            try:
                query, document, score = row
                qrels.setdefault(query, {})[document] = int(score)
            except ValueError as exc:
                raise UserError(f"{path} line {number} is not: query, document, score") from exc
    return qrels


class BeirConnector:
    """The corpus as a source: one document per line, its title and text."""

    kind = "beir"
    repeatable = True

    def __init__(self, path: Path) -> None:
        self.root = str(path.resolve())
        self._corpus = path / "corpus.jsonl"
        self._offsets: dict[str, int] = {}

    async def changes(self) -> AsyncIterator[Change]:
        """List every line; its digest is its fingerprint."""
        for change in await asyncio.to_thread(lambda: list(self._list())):
            yield change
        yield ListingComplete(covers=lambda _: True)

    async def fetch(self, change: Changed) -> Blob:
        """Read one line again."""
        row = await asyncio.to_thread(self._row, self._offsets[change.external_id])
        return Blob(
            uri=change.uri,
            media_type="text/plain",
            content=row["text"].encode(),
            title=row.get("title") or None,
        )

    def _list(self) -> Iterator[Changed]:
        name = Path(self.root).name
        with self._corpus.open("rb") as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    external_id = _decoded(self._corpus, number, line)["_id"]
                    self._offsets[external_id] = offset
                    yield Changed(
                        external_id=external_id,
                        uri=f"beir:{name}/{external_id}",
                        fingerprint=hashlib.sha256(line).hexdigest(),
                        access=(LOCAL_OWNER,),
                        size=len(line),
                    )
                offset += len(line)

    def _row(self, offset: int) -> Any:
        with self._corpus.open("rb") as file:
            file.seek(offset)
            return json.loads(file.readline())


def _rows(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _decoded(path, number, line)


def _decoded(path: Path, number: int, line: bytes) -> Any:
    """Read one line; raise `UserError` unless it is an object with `_id` and `text`."""
    try:
        row = json.loads(line)
    except ValueError as exc:
        raise UserError(f"{path} line {number} is not JSON: {exc}") from exc
    if not isinstance(row, dict) or not isinstance(row.get("_id"), str) or "text" not in row:
        raise UserError(f"{path} line {number} has no string '_id' or no 'text'")
    return row
