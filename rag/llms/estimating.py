"""How many tokens a text takes, for models whose tokenizer is not here: rather too many.

Knows how byte-pair vocabularies cut: words into a few pieces, digits and marks one by one, and what
they seldom saw into bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.messages import Message

PER_MESSAGE = 8
"""Tokens that a chat template puts around a message."""
PER_PROMPT = 32
"""Tokens that it puts around all of them; some add an instruction of their own."""
LETTERS = 3
"""Of one token of a word, in languages that a vocabulary was not made for."""
COMMON = 8
"""Letters that a lower-case ASCII word can have to count as two tokens at most."""

_PIECES = re.compile(
    r"(?P<common>\b[A-Za-z][a-z]{0,7}\b) | (?P<word>[A-Za-z]+) | (?P<blank>[ ]+) | (?P<other>.)",
    re.VERBOSE | re.DOTALL,
)


def estimate_messages(messages: Sequence[Message]) -> int:
    """Return an upper estimate of what the messages take of a model's context."""
    return PER_PROMPT + sum(PER_MESSAGE + estimate_tokens(message.content) for message in messages)


def estimate_tokens(text: str) -> int:
    """Return an upper estimate of the tokens of a text."""
    tokens = 0
    for found in _PIECES.finditer(text):
        length = found.end() - found.start()
        match found.lastgroup:
            case "common":
                tokens += 1 if length <= LETTERS + 1 else 2
            case "word":
                tokens += -(-length // LETTERS) + 1
            case "blank":
                tokens += length > 1
            case _:
                tokens += len(found[0].encode("utf-8", "replace"))
    return tokens
