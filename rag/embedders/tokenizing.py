"""A model's tokenizer, from its `tokenizer.json`: counts and cuts texts. Loads on first use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any


class Tokenizing:
    """Tokens of texts, uncut unless a limit is given; may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text alone, without special ones."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of tokens that the tokenizer could only call unknown."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        tokens = sum(len(encoding.ids) for encoding in encodings)
        unknown = sum(encoding.ids.count(self._unknown_id) for encoding in encodings)
        return unknown / tokens if tokens else 0.0

    def ids(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        """Encode with special tokens; cut before the closing one."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [
            ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]
            for ids in (encoding.ids for encoding in encodings)
        ]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _unknown_id(self) -> int | None:
        ids = (self._tokenizer.token_to_id(token) for token in ("[UNK]", "<unk>"))
        return next((found for found in ids if found is not None), None)
