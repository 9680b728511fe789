"""The embedder of model servers: what it sends, what it bears with, what it refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embedders.estimating import Tokens, estimate
from rag.embedders.openai_compatible import OpenAICompatibleEmbedder
from rag.embedders.probing import PROBES
from rag.embedding import RetryingEmbedder
from rag.errors import BackendError, Rejected, Unavailable
from rag.ports import Folders
from rag.retrying import Retrying
from rag.settings import Embedding as Patience
from rag.testing.waiting import FakeTime
from rag.vectors import check_unit_rows
from tests.fakes import faults
from tests.fakes.embedding import DIM, Embedding, vectors
from tests.fakes.faults import Fault, too_many
from tests.fakes.serving import Asked, Fake, fake

TINY = Path(__file__).parents[1] / "golden" / "tiny-mean" / "tokenizer.json"
WORDS = [f"word{i} of text {i}" for i in range(100)]


def options(base_url: str, **given: Any) -> OpenAICompatibleEmbedder.Options:
    connection = {"base_url": base_url, **given.pop("connection", {})}
    return OpenAICompatibleEmbedder.Options.model_validate(
        {"connection": connection, "model": "m", "dim": DIM, **given}
    )


@asynccontextmanager
async def embedding(
    server: Fake, folder: Path, *, probed: bool = True, **given: Any
) -> AsyncIterator[OpenAICompatibleEmbedder]:
    """An embedder of a fake; the request of its probe is out of the way."""
    made = OpenAICompatibleEmbedder(options(server.base_url, **given), Folders(folder, folder))
    try:
        if probed:
            await made.embed(["first"], "passage")
            server.requests.clear()
        yield made
    finally:
        await made.close()


def right(texts: list[str]) -> Any:
    """What the fake's model makes of texts."""
    return np.array(vectors(texts, Embedding()), np.float32)


# --- what is sent --------------------------------------------------------------------------------


async def test_only_what_is_configured_is_sent(tmp_path: Path) -> None:
    async with fake("openai") as server, embedding(server, tmp_path) as embedder:
        await embedder.embed(["one", "two"], "query")
        assert server.bodies() == [{"model": "m", "input": ["one", "two"]}]
        assert "authorization" not in server.requests[0].headers


async def test_what_is_configured_is_sent(tmp_path: Path) -> None:
    given = {
        "query_prefix": "query: ",
        "dimensions": DIM,
        "encoding_format": "base64",
        "user": "cumulo",
        "connection": {
            "api_key": "secret",
            "headers": {"X-Route": "embedder"},
            "extra_body": {"priority": 1},
        },
    }
    async with fake("vllm", api_key="secret") as server:
        async with embedding(server, tmp_path, **given) as embedder:
            await embedder.embed(["one"], "query")
        (asked,) = server.requests
    assert asked.path == "/v1/embeddings"
    assert asked.headers["x-route"] == "embedder"
    assert asked.body == {
        "model": "m",
        "input": ["query: one"],
        "dimensions": DIM,
        "encoding_format": "base64",
        "user": "cumulo",
        "priority": 1,
    }


async def test_texts_are_split_by_number_and_by_tokens(tmp_path: Path) -> None:
    async with fake("openai") as server:
        async with embedding(server, tmp_path, max_batch_items=7, concurrency=2) as embedder:
            embedded = await embedder.embed(WORDS, "passage")
            assert sorted(len(body["input"]) for body in server.bodies()) == [2, *[7] * 14]
        np.testing.assert_allclose(embedded.vectors, right(WORDS), atol=1e-6)
        server.requests.clear()
        long = ["wordy " * 50] * 4
        async with embedding(server, tmp_path, max_batch_tokens=250) as embedder:
            await embedder.embed(long, "passage")
            assert [len(body["input"]) for body in server.bodies()] == [2, 2]


