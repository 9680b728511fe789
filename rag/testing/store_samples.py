"""Rows, vectors and filters for tests of stores: random, seeded, and hostile where it may hurt.

Knows the shapes of the nouns; knows no store.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from rag.filters import (
    And,
    Compare,
    Eq,
    Exists,
    Filter,
    Not,
    Operator,
    Or,
    Scalar,
    Value,
)
from rag.types import Chunk, Metadata, Place, name_uuid
from rag.vectors import Batch, Matrix, SparseMatrix

SUBJECTS: Final = ("public", "user:a", "user:b", "group:x", "group:y:z", "user:o'neil")
NAMES: Final = (
    "meta.lang",
    "meta.n",
    "meta.a.b.c",
    "meta.a",
    'meta."quoted"',
    "meta.o'neil",
    "meta.$or",
    "$or",
    "__proto__",
    "meta.__proto__",
    "meta.ключ",
    "meta.名前",
    "meta.with space",
    "meta.%s",
    "meta.x[0]",
    "meta.x'); DROP TABLE rows; --",
    "meta.back\\slash",
    "meta.a/b~1",
    "meta.",
    "meta.constructor",
)
VALUES: Final[tuple[tuple[Scalar, ...], ...]] = (
    ("", "en", "EN", "1", "true", "a.b", "$or", "'; --", '"', "%", "_", "日本", "é", "e\u0301"),
    (0, 1, 2, -1, 1.5, 0.1, 2**31, 2**53, -(2**53), 1e-9, 1.7e9),
    (True, False),
)
OPERATORS: Final[tuple[Operator, ...]] = ("lt", "le", "gt", "ge")
HOSTILE_TEXTS: Final = (
    "",
    " leading and trailing ",
    "line\nfeed\r\nreturn\ttab\u2028separator",
    "naïve café, Zażółć gęślą jaźń, 東京, שלום, \U0001f9ea \U0001f468\u200d\U0001f469",
    "e\u0301 stays decomposed, \ufeff and \x7f\x01 stay",
    "'; DROP TABLE rows; --",
    "%s {} $1 ? :name \\u0000 \\",
    "long " * 5000,
)


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    """Draw unit vectors: shape (n, dim)."""
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows, np.float32)


def sparse_rows(rng: np.random.Generator, n: int, *, terms: int = 40) -> SparseMatrix:
    """Draw rows of up to 12 of the terms; some rows are empty."""
    hashes = np.linspace(0, 2**32 - 1, terms).astype(np.uint32)
    rows = []
    for _ in range(n):
        chosen = np.sort(rng.choice(hashes, rng.integers(0, 13), replace=False))
        rows.append((chosen, rng.uniform(0.05, 3, len(chosen)).astype(np.float32)))
    return SparseMatrix.from_rows(rows)


def one_term(n: int, *, term: int = 7, weight: float = 1.0) -> SparseMatrix:
    """Return rows that all have this one term, so that a sparse search finds every row."""
    row = (np.array([term], np.uint32), np.array([weight], np.float32))
    return SparseMatrix.from_rows([row] * n)


def chunks(n: int, *, first: int = 0, label: str = "") -> list[Chunk]:
    """Return chunks of documents of four, with texts that are hard to keep."""
    return [
        Chunk(
            id=name_uuid("chunk", label, i),
            document_id=name_uuid("document", label, i // 4),
            attempt=i // 4 + 1,
            ordinal=i % 4,
            start=i * 10,
            end=i * 10 + 9,
            text=f"{i} {HOSTILE_TEXTS[i % len(HOSTILE_TEXTS)]}",
            heading=("Über", 'a "b"', "")[: i % 4],
            places=(Place(i * 10, "page", i + 1), Place(i * 10 + 3, "sheet", 2, "Ä!", i + 1, 2, 3))[
                : i % 3
            ],
            outline=((i * 10, 1, "Öffnen"), (i * 10 + 2, 2, ""))[: i % 3],
        )
        for i in range(first, first + n)
    ]


def plain_fields(chunk: Chunk) -> dict[str, Value]:
    """Return the fields that every row has in practice."""
    return {
        "tenant": "default",
        "subjects": ["user:owner"],
        "document": chunk.document_id,
        "attempt": chunk.attempt,
        "uri": f"file:///{chunk.document_id}.md",
        "title": "Title",
        "meta.ordinal": chunk.ordinal,
    }


def batch(
    n: int,
    *,
    dim: int = 4,
    seed: int = 0,
    first: int = 0,
    fields: Sequence[Metadata] | None = None,
    dense: Matrix | None = None,
    sparse: SparseMatrix | None = None,
) -> Batch:
    """Build rows `first` to `first + n`; what is not given is drawn."""
    rng = np.random.default_rng((seed, first))
    made = chunks(n, first=first)
    return Batch(
        made,
        [plain_fields(chunk) for chunk in made] if fields is None else fields,
        unit_rows(rng, n, dim) if dense is None else dense,
        sparse_rows(rng, n) if sparse is None else sparse,
    )


def query_row(terms: Sequence[int], weights: Sequence[float] | None = None) -> SparseMatrix:
    """Build the sparse side of a search; terms ascend, weights default to one."""
    row: npt.NDArray[np.uint32] = np.array(terms, np.uint32)
    given = np.ones(len(terms)) if weights is None else np.array(weights)
    return SparseMatrix.from_rows([(row, given.astype(np.float32))])


def random_scalar(rng: random.Random) -> Scalar:
    """Draw a value of any kind."""
    return rng.choice(rng.choice(VALUES))


def random_fields(rng: random.Random, chunk: Chunk) -> dict[str, Value]:
    """Draw fields: few values, so that filters meet them, under names that are hard to keep."""
    fields: dict[str, Value] = plain_fields(chunk)
    fields["tenant"] = rng.choice(("default", "other"))
    fields["subjects"] = rng.sample(SUBJECTS, rng.randint(0, 3))
    for name in rng.sample(NAMES, rng.randint(0, len(NAMES) // 2)):
        if rng.random() < 0.3:
            pool = rng.choice(VALUES)
            fields[name] = [rng.choice(pool) for _ in range(rng.randint(0, 3))]  # type: ignore[assignment]
        else:
            fields[name] = random_scalar(rng)
    return fields


def random_filter(rng: random.Random, *, depth: int = 3) -> Filter:
    """Draw a tree; its leaves ask for names and values that `random_fields` draws."""
    form = rng.random()
    if depth and form < 0.45:
        children = [random_filter(rng, depth=depth - 1) for _ in range(rng.randint(0, 3))]
        return And(tuple(children)) if rng.random() < 0.5 else Or(tuple(children))
    if depth and form < 0.6:
        return Not(random_filter(rng, depth=depth - 1))
    return _random_leaf(rng)


def _random_leaf(rng: random.Random) -> Filter:
    name = rng.choice((*NAMES, "uri", "meta.missing"))
    match rng.randint(0, 5):
        case 0:
            return Eq("subjects", rng.choice(SUBJECTS))
        case 1:
            return Exists(name)
        case 2:
            number = rng.choice(VALUES[1])
            return Compare(name, rng.choice(OPERATORS), float(number))
        case 3:
            return rng.choice(
                (
                    Eq("tenant", "default"),
                    Eq("attempt", rng.randint(1, 40)),
                    Compare("attempt", rng.choice(OPERATORS), rng.randint(1, 40)),
                    Eq("document", name_uuid("document", "", rng.randint(0, 40))),
                )
            )
        case _:
            return Eq(name, random_scalar(rng))
