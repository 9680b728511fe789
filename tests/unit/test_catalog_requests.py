"""Replies by key: one request takes it, all others are told how it stands. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag.catalog import requests, tables
from rag.catalog.database import Catalog
from rag.catalog.requests import Kept, Key

KEY = Key("default", "user:owner", "k1")
REPLY = Kept(202, {"location": "/v1/runs/1"}, b'{"id": "1"}')


@pytest.fixture
async def catalog(catalog_place: Path | SecretStr) -> AsyncIterator[Catalog]:
    opened = await Catalog.open(catalog_place)
    yield opened
    await opened.close()


async def age(catalog: Catalog, seconds: float) -> None:
    """Make everything older."""
    older = tables.requests.update().values(created=tables.requests.c.created - seconds)
    await catalog.write(lambda c: c.execute(older))


async def test_a_reply_is_given_again(catalog: Catalog) -> None:
    assert await catalog.write(requests.reserve, KEY, "d") == "ours"
    assert await catalog.write(requests.reserve, KEY, "d") == "under way"
    await catalog.write(requests.keep_reply, KEY, "d", REPLY)
    assert await catalog.write(requests.reserve, KEY, "d") == REPLY


async def test_a_key_is_for_one_request(catalog: Catalog) -> None:
    await catalog.write(requests.reserve, KEY, "d")
    assert await catalog.write(requests.reserve, KEY, "other") == "another request"
    await catalog.write(requests.keep_reply, KEY, "d", REPLY)
    assert await catalog.write(requests.reserve, KEY, "other") == "another request"


async def test_a_key_belongs_to_its_caller(catalog: Catalog) -> None:
    for key in (KEY, replace(KEY, tenant="other"), replace(KEY, caller="user:ann")):
        assert await catalog.write(requests.reserve, key, "d") == "ours"


async def test_what_came_to_nothing_can_be_tried_again(catalog: Catalog) -> None:
    await catalog.write(requests.reserve, KEY, "d")
    await catalog.write(requests.release, KEY, "d")
    assert await catalog.write(requests.reserve, KEY, "d") == "ours"
    await catalog.write(requests.keep_reply, KEY, "d", REPLY)
    await catalog.write(requests.release, KEY, "d")  # too late
    assert await catalog.write(requests.reserve, KEY, "d") == REPLY


async def test_a_request_whose_process_died_is_open_again(catalog: Catalog) -> None:
    await catalog.write(requests.reserve, KEY, "d")
    await age(catalog, requests.UNDER_WAY_S + 1)
    assert await catalog.write(requests.reserve, KEY, "other") == "ours"


async def test_replies_are_forgotten_after_a_day(catalog: Catalog) -> None:
    await catalog.write(requests.reserve, KEY, "d")
    await catalog.write(requests.keep_reply, KEY, "d", REPLY)
    await age(catalog, requests.KEPT_S - 60)
    assert await catalog.write(requests.reserve, KEY, "d") == REPLY
    await age(catalog, 120)
    assert await catalog.write(requests.reserve, KEY, "other") == "ours"


async def test_of_many_at_once_one_takes_the_key(
    catalog: Catalog, catalog_place: Path | SecretStr
) -> None:
    others = [await Catalog.open(catalog_place) for _ in range(4)]
    found = await asyncio.gather(
        *(other.write(requests.reserve, KEY, "d") for other in others for _ in range(3))
    )
    for other in others:
        await other.close()
    assert sorted(map(str, found)) == ["ours"] + ["under way"] * 11