# --- what is borne with --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        Embedding(shuffled=True),
        Embedding(base64=True),
        Embedding(base64=False),
        Embedding(length=3.0),
        Embedding(usage=False),
    ],
    ids=["shuffled", "base64", "float", "not unit rows", "no usage"],
)
@pytest.mark.parametrize("asked", ["float", "base64"])
async def test_order_format_length_and_usage_may_be_what_they_are(
    how: Embedding, asked: str, tmp_path: Path
) -> None:
    async with (
        fake("vllm", embedding=how) as server,
        embedding(server, tmp_path, encoding_format=asked) as embedder,
    ):
        embedded = await embedder.embed(WORDS[:9], "passage")
    np.testing.assert_allclose(embedded.vectors, right(WORDS[:9]), atol=1e-6)
    assert embedded.tokens >= sum(embedder.count_tokens(WORDS[:9]))


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_batch_that_is_too_large_is_halved(status: int, tmp_path: Path) -> None:
    async with fake("vllm", embedding=Embedding(max_batch=5, too_large=status)) as server:
        async with embedding(server, tmp_path, max_batch_items=32) as embedder:
            embedded = await embedder.embed(WORDS[:32], "passage")
        accepted = [asked for asked in server.requests if asked.status == 200]
        assert len(accepted) == 8
        assert len(server.requests) == 15  # 32, 2 of 16, 4 of 8, 8 of 4
    np.testing.assert_allclose(embedded.vectors, right(WORDS[:32]), atol=1e-6)


async def test_a_text_that_the_server_finds_too_long_is_shortened(tmp_path: Path) -> None:
    async with (
        fake("vllm", embedding=Embedding(max_tokens=40)) as server,
        embedding(server, tmp_path) as embedder,
    ):
        texts = ["short", "these words go on " * 20]
        embedded = await embedder.embed(texts, "passage")
        taken = [a.body["input"] for a in server.requests if a.status == 200]
    check_unit_rows(embedded.vectors)
    np.testing.assert_allclose(embedded.vectors[0], right(["short"])[0], atol=1e-6)
    assert texts[1].startswith(taken[-1][0])


async def test_another_refusal_is_not_taken_for_one_of_length(tmp_path: Path) -> None:
    async with fake("openai") as server, embedding(server, tmp_path) as embedder:
        server.ill = lambda asked: Fault(status=400)
        with pytest.raises(Rejected, match="told to refuse"):
            await embedder.embed(["these words go on " * 9], "passage")
        assert len(server.requests) == 1


# --- what is refused -----------------------------------------------------------------------------


