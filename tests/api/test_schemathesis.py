"""Thousands of requests made from the OpenAPI document: no failure, and every operation succeeds.

About 200 requests in every run; with CUMULO_TEST_FULL more than 3,000, with sequences of them.
"""

from __future__ import annotations

import asyncio
import os
from itertools import chain, repeat
from pathlib import Path

import pytest

from rag.client import AsyncCumulo, Upload
from tests.api.exploring import PHASES, Seeds, explore
from tests.api.serving import served, settings_of

FULL = bool(os.environ.get("CUMULO_TEST_FULL"))
TEXT = "# Retention\n\nDeletes are final. A receipt says since when nothing is left.\n"


async def sow(url: str, spares: int) -> Seeds:
    """Fill a server through the Python client; `spares` of each kind are there to be deleted."""
    async with AsyncCumulo(url) as client:
        await client.collections.create("default")
        lost_collections = [f"spare-{i}" for i in range(spares)]
        for name in lost_collections:
            await client.collections.create(name)
        files = [Upload(f"{i}.md", f"{TEXT}\nNumber {i}.\n".encode()) for i in range(spares + 3)]
        run = await client.documents.upload("default", files, wait=True)
        run = await client.runs.wait(run.id)
        assert (run.state, run.failures) == ("done", ())
        documents = [document.id async for document in client.documents.list("default")]
        assert len(documents) == len(files)
        receipt = await client.documents.delete(documents.pop())
        talks = [f"talk-{i}" for i in range(spares)]
        for talk in (*talks, "talk"):
            answer = await client.answer("Are deletes final?", conversation=talk)
            assert not answer.abstained
    return Seeds(
        kept={
            "/v1/collections/{name}": ["default"],
            "/v1/documents/{id}": documents[:1],
            "/v1/receipts/{id}": [receipt.id],
            "/v1/runs/{id}": [run.id],
            "/v1/answers/{answer_id}": [answer.id],
            "/v1/conversations/{name}": ["talk"],
            "/v1/models/{name}": ["extractive", "hashing"],
        },
        lost={
            "/v1/collections/{name}": chain(lost_collections, repeat("gone")),
            "/v1/documents/{id}": chain(documents[1:], repeat(documents[-1])),
            "/v1/conversations/{name}": chain(talks, repeat("gone")),
        },
        values={
            "collection": ["default"],
            "filter": [None, {"eq": {"uri": "x"}}],
            "stream": [True, False],
        },
        forms={"files": [["# A page\n"]], "metadata": ['{"year": 2026}']},
    )


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of what Hypothesis makes
async def test_no_request_from_the_document_fails(tmp_path: Path) -> None:
    async with served(settings_of(tmp_path / "data")) as server:
        seeds = await sow(server.url, spares=60 if FULL else 4)
        found = await asyncio.to_thread(
            explore,
            server.url,
            seeds,
            examples=60 if FULL else 3,
            phases=PHASES if FULL else ("examples", "fuzzing"),
            random=FULL,
        )
    assert not found.failures, "\n\n".join(sorted(set(found.failures)))
    assert not found.warnings
    assert found.never_succeeded == []
    streams = [name for name, kinds in found.media.items() if "text/event-stream" in kinds]
    assert {"GET /v1/runs/{id}/events", "POST /v1/answer"} <= set(streams)
    assert found.cases >= (3000 if FULL else 150)
