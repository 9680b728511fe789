"""What every embedder must do, as a suite for pytest with pytest-asyncio in auto mode.

Subclass it as `class TestMine(EmbedderSuite)` and give two fixtures: `embedder`, which tests may
share, and `embedder_factory`, a function that makes another one with the same options.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from rag.ports import Embedder
from rag.vectors import Matrix, check_unit_rows

EmbedderFactory: TypeAlias = Callable[[], Embedder]

SAME = 0.99999
"""Cosine of one text in two batches; fast runtimes are not bit-stable between compositions."""

TEXTS = (
    "The cat sat on the mat.",
    "Interest rates rose again in March.",
    "A catalog says which documents exist, which version of them is visible, and who may read it.",
    "x",
    "Zellen teilen sich durch Mitose.",
    "東京タワーは東京にあります。",
    "0x80070005 Get-ChildItem v1.2.3",
)
ODD_TEXTS = ("", " \n\t", "😀😀", "...", "\u202eright to left", "a" * 5000, "\x07bell")

ALIKE = (
    ("The cat sat on the mat.", "A cat is sitting on the mat."),
    ("Interest rates rose again in March.", "In March the interest rates were rising."),
    ("How do vaccines protect children?", "Vaccines protect children against measles."),
)


def cosines(a: Matrix, b: Matrix) -> list[float]:
    """Return the cosine of each row with its counterpart, both being unit rows."""
    return [float(c) for c in np.einsum("ij,ij->i", a, b)]


class EmbedderSuite:
    """The meaning of the port `Embedder`."""

    async def test_vectors_are_unit_rows_of_the_declared_width(self, embedder: Embedder) -> None:
        embedded = await embedder.embed(TEXTS, "passage")
        check_unit_rows(embedded.vectors)
        assert embedded.vectors.shape == (len(TEXTS), embedder.dim)

    async def test_questions_are_unit_rows_too(self, embedder: Embedder) -> None:
        embedded = await embedder.embed(TEXTS, "query")
        check_unit_rows(embedded.vectors)
        assert embedded.vectors.shape == (len(TEXTS), embedder.dim)

    async def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        embedded = await embedder.embed([], "passage")
        assert embedded.vectors.shape == (0, embedder.dim)
        assert embedded.vectors.dtype == np.float32
        assert embedded.tokens == 0

    async def test_rows_have_the_order_of_the_texts(self, embedder: Embedder) -> None:
        forwards = await embedder.embed(TEXTS, "passage")
        backwards = await embedder.embed(TEXTS[::-1], "passage")
        assert min(cosines(forwards.vectors, backwards.vectors[::-1])) >= SAME

    async def test_a_text_alone_is_the_text_in_a_batch(self, embedder: Embedder) -> None:
        batch = await embedder.embed(TEXTS, "passage")
        alone = [(await embedder.embed([text], "passage")).vectors for text in TEXTS]
        assert min(cosines(batch.vectors, np.concatenate(alone))) >= SAME

    async def test_a_batch_is_larger_than_any_bound_inside(self, embedder: Embedder) -> None:
        many = [f"{text} {i}" for i in range(20) for text in TEXTS]
        batch = await embedder.embed(many, "passage")
        last = await embedder.embed(many[-1:], "passage")
        assert batch.vectors.shape == (len(many), embedder.dim)
        assert min(cosines(batch.vectors[-1:], last.vectors)) >= SAME

    async def test_another_instance_gives_the_same_vectors(
        self, embedder: Embedder, embedder_factory: EmbedderFactory
    ) -> None:
        other = embedder_factory()
        assert other.fingerprint == embedder.fingerprint
        assert other.dim == embedder.dim
        ours = await embedder.embed(TEXTS, "passage")
        theirs = await other.embed(TEXTS, "passage")
        assert min(cosines(ours.vectors, theirs.vectors)) >= SAME

    async def test_texts_about_the_same_are_nearer(self, embedder: Embedder) -> None:
        left = (await embedder.embed([a for a, _ in ALIKE], "query")).vectors
        right = (await embedder.embed([b for _, b in ALIKE], "passage")).vectors
        similarity = left @ right.T
        assert similarity.argmax(axis=1).tolist() == list(range(len(ALIKE)))
        assert similarity.argmax(axis=0).tolist() == list(range(len(ALIKE)))

    async def test_different_texts_have_different_vectors(self, embedder: Embedder) -> None:
        vectors = (await embedder.embed(TEXTS, "passage")).vectors
        others = vectors @ vectors.T - 2 * np.eye(len(TEXTS), dtype=np.float32)
        assert others.max() < 0.99

    async def test_odd_texts_are_embedded(self, embedder: Embedder) -> None:
        check_unit_rows((await embedder.embed(ODD_TEXTS, "passage")).vectors)
        check_unit_rows((await embedder.embed(ODD_TEXTS, "query")).vectors)

    async def test_a_text_over_the_limit_is_cut(self, embedder: Embedder) -> None:
        full = "cloud " * (embedder.max_tokens + 8)
        embedded = await embedder.embed([full, full + "and a very different end"], "passage")
        check_unit_rows(embedded.vectors)
        assert cosines(embedded.vectors[:1], embedded.vectors[1:])[0] >= SAME
        assert embedded.tokens <= 2 * embedder.max_tokens

    async def test_concurrent_calls_do_not_mix(self, embedder: Embedder) -> None:
        alone = [(await embedder.embed([text], "query")).vectors for text in TEXTS]
        together = await asyncio.gather(*(embedder.embed([text], "query") for text in TEXTS))
        for expected, got in zip(alone, together, strict=True):
            assert cosines(expected, got.vectors)[0] >= SAME

    async def test_tokens_read_are_reported(self, embedder: Embedder) -> None:
        embedded = await embedder.embed(TEXTS, "passage")
        assert embedded.tokens >= sum(embedder.count_tokens(TEXTS)) > 0

    async def test_closing_twice_does_no_harm(self, embedder_factory: EmbedderFactory) -> None:
        mine = embedder_factory()
        check_unit_rows((await mine.embed(TEXTS, "passage")).vectors)
        await mine.close()
        await mine.close()

    def test_tokens_are_counted_per_text_and_uncut(self, embedder: Embedder) -> None:
        assert embedder.count_tokens([]) == []
        assert embedder.count_tokens(["", "one"])[0] == 0
        long = "cloud " * (embedder.max_tokens * 3)
        assert embedder.count_tokens([long])[0] >= embedder.max_tokens * 3

    def test_token_counts_add_up(self, embedder: Embedder) -> None:
        first, second = TEXTS[0], TEXTS[2]
        a, b, both = embedder.count_tokens([first, second, f"{first}\n{second}"])
        assert abs(both - a - b) <= 2

    def test_overhead_leaves_room_for_text(self, embedder: Embedder) -> None:
        assert 0 <= embedder.overhead_tokens < embedder.max_tokens

    def test_unknown_share_is_a_share(self, embedder: Embedder) -> None:
        for text in (*TEXTS, *ODD_TEXTS):
            assert 0.0 <= embedder.unknown_share([text]) <= 1.0

    def test_the_fingerprint_is_one_line(self, embedder: Embedder) -> None:
        assert embedder.fingerprint
        assert embedder.fingerprint.isprintable()
