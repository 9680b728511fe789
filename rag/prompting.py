"""Prompts: what a model is told and what it is shown, as far as its context has room.

Knows messages and tokens; nothing of retrieval. Retrieved text is data: it stands between marks
that it cannot write itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from rag.errors import ConfigError, Rejected
from rag.messages import Message
from rag.ports import LLM
from rag.types import Hit

LONGEST_PROMPT = 100_000
SMALLEST_CUT = 200
"""Characters of a passage that are worth showing when not all of it has room."""
_MARK = re.compile(
    r"""<(?=\s*/?\s*(?:source|question|conversation)\b    # ours
        |\||/?s>|<SYS|/?\w+_of_\w+>|(?:bos|eos|pad|unk)>)  # of chat templates: servers read them
    |\[(?=\s*/?\s*(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_)) # in texts as well
    |｜(?=>)|(?<=<)｜""",
    re.IGNORECASE | re.VERBOSE,
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, and the hits that it shows, in the order of their numbers."""

    messages: tuple[Message, ...]
    hits: tuple[Hit, ...]


@lru_cache(maxsize=16)
def load_prompt(name: str) -> str:
    """Return the instruction of this name, or in the file of this path; raise `ConfigError`."""
    place = files("rag") / "prompts" / f"{name}.md" if _NAME.fullmatch(name) else Path(name)
    try:
        text = place.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"the prompt {name!r} cannot be read", hint="name one of rag/prompts, or a file"
        ) from exc
    if not text or len(text) > LONGEST_PROMPT:
        raise ConfigError(f"the prompt {name!r} is empty or too long")
    return text


def build_prompt(
    llm: LLM,
    question: str,
    hits: Sequence[Hit],
    *,
    name: str,
    max_tokens: int,
    turns: Sequence[Message] = (),
    history_tokens: int = 0,
) -> Prompt:
    """Show as many hits as have room, whole and best first; only the first is ever cut.

    Earlier turns give way to the first source. Raise `Rejected` when the context has no room for
    the question and a source.
    """
    room = llm.context_tokens - max_tokens
    told = [turn.content for turn in turns if turn.role == "system"]
    system = Message("system", "\n\n".join([load_prompt(name), *told]))
    earlier = recent(llm, [turn for turn in turns if turn.role != "system"], history_tokens)

    def messages(shown: Sequence[str]) -> tuple[Message, ...]:
        return (system, *earlier, Message("user", "\n\n".join([*shown, _asked(question)])))

    def fits(shown: Sequence[str]) -> bool:
        return llm.count_tokens(messages(shown)) <= room

    least = [_source(1, hit, SMALLEST_CUT) for hit in hits[:1]]
    while earlier and not fits(least):
        earlier = earlier[2:]
    if not fits(least):
        raise Rejected(
            f"{llm.model} reads {llm.context_tokens} tokens, {max_tokens} of them for its answer: "
            "the question and a source have no room",
            hint="ask for fewer max_tokens, or ask a shorter question",
        )
    shown: list[str] = []
    for n, hit in enumerate(hits, start=1):
        if not fits([*shown, _source(n, hit)]):
            break
        shown.append(_source(n, hit))
    if hits and not shown:
        shown = [_cut(hits[0], fits)]
    return Prompt(messages(shown), tuple(hits[: len(shown)]))


def recent(llm: LLM, turns: Sequence[Message], tokens: int) -> tuple[Message, ...]:
    """Return the newest turns that fit, oldest first: question and answer by turns."""
    joined: list[Message] = []
    for turn in (Message(given.role, plain(given.content)) for given in turns):
        if joined and joined[-1].role == turn.role:  # many templates refuse two of one role
            joined[-1] = Message(turn.role, f"{joined[-1].content}\n\n{turn.content}")
        else:
            joined.append(turn)
    kept: list[Message] = []
    while joined and llm.count_tokens([joined[-1], *kept]) <= tokens:
        kept.insert(0, joined.pop())
    if kept and kept[0].role != "user":
        del kept[0]
    if kept and kept[-1].role != "assistant":
        del kept[-1]
    return tuple(kept)


def plain(text: str) -> str:
    """Take from a text the marks that texts and turns stand between, ours and models' own."""
    return _MARK.sub("‹", text)


def _cut(hit: Hit, fits: Callable[[Sequence[str]], bool]) -> str:
    """Return the source with as much of its text as has room."""
    low, high = min(SMALLEST_CUT, len(hit.chunk.text)), len(hit.chunk.text)
    while low < high:
        middle = (low + high + 1) // 2
        if fits([_source(1, hit, middle)]):
            low = middle
        else:
            high = middle - 1
    return _source(1, hit, low)


def _asked(question: str) -> str:
    return f"<question>\n{plain(question)}\n</question>"


def _source(n: int, hit: Hit, characters: int | None = None) -> str:
    chunk = hit.chunk
    heading = chunk.heading[1:] if chunk.heading[:1] == (hit.title,) else chunk.heading
    title = " > ".join(" ".join(part.split()) for part in (hit.title, *heading) if part)
    quoted = plain(title).replace('"', "'")
    text = plain(chunk.text[:characters].strip())
    return f'<source number="{n}" title="{quoted}">\n{text}\n</source>'
