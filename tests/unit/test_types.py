"""The nouns: what they refuse, what their names mean, and what a caller's scope lets through."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.errors import IndexMismatch
from rag.filters import matches
from rag.testing.store_samples import batch, chunks, sparse_rows, unit_rows
from rag.types import Blob, Principal, Query, chunk_id, local_owner, name_uuid
from rag.vectors import Batch, SparseMatrix, check_unit_rows

RNG = np.random.default_rng(5)


def bad(change: str) -> Any:
    """Build a matrix of unit rows with one thing wrong."""
    rows = unit_rows(np.random.default_rng(5), 6, 4)
    match change:
        case "nan":
            rows[3, 1] = np.nan
        case "infinity":
            rows[3, 1] = np.inf
        case "zero":
            rows[3] = 0
        case "long":
            rows[3] *= 1.01
        case "double":
            return rows.astype(np.float64)
        case "flat":
            return rows[0].copy()
        case "strided":
            return np.asfortranarray(rows)
    return rows


# --- vectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["nan", "infinity", "zero", "long"])
def test_rows_that_are_not_of_length_one_are_refused(change: str) -> None:
    with pytest.raises(IndexMismatch, match="vector 3 "):
        check_unit_rows(bad(change))


@pytest.mark.parametrize("change", ["double", "flat", "strided"])
def test_matrices_of_another_shape_or_kind_are_refused(change: str) -> None:
    with pytest.raises(IndexMismatch, match="contiguous float32 matrix"):
        check_unit_rows(bad(change))


@pytest.mark.parametrize("n", [0, 1, 500])
def test_unit_rows_are_taken(n: int) -> None:
    check_unit_rows(unit_rows(np.random.default_rng(n), n, 384))


def test_a_batch_is_checked_when_it_is_built() -> None:
    good = batch(3)
    for wrong in (
        {"chunks": chunks(2)},
        {"fields": good.fields[:2]},
        {"dense": unit_rows(RNG, 2, 4)},
        {"sparse": sparse_rows(RNG, 4)},
        {"dense": good.dense * np.float32(2)},
    ):
        with pytest.raises(IndexMismatch):
            replace(good, **wrong)
    empty = Batch([], [], np.empty((0, 4), np.float32), SparseMatrix.from_rows([]))
    assert len(empty.sparse) == 0


def test_sparse_rows_come_back_in_the_order_asked_for() -> None:
    made = sparse_rows(np.random.default_rng(1), 9)
    taken = made.take([7, 0, 7])
    assert len(taken) == 3
    for i, j in enumerate([7, 0, 7]):
        for have, want in zip(taken.row(i), made.row(j), strict=True):
            np.testing.assert_array_equal(have, want)
    assert len(made.take([])) == 0


def test_stacked_sparse_rows_stand_below_each_other() -> None:
    parts = [sparse_rows(np.random.default_rng(n), n) for n in (2, 0, 5)]
    stacked = SparseMatrix.stack(parts)
    rows = list(itertools.chain.from_iterable(map(part.row, range(len(part))) for part in parts))
    assert len(stacked) == len(rows) == 7
    for i, row in enumerate(rows):
        for have, want in zip(stacked.row(i), row, strict=True):
            np.testing.assert_array_equal(have, want)
            assert have.dtype == want.dtype
    assert len(SparseMatrix.stack([])) == 0


# --- names ---------------------------------------------------------------------------------------


def test_a_name_is_the_same_for_ever() -> None:
    # Stored in every catalog: another value here would orphan all documents.
    assert name_uuid("document", "a", 1) == "d054f1f0-0dbd-5989-bd06-da68b4174d5a"
    assert uuid.UUID(name_uuid("")).version == 5


def test_parts_are_kept_apart() -> None:
    groups = [("ab",), ("a", "b"), ("a", "", "b"), ("", "ab"), ("b", "a"), ("a b",), ("a/b",)]
    assert len({name_uuid(*parts) for parts in groups}) == len(groups)


def test_every_version_of_every_document_has_chunk_ids_of_its_own() -> None:
    parts = list(itertools.product(["g1", "g2"], ["d1", "d2"], [1, 2, 11], [0, 1, 11]))
    assert len({chunk_id(*p) for p in parts}) == len(parts)


# --- callers and blobs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tenant", "subjects", "seen"),
    [
        ("acme", ["user:a"], True),
        ("acme", ["user:b", "group:x"], True),
        ("acme", ["user:b"], False),
        ("acme", [], False),
        ("acme", [""], False),
        ("other", ["user:a"], False),
        ("", ["user:a"], False),
    ],
)
def test_a_scope_lets_through_what_the_caller_may_read(
    tenant: str, subjects: list[str], seen: bool
) -> None:
    scope = Principal(tenant, frozenset(subjects)).scope
    assert matches(scope, {"tenant": "acme", "subjects": ["group:x", "user:a"]}) is seen
    assert not matches(scope, {"tenant": "acme", "subjects": []})
    assert not matches(scope, {"tenant": "acme"})
    assert not matches(scope, {"subjects": ["user:a", "user:b"]})


def test_a_query_cannot_be_built_without_a_caller_nor_changed() -> None:
    with pytest.raises(TypeError, match="principal"):
        Query("text", "docs")  # type: ignore[call-arg]
    query = Query("text", "docs", local_owner())
    with pytest.raises(FrozenInstanceError):
        query.principal = Principal("other", frozenset())  # type: ignore[misc]


def test_a_blob_is_a_file_or_a_content(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"on disk")
    assert Blob("uri", "text/plain", path=file).read() == b"on disk"
    assert Blob("uri", "text/plain", content=b"in memory").read() == b"in memory"
    assert Blob("uri", "text/plain").read() == b""
    with pytest.raises(FileNotFoundError):
        Blob("uri", "text/plain", path=tmp_path / "nowhere").read()
