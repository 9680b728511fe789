"""Collections over HTTP: made once, listed, measured, deleted with all that is in them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.api.keeping import DOCUMENTS, add, check_problem, found, keeping, spooled

FACTS = {"documents": 0, "chunks": 0, "store": "faiss", "embedder": "hashing"}


async def test_the_life_of_a_collection(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (server, client):
        made = await client.post("/v1/collections", json={"name": "new"})
        assert (made.status_code, made.headers["location"]) == (201, "/v1/collections/new")
        facts = made.json()
        assert {key: facts[key] for key in FACTS} == FACTS
        assert (await client.get("/v1/collections/new")).json() == facts
        same = {"name": "new", "store": "faiss", "embedder": "hashing"}
        for again in ({"name": "new"}, same):
            reply = await client.post("/v1/collections", json=again)
            assert (reply.status_code, reply.json()) == (200, facts)
        for other in ({"store": "away"}, {"embedder": "away"}):
            reply = await client.post("/v1/collections", json={"name": "new", **other})
            check_problem(reply, 422, "'away'")
        reply = await client.post("/v1/collections", json={"name": "new", "embedder": "minilm"})
        check_problem(reply, 409, "built with the embedder 'hashing', not 'minilm'")
        listed = (await client.get("/v1/collections")).json()["data"]
        assert [one["name"] for one in listed] == ["docs", "new"]
        for name in ("", "a/b", "ä", "-a", "a" * 101, "a\0"):
            check_problem(await client.post("/v1/collections", json={"name": name}), 422, "name")
        check_problem(await client.get("/v1/collections/none"), 404, "'none'")
        check_problem(await client.get("/v1/collections/none/stats"), 404, "'none'")
        check_problem(await client.delete("/v1/collections/none"), 404, "'none'")
        check_problem(await client.get("/v1/collections/%00"), 422)
        assert server.runtime


async def test_many_make_it_and_it_is_one(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (_, client):
        replies = await asyncio.gather(
            *(client.post("/v1/collections", json={"name": "new"}) for _ in range(8))
        )
        assert {reply.status_code for reply in replies} <= {200, 201}
        assert len({reply.json()["generation"] for reply in replies}) == 1


async def test_a_collection_in_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "page.md").write_text("# Page\n\nThe zebra.\n")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    async with keeping(tmp_path) as (server, client):
        empty = (await client.get("/v1/collections/docs/stats")).json()
        assert (empty["sources"], empty["updated"], empty["originals"]) == ([], None, 0)
        await server.fill(folder, "docs")
        await add(client)
        stats = (await client.get("/v1/collections/docs/stats")).json()
        assert [(one["kind"], one["documents"]) for one in stats["sources"]] == [
            ("filesystem", 1),
            ("upload", 1),
        ]
        assert (stats["documents"], stats["originals"], stats["quarantined"]) == (2, 1, 1)
        assert stats["chunks"] == (await client.get("/v1/collections/docs")).json()["chunks"] > 0
        assert stats["created"] < stats["updated"]


async def test_a_deleted_collection_is_gone_with_everything(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (server, client):
        id_ = await add(client)
        run = (await client.get("/v1/runs")).json()["data"][0]["id"]
        reply = await client.delete("/v1/collections/docs")
        assert reply.status_code == 200
        facts = reply.json()
        assert (facts["name"], facts["documents"]) == ("docs", 1)
        assert facts["unfindable"] <= facts["gone"]
        for path in (
            "collections/docs",
            f"documents/{id_}",
            f"documents/{id_}/text",
            f"runs/{run}",
        ):
            check_problem(await client.get(f"/v1/{path}"), 404)
        check_problem(await client.get(DOCUMENTS), 404)
        check_problem(
            await client.post("/v1/search", json={"query": "zebra", "collection": "docs"}), 404
        )
        data = server.runtime.settings.data_dir
        assert not list((data / "texts").glob("*"))
        assert not list((data / "originals").glob("*"))
        assert (await client.post("/v1/collections", json={"name": "docs"})).status_code == 201
        assert await found(client, "zebra") == []


async def test_a_collection_can_go_while_it_is_filled(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (server, client):
        text = {"name": "a.md", "text": "word " * 200_000}
        queued = await client.post(f"{DOCUMENTS}/text", json=text)
        assert queued.status_code == 202
        await asyncio.sleep(0.3)
        assert (await client.delete("/v1/collections/docs")).status_code == 200
        check_problem(await client.get(queued.headers["location"]), 404)
        assert (await client.post("/v1/collections", json={"name": "docs"})).status_code == 201
        await add(client)  # the worker lives
        assert await found(client, "zebra") == ["upload:a.md"]
        data = server.runtime.settings.data_dir
        assert len(list((data / "texts").glob("*"))) == 1
        assert len(spooled(server)) <= 1  # of what nobody wants, swept later
