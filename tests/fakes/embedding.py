"""OpenAI's embeddings on the wire. The vectors are those of the hashing embedder, so that texts
about the same are alike; a server's own limits are given to `embeddings`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.embedders.hashing import HashingEmbedder
from tests.fakes.serving import Refused

DIM = 64


@dataclass(frozen=True, slots=True)
class Embedding:
    """How a fake embeds; the later fields are what servers differ in."""

    dim: int = DIM
    max_batch: int | None = None
    """Texts of one request; more are refused."""
    max_batch_tokens: int | None = None
    """Tokens of one request; more are refused."""
    max_tokens: int = 512
    """Of one text; longer ones are refused, unless the server was asked to cut them."""
    too_large: int = 400
    """Status of these refusals."""
    length: float = 1.0
    """Of the vectors; not every server makes unit rows."""
    shuffled: bool = False
    """Give the rows in another order; `index` tells."""
    base64: bool | None = None
    """Encode so whatever was asked for; None does what was asked."""
    usage: bool = True
    """Whether token counts are told."""


def tokens(text: str) -> list[str]:
    """Split a text as a tokenizer of short pieces would."""
    return re.findall(r"\w{1,3}|[^\w\s]", text)


def vectors(texts: Sequence[str], how: Embedding, *, dim: int | None = None) -> list[list[float]]:
    """Embed texts; `dim` is what the request asks for, where it does."""
    options = HashingEmbedder.Options(dim=dim or how.dim, max_tokens=10**6)
    rows = HashingEmbedder(options)._embed(texts).vectors * np.float32(how.length)
    return [[float(number) for number in row] for row in rows]


def checked(texts: Sequence[str], how: Embedding, *, cut: bool = False) -> list[str]:
    """Refuse what is too much; return the texts, cut where that was asked for."""
    if not texts:
        raise Refused(400, "the batch is empty", "empty")
    if how.max_batch is not None and len(texts) > how.max_batch:
        raise Refused(
            how.too_large,
            f"batch size {len(texts)} > maximum allowed batch size {how.max_batch}",
            "validation",
        )
    counts = [len(tokens(text)) for text in texts]
    if not cut and max(counts) > how.max_tokens:
        raise Refused(
            how.too_large,
            f"`inputs` must have less than {how.max_tokens} tokens. Given: {max(counts)}",
            "validation",
        )
    total = sum(min(count, how.max_tokens) for count in counts)
    if how.max_batch_tokens is not None and total > how.max_batch_tokens:
        raise Refused(how.too_large, f"{total} tokens > {how.max_batch_tokens} of a batch", "size")
    return [_cut(text, how.max_tokens) for text in texts] if cut else list(texts)


def embeddings(
    texts: Sequence[str],
    how: Embedding,
    *,
    model: str,
    encoding: str | None = None,
    dim: int | None = None,
) -> dict[str, Any]:
    """Answer as OpenAI's `/embeddings` does."""
    rows = vectors(texts, how, dim=dim)
    in_base64 = encoding == "base64" if how.base64 is None else how.base64
    data = [
        {"object": "embedding", "embedding": _encoded(row) if in_base64 else row, "index": i}
        for i, row in enumerate(rows)
    ]
    if how.shuffled:
        data = data[1::2] + data[::2][::-1]
    count = sum(len(tokens(text)) + 2 for text in texts)  # two special tokens around each text
    usage = {"usage": {"prompt_tokens": count, "total_tokens": count}} if how.usage else {}
    return {"object": "list", "data": data, "model": model, **usage}


def as_list(given: str | list[str]) -> list[str]:
    """One text or several, as several."""
    return [given] if isinstance(given, str) else given


def _encoded(row: list[float]) -> str:
    return base64.b64encode(np.array(row, "<f4").tobytes()).decode()


def _cut(text: str, limit: int) -> str:
    found = list(re.finditer(r"\w{1,3}|[^\w\s]", text))
    return text if len(found) <= limit else text[: found[limit - 1].end()]
