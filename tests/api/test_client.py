"""The Python client against a server that says and does what a test wants."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import rag.client as c
from tests.api.scripted import Reply, asking, events, listening, problem, scripted

FOUND = Reply(body={"hits": [], "partial": False, "unread": False})
ANSWER: dict[str, Any] = {
    "id": "a1",
    "answer": "Yes. [1]",
    "citations": [
        {
            "n": 1,
            "document_id": "d",
            "uri": "file:///a.pdf",
            "title": "A",
            "heading": ["One", "Two"],
            "start": 3,
            "end": 7,
            "quote": "Yes.",
            "location": {"kind": "page", "number": 2, "last": 3, "label": "", "cells": ""},
        }
    ],
    "model": "extractive",
    "abstained": False,
    "unsupported": [[0, 4]],
    "partial": False,
    "question": "Is it?",
    "rewritten": None,
    "conversation": None,
    "usage": None,
}
RUN = {
    "id": "r1",
    "collection": "default",
    "kind": "upload",
    "state": "queued",
    "counts": {},
    "started": 1.0,
    "updated": 2.0,
    "cancelled": False,
    "error": None,
    "summary": None,
    "documents": [{"id": "d", "name": "a.md"}],
    "failures": [],
}
BUSY = Reply(503, problem(503, "overloaded"), {"retry-after": "0"})
AWAY = Reply(503, problem(503, "unavailable"), {"retry-after": "0"})
EVENTS = {"content-type": "text/event-stream"}
ANSWERED = Reply(body=ANSWER)

both = pytest.mark.parametrize("kind", ["sync", "async"])


# --- errors --------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("status", "name", "expected"),
    [
        (400, "invalid-request", c.BadRequest),
        (404, "not-found", c.NotFound),
        (409, "conflict", c.Conflict),
        (413, "too-large", c.BadRequest),
        (422, "invalid-request", c.BadRequest),
        (429, "too-many", c.Overloaded),
        (500, "internal", c.ServerFailure),
        (502, "rejected", c.ServerFailure),
        (503, "unavailable", c.Unavailable),
        (503, "overloaded", c.Overloaded),
        (504, "deadline", c.TimedOut),
        (507, "storage-full", c.ServerFailure),
        (302, "elsewhere", c.UnexpectedReply),
    ],
)
async def test_problems_become_exceptions(
    kind: str, status: int, name: str, expected: type[c.CumuloError]
) -> None:
    told = problem(status, name, hint="Do that.", errors=[{"place": "k", "message": "no"}])
    reply = Reply(status, told, {"x-request-id": "req-7", "retry-after": "3"})
    async with scripted(reply) as (url, script), asking(kind, url, attempts=1) as ask:
        with pytest.raises(c.CumuloError) as caught:
            await ask("search", "q")
    error = caught.value
    assert type(error) is expected
    assert (error.status, error.request_id, error.retry_after) == (status, "req-7", 3.0)
    assert str(error) == "It failed.; Do that."
    assert error.kind == f"https://cumulo.dev/problems/{name}"
    assert error.errors == ({"place": "k", "message": "no"},)
    assert len(script.seen) == 1


async def test_replies_of_something_else_are_named() -> None:
    page = Reply(502, b"<html>Bad gateway</html>", {"content-type": "text/html"})
    async with scripted(page) as (url, _), asking("sync", url) as ask:
        with pytest.raises(c.ServerFailure, match="Bad gateway"):
            await ask("search", "q")
    async with scripted(Reply(body=b"<html>")) as (url, _), asking("sync", url) as ask:
        with pytest.raises(c.UnexpectedReply, match="not JSON"):
            await ask("search", "q")
    async with scripted(Reply(body={"hits": []})) as (url, _), asking("sync", url) as ask:
        with pytest.raises(c.UnexpectedReply, match="reply has no 'partial'"):
            await ask("search", "q")


@both
async def test_no_server_is_unreachable(kind: str) -> None:
    async with scripted(FOUND) as (url, _):
        pass
    async with asking(kind, url, attempts=2) as ask:
        with pytest.raises(c.Unreachable, match="rag serve") as caught:
            await ask("answer", "q")
    assert not caught.value.sent


# --- trying again --------------------------------------------------------------------------------


@both
async def test_what_does_no_harm_is_sent_again_when_the_server_says(kind: str) -> None:
    later = Reply(503, problem(503, "unavailable"), {"retry-after": "0.3"})
    async with scripted(later, BUSY, FOUND) as (url, script), asking(kind, url) as ask:
        assert await ask("search", "q") == c.SearchReply((), partial=False, unread=False)
    first, second, third = script.seen
    assert second.at - first.at >= 0.3
    assert first.body == second.body == third.body


@both
async def test_dates_of_retry_after_are_understood(kind: str) -> None:
    later = Reply(503, problem(503, "unavailable"), {"retry-after": formatdate(time.time() + 90)})
    async with scripted(later) as (url, script), asking(kind, url, timeout_s=30) as ask:
        with pytest.raises(c.Unavailable) as caught:  # at once: it would be too late
            await ask("search", "q")
    assert 60 < (caught.value.retry_after or 0) <= 90
    assert len(script.seen) == 1


@both
async def test_an_answer_is_sent_again_only_if_nothing_was_done(kind: str) -> None:
    async with scripted(BUSY, ANSWERED) as (url, script), asking(kind, url) as ask:
        assert (await ask("answer", "q")).answer == "Yes. [1]"
        assert len(script.seen) == 2
    async with scripted(AWAY, ANSWERED) as (url, script), asking(kind, url) as ask:
        with pytest.raises(c.Unavailable):
            await ask("answer", "q")
        assert len(script.seen) == 1
    cut = Reply(body=ANSWER, then="cut")
    async with scripted(cut, ANSWERED) as (url, script), asking(kind, url) as ask:
        with pytest.raises(c.Unreachable, match="broke off") as caught:
            await ask("answer", "q")
        assert caught.value.sent
        assert len(script.seen) == 1


@both
async def test_uploads_carry_one_key_however_often_they_are_sent(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n" * 1000)
    under_way = Reply(409, problem(409, "conflict"), {"retry-after": "0"})
    replies = (Reply(202, RUN, then="cut"), under_way, Reply(202, RUN))
    files = [tmp_path / "a.md", c.Upload("sub/ä.txt", b"hello", "text/plain")]
    async with scripted(*replies) as (url, script), asking(kind, url) as ask:
        run = await ask("documents.upload", "default", files, metadata={"year": 2026}, wait=True)
    assert (run.id, run.ended) == ("r1", False)
    keys = {seen.headers["idempotency-key"] for seen in script.seen}
    assert len(script.seen) == 3
    assert len(keys) == 1
    for seen in script.seen:
        assert seen.query == "wait=true"
        assert seen.body.count(b"# A\n") == 1000
        assert 'filename="sub/ä.txt"'.encode() in seen.body
        assert b'{"year": 2026}' in seen.body


@both
async def test_a_conflict_that_will_stay_is_not_tried_again(kind: str) -> None:
    reply = Reply(409, problem(409, "conflict"))
    async with scripted(reply) as (url, script), asking(kind, url) as ask:
        with pytest.raises(c.Conflict):
            await ask("documents.add_text", "default", "a", "text", idempotency_key="mine")
    assert [seen.headers["idempotency-key"] for seen in script.seen] == ["mine"]


# --- time ----------------------------------------------------------------------------------------


@both
async def test_the_server_is_told_how_much_time_is_left(kind: str) -> None:
    async with scripted(BUSY, FOUND) as (url, script), asking(kind, url, within=5.0) as ask:
        await ask("search", "q")
    first, second = (float(seen.headers["x-request-timeout"]) for seen in script.seen)
    assert 4.0 < second < first <= 5.0


@both
async def test_a_silent_server_times_out(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.client.wire.GRACE_S", 0.1)
    reply = Reply(then="silent")
    async with scripted(reply) as (url, script), asking(kind, url, timeout_s=0.2) as ask:
        with pytest.raises(c.TimedOut, match="no sign of life"):
            await ask("search", "q")
        await asyncio.wait_for(script.gone.wait(), 5)


# --- streams -------------------------------------------------------------------------------------

PIECE = {"text": "Yes. [1]", "citations": ANSWER["citations"]}


@both
async def test_streams_are_typed(kind: str) -> None:
    told = events(("piece", PIECE), ("news", {"of": "later"}), ("done", ANSWER))
    reply = Reply(body=told, headers=EVENTS)
    async with scripted(reply) as (url, script), asking(kind, url) as ask:
        piece, answer = await ask("stream_answer", "q", k=3)
    assert isinstance(piece, c.Piece)
    assert piece.text == answer.answer
    assert piece.citations == answer.citations
    assert answer.citations[0].location == c.Location("page", 2, 3)
    assert answer.unsupported == ((0, 4),)
    asked = json.loads(script.seen[0].body)
    assert asked["stream"] is True
    assert asked["k"] == 3
    assert "filter" not in asked


@both
async def test_a_stream_that_breaks_off_never_ends_clean(kind: str) -> None:
    told = events(("piece", PIECE))
    for then in ("end", "cut"):
        reply = Reply(body=told, headers=EVENTS, then=then)
        async with scripted(reply) as (url, script), asking(kind, url) as ask:
            with pytest.raises(c.Unreachable):
                await ask("stream_answer", "q")
        assert len(script.seen) == 1


@both
async def test_an_error_in_a_stream_is_raised(kind: str) -> None:
    told = events(("piece", PIECE), ("error", problem(503, "unavailable", instance="req-9")))
    reply = Reply(body=told, headers=EVENTS)
    async with scripted(reply) as (url, _), asking(kind, url) as ask:
        with pytest.raises(c.Unavailable, match=r"It failed\.") as caught:
            await ask("stream_answer", "q")
    assert caught.value.request_id == "req-9"


async def test_leaving_a_stream_closes_its_connection() -> None:
    reply = Reply(body=events(("piece", PIECE)), headers=EVENTS, then="hang")
    async with scripted(reply) as (url, script), c.AsyncCumulo(url) as client:
        async with client.stream_answer("q") as stream:
            assert isinstance(await anext(stream), c.Piece)
            assert not script.gone.is_set()
        await asyncio.wait_for(script.gone.wait(), 5)

    def leave(url: str) -> None:
        with c.Cumulo(url) as client, client.stream_answer("q") as stream:
            assert isinstance(next(stream), c.Piece)

    async with scripted(reply) as (url, script):
        await asyncio.to_thread(leave, url)
        await asyncio.wait_for(script.gone.wait(), 5)


async def test_cancelling_the_reader_of_a_stream_closes_its_connection() -> None:
    reply = Reply(body=events(("piece", PIECE)), headers=EVENTS, then="hang")
    async with scripted(reply) as (url, script), c.AsyncCumulo(url) as client:
        first = asyncio.Event()

        async def read() -> None:
            async with client.stream_answer("q") as stream:
                async for _ in stream:
                    first.set()

        reading = asyncio.ensure_future(read())
        await first.wait()
        reading.cancel()
        await asyncio.wait_for(script.gone.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await reading


@both
async def test_runs_are_followed_and_waited_for(kind: str) -> None:
    running = {**RUN, "state": "running", "counts": {"added": 3}}
    done = {**RUN, "state": "done", "failures": [{"uri": "x", "error": "y"}]}
    told = Reply(body=events(("progress", running), ("done", done)), headers=EVENTS)
    async with scripted(told) as (url, _), asking(kind, url) as ask:
        first, last = await ask("runs.follow", "r1")
    assert (first.counts, first.ended) == ({"added": 3}, False)
    assert last.ended
    assert last.failures[0].error == "y"
    replies = (Reply(body=RUN), AWAY, Reply(body=running), Reply(body=done))
    async with scripted(*replies) as (url, script), asking(kind, url) as ask:
        assert (await ask("runs.wait", "r1")).state == "done"
        assert len(script.seen) == 4
    async with scripted(Reply(body=RUN)) as (url, _), asking(kind, url) as ask:
        with pytest.raises(c.TimedOut, match="still queued"):
            await ask("runs.wait", "r1", timeout_s=0.2)


# --- lists, names, files -------------------------------------------------------------------------


@both
async def test_lists_are_read_page_by_page(kind: str) -> None:
    one = {**RUN, "id": "r1"}
    two = {**RUN, "id": "r2"}
    pages = [
        Reply(body={"data": [one, two], "next": "c/1="}),
        Reply(body={"data": [], "next": "c2"}),
        Reply(body={"data": [one], "next": None}),
    ]
    async with scripted(*pages) as (url, script), asking(kind, url) as ask:
        assert [run.id for run in await ask("runs.list", "notes")] == ["r1", "r2", "r1"]
    assert [seen.query for seen in script.seen] == [
        "limit=100&collection=notes",
        "limit=100&collection=notes&cursor=c%2F1%3D",
        "limit=100&collection=notes&cursor=c2",
    ]


@both
async def test_names_reach_the_server_as_one_segment(kind: str) -> None:
    async with scripted(Reply(204)) as (url, script), asking(kind, url) as ask:
        assert await ask("conversations.delete", "a/b ?#é%2e") is None
    assert script.seen[0].method == "DELETE"
    assert script.seen[0].path == "/v1/conversations/a%2Fb%20%3F%23%C3%A9%252e"


async def test_a_big_file_is_not_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(32 * 2**20)

    def send(url: str) -> int:
        with c.Cumulo(url) as client:
            tracemalloc.start()
            client.documents.upload("default", [tmp_path / "big.bin"])
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak

    class Swallowing:
        """Counts the bytes and keeps none."""

        total = 0

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            while True:
                message = await receive()
                self.total += len(message["body"])
                if not message["more_body"]:
                    break
            body = json.dumps(RUN).encode()
            await send({"type": "http.response.start", "status": 202, "headers": []})
            await send({"type": "http.response.body", "body": body})

    app = Swallowing()
    async with listening(app) as url:
        peak = await asyncio.to_thread(send, url)
    assert app.total > 32 * 2**20
    assert peak < 8 * 2**20


def test_mistakes_are_told_before_anything_is_sent(tmp_path: Path) -> None:
    with c.Cumulo("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match=r"two files are called 'a\.md'"):
            client.documents.upload("default", [tmp_path / "a.md", tmp_path / "b" / "a.md"])
        with pytest.raises(ValueError, match="no files"):
            client.documents.upload("default", [])
