"""Server-sent events as model servers send them: the data of each, one after another.

Knows lines and fields (WHATWG, 9.2.6); nothing of what the data mean.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from rag.errors import Rejected

LONGEST = 4 * 2**20
"""Bytes of one event."""


async def event_data(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the data of each event; comments and other fields are passed over.

    Some servers tell of failures in a field `error` of its own: it counts as data. What stands at
    the end without a blank line after it counts as an event.
    """
    held = b""
    data: list[bytes] = []
    async for chunk in chunks:
        held += chunk
        if len(held) + sum(map(len, data)) > LONGEST:
            raise Rejected(f"a streamed event is larger than {LONGEST // 2**20} MiB")
        # A carriage return at the end may be half of a line's end.
        ready = held[:-1] if held.endswith(b"\r") else held
        *lines, rest = ready.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        held = rest + held[len(ready) :]
        for line in lines:
            if line:
                data += _value(line)
            elif data:
                yield b"\n".join(data)
                data = []
    data += _value(held.rstrip(b"\r"))
    if data:
        yield b"\n".join(data)


def _value(line: bytes) -> list[bytes]:
    name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
    return [value.removeprefix(b" ")] if name in (b"data", b"error") else []
