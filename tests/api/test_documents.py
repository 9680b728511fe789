"""Documents over HTTP: handed over as text, shown in every form, described, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from api.dependencies import caller
from indexers import ingest as job
from indexers.doctor.examining import examine
from rag.catalog import tables as t
from tests.api.keeping import (
    DOCUMENTS,
    STRANGERS,
    TEXT,
    add,
    check_problem,
    done,
    found,
    keeping,
)
from tests.api.serving import Served

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Served, httpx2.AsyncClient]]:
    async with keeping(tmp_path) as both:
        yield both


@pytest.fixture
def client(served: tuple[Served, httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return served[1]


@pytest.fixture
def server(served: tuple[Served, httpx2.AsyncClient]) -> Served:
    return served[0]


async def test_a_text_becomes_a_document(client: httpx2.AsyncClient) -> None:
    id_ = await add(client, "notes/monday.md", metadata={"lang": "en"})
    shown = (await client.get(f"/v1/documents/{id_}")).json()
    assert (shown["name"], shown["title"]) == ("notes/monday.md", "Monday")
    assert (shown["collection"], shown["uri"]) == ("docs", "upload:notes/monday.md")
    assert shown["given"] == {"meta.lang": "en"}
    assert shown["metadata"]["meta.ext"] == ".md"
    assert shown["original"]
    assert await found(client, "zebra") == ["upload:notes/monday.md"]
    text = await client.get(f"/v1/documents/{id_}/text")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text == TEXT.rstrip()
    original = await client.get(f"/v1/documents/{id_}/original")
    assert original.content == TEXT.encode()
    assert original.headers["content-disposition"] == "attachment; filename*=UTF-8''monday.md"
    assert original.headers["x-content-type-options"] == "nosniff"
    assert original.headers["content-type"] == "application/octet-stream"


async def test_the_media_type_tells_the_format(client: httpx2.AsyncClient) -> None:
    id_ = await add(client, "page", "<p>one<br>two</p>", media_type="text/html")
    assert (await client.get(f"/v1/documents/{id_}/text")).text == "one\ntwo"


async def test_another_document_of_the_name_replaces_the_first(client: httpx2.AsyncClient) -> None:
    first = await add(client, "a.md", "# A\n\nThe zebra.\n")
    assert await add(client, "a.md", "# A\n\nThe giraffe.\n") == first
    assert await found(client, "zebra") == []
    assert await found(client, "giraffe") == ["upload:a.md"]
    again = done(
        await client.post(
            f"{DOCUMENTS}/text?wait=true", json={"name": "a.md", "text": "# A\n\nThe giraffe.\n"}
        )
    )
    assert (again["counts"]["unchanged"], again["counts"]["updated"]) == (1, 0)


async def test_without_waiting_the_run_can_be_followed(client: httpx2.AsyncClient) -> None:
    reply = await client.post(f"{DOCUMENTS}/text", json={"name": "a.md", "text": TEXT})
    assert reply.status_code == 202
    run = reply.json()
    assert reply.headers["location"] == f"/v1/runs/{run['id']}"
    assert run["documents"][0]["name"] == "a.md"
    for _ in range(200):
        run = (await client.get(reply.headers["location"])).json()
        if run["state"] == "done":
            break
        await asyncio.sleep(0.05)
    assert run["counts"]["added"] == 1
    assert run["summary"]["chunks"] == run["counts"]["chunks"] > 0
    assert (await client.get(f"/v1/documents/{run['documents'][0]['id']}")).status_code == 200


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": "a.md"}, "text"),
    ({"name": "", "text": "a"}, "name"),
    ({"name": "a\0b", "text": "a"}, "name"),
    ({"name": "../..", "text": "a"}, "no name"),
    ({"name": "a", "text": "a", "else": 1}, "else"),
    ({"name": "a", "text": "a", "metadata": {"a b": 1}}, "'a b'"),
    ({"name": "a", "text": "a", "metadata": {"a": {"b": 1}}}, "'a'"),
    ({"name": "a", "text": "a", "metadata": {"a": [1, "b"]}}, "'a' mixes kinds"),
    ({"name": "a", "text": "a", "metadata": {"a": None}}, "'a'"),
    ({"name": "a", "text": "a", "metadata": {"a": "x\0"}}, "'a'"),
    ({"name": "a", "text": "a", "metadata": {"a": 2**60}}, "'a'"),
    ({"name": "a", "text": "a", "metadata": {"a": 1, "meta.a": 2}}, "'a' is given twice"),
    ({"name": "a", "text": "a", "metadata": {f"k{n}": 1 for n in range(65)}}, "65 names"),
)


async def test_what_is_wrong_is_named(client: httpx2.AsyncClient) -> None:
    for given, detail in WRONG:
        check_problem(await client.post(f"{DOCUMENTS}/text", json=given), 422, detail)
    assert (await client.get("/v1/runs")).json()["data"] == []


async def test_the_collection_must_be_there(client: httpx2.AsyncClient) -> None:
    for call in (
        client.post("/v1/collections/none/documents/text", json={"name": "a", "text": "b"}),
        client.post("/v1/collections/none/documents", files={"files": ("a", b"b")}),
        client.post("/v1/collections/none/documents/url", json={"url": "https://a.example/"}),
        client.get("/v1/collections/none/documents"),
    ):
        check_problem(await call, 404, "there is no collection 'none'")


async def test_pages_follow_each_other(client: httpx2.AsyncClient) -> None:
    files = [("files", (name, f"Text of {name}.")) for name in ("b/1.md", "b/2.md", "a.md", "é")]
    done(await client.post(f"{DOCUMENTS}?wait=true", files=files))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for size in (2, 2):
        page = (await client.get(DOCUMENTS, params={"limit": 2, **cursor})).json()
        assert len(page["data"]) == size
        seen += [document["name"] for document in page["data"]]
        cursor = {"cursor": page["next"]}
    assert page["next"] is None
    assert sorted(seen) == ["a.md", "b/1.md", "b/2.md", "é"]
    some = (await client.get(DOCUMENTS, params={"prefix": "b/"})).json()
    assert [document["name"] for document in some["data"]] == ["b/1.md", "b/2.md"]
    assert (await client.get(DOCUMENTS, params={"prefix": "B/"})).json()["data"] == []
    for bad in ("x", "W10", "WyJhIl0", "WzEsMl0"):
        check_problem(await client.get(DOCUMENTS, params={"cursor": bad}), 422, "cursor")


async def test_chunks_come_in_order_and_in_pages(client: httpx2.AsyncClient) -> None:
    parts = [f"## Part {n}\n\n" + f"Sentence {n} about nothing much. " * 30 for n in range(8)]
    text = "# Long\n\n" + "\n\n".join(parts) + "\n"
    id_ = await add(client, "long.md", text)
    text = (await client.get(f"/v1/documents/{id_}/text")).text
    seen: list[dict[str, Any]] = []
    after: int | None = -1
    while after is not None:
        page = (
            await client.get(f"/v1/documents/{id_}/chunks", params={"limit": 3, "after": after})
        ).json()
        seen += page["data"]
        after = page["next"]
    assert len(seen) > 3
    assert [chunk["ordinal"] for chunk in seen] == list(range(len(seen)))
    for chunk in seen:
        assert text[chunk["start"] : chunk["end"]] == chunk["text"]
    shown = (await client.get(f"/v1/documents/{id_}")).json()
    assert shown["chunks"] == len(seen)
    beyond = await client.get(f"/v1/documents/{id_}/chunks", params={"after": 10_000})
    assert beyond.json() == {"data": [], "next": None}


# --- tags ----------------------------------------------------------------------------------------


async def test_what_the_client_has_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    id_ = await add(client)
    for path in (
        f"/v1/documents/{id_}",
        f"/v1/documents/{id_}/text",
        f"/v1/documents/{id_}/original",
        "/v1/collections/docs",
    ):
        first = await client.get(path)
        tag = first.headers["etag"]
        for known in (tag, f'"x", W/{tag}', "*"):
            again = await client.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), path
            assert again.headers["etag"] == tag
        other = await client.get(path, headers={"If-None-Match": '"x"'})
        assert (other.status_code, other.content) == (200, first.content)
    before = (await client.get(f"/v1/documents/{id_}")).headers["etag"]
    await add(client, text="# Other\n")
    changed = await client.get(f"/v1/documents/{id_}", headers={"If-None-Match": before})
    assert changed.status_code == 200
    assert changed.headers["etag"] != before


# --- metadata ------------------------------------------------------------------------------------


async def test_given_metadata_reach_filters_at_once(
    client: httpx2.AsyncClient, server: Served
) -> None:
    id_ = await add(client, metadata={"lang": "en", "year": 2025})
    other = await add(client, "b.md", "# B\n\nAnother zebra.\n")
    earlier = {"eq": {"meta.year": 2025}}
    assert await found(client, "zebra", filter=earlier) == ["upload:a.md"]

    given = {"lang": "xx", "ext": ".other", "tags": ["a", "b"], "meta.ok": True}
    reply = await client.put(f"/v1/documents/{id_}/metadata", json={"metadata": given})
    assert reply.status_code == 200, reply.text
    shown = reply.json()
    assert shown["given"] == {
        "meta.lang": "xx",
        "meta.ext": ".other",
        "meta.tags": ["a", "b"],
        "meta.ok": True,
    }
    assert shown["metadata"] == {"meta.path": "a.md", **shown["given"]}
    for filter_, names in (
        (earlier, []),
        ({"eq": {"meta.lang": "xx"}}, ["upload:a.md"]),
        ({"eq": {"meta.ext": ".other"}}, ["upload:a.md"]),
        ({"eq": {"meta.tags": "b"}}, ["upload:a.md"]),
        ({"exists": "meta.year"}, []),
        ({"not": {"exists": "meta.ok"}}, ["upload:b.md"]),
    ):
        assert await found(client, "zebra", filter=filter_) == names, filter_

    same = await client.put(f"/v1/documents/{id_}/metadata", json={"metadata": shown["given"]})
    assert same.json() == shown  # what is shown can be given back, and nothing is written

    none = await client.put(f"/v1/documents/{id_}/metadata", json={"metadata": {}})
    own = {"meta.path": "a.md", "meta.ext": ".md", "meta.lang": "en"}
    assert none.json()["metadata"] == own
    assert await found(client, "zebra", filter={"exists": "meta.tags"}) == []
    assert len(await found(client, "zebra", filter={"eq": {"meta.ext": ".md"}})) == 2

    assert (await client.get(f"/v1/documents/{other}")).json()["given"] == {}
    assert (await examine(server.runtime)).findings == []


async def test_given_metadata_stay_when_the_document_is_ingested_again(
    client: httpx2.AsyncClient, server: Served, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "page.md").write_text("---\nlang: de\n---\n# Page\n\nThe zebra.\n")
    runtime = server.runtime

    async def ingest() -> None:
        collection = await job.open_collection(runtime, "default", "docs")
        listings = await job.list_paths(runtime, collection, [folder], {})
        await job.ingest(runtime, collection, listings)

    await ingest()
    (page,) = (await client.get(DOCUMENTS)).json()["data"]
    path = f"/v1/documents/{page['id']}"
    before = page["metadata"]["meta.lang"]
    await client.put(f"{path}/metadata", json={"metadata": {"lang": "xx", "mine": 1}})
    (folder / "page.md").write_text("---\nlang: de\n---\n# Page\n\nThe giraffe.\n")
    await ingest()
    assert await found(client, "giraffe", filter={"eq": {"meta.lang": "xx"}}) == [page["uri"]]
    assert await found(client, "giraffe", filter={"eq": {"meta.mine": 1}}) == [page["uri"]]
    await client.put(f"{path}/metadata", json={"metadata": {}})
    assert (await client.get(path)).json()["metadata"]["meta.lang"] == before
    assert (await examine(runtime)).findings == []


async def test_an_upload_gives_metadata_or_leaves_them(client: httpx2.AsyncClient) -> None:
    id_ = await add(client, metadata={"lang": "en"})
    for more, lang in (
        ({}, "en"),  # the same content
        ({"text": "# New\n\nThe zebra.\n"}, "en"),  # another one
        ({"text": "# New\n\nThe zebra.\n", "metadata": {"lang": "xx"}}, "xx"),
        ({"text": "# Newer\n\nThe zebra.\n", "metadata": {"lang": "yy"}}, "yy"),
        ({"text": "# Newer\n\nThe zebra.\n", "metadata": {}}, None),
    ):
        await add(client, **more)
        shown = (await client.get(f"/v1/documents/{id_}")).json()
        assert shown["given"].get("meta.lang") == lang
        hits = await found(client, "zebra", filter={"eq": {"meta.lang": lang or "yy"}})
        assert hits == (["upload:a.md"] if lang else [])


async def test_many_describe_at_once_and_one_is_last(
    client: httpx2.AsyncClient, server: Served
) -> None:
    id_ = await add(client)
    path = f"/v1/documents/{id_}/metadata"
    replies = await asyncio.gather(
        *(client.put(path, json={"metadata": {"n": n}}) for n in range(4))
    )
    assert {reply.status_code for reply in replies} <= {200, 409}
    assert any(reply.status_code == 200 for reply in replies)
    given = (await client.get(f"/v1/documents/{id_}")).json()["given"]
    assert await found(client, "zebra", filter={"eq": given}) == ["upload:a.md"]
    assert (await examine(server.runtime)).findings == []


# --- deletion ------------------------------------------------------------------------------------


async def test_a_deleted_document_is_gone_everywhere_at_once(
    client: httpx2.AsyncClient, server: Served
) -> None:
    id_, other = await add(client), await add(client, "b.md", "# B\n\nAnother zebra.\n")
    reply = await client.delete(f"/v1/documents/{id_}")
    assert reply.status_code == 200, reply.text
    receipt = reply.json()
    assert (receipt["document_id"], receipt["uri"]) == (id_, "upload:a.md")
    assert receipt["gone"] >= receipt["unfindable"]
    assert await found(client, "zebra street frogs") == ["upload:b.md"]
    assert [one["id"] for one in (await client.get(DOCUMENTS)).json()["data"]] == [other]
    for end in ("", "/text", "/chunks", "/original"):
        check_problem(await client.get(f"/v1/documents/{id_}{end}"), 404)
    put = await client.put(f"/v1/documents/{id_}/metadata", json={"metadata": {}})
    check_problem(put, 404)
    check_problem(await client.delete(f"/v1/documents/{id_}"), 404)
    assert (await client.get(f"/v1/receipts/{receipt['id']}")).json() == receipt
    check_problem(await client.get(f"/v1/receipts/{NOBODY}"), 404)
    data = server.runtime.settings.data_dir
    assert not (data / "texts" / id_).exists()
    assert not (data / "originals" / id_).exists()
    assert await add(client) == id_  # handed over again, it is there again
    assert sorted(await found(client, "zebra")) == ["upload:a.md", "upload:b.md"]


async def test_a_deletion_holds_when_the_store_is_away(
    client: httpx2.AsyncClient, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.errors import Unavailable

    id_ = await add(client)
    runtime = server.runtime
    collection = await job.open_collection(runtime, "default", "docs")
    index = await runtime.index(collection.live)

    async def away(*_: object) -> int:
        raise Unavailable("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(type(index), "delete", away)
        reply = await client.delete(f"/v1/documents/{id_}")
        assert (reply.status_code, reply.json()["gone"]) == (200, None)
        check_problem(await client.get(f"/v1/documents/{id_}"), 404)
        assert await found(client, "zebra") == []
    await add(client, "b.md", "# B\n")  # the next write clears it away
    receipt = (await client.get(f"/v1/receipts/{reply.json()['id']}")).json()
    assert receipt["gone"] is not None


# --- rights and damage ---------------------------------------------------------------------------


async def test_nothing_is_told_to_strangers(client: httpx2.AsyncClient, server: Served) -> None:
    id_ = await add(client)
    gone = await add(client, "gone.md", "# Gone\n")
    receipt = (await client.delete(f"/v1/documents/{gone}")).json()["id"]
    run = (await client.get("/v1/runs")).json()["data"][0]["id"]
    for stranger in STRANGERS:
        server.app.dependency_overrides[caller] = lambda stranger=stranger: replace(stranger)
        for end in ("", "/text", "/chunks", "/original"):
            check_problem(await client.get(f"/v1/documents/{id_}{end}"), 404)
        check_problem(await client.put(f"/v1/documents/{id_}/metadata", json={"metadata": {}}), 404)
        check_problem(await client.delete(f"/v1/documents/{id_}"), 404)
        for call in (
            client.get(f"/v1/runs/{run}"),
            client.get(f"/v1/runs/{run}/events"),
            client.post(f"/v1/runs/{run}/cancel"),
        ):
            check_problem(await call, 404)
        assert (await client.get("/v1/runs")).json()["data"] == []
        if stranger.tenant == "other":
            check_problem(await client.get(DOCUMENTS), 404)
            check_problem(await client.get("/v1/collections/docs/stats"), 404)
            check_problem(await client.get(f"/v1/receipts/{receipt}"), 404)
            assert (await client.get("/v1/collections")).json()["data"] == []
        else:
            assert (await client.get(DOCUMENTS)).json()["data"] == []
    server.app.dependency_overrides.clear()
    assert (await client.get(f"/v1/documents/{id_}")).status_code == 200


async def test_ids_that_are_none_are_refused(client: httpx2.AsyncClient) -> None:
    for path in ("documents/x", "documents/x/text", "receipts/x", "runs/..", "runs/x%00"):
        assert (await client.get(f"/v1/{path}")).status_code in (404, 422), path
    check_problem(await client.get(f"/v1/documents/{NOBODY}"), 404)


async def test_a_damaged_original_is_not_sent(client: httpx2.AsyncClient, server: Served) -> None:
    big = await add(client, "big.txt", "word " * 250_000)
    small = await add(client, "small.txt", "text\n")
    for id_ in (big, small):
        (file,) = (server.runtime.settings.data_dir / "originals" / id_).iterdir()
        with file.open("r+b") as opened:
            opened.seek(-2, 2)
            opened.write(b"?")
    check_problem(await client.get(f"/v1/documents/{small}/original"), 502)
    with pytest.raises(httpx2.RemoteProtocolError):  # cut, before its end was sent
        await client.get(f"/v1/documents/{big}/original")


async def test_a_document_of_a_source_has_no_original_here(
    client: httpx2.AsyncClient, server: Served, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "page.md").write_text("# Page\n")
    await server.fill(folder, "docs")
    (page,) = (await client.get(DOCUMENTS)).json()["data"]
    assert not page["original"]
    check_problem(await client.get(f"/v1/documents/{page['id']}/original"), 404, "no original")


async def test_what_is_said_of_a_document_is_sealed(
    client: httpx2.AsyncClient, server: Served
) -> None:
    id_ = await add(client, metadata={"lang": "en"})
    change = sa.update(t.documents).values(given={"meta.lang": "xx"})
    await server.runtime.catalog.write(lambda c: c.execute(change))
    check_problem(await client.get(f"/v1/documents/{id_}"), 502, "not what was written")
    assert await found(client, "zebra") == []
