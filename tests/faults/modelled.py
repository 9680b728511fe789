"""The application on fake model servers: chat and embeddings come from them, and can be ill."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.serving import Served, served, settings_of
from tests.fakes.chatting import Speaking
from tests.fakes.serving import Fake, fake

SENTENCE = "The page {n} is about subject{n}."
TEXT = " ".join(SENTENCE.format(n=n) for n in range(6))
QUESTION = "What is subject3 about?"


@dataclass(frozen=True, slots=True)
class Modelled:
    """A server, and the model servers behind it."""

    server: Served
    chats: Fake
    embeds: Fake

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])


@asynccontextmanager
async def modelled(
    folder: Path, *, pause_s: float = 0.0, silence_s: float = 30.0
) -> AsyncIterator[Modelled]:
    """Serve a few pages; a language model that is silent for so long counts as cut."""
    pages = folder / "pages"
    pages.mkdir()
    for n in range(6):
        (pages / f"page{n}.txt").write_text(SENTENCE.format(n=n))
    speaking = Speaking(text=TEXT, pause_s=pause_s)
    async with fake("vllm", speaking=speaking) as chats, fake("vllm") as embeds:
        settings = settings_of(
            folder / "data",
            defaults={"embedder": "remote"},
            embedders={"remote": _plugin(embeds, dim=64)},
            llms={"writer": _plugin(chats, silence_s, attempts=1, stall_s=silence_s)},
            # Here one call after the other fails, and each is to be seen.
            dependency={"failures": 10**6},
            serving={"runs": False},
        )
        async with served(settings) as server:
            await server.fill(pages)
            yield Modelled(server, chats, embeds)


def _plugin(server: Fake, timeout_s: float = 30.0, **options: Any) -> dict[str, Any]:
    connection = {"base_url": server.base_url, "timeout_s": timeout_s}
    given = {"model": "served-model", "connection": connection, **options}
    return {"kind": "openai_compatible", "options": given}
