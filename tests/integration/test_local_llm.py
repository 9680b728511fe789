"""The local model as it is: a real model file, a real server process, users that die."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from rag.errors import DataFolderError, MissingExtra, ModelMissing, Rejected, Unavailable
from rag.llms import local
from rag.llms.estimating import estimate_tokens
from rag.llms.local import LocalLLM
from rag.llms.sharing import Running, SharedServer
from rag.messages import Delta, Message
from rag.models import find_gguf
from rag.ports import Folders
from rag.settings import load_settings

MODEL = "smollm2-135m-instruct"
CONTEXT = 512
QUESTION = (Message("system", "You are brief."), Message("user", "Name the capital of France."))
STORY = (Message("user", "Tell me a very long story about a dog and a cat."),)
USER = """
import asyncio, sys
from pathlib import Path
from rag.llms.local import LocalLLM
from rag.messages import Message
from rag.ports import Folders

async def main():
    options = LocalLLM.Options(threads=1, context_tokens=int(sys.argv[2]))
    llm = LocalLLM(options, Folders(Path(sys.argv[1]), Path.cwd()))
    said = [d.text async for d in llm.stream([Message("user", "Say hi.")], max_tokens=3)]
    print(llm._at.pid, bool("".join(said)), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await llm.close()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    models = load_settings().model_dir
    try:
        find_gguf(MODEL, models)
    except ModelMissing as exc:
        pytest.skip(str(exc))
    return Folders(models, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def place(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A temporary folder of its own, so that no other server of this machine is met."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("tmp"))
    yield Path(tempfile.tempdir)
    tempfile.tempdir = before


@pytest.fixture(scope="module")
def seat(folders: Folders, place: Path) -> Iterator[SharedServer]:
    """Keeps one server alive for the tests that do not care."""
    server = opened(folders)._server
    server.join()
    yield server
    server.leave()


@pytest.fixture
async def llm(seat: SharedServer, folders: Folders) -> AsyncIterator[LocalLLM]:
    made = opened(folders)
    yield made
    await made.close()


def opened(folders: Folders, **options: Any) -> LocalLLM:
    given = {"threads": 1, "context_tokens": CONTEXT, "repeat_penalty": 1.0, **options}
    return LocalLLM(LocalLLM.Options(**given), folders)


async def said(llm: LocalLLM, *messages: Message, max_tokens: int = 12) -> list[Delta]:
    stream = llm.stream(messages or QUESTION, max_tokens=max_tokens, temperature=0.0)
    return [delta async for delta in stream]


async def soon(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.05)


def lives(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# --- answers -------------------------------------------------------------------------------------


async def test_it_answers_with_usage_and_within_its_limit(llm: LocalLLM) -> None:
    deltas = await said(llm)
    text = "".join(delta.text for delta in deltas)
    assert "Paris" in text
    assert (deltas[-1].finish, deltas[-1].model) == ("stop", MODEL)
    usage = deltas[-1].usage
    assert usage is not None
    assert 15 < usage.prompt_tokens <= llm.count_tokens(QUESTION)
    short = await said(llm, max_tokens=2)
    assert short[-1].finish == "length"
    assert text.startswith("".join(delta.text for delta in short))


async def test_a_penalty_keeps_it_from_saying_the_same_again(
    llm: LocalLLM, folders: Folders
) -> None:
    strict = opened(folders, repeat_penalty=2.0)
    again = (Message("user", "Write the word yes ten times."),)
    texts = []
    for model in (llm, strict):
        deltas = await said(model, *again, max_tokens=20)
        texts.append("".join(delta.text for delta in deltas).lower())
    assert strict._at == llm._at  # it is the same server
    await strict.close()
    assert texts[0].count("yes") > texts[1].count("yes")


async def test_a_prompt_that_leaves_no_room_is_refused_before_the_call(llm: LocalLLM) -> None:
    close = Message("user", "listens " * 200)  # the estimate is above, the truth below
    assert llm.count_tokens([close]) + 20 > CONTEXT
    assert (await said(llm, close, max_tokens=1))[-1].finish is not None
    with pytest.raises(Rejected, match=rf"has \d+ tokens; with 12 .* the {CONTEXT} of") as caught:
        await said(llm, Message("user", "word " * CONTEXT))
    assert caught.value.hint is not None


async def test_an_answer_nobody_waits_for_is_not_written(llm: LocalLLM, seat: SharedServer) -> None:
    async with aclosing(llm.stream(STORY, max_tokens=400, temperature=0.0)) as deltas:
        async for delta in deltas:
            assert delta.text
            assert await asyncio.to_thread(_busy, seat.join())
            break
    began = time.monotonic()
    await soon(lambda: not _busy(seat.join()), "the model writes on for nobody")
    assert time.monotonic() - began < 2.0  # the promise of the API


def _busy(running: Running) -> bool:
    asked = Request(f"{running.address}/slots", headers={"Authorization": f"Bearer {running.key}"})
    with urlopen(asked) as answer:
        return any(slot["is_processing"] for slot in json.load(answer))


async def test_estimates_of_tokens_are_seldom_too_low(seat: SharedServer) -> None:
    running = seat.join()
    texts = (
        "The server listens on port 8473. Backups are written every night at three.",
        "def main(argv: list[str]) -> int:\n    return len(argv) - 1  # the name is no argument\n",
        "Während der Überfahrt dürfen Fahrgäste keine gefährlichen Gegenstände mitführen.",
        "Сервер слушает порт по умолчанию.",
        "服务器默认监听端口。备份每天晚上三点写入。",
        "| a | 1.5 | 2026-11-24 |\n|---|---|---|\n",
    )
    for text in texts:
        truth = await asyncio.to_thread(_tokens, running, text)
        assert 0.85 * truth <= estimate_tokens(text) <= 2.5 * truth, text


def _tokens(running: Running, text: str) -> int:
    asked = Request(
        f"{running.address}/tokenize",
        data=json.dumps({"content": text}).encode(),
        headers={"Authorization": f"Bearer {running.key}"},
    )
    with urlopen(asked) as answer:
        return len(json.load(answer)["tokens"])


# --- one process for all -------------------------------------------------------------------------


@contextmanager
def user(folders: Folders, place: Path, context: int) -> Iterator[tuple[Any, int]]:
    """Run another process that asks once and stays; yields it and the server's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folders.models), str(context)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(place)},
        text=True,
    )
    try:
        assert process.stdout is not None
        pid, answered = process.stdout.readline().split()
        assert answered == "True"
        yield process, int(pid)
    finally:
        process.kill()
        process.communicate()


async def test_processes_share_one_server_and_it_dies_with_the_last_of_them(
    folders: Folders, place: Path
) -> None:
    context = CONTEXT + 1  # a server of its own
    with (
        user(folders, place, context) as (first, pid),
        user(folders, place, context) as (second, same),
    ):
        assert same == pid
        first.kill()  # it started the server
        first.wait()
        llm = opened(folders, context_tokens=context)
        await said(llm, max_tokens=1)
        assert llm._at is not None
        assert llm._at.pid == pid
        second.kill()
        second.wait()
        await asyncio.sleep(1.2)  # the server looks every half second
        assert lives(pid)
        await llm.close()
        await soon(lambda: not lives(pid), "the server outlives its users")


def test_joining_and_leaving_at_any_moment_finds_a_server(folders: Folders) -> None:
    end, pids, problems = time.monotonic() + 2.5, set[int](), list[str]()

    def use(seed: int) -> None:
        moments = random.Random(seed)
        while time.monotonic() < end:
            server = opened(folders, context_tokens=256)._server
            try:
                running = server.join()
                with urlopen(f"{running.address}/health", timeout=10) as answer:
                    assert answer.status == 200
                time.sleep(moments.random() * 0.1)
                assert server.join() == running
                pids.add(running.pid)
            except Exception as exc:  # noqa: BLE001 -- whatever it is, a thread must tell it
                problems.append(repr(exc))
            finally:
                server.leave()
            time.sleep(moments.random() * 1.5)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert pids


async def test_a_server_whose_users_were_all_killed_ends(folders: Folders, place: Path) -> None:
    with user(folders, place, CONTEXT + 3) as (only, pid):
        only.kill()
        only.wait()
        await soon(lambda: not lives(pid), "the server outlives its users")


async def test_a_server_that_crashed_is_started_anew(folders: Folders) -> None:
    llm = opened(folders, context_tokens=CONTEXT + 2)
    try:
        await said(llm, max_tokens=1)
        first = llm._at
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        assert (await said(llm, max_tokens=1))[-1].finish
        second = llm._at
        assert second is not None
        assert second.pid != first.pid
        with pytest.raises(Unavailable):
            await _killed_within(llm, second.pid)
        assert (await said(llm, max_tokens=1))[-1].finish
    finally:
        await llm.close()


async def _killed_within(llm: LocalLLM, pid: int) -> None:
    async for delta in llm.stream(STORY, max_tokens=400, temperature=0.0):
        if delta.text:
            os.kill(pid, signal.SIGKILL)


# --- what may be wrong ---------------------------------------------------------------------------


def test_only_this_user_can_ask_the_server(seat: SharedServer, place: Path) -> None:
    running = seat.join()
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{running.address}/v1/models")
    assert caught.value.code == 401
    caught.value.close()
    assert running.key not in Path(f"/proc/{running.pid}/cmdline").read_text()
    (mine,) = place.iterdir()
    for folder in (mine, *mine.iterdir()):
        assert folder.stat().st_mode & 0o777 == 0o700
    for state in mine.glob("*/state"):
        assert state.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_others_can_look_into_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"cumulo-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(DataFolderError, match="not a folder that is yours alone"):
        SharedServer({}, start_s=1).join()


def test_a_model_that_cannot_be_loaded_says_so(folders: Folders, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    server = opened(folders, model=str(broken))._server
    with pytest.raises(Unavailable, match=r"did not start: .*Failed to init server"):
        server.join()
    server.leave()


def test_what_is_not_installed_or_pulled_is_named(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelMissing, match="'other' is not in"):
        opened(folders, model="other")
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        opened(folders)
    assert caught.value.hint == "pip install cumulo[local]"
