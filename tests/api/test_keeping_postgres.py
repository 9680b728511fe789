"""Collections, documents and runs over HTTP with the catalog in Postgres."""

from __future__ import annotations

from pathlib import Path

from tests.api.keeping import DOCUMENTS, add, check_problem, done, found, keeping


async def test_the_life_of_a_document_in_postgres(tmp_path: Path, postgres_url: str) -> None:
    async with keeping(tmp_path, catalog_url=postgres_url) as (_, client):
        files = [("files", (name, f"The zebra of {name}.")) for name in ("b/1.txt", "b/2.txt", "a")]
        key = {"Idempotency-Key": "once"}
        run = done(await client.post(f"{DOCUMENTS}?wait=true", files=files, headers=key))
        assert done(await client.post(f"{DOCUMENTS}?wait=true", files=files, headers=key)) == run
        listed = (await client.get(DOCUMENTS, params={"limit": 2})).json()
        rest = (await client.get(DOCUMENTS, params={"cursor": listed["next"]})).json()
        names = [document["name"] for document in listed["data"] + rest["data"]]
        assert sorted(names) == ["a", "b/1.txt", "b/2.txt"]
        some = (await client.get(DOCUMENTS, params={"prefix": "b/"})).json()["data"]
        assert [document["name"] for document in some] == ["b/1.txt", "b/2.txt"]
        stats = (await client.get("/v1/collections/docs/stats")).json()
        assert (stats["documents"], stats["originals"]) == (3, 3)

        id_ = await add(client, metadata={"lang": "xx"})
        path = f"/v1/documents/{id_}"
        assert await found(client, "zebra", filter={"eq": {"meta.lang": "xx"}}) == ["upload:a.md"]
        put = await client.put(f"{path}/metadata", json={"metadata": {"n": 1}})
        assert put.json()["given"] == {"meta.n": 1}
        assert await found(client, "zebra", filter={"eq": {"meta.n": 1}}) == ["upload:a.md"]
        for end in ("", "/text", "/chunks", "/original"):
            assert (await client.get(path + end)).status_code == 200
        receipt = (await client.delete(path)).json()
        assert receipt["gone"] is not None
        for end in ("", "/text", "/chunks", "/original"):
            check_problem(await client.get(path + end), 404)
        runs = (await client.get("/v1/runs", params={"limit": 1})).json()
        more = (await client.get("/v1/runs", params={"cursor": runs["next"]})).json()
        assert [one["state"] for one in runs["data"] + more["data"]] == ["done", "done"]
        assert (await client.delete("/v1/collections/docs")).json()["documents"] == 3
