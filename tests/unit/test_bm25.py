"""BM25 as sparse vectors: the inner product is Lucene's score, and stored weights never move."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from rag.embedders.analysis import analyse
from rag.embedders.bm25 import Bm25Encoder
from rag.vectors import SparseMatrix

PASSAGES = [
    "Proteins bind to the receptor; proteins fold.",
    "The receptor of a cell.",
    "",
    "Get-ChildItem lists items, Get-Item gets one item.",
    "東京タワーは東京にあります。",
    "Proteins " * 50,
]


def encoder(**options: float) -> Bm25Encoder:
    return Bm25Encoder(Bm25Encoder.Options(**options))


def frequencies(matrix: SparseMatrix) -> dict[int, int]:
    return dict(Counter(matrix.terms.tolist()))


def product(question: SparseMatrix, passages: SparseMatrix, row: int) -> float:
    terms, weights = passages.row(row)
    weight = dict(zip(terms.tolist(), weights.tolist(), strict=True))
    asked = zip(question.terms.tolist(), question.weights.tolist(), strict=True)
    return float(sum(w * weight.get(term, 0.0) for term, w in asked))


def lucene(question: str, counts: list[Counter[str]], row: int) -> float:
    """Score by the textbook: k1 0.9, b 0.4, average length 105."""
    mine, score = counts[row], 0.0
    for term in analyse(question):
        df = sum(term in c for c in counts)
        if df and term in mine:
            tf, norm = mine[term], 1 - 0.4 + 0.4 * mine.total() / 105
            idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
            score += idf * tf * 1.9 / (tf + 0.9 * norm)
    return score


def test_the_inner_product_is_the_score() -> None:
    rng = random.Random(7)
    words = [f"{rng.choice('bcdfg')}{rng.choice('aeiou')}{rng.choice('lmnr')}" for _ in range(40)]
    passages = [" ".join(rng.choices(words, k=rng.randint(1, 200))) for _ in range(60)]
    bm25 = encoder()
    matrix = bm25.encode(passages)
    counts = [Counter(analyse(passage)) for passage in passages]
    for _ in range(20):
        question = " ".join(rng.choices([*words, "unheard"], k=4))
        weighed = bm25.weigh_query(question, chunks=60, frequencies=frequencies(matrix))
        for row in range(60):
            expected = lucene(question, counts, row)
            assert product(weighed, matrix, row) == pytest.approx(expected, rel=1e-5)


def test_rows_have_ascending_distinct_terms() -> None:
    matrix = encoder().encode(PASSAGES)
    dtypes = [array.dtype.name for array in (matrix.indptr, matrix.terms, matrix.weights)]
    assert dtypes == ["int64", "uint32", "float32"]
    assert len(matrix) == len(PASSAGES)
    assert matrix.indptr[-1] == len(matrix.terms) == len(matrix.weights)
    for row, text in enumerate(PASSAGES):
        terms, weights = matrix.row(row)
        assert np.all(np.diff(terms.astype(np.int64)) > 0)
        assert len(terms) == len(set(analyse(text)))
        assert np.all(weights > 0)


def test_a_passage_alone_is_the_passage_in_a_batch() -> None:
    bm25 = encoder()
    batch = bm25.encode(PASSAGES)
    for row, text in enumerate(PASSAGES):
        alone = bm25.encode([text])
        assert alone.row(0)[0].tolist() == batch.row(row)[0].tolist()
        assert alone.row(0)[1].tolist() == batch.row(row)[1].tolist()


def test_no_passages_give_no_rows() -> None:
    matrix = encoder().encode([])
    assert len(matrix) == 0
    assert matrix.terms.dtype == np.uint32
    assert len(matrix.terms) == 0


def test_terms_are_numbered_alike_in_every_process() -> None:
    code = (
        "from rag.embedders.bm25 import Bm25Encoder as B;"
        "print(B(B.Options()).terms('Proteins of 東京').tolist())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    # CRC-32 of "東京" and "protein" in UTF-8
    assert printed.strip() == b"[2451981039, 2566447538]"


def test_the_terms_of_a_question_are_distinct_and_ascending() -> None:
    terms = encoder().terms("fold the proteins, fold them; receptor")
    assert terms.dtype == np.uint32
    assert len(terms) == len(set(analyse("fold proteins them receptor")))
    assert terms.tolist() == sorted(set(terms.tolist()))
    assert encoder().terms("of the").tolist() == []


def test_terms_that_no_chunk_has_are_left_out() -> None:
    bm25 = encoder()
    matrix = bm25.encode(PASSAGES)
    known = bm25.weigh_query("protein unheard", chunks=6, frequencies=frequencies(matrix))
    assert known.terms.tolist() == bm25.terms("protein").tolist()
    unknown = bm25.weigh_query("unheard", chunks=6, frequencies={int(bm25.terms("unheard")[0]): 0})
    assert len(unknown) == 1
    assert len(unknown.terms) == 0


def test_rare_terms_weigh_more_and_repeated_ones_twice() -> None:
    bm25 = encoder()
    rare, common = bm25.terms("rare")[0], bm25.terms("common")[0]
    df = {int(rare): 2, int(common): 90}
    row = bm25.weigh_query("common rare rare", chunks=100, frequencies=df)
    weight = dict(zip(row.terms.tolist(), row.weights.tolist(), strict=True))
    assert weight[rare] == pytest.approx(2 * math.log(1 + 98.5 / 2.5))
    assert weight[common] == pytest.approx(math.log(1 + 10.5 / 90.5))


def test_weights_stay_positive_when_counts_are_a_commit_apart() -> None:
    bm25 = encoder()
    row = bm25.weigh_query("common", chunks=10, frequencies={int(bm25.terms("common")[0]): 12})
    assert row.weights[0] > 0


def test_repetition_saturates_and_length_holds_back() -> None:
    bm25 = encoder()
    filler = " ".join(f"w{i}" for i in range(300))
    column = bm25.terms("protein")[0]
    matrix = bm25.encode(["protein", "protein protein", "protein " * 99, f"protein {filler}"])
    once, twice, often, long = (
        float(matrix.row(i)[1][matrix.row(i)[0] == column][0]) for i in range(4)
    )
    assert long < once < twice < often < 1.9


def test_options_shape_the_fingerprint() -> None:
    fingerprints = {
        encoder(**options).fingerprint
        for options in ({}, {"k1": 1.2}, {"b": 0.75}, {"average_terms": 100})
    }
    assert len(fingerprints) == 4
    assert encoder(k1=0.9).fingerprint == encoder().fingerprint


@pytest.mark.parametrize(
    "options", [{"k1": -1}, {"b": 1.5}, {"average_terms": 0}, {"k2": 1}, {"k1": "many"}]
)
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        Bm25Encoder.Options.model_validate(options)
