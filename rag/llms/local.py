"""A language model on this machine: a GGUF file that llama.cpp runs in one process for all.

Knows the model file, its context and that the process may have to be started; what it says comes
over the same wire as from any other server (`chatting`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from rag.errors import MissingExtra, Rejected, Unavailable
from rag.llms.chatting import stream_chat
from rag.llms.estimating import estimate_messages
from rag.llms.sharing import Running, SharedServer
from rag.messages import Delta, Message
from rag.models import find_gguf
from rag.openai_client import Connection, open_openai, told
from rag.ports import Folders

if TYPE_CHECKING:
    from openai import AsyncOpenAI

STARTS = 2
"""Times that a question is asked whose server is not there or dies before the first word."""


class LocalLLM:
    """A small model without a service; its process starts with the first question."""

    class Options(BaseModel):
        """Which model, and how much of the machine it may take."""

        model_config = ConfigDict(extra="forbid")
        model: str = "smollm2-135m-instruct"
        """Name in the model folder, or the path of a GGUF file."""
        context_tokens: int = Field(default=4096, ge=256)
        """Of prompt and answer together."""
        parallel: int = Field(default=2, ge=1, le=64)
        """Answers written at once; further ones wait."""
        threads: int | None = Field(default=None, ge=1)
        """Processor threads; by default half of the processors, since it waits busily for all."""
        repeat_penalty: float = Field(default=1.1, ge=1, le=2)
        """Against saying the same again, as small models do; 1 is none."""
        timeout_s: float = Field(default=120.0, gt=0)
        """Of a whole answer."""
        stall_s: float = Field(default=60.0, gt=0)
        """Silence after which an answer that has begun counts as cut."""
        start_s: float = Field(default=60.0, gt=0)
        """Until the process must have loaded the model."""

    def __init__(self, options: Options, folders: Folders) -> None:
        if find_spec("xllamacpp") is None:
            raise MissingExtra(
                "the plug-in 'local' needs the module 'xllamacpp'",
                hint="pip install cumulo[local]",
            )
        file = find_gguf(options.model, folders.models)
        self.model = options.model
        self.context_tokens = options.context_tokens
        self._options = options
        self._server = SharedServer(
            {
                "model": str(file),
                "changed": file.stat().st_mtime_ns,
                "name": options.model,
                "context_tokens": options.context_tokens,
                "parallel": options.parallel,
                "threads": options.threads or max(1, (os.cpu_count() or 1) // 2),
            },
            start_s=options.start_s,
        )
        self._opening = asyncio.Lock()
        self._at: Running | None = None
        self._client: AsyncOpenAI | None = None

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Estimate what the messages take of the context; more than they do."""
        return estimate_messages(messages)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[Delta, None]:
        """Yield the answer; raise `Rejected` before anything when it may not fit the context."""
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "max_tokens": max_tokens,
            "stream_options": {"include_usage": True},
        }
        if temperature is not None:
            request["temperature"] = temperature
        if stop:
            request["stop"] = list(stop)
        if self.count_tokens(messages) + max_tokens > self.context_tokens:
            await self._check_room(request)
        first, rest = await self._begin(request)
        async with aclosing(rest):
            yield replace(first, model=self.model)
            async for delta in rest:
                yield replace(delta, model=self.model)

    async def close(self) -> None:
        """Close the connections; the process ends when nobody else uses it. Idempotent."""
        client, self._client, self._at = self._client, None, None
        if client is not None:
            await client.close()
        await asyncio.to_thread(self._server.leave)

    async def _begin(self, request: dict[str, Any]) -> tuple[Delta, AsyncGenerator[Delta, None]]:
        """Return the first delta and the generator of the others, which the caller closes."""
        for attempt in range(1, STARTS + 1):
            client, connection = await self._opened()
            deltas = stream_chat(
                client,
                connection,
                request,
                stall_s=self._options.stall_s,
                total_s=self._options.timeout_s,
            )
            try:
                return await anext(deltas), deltas
            except Unavailable:
                await deltas.aclose()
                if attempt == STARTS or await asyncio.to_thread(self._server.join) == self._at:
                    raise  # the server lives: it is only busy
            except BaseException:
                await deltas.aclose()
                raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _opened(self) -> tuple[AsyncOpenAI, Connection]:
        """Return a client of the running server, which is started if it is not there."""
        async with self._opening:
            running = await asyncio.to_thread(self._server.join)
            connection = self._connection(running)
            if self._client is None or running != self._at:
                if self._client is not None:
                    await self._client.close()
                self._client = await asyncio.to_thread(open_openai, connection)
                self._at = running
            return self._client, connection

    def _connection(self, running: Running) -> Connection:
        return Connection(
            base_url=f"{running.address}/v1",
            api_key=SecretStr(running.key),
            extra_body={"repeat_penalty": self._options.repeat_penalty},
            timeout_s=self._options.timeout_s,
        )

    async def _check_room(self, request: dict[str, Any]) -> None:
        """Count the prompt's tokens exactly; raise `Rejected` when the answer has no room."""
        client, connection = await self._opened()
        root = connection.base_url.removesuffix("/v1")
        with told(connection):
            prompt: Any = await client.post(
                f"{root}/apply-template", cast_to=object, body={"messages": request["messages"]}
            )
            content = {"content": prompt["prompt"], "add_special": True, "parse_special": True}
            found: Any = await client.post(f"{root}/tokenize", cast_to=object, body=content)
        tokens, wanted = len(found["tokens"]), request["max_tokens"]
        if tokens + wanted > self.context_tokens:
            raise Rejected(
                f"the prompt has {tokens} tokens; with {wanted} for the answer that is more than "
                f"the {self.context_tokens} of {self.model!r}",
                hint="ask for a shorter answer, show fewer passages or set context_tokens higher",
            )
