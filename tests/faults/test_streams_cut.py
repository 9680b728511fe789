"""A model's answer that is cut: the caller is told so, and what came is kept as incomplete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Database

from rag.catalog import tables as t
from tests.fakes.faults import Fault
from tests.faults.calling import Connection
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.modelled import QUESTION, TEXT, Modelled, modelled

SILENCE_S = 0.3
TOKENS = len(TEXT.split())
KINDS: dict[str, dict[str, Any]] = {
    "the connection is reset": {"reset": True},
    "the connection ends": {"cut": True},
    "the stream ends without a reason": {"clean_end": True},
    "an event is no JSON": {"garbage": True},
    "an event is an error": {"error": "the model crashed"},
    "silence": {"stall": True},
}
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/answer": {"question": QUESTION, "model": "writer", "stream": True},
    "/v1/chat/completions": {
        "model": "writer",
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
    },
}


def events(body: bytes) -> list[tuple[str, Any]]:
    """Return names and data of events; data that are no JSON stay text."""
    found = []
    for block in body.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            data = lines.get("data", "")
            found.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found


def said(found: list[tuple[str, Any]]) -> str:
    """Return the text that pieces and chunks carried."""
    pieces = [data.get("text", "") for name, data in found if name == "piece"]
    chunks = [data["choices"][0]["delta"].get("content", "") for name, data in found if not name]
    return "".join(pieces + chunks)


def last_kept(connection: Database) -> tuple[str, str] | None:
    """Return state and text of the newest answer."""
    query = sa.select(t.answers.c.state, t.answers.c.text).order_by(t.answers.c.created.desc())
    row = connection.execute(query).first()
    return None if row is None else (row.state, row.text)


async def cut(world: Modelled, trial: Trial) -> None:
    """Ask once; the model's stream breaks after some tokens. Check what came, and what is kept."""
    kind = trial.random.choice(list(KINDS))
    path = trial.random.choice(list(ROUTES))
    after = trial.random.choice([0, trial.random.randint(1, TOKENS - 1)])
    trial.fault = f"{kind} after {after} chunks of {path}"
    world.chats.faults.append(Fault(after=after, **KINDS[kind]))
    before = len(world.chats.requests)
    connection = await Connection.open(world.port)
    try:
        answered = await connection.call(path, ROUTES[path], {})
    except (OSError, EOFError) as exc:
        trial.check(False, f"our own stream was cut: {exc!r}")
        return
    finally:
        connection.leave()
    trial.fired = len(world.chats.requests) > before and not world.chats.faults
    if answered.status != 200:
        trial.check(answered.status in (502, 503), f"status {answered.status}")
        trial.check(after == 0 or b'"type"' in answered.body, "no problem was told")
        return
    found = events(answered.body)
    name, told = found[-1]
    trial.check(name == "error", f"the last event is {found[-1]}")
    trial.check(
        bool(told.get("detail") or told.get("error")), f"an error that says nothing: {told}"
    )
    trial.check(not any(name == "done" or data == "[DONE]" for name, data in found), "a clean end")
    if text := said(found):
        kept = await world.server.runtime.catalog.read(last_kept)
        trial.check(kept == ("incomplete", text), f"kept is {kept}, sent was {text!r}")


@lanes("streams")
async def test_a_cut_answer_is_never_taken_for_a_whole_one(lane: Lane, tmp_path: Path) -> None:
    async with modelled(tmp_path, silence_s=SILENCE_S) as world:
        for trial in lane.run(small=25):
            await cut(world, trial)
        connection = await Connection.open(world.port)
        whole = await connection.call("/v1/answer", ROUTES["/v1/answer"], {})
        connection.leave()
        assert events(whole.body)[-1][0] == "done"  # and without a fault all is well
