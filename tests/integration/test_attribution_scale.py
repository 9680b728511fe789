"""The threshold of support on the default model: sentences that it was not chosen on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from rag.attributing import Attribution
from rag.embedders.bm25 import Bm25Encoder
from rag.errors import ModelMissing
from rag.runtime import configured_embedder
from rag.settings import load_settings
from rag.types import Chunk, Hit

TEXTS = (
    "The Amazon river carries more water than any other river. It rises in the Andes of Peru and "
    "flows into the Atlantic Ocean. Pink dolphins live in its muddy water.",
    "An invoice must be paid within thirty days of its date. For late payments the supplier may "
    "charge interest of five percent. Disputes are settled by the court of Hamburg.",
    "Employees accrue two days of vacation per month. Unused days expire at the end of March. "
    "Sick leave of more than three days requires a certificate from a doctor.",
)
SUPPORTED = (
    "No other river carries as much water as the Amazon.",
    "Its source is in the Andes in Peru.",
    "The Amazon flows into the Atlantic.",
    "Pink dolphins can be found in the muddy water of the river.",
    "Invoices have to be paid within thirty days.",
    "Suppliers can charge five percent interest if a payment is late.",
    "The court of Hamburg settles disputes.",
    "Every month employees get two vacation days.",
    "Vacation days that are not used expire at the end of March.",
    "If you are sick for more than three days, you need a doctor's certificate.",
)
UNSUPPORTED = (
    "The Nile is longer than the Amazon.",
    "Piranhas are dangerous to swimmers.",
    "The Amazon flows into the Pacific after 6,400 kilometres.",
    "Invoices are sent by mail on Mondays.",
    "Customers get a discount for early payment.",
    "The contract is governed by French law.",
    "Employees accrue three days of vacation in 12 months.",
    "Parental leave lasts fourteen weeks.",
    "Remote work has to be approved by a manager.",
    "I am happy to help with further questions.",
)


async def count(terms: Collection[int]) -> Mapping[int, int]:
    return dict.fromkeys(terms, 1)


async def test_what_is_said_is_told_from_what_is_not() -> None:
    try:
        embedder = configured_embedder(load_settings(), "minilm")
    except ModelMissing as exc:
        pytest.skip(str(exc))
    hits = [
        Hit(Chunk(f"c{n}", f"d{n}", 1, 0, 0, len(text), text), "file:///x", "T", {}, 1.0, {})
        for n, text in enumerate(TEXTS)
    ]
    encoder = Bm25Encoder(Bm25Encoder.Options())
    async with Attribution(hits, encoder, embedder, chunks=1000, count=count) as sources:
        right = [s for s in SUPPORTED if await sources.support(s) is not None]
        wrong = [s for s in UNSUPPORTED if await sources.support(s) is not None]
        hinted = [s for s in SUPPORTED if await sources.support(s, {1, 2, 3}) is not None]
    await embedder.close()
    assert len(right) >= 8, set(SUPPORTED) - set(right)
    assert len(hinted) >= 9, set(SUPPORTED) - set(hinted)
    assert len(wrong) <= 2, wrong
