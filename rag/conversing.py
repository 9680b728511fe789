"""Follow-up questions: what was said before, and the question as it stands alone.

Knows how a model is asked to rewrite; nothing of searching or answering.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from rag.catalog.answers import conversation_turns
from rag.catalog.database import Catalog
from rag.errors import Rejected, Unavailable
from rag.messages import Message
from rag.ports import LLM
from rag.prompting import load_prompt, plain, recent
from rag.types import Principal, Query

TURNS = 20
"""Earlier questions of a kept conversation that are read."""
PROMPT = "rewrite-v1"
REWRITTEN_TOKENS = 128
HISTORY_TOKENS = 768
"""Of earlier turns that rewriting reads."""
LONGEST = 1000
"""Characters of a rewritten question; a longer one is an answer, or noise."""


async def earlier_turns(
    catalog: Catalog, principal: Principal, conversation: str, given: Sequence[Message] = ()
) -> tuple[Message, ...]:
    """Return the newest turns of a kept conversation, oldest first; none of a new one.

    Without those that the caller gives as well: clients of the OpenAI wire send all of them.
    """
    known = {message.content for message in given if message.role == "user"}
    kept = await catalog.read(conversation_turns, principal, conversation, TURNS)
    return tuple(
        message
        for turn in kept
        if turn.question not in known
        for message in (Message("user", turn.question), Message("assistant", turn.text))
    )


async def standalone(llm: LLM, query: Query, turns: Sequence[Message]) -> tuple[Query, bool]:
    """Rewrite a follow-up so that it can be searched; return it and whether it was rewritten.

    Where the model fails, or writes what cannot be a question, the question stays as it is.
    """
    said = [turn for turn in turns if turn.role != "system"]
    room = llm.context_tokens - REWRITTEN_TOKENS
    shown = recent(llm, said, min(HISTORY_TOKENS, room // 2))
    if not shown:
        return query, False
    lines = "\n".join(f"{turn.role}: {' '.join(turn.content.split())}" for turn in shown)
    asked = f"<conversation>\n{plain(lines)}\n</conversation>\n\n<question>\n{plain(query.text)}\n"
    prompt = [Message("system", load_prompt(PROMPT)), Message("user", f"{asked}</question>")]
    if llm.count_tokens(prompt) > room:
        return query, False
    try:
        written = await _written(llm, prompt)
    except (Unavailable, Rejected):  # writing the answer will tell, if it fails as well
        return query, False
    text = written.strip().strip('"“”').strip()
    if not text or len(text) > LONGEST or "\n" in text or text == query.text.strip():
        return query, False
    return replace(query, text=text), True


async def _written(llm: LLM, prompt: Sequence[Message]) -> str:
    """Return what the model writes; nothing when it does not come to an end."""
    text = ""
    deltas = llm.stream(prompt, max_tokens=REWRITTEN_TOKENS, temperature=0.0)
    async with aclosing(deltas):
        async for delta in deltas:
            text += delta.text
            if delta.finish == "length":
                return ""
    return text
