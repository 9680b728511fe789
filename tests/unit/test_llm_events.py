"""Server-sent events, however the network cuts them; and estimates of tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import Rejected
from rag.llms import events
from rag.llms.estimating import estimate_messages, estimate_tokens
from rag.llms.events import event_data
from rag.messages import Message

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
DATA = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
OTHERS = st.sampled_from([": comment", "event: message", "id: 7", "retry: 10", "data2: x", "data"])


async def read(chunks: Sequence[bytes]) -> list[str]:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [data.decode() async for data in event_data(arriving())]


@given(
    st.lists(st.tuples(st.lists(DATA, min_size=1, max_size=3), st.lists(OTHERS, max_size=2))),
    LINE_ENDS,
    st.lists(st.integers(0, 400)),
    st.booleans(),
)
async def test_events_are_read_alike_however_they_are_cut(
    sent: list[tuple[list[str], list[str]]], end: str, cuts: list[int], mark: bool
) -> None:
    wire, wanted = "\ufeff" if mark else "", []
    for lines, others in sent:
        spoken = [line for line in others if line != "data"]
        wire += "".join(f"{line}{end}" for line in [*spoken, *(f"data: {x}" for x in lines)]) + end
        wanted.append("\n".join(lines))
    raw = wire.encode()
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    parts = [raw[a:b] for a, b in pairwise(places)]
    assert await read(parts) == wanted


async def test_an_event_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LONGEST", 100)
    assert await read([b"data: " + b"x" * 90 + b"\n\n"] * 5) == ["x" * 90] * 5
    for endless in (b"data: xxxx", b"data: x\n"):
        with pytest.raises(Rejected, match="larger than"):
            await read([endless] * 100)


async def test_an_empty_line_of_data_and_a_missing_blank_are_read() -> None:
    assert await read([b"data\ndata: x\n\ndata: y"]) == ["\nx", "y"]


def test_estimates_grow_with_what_vocabularies_seldom_saw() -> None:
    plain = "The server listens on a port."
    assert estimate_tokens("") == 0
    assert 7 <= estimate_tokens(plain) <= 14
    assert estimate_tokens("1234567890") == 10
    assert estimate_tokens("東京") == 6
    assert estimate_tokens("xK9qZvWbTtRr") >= 8
    turns = [Message("system", plain), Message("user", plain)]
    assert estimate_messages(turns) > 2 * estimate_tokens(plain)
    assert estimate_messages(turns) > estimate_messages(turns[:1]) > estimate_messages([])
