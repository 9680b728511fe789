"""Tokens of a text where the model's tokenizer is not at hand.

Counts what subword tokenizers make of words, rather too much than too little: a chunk that is
shorter than it might be does no harm, one that is cut loses text. Exact with a `tokenizer.json`.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from rag.errors import ConfigError

_PIECE = re.compile(r"[A-Za-z]+|[0-9]+|[^\W\d_A-Za-z]+|[^\s]")
LATIN = 4
"""Letters of a token in a word of plain Latin letters."""
_WIDE = "\u2e80"
"""From here on scripts are written without spaces, about one token to the letter."""


def estimate(text: str) -> int:
    """Return about how many tokens a text has; each word is counted alone."""
    return sum(_of(match.group()) for match in _PIECE.finditer(text))


def _of(piece: str) -> int:
    first = piece[0]
    if first.isascii():
        if first.isalpha():
            return -(-len(piece) // LATIN)
        return -(-len(piece) // 2) if first.isdigit() else 1
    if not first.isalnum():
        return 3 if first > "\uffff" else 1
    wide = sum(1 for letter in piece if letter >= _WIDE)
    return wide + -(-(len(piece) - wide) // 2)


class Tokens:
    """Counts and cuts: by the tokenizer of a local file, or by the estimate."""

    def __init__(self, tokenizer: Path | None) -> None:
        if tokenizer is not None and not tokenizer.is_file():
            raise ConfigError(f"the tokenizer {tokenizer} is not a file")
        self._path = tokenizer

    @cached_property
    def exact(self) -> Any:
        """The tokenizer; None where tokens are estimated."""
        if self._path is None:
            return None
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as exc:  # the library raises the bare class
            raise ConfigError(f"the tokenizer {self._path} cannot be read: {exc}") from exc
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def count(self, text: str) -> int:
        """Count the tokens of a text, without special ones."""
        if self.exact is None:
            return estimate(text)
        return len(self.exact.encode(text, add_special_tokens=False).ids)

    def cut(self, text: str, limit: int) -> str:
        """Return the beginning of a text that has at most so many tokens."""
        if self.exact is not None:
            encoding = self.exact.encode(text, add_special_tokens=False)
            if len(encoding.ids) <= limit:
                return text
            return text[: encoding.offsets[limit - 1][1]] if limit else ""
        return _cut(text, limit)


def _cut(text: str, limit: int) -> str:
    left = limit
    for match in _PIECE.finditer(text):
        piece = match.group()
        taken = _of(piece)
        if taken > left:
            return text[: match.start() + (left * _letters(piece) if len(piece) > 1 else 0)]
        left -= taken
    return text


def _letters(piece: str) -> int:
    """Return how many letters of a piece one token has at least."""
    if piece[0].isascii():
        return LATIN if piece[0].isalpha() else 2
    return 1
