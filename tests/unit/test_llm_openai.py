"""The language model over OpenAI's protocol, against the fakes of servers and against odd bytes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from rag.errors import RagError, Rejected, Unavailable
from rag.llms.openai_compatible import OpenAICompatibleLLM
from rag.messages import Delta, Message, Usage
from tests.fakes.chatting import Speaking
from tests.fakes.faults import Fault, too_many
from tests.fakes.serving import Asked, fake

SERVERS = ("vllm", "tgi", "kserve", "nim", "openai")
TEXT = "The port is 8473. It is open."
MESSAGES = (Message("system", "Be brief."), Message("user", "Which port?"))


@asynccontextmanager
async def opened(base_url: str, *, key: str | None = None, **options: Any) -> AsyncIterator[Any]:
    connection = {"base_url": base_url, "api_key": key, **options.pop("connection", {})}
    given = {"model": "m", "connection": connection, "attempts": 1, **options}
    llm = OpenAICompatibleLLM(OpenAICompatibleLLM.Options.model_validate(given))
    try:
        yield llm
    finally:
        await llm.close()


async def said(llm: Any, *, max_tokens: int = 50, **given: Any) -> list[Delta]:
    return [delta async for delta in llm.stream(MESSAGES, max_tokens=max_tokens, **given)]


async def collected(llm: Any, deltas: list[Delta]) -> None:
    async for delta in llm.stream(MESSAGES, max_tokens=50):
        deltas.append(delta)  # noqa: PERF401 -- what came before a failure counts


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


# --- what is said and sent -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVERS)
async def test_every_server_streams_text_finish_and_usage(name: str) -> None:
    async with fake(name, text=TEXT) as server, opened(server.base_url) as llm:
        deltas = await said(llm)
        assert text_of(deltas) == TEXT
        assert [d.finish for d in deltas] == [None] * (len(deltas) - 1) + ["stop"]
        usage = deltas[-1].usage
        assert usage is not None
        assert (usage.completion_tokens, usage.cost) == (7, None)
        assert {d.model for d in deltas} == {"m"}
        short = await said(llm, max_tokens=2)
        assert (text_of(short), short[-1].finish) == ("The port", "length")


async def test_only_what_is_configured_is_sent() -> None:
    async with fake("vllm", text=TEXT) as server:
        async with opened(server.base_url, include_usage=False) as llm:
            await said(llm)
            await said(llm, temperature=0.5, stop=["\n", "END"])
        plain, more = server.bodies()
        turns = [{"role": m.role, "content": m.content} for m in MESSAGES]
        assert plain == {"model": "m", "messages": turns, "max_tokens": 50, "stream": True}
        assert more == {**plain, "temperature": 0.5, "stop": ["\n", "END"]}
    async with fake("openai", text=TEXT) as server:
        limit = {"limit_key": "max_completion_tokens"}
        body = {"connection": {"extra_body": {"seed": 7}}}
        async with opened(server.base_url, **limit, **body) as llm:
            await said(llm)
        (sent,) = server.bodies()
        assert (sent["max_completion_tokens"], sent["seed"]) == (50, 7)
        assert "max_tokens" not in sent


async def test_prices_make_costs() -> None:
    async with fake("vllm", text=TEXT) as server:
        async with opened(server.base_url, prices={"input": 3, "output": 15}) as llm:
            usage = (await said(llm))[-1].usage
        assert usage == Usage(usage.prompt_tokens, 7, (usage.prompt_tokens * 3 + 7 * 15) / 1e6)


async def test_what_servers_leave_out_is_borne_with() -> None:
    odd = Speaking(text=TEXT, usage=False, finish=False, comments=True)
    async with fake("vllm", speaking=odd) as server, opened(server.base_url) as llm:
        deltas = await said(llm)
        assert text_of(deltas) == TEXT
        assert (deltas[-1].finish, deltas[-1].usage) == ("stop", None)


async def test_a_server_that_refuses_to_count_is_asked_once() -> None:
    def ill(asked: Asked) -> Fault | None:
        return Fault(status=400) if "stream_options" in asked.body else None

    async with fake("vllm", text=TEXT) as server, opened(server.base_url) as llm:
        server.ill = ill
        assert text_of(await said(llm)) == text_of(await said(llm)) == TEXT
        assert ["stream_options" in body for body in server.bodies()] == [True, False, False]


async def test_a_request_that_is_wrong_is_not_tried_again_when_usage_is_not_why() -> None:
    async with fake("vllm", text=TEXT) as server, opened(server.base_url, attempts=3) as llm:
        await said(llm)
        server.faults.append(Fault(status=400))
        with pytest.raises(Rejected, match="status 400"):
            await said(llm)
        assert len(server.requests) == 2


# --- failures ------------------------------------------------------------------------------------


async def test_what_passes_is_tried_again_and_waits_as_long_as_it_is_told() -> None:
    async with fake("vllm", text=TEXT) as server, opened(server.base_url, attempts=3) as llm:
        server.faults += [Fault(status=503), too_many("1"), None]
        began = time.monotonic()
        assert text_of(await said(llm)) == TEXT
        assert time.monotonic() - began >= 1.0
        assert len(server.requests) == 3


async def test_a_wait_beyond_patience_is_told_at_once() -> None:
    async with fake("vllm", text=TEXT) as server, opened(server.base_url, attempts=3) as llm:
        server.faults.append(too_many("3600"))
        with pytest.raises(Unavailable) as caught:
            await said(llm)
        assert caught.value.retry_after == pytest.approx(3600, abs=5)
        assert len(server.requests) == 1


CUTS = {
    "cut": Fault(cut=True, after=3),
    "reset": Fault(reset=True, after=3),
    "clean end": Fault(clean_end=True, after=3),
    "garbage": Fault(garbage=True, after=3),
    "error": Fault(error="out of memory", after=3),
}


@pytest.mark.parametrize("fault", CUTS.values(), ids=CUTS)
async def test_an_answer_that_is_cut_raises_and_is_not_asked_for_twice(fault: Fault) -> None:
    async with fake("vllm", text=TEXT) as server, opened(server.base_url, attempts=3) as llm:
        server.faults.append(fault)
        deltas: list[Delta] = []
        with pytest.raises(Unavailable):
            await collected(llm, deltas)
        assert TEXT.startswith(text_of(deltas))
        assert text_of(deltas)
        assert not any(delta.finish for delta in deltas)
        assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [Fault(cut=True), Fault(clean_end=True), Fault(reset=True)])
async def test_an_answer_that_is_cut_before_the_first_word_is_asked_for_again(
    fault: Fault,
) -> None:
    async with fake("vllm", text=TEXT) as server, opened(server.base_url, attempts=3) as llm:
        server.faults.append(fault)
        assert text_of(await said(llm)) == TEXT
        assert len(server.requests) == 2


async def test_silence_within_an_answer_ends_it() -> None:
    async with fake("vllm", text=TEXT) as server, opened(server.base_url, stall_s=0.2) as llm:
        server.faults.append(Fault(stall=True, after=3))
        with pytest.raises(Unavailable, match=r"fell silent for 0\.2 s"):
            await said(llm)
        await _all_gone(server)


async def test_a_whole_answer_has_a_limit_of_time() -> None:
    slow = Speaking(text="word " * 50, pause_s=0.1)
    async with fake("vllm", speaking=slow) as server, opened(server.base_url, timeout_s=0.6) as llm:
        with pytest.raises(Unavailable, match="took too long"):
            await said(llm)
        await _all_gone(server)


async def test_silence_before_an_answer_ends_it() -> None:
    silent = {"connection": {"timeout_s": 0.2}}
    async with fake("vllm", text=TEXT) as server, opened(server.base_url, **silent) as llm:
        server.faults.append(Fault(hang=True))
        with pytest.raises(Unavailable, match="no answer in time"):
            await said(llm)
        await _all_gone(server)


# --- fallbacks -----------------------------------------------------------------------------------


async def test_fallbacks_take_the_place_of_what_is_unavailable() -> None:
    async with fake("vllm", text="from vllm") as first, fake("tgi", text="from tgi") as second:
        other = {"model": "other", "connection": {"base_url": second.base_url}}
        async with opened(first.base_url, fallbacks=[other]) as llm:
            assert text_of(await said(llm)) == "from vllm"
            assert second.requests == []
            first.faults.append(Fault(status=503))
            deltas = await said(llm)
            assert (text_of(deltas), deltas[0].model) == ("from tgi", "other")
            assert second.bodies()[0]["model"] == "other"


async def test_no_fallback_after_the_first_word_and_none_for_wrong_requests() -> None:
    async with fake("vllm", text=TEXT) as first, fake("tgi", text="from tgi") as second:
        other = {"model": "other", "connection": {"base_url": second.base_url}}
        async with opened(first.base_url, fallbacks=[other]) as llm:
            first.faults += [Fault(cut=True, after=3), Fault(status=401)]
            with pytest.raises(Unavailable):
                await said(llm)
            with pytest.raises(Rejected, match="status 401"):
                await said(llm)
        assert second.requests == []


async def test_when_none_is_left_every_failure_is_told() -> None:
    async with fake("vllm") as first, fake("tgi") as second:
        other = {"model": "other", "connection": {"base_url": second.base_url}}
        async with opened(first.base_url, fallbacks=[other]) as llm:
            first.faults.append(too_many("20"))
            second.faults.append(too_many("10"))
            with pytest.raises(Unavailable, match=r"no model is available: .*429.*429") as caught:
                await said(llm)
        assert caught.value.retry_after == 10


# --- going away ----------------------------------------------------------------------------------


async def test_closing_the_generator_ends_the_call() -> None:
    slow = Speaking(text="word " * 500, pause_s=0.05)
    async with fake("vllm", speaking=slow) as server, opened(server.base_url) as llm:
        async with aclosing(llm.stream(MESSAGES, max_tokens=500)) as deltas:
            async for delta in deltas:
                assert delta.text
                break
        await _all_gone(server)
        assert server.requests[0].abandoned


async def test_a_cancelled_question_ends_the_call_before_the_first_word() -> None:
    async with fake("vllm", text=TEXT) as server, opened(server.base_url) as llm:
        server.faults.append(Fault(hang=True))
        asking = asyncio.ensure_future(said(llm))
        await _soon(lambda: server.open == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await _all_gone(server)


async def _all_gone(server: Any) -> None:
    """Wait for the end of every call as long as the API promises at most."""
    await _soon(lambda: server.open == 0)


async def _soon(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 2.0
    while not holds():
        assert time.monotonic() < end, "it is not so within two seconds"
        await asyncio.sleep(0.01)


# --- secrets -------------------------------------------------------------------------------------


async def test_the_key_is_sent_and_never_told() -> None:
    async with fake("vllm", text=TEXT, api_key="k-1234") as server:
        async with opened(server.base_url, key="k-1234") as llm:
            assert text_of(await said(llm)) == TEXT
        async with opened(server.base_url, key="k-wrong") as llm:
            with pytest.raises(Rejected, match="status 401") as caught:
                await said(llm)
        assert "k-wrong" not in f"{caught.value}{llm._servers[0]._served!r}"


# --- odd bytes -----------------------------------------------------------------------------------


@asynccontextmanager
async def answering(body: bytes, kind: str = "text/event-stream") -> AsyncIterator[str]:
    """Serve one canned answer to every request; yields the address of a client."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if b"content-length" in line.lower())
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n".encode())
        writer.write(f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def told(body: bytes, kind: str = "text/event-stream") -> list[Delta]:
    async with answering(body, kind) as url, opened(url) as llm:
        return await said(llm)


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def events(*values: Any, end: str = "\n\n") -> bytes:
    return "".join(f"data: {json.dumps(value)}{end}" for value in values).encode()


async def test_chunks_of_many_shapes_are_read() -> None:
    body = events(
        chunk(role="assistant", content=None),
        {"choices": None, "usage": None},
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
        chunk(content=[{"type": "text", "text": "a"}, {"type": "image_url"}]),
        chunk(content="ß漢", tool_calls=[]),
        chunk("eos_token"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": None}},
        end="\r\n\r\n",
    )
    for end in (b"data: [DONE]\r\n\r\n", b"data:[DONE]", b"", b": bye\n"):
        deltas = await told(b"\xef\xbb\xbf: hello\r\n\r\nretry: 5\r\n" + body + end)
        assert text_of(deltas) == "aß漢"
        assert deltas[-1] == Delta(finish="stop", usage=Usage(3, 0), model="m")


async def test_thoughts_are_no_text_but_a_sign_of_life() -> None:
    thinking = [chunk(reasoning_content=word) for word in ("hm", "well")]
    deltas = await told(events(*thinking, chunk(content="Yes."), chunk("stop")))
    assert [delta.text for delta in deltas] == ["", "Yes.", ""]
    assert [delta.finish for delta in deltas] == [None, None, "stop"]


async def test_a_server_that_does_not_stream_is_read_whole() -> None:
    message = {"role": "assistant", "content": TEXT}
    usage = {"prompt_tokens": 5, "completion_tokens": 7}
    whole = {"choices": [{"message": message, "finish_reason": "length"}], "usage": usage}
    deltas = await told(json.dumps(whole).encode(), "application/json; charset=utf-8")
    assert [(d.text, d.finish) for d in deltas] == [(TEXT, None), ("", "length")]
    assert deltas[-1].usage == Usage(5, 7)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"message": "no memory", "type": "InternalServerError"}}, Unavailable),
        ({"error": {"message": "slow down", "code": 429}}, Unavailable),
        ({"error": {"message": "too long", "code": "context_length_exceeded"}}, Rejected),
        ({"error": {"message": "no such", "code": 404}}, Rejected),
        ({"error": "bad input", "error_type": "validation"}, Rejected),
        ({"object": "error", "message": "engine died", "code": "500"}, Unavailable),
        ({"error": "out of memory"}, Unavailable),
    ],
)
async def test_errors_in_place_of_chunks_are_told(
    error: dict[str, Any], kind: type[RagError]
) -> None:
    why = error.get("message") or error["error"]
    why = why if isinstance(why, str) else why["message"]
    for body in (events(error), b"error: " + json.dumps(error).encode() + b"\n\n"):
        with pytest.raises(kind, match=f"broke off: {why}"):
            await told(events(chunk(content="Yes")) + body)
    with pytest.raises(kind, match=why):
        await told(json.dumps(error).encode(), "application/json")


@pytest.mark.parametrize(
    ("body", "kind", "failure"),
    [
        (b"", "text/event-stream", Unavailable),
        (b"data: 5\n\n", "text/event-stream", Unavailable),
        (b"data: [" + b"1," * 3_000_000, "text/event-stream", Rejected),
        (b"<html>", "text/html", Rejected),
        (b'{"ok": true}', "application/json", Rejected),
        (b"{", "application/json", Unavailable),
    ],
)
async def test_what_is_no_answer_is_refused(
    body: bytes, kind: str, failure: type[RagError]
) -> None:
    with pytest.raises(failure):
        await told(body, kind)