BAD: dict[str, tuple[Fault, type[BackendError]]] = {
    "nan": (Fault(spoil=faults.with_nan), Unavailable),
    "zero": (Fault(spoil=faults.all_zero), Rejected),
    "wrong dimension": (Fault(spoil=faults.one_too_short), Rejected),
    "one missing": (Fault(spoil=faults.one_missing), Rejected),
    "one twice": (Fault(spoil=faults.one_twice), Rejected),
    "indexes repeated": (Fault(spoil=faults.same_index), Rejected),
    "no vectors": (Fault(spoil=lambda value: {"object": "list"}), Rejected),
    "strings": (Fault(spoil=lambda value: {"data": [{"embedding": "%%"}] * 3}), Rejected),
    "nested": (Fault(spoil=lambda value: {"data": [{"embedding": [[1.0]]}] * 3}), Rejected),
    "half of the JSON": (Fault(truncate=True), Unavailable),
    "reset": (Fault(reset=True), Unavailable),
    "500": (Fault(status=500), Unavailable),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_answer_is_an_error_and_the_next_call_works(case: str, tmp_path: Path) -> None:
    fault, error = BAD[case]
    async with fake("openai") as server, embedding(server, tmp_path) as embedder:
        server.faults.append(fault)
        with pytest.raises(error):
            await embedder.embed(WORDS[:3], "passage")
        again = await embedder.embed(WORDS[:3], "passage")
    np.testing.assert_allclose(again.vectors, right(WORDS[:3]), atol=1e-6)


@pytest.mark.parametrize("case", [case for case in BAD if BAD[case][1] is Unavailable])
async def test_what_may_pass_is_tried_again(case: str, tmp_path: Path) -> None:
    clock = FakeTime()
    async with fake("openai") as server, embedding(server, tmp_path) as embedder:
        server.faults += [BAD[case][0]] * 3
        retrying = retried(embedder, clock)
        got = await retrying.embed(WORDS[:3], "passage")
        assert len(server.requests) == 4
    np.testing.assert_allclose(got.vectors, right(WORDS[:3]), atol=1e-6)


def retried(embedder: OpenAICompatibleEmbedder, clock: FakeTime) -> RetryingEmbedder:
    retrying = Retrying("it", now=clock.now, sleep=clock.sleep, timeout=clock.timeout)
    return RetryingEmbedder(embedder, "it", Patience(), retrying=retrying)


async def test_an_answer_without_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake("openai") as server, embedding(server, tmp_path) as embedder:
        monkeypatch.setattr("rag.wire.LARGEST", 10_000)
        with pytest.raises(Rejected, match="too large"):
            await embedder.embed(WORDS[:30], "passage")
        await until(lambda: server.open == 0)
        assert len((await embedder.embed(["one"], "query")).vectors) == 1


@pytest.mark.parametrize("dated", [False, True])
async def test_retry_after_is_told(dated: bool, tmp_path: Path) -> None:
    async with fake("openai") as server, embedding(server, tmp_path) as embedder:
        server.faults.append(too_many(formatdate(time.time() + 7.5, usegmt=True) if dated else "7"))
        with pytest.raises(Unavailable) as caught:
            await embedder.embed(["one"], "query")
    assert caught.value.retry_after == pytest.approx(7, abs=1.5)


async def test_half_of_the_calls_refused_loses_nothing_and_asks_less_at_once(
    tmp_path: Path,
) -> None:
    """F7: while the server has too much, fewer calls are under way; nothing is spun or lost."""
    clock = FakeTime()
    numbers = iter(range(10**6))
    async with fake("openai") as server, embedding(server, tmp_path, concurrency=8) as embedder:
        server.ill = lambda asked: too_many("1") if next(numbers) % 2 else None
        retrying = retried(embedder, clock)
        for text in WORDS[:8]:
            (row,) = (await retrying.embed([text], "passage")).vectors
            np.testing.assert_allclose(row, right([text])[0], atol=1e-6)
        assert embedder._wire.turns.limit < 4
        assert len(server.requests) <= 17
        server.ill = lambda asked: None
        for _ in range(40):
            await embedder.embed(["one"], "query")
        assert embedder._wire.turns.limit == 8


async def test_a_call_that_is_repeated_asks_for_the_rest_only(tmp_path: Path) -> None:
    """F7: half of 16 requests are refused at each attempt, and none is made in vain."""
    clock = FakeTime()
    numbers = iter(range(10**6))
    async with (
        fake("openai") as server,
        embedding(server, tmp_path, max_batch_items=1) as embedder,
    ):
        server.ill = lambda asked: too_many("1") if next(numbers) % 2 else None
        got = await retried(embedder, clock).embed(WORDS[:16], "passage")
        accepted = [a.body["input"][0] for a in server.requests if a.status == 200]
        assert sorted(accepted) == sorted(WORDS[:16])
        assert len(server.requests) <= 36
        assert not embedder._kept
    np.testing.assert_allclose(got.vectors, right(WORDS[:16]), atol=1e-6)


async def test_a_server_that_hangs_is_left_after_its_time(tmp_path: Path) -> None:
    async with fake("openai") as server:
        given = {"connection": {"timeout_s": 0.2}}
        async with embedding(server, tmp_path, **given) as embedder:
            server.faults.append(Fault(hang=True))
            with pytest.raises(Unavailable, match="in time"):
                await embedder.embed(["one"], "query")
            await until(lambda: server.open == 0)


async def test_a_caller_who_leaves_ends_the_calls(tmp_path: Path) -> None:
    async with (
        fake("openai") as server,
        embedding(server, tmp_path, max_batch_items=1, concurrency=3) as embedder,
    ):
        server.ill = lambda asked: Fault(hang=True)
        call = asyncio.ensure_future(embedder.embed(WORDS[:9], "passage"))
        await until(lambda: server.open == 3)
        call.cancel()
        await until(lambda: server.open == 0)
        assert len(server.requests) == 3
        server.ill = lambda asked: None
        assert len((await embedder.embed(["one"], "query")).vectors) == 1


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come about in 5 s"
        await asyncio.sleep(0.005)


async def test_no_secret_is_in_an_error(tmp_path: Path) -> None:
    async with fake("openai", api_key="right") as server:
        given = {"connection": {"api_key": "sk-wrong-secret"}}
        async with embedding(server, tmp_path, probed=False, **given) as embedder:
            with pytest.raises(Rejected) as caught:
                await embedder.embed(["one"], "query")
    assert "sk-wrong-secret" not in str(caught.value)
    assert "401" in str(caught.value)


# --- which model it is ---------------------------------------------------------------------------


async def test_another_model_under_the_same_name_is_noticed(tmp_path: Path) -> None:
    async with fake("openai") as server:
        async with embedding(server, tmp_path) as embedder:
            await embedder.embed(["one"], "query")
        async with embedding(server, tmp_path, probed=False) as embedder:
            await embedder.embed(["one"], "query")
            assert [body["input"] for body in server.bodies()][-2:] == [list(PROBES), ["one"]]

        def other(asked: Asked) -> Fault:
            return Fault(spoil=lambda value: reversed_rows(value))

        server.ill = other
        async with embedding(server, tmp_path, probed=False) as embedder:
            with pytest.raises(Rejected, match="other vectors than before"):
                await embedder.embed(["one"], "query")


def reversed_rows(value: Any) -> Any:
    return {**value, "data": [{**r, "embedding": r["embedding"][::-1]} for r in value["data"]]}


def test_the_fingerprint_is_of_the_space_and_not_of_the_place(tmp_path: Path) -> None:
    def of(base_url: str = "http://a/v1", **given: Any) -> str:
        folders = Folders(tmp_path, tmp_path)
        return OpenAICompatibleEmbedder(options(base_url, **given), folders).fingerprint

    same = {of(), of("https://b/other/v1"), of(max_batch_items=8), of(encoding_format="base64")}
    assert len(same) == 1
    different = [
        of(model="n"),
        of(dim=DIM + 1),
        of(query_prefix="query: "),
        of(passage_prefix="passage: "),
        of(max_tokens=256),
        of(dimensions=32),
    ]
    assert len({*same, *different}) == 1 + len(different)


# --- tokens --------------------------------------------------------------------------------------


@given(st.text(max_size=200), st.integers(1, 30))
def test_a_cut_text_is_a_beginning_that_fits(text: str, limit: int) -> None:
    tokens = Tokens(None)
    cut = tokens.cut(text, limit)
    assert text.startswith(cut)
    assert tokens.count(cut) <= limit
    if tokens.count(text) <= limit:
        assert cut == text


def test_a_tokenizer_counts_and_cuts_exactly() -> None:
    tokens = Tokens(TINY)
    assert tokens.count("the cat sat on the mat") == 6
    assert tokens.cut("the cat sat on the mat", 2) == "the cat"
    assert tokens.cut("the cat", 9) == "the cat"


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The cat sat on the mat.", 7, 8),
        ("internationalization", 4, 6),
        ("0x80070005 v1.2.3", 7, 14),
        ("東京タワーは東京にあります。", 13, 16),
        ("Zellen teilen sich durch Mitose.", 7, 12),
        ("Молекула воды состоит", 6, 13),
        ("", 0, 0),
    ],
)
def test_estimates_are_near(text: str, least: int, most: int) -> None:
    assert least <= estimate(text) <= most


async def test_estimates_do_not_undercount_real_texts() -> None:
    """Beside the tokenizer of the default model: on this project's own pages."""
    from rag.embedders.openvino import OpenVinoEmbedder
    from rag.errors import ModelMissing
    from rag.settings import load_settings

    folder = load_settings().model_dir
    try:
        model = OpenVinoEmbedder(OpenVinoEmbedder.Options(), Folders(folder, folder))
    except ModelMissing:
        pytest.skip("the default model is not pulled")
    pages = sorted((Path(__file__).parents[2] / "docs").rglob("*.md"))
    paragraphs = [
        part for page in pages for part in page.read_text("utf-8").split("\n\n") if len(part) > 200
    ]
    exact = model.count_tokens(paragraphs)
    shares = [estimate(text) / count for text, count in zip(paragraphs, exact, strict=True)]
    await model.close()
    assert len(shares) > 100
    assert np.quantile(shares, 0.01) > 0.9
    assert 1.0 < np.mean(shares) < 1.5
