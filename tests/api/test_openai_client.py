"""The unmodified `openai` client against `rag serve` on two workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rag.cli import app
from rag.errors import ModelMissing
from rag.models import find_gguf
from rag.settings import load_settings
from tests.api.conftest import write_pages
from tests.api.processes import serving

if TYPE_CHECKING:
    import openai

QUESTION: Any = {"role": "user", "content": "Which port does the server listen on?"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """Serve the pages on two workers; give a client that knows nothing but the address."""
    import openai

    place = tmp_path_factory.mktemp("served")
    write_pages(place / "pages")
    arguments = ["ingest", str(place / "pages"), "--data-dir", str(place / "data")]
    done = CliRunner().invoke(app, [*arguments, "--embedder", "hashing"])
    assert done.exit_code == 0, done.output
    with (
        serving(place / "data", workers=2) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as opened,
    ):
        yield opened


def test_chat(client: openai.OpenAI) -> None:
    for _ in range(8):  # either worker may take it
        reply = client.chat.completions.create(model="extractive", messages=[QUESTION])
        message: Any = reply.choices[0].message
        assert "8000" in message.content
        assert message.cumulo["citations"][0]["quote"] in message.content
        assert reply.usage is not None


def test_chat_as_a_stream(client: openai.OpenAI) -> None:
    for _ in range(4):
        stream = client.chat.completions.create(
            model="extractive",
            messages=[QUESTION],
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"cumulo": {"k": 3, "filter": {"eq": {"meta.ext": ".md"}}}},
        )
        *chunks, usage = list(stream)
        assert usage.usage is not None
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert "8000" in text
        last: Any = chunks[-1]
        assert last.choices[0].finish_reason == "stop"
        assert last.cumulo["citations"][0]["quote"] in text


def test_embeddings_in_the_client_s_own_format(client: openai.OpenAI) -> None:
    texts = ["How are deletes handled?", "Cats sleep."]
    packed = client.embeddings.create(model="hashing", input=texts)
    plain = client.embeddings.create(model="hashing", input=texts, encoding_format="float")
    as_query = client.embeddings.create(
        model="hashing", input=texts, extra_body={"input_type": "query"}
    )
    rows = np.array([row.embedding for row in packed.data])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(rows, [row.embedding for row in plain.data], atol=1e-7)
    assert len(as_query.data) == 2


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"extractive", "local", "minilm", "hashing"} <= names
    assert client.models.retrieve("extractive").owned_by == "cumulo"


def test_failures_are_the_client_s_own_exceptions(client: openai.OpenAI) -> None:
    import openai

    with pytest.raises(openai.NotFoundError, match="there is no model 'nobody'"):
        client.chat.completions.create(model="nobody", messages=[QUESTION])
    with pytest.raises(openai.NotFoundError, match="there is no model 'nobody'") as caught:
        client.embeddings.create(model="nobody", input="x")
    assert caught.value.code == "not-found"
    assert caught.value.request_id
    with pytest.raises(openai.UnprocessableEntityError, match=r"cumulo\.kk"):
        client.chat.completions.create(
            model="extractive", messages=[QUESTION], extra_body={"cumulo": {"kk": 1}}
        )


def test_the_local_model(client: openai.OpenAI) -> None:
    """Two workers share one small model; what it says is its own, the citations are ours."""
    pytest.importorskip("xllamacpp")
    try:
        find_gguf("smollm2-135m-instruct", load_settings().model_dir)
    except ModelMissing as exc:
        pytest.skip(str(exc))
    asked: Any = {"model": "local", "messages": [QUESTION], "max_tokens": 16, "temperature": 0}
    for _ in range(3):
        reply = client.chat.completions.create(**asked)
        assert reply.choices[0].message.content
        assert reply.usage is not None
        assert reply.usage.completion_tokens > 0
    chunks = list(client.chat.completions.create(**asked, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    last: Any = chunks[-1]
    assert text.strip()
    assert last.choices[0].finish_reason in ("stop", "length")
    for citation in last.cumulo["citations"]:
        assert f"[{citation['n']}]" in text
