"""Searches over HTTP: our API beside txtai's in the same run, and both beside the raw parts.

wrk asks SciFact's questions with 1, 8 and 32 clients, of one process of each server, in both modes;
the raw parts are one embedding and one search of a flat FAISS index, in this process. CPU is that
of the server's processes per request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil
from machine import describe_machine
from sample import ROOT

from evals.beir import BeirDataset, load_beir
from evals.run import index_dataset
from rag.filters import EVERYTHING
from rag.ports import Embedder
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings

DATASET = ROOT.parent / "shared" / "data" / "scifact"
OUTPUT = ROOT / "docs" / "benchmarks" / "api.json"
DATA = ROOT / ".cumulo" / "benchmark-api"
PEER_INDEXES = ROOT / ".cumulo" / "benchmark-api-txtai"
"""Kept, because building one takes minutes."""
CLIENTS = (1, 8, 32)
MODES = ("dense", "hybrid")
K = 10


@dataclass(frozen=True, slots=True)
class Load:
    """What one server did for so many clients: medians of the repeats."""

    server: str
    mode: str
    clients: int
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: float
    """Of the server, for one request."""
    wrong: int
    """Replies that were no full 200, over all repeats."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is asked, and how."""

    name: str
    mode: str
    url: str
    path: str
    method: str
    bodies: Sequence[str]
    process: psutil.Process


def main() -> None:
    """Run all, print the table, write the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=4.0, help="of one load")
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--peer-python", type=Path, help="an interpreter that has txtai[api]")
    arguments.add_argument("--json", type=Path, default=OUTPUT)
    given = arguments.parse_args()
    if shutil.which("wrk") is None or not DATASET.is_dir():
        sys.exit("error: this needs wrk (Debian: apt-get install wrk) and ../shared/data/scifact")
    dataset = load_beir(DATASET)
    questions = [question.text for question in dataset.questions]
    name, raw = asyncio.run(prepared(dataset, questions))
    loads: list[Load] = []
    with ours() as (url, process):
        for mode in MODES:
            bodies = [
                json.dumps({"query": text, "collection": name, "k": K, "mode": mode})
                for text in questions
            ]
            target = Target("cumulo", mode, url, "/v1/search", "POST", bodies, process)
            loads += measured(target, given.seconds, given.repeat)
    if given.peer_python is None:
        print("skipped: txtai; name an interpreter that has it with --peer-python")
    else:
        for mode in MODES:
            with peer(given.peer_python, mode) as (url, process):
                bodies = [f"query={quote(text)}&limit={K}" for text in questions]
                target = Target("txtai", mode, url, "/search?", "GET", bodies, process)
                loads += measured(target, given.seconds, given.repeat)
    told = {
        "machine": describe_machine(),
        "questions": len(questions),
        "raw": raw,
        "loads": [asdict(load) for load in loads],
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    page = given.json.with_suffix(".md")
    page.write_text(page_of(told, loads), "utf-8")
    print(page.read_text("utf-8"))


# --- the raw parts -------------------------------------------------------------------------------


async def prepared(dataset: BeirDataset, questions: Sequence[str]) -> tuple[str, dict[str, float]]:
    """Index the dataset, if it is not; return the collection's name and the raw times, in ms."""
    async with open_runtime(load_settings(data_dir=DATA)) as runtime:
        collection, _ = await index_dataset(runtime, dataset)
        embedder = runtime.embedder(collection.live)
        rows = await vectors(runtime, collection.live)
        return collection.name, await raw_times(embedder, rows, questions)


async def vectors(runtime: Runtime, generation: Any) -> np.ndarray[Any, Any]:
    """Return the dense vectors of a generation."""
    index = await runtime.index(generation)
    batches = [batch.dense async for batch in index.scan(EVERYTHING)]
    return np.concatenate(batches)


async def raw_times(
    embedder: Embedder, rows: np.ndarray[Any, Any], questions: Sequence[str]
) -> dict[str, float]:
    """Time one embedding and one flat search at a time; medians, in ms."""
    import faiss

    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    for text in questions[:50]:
        await embedder.embed([text], "query")
    embeds, searches = [], []
    for text in questions:
        began = time.perf_counter()
        vector = (await embedder.embed([text], "query")).vectors
        embedded = time.perf_counter()
        flat.search(vector, K)
        searched = time.perf_counter()
        embeds.append(1e3 * (embedded - began))
        searches.append(1e3 * (searched - embedded))
    return {
        "rows": len(rows),
        "embed_p50_ms": round(statistics.median(embeds), 3),
        "search_p50_ms": round(statistics.median(searches), 3),
    }


# --- servers -------------------------------------------------------------------------------------


@contextmanager
def ours() -> Iterator[tuple[str, psutil.Process]]:
    """Serve the data folder."""
    port = free_port()
    command = [sys.executable, "-c", "from rag.cli import main; main()", "serve"]
    command += ["--port", str(port), "--data-dir", str(DATA)]
    with running(command, f"http://127.0.0.1:{port}", "/readyz", {}) as found:
        yield found


@contextmanager
def peer(python: Path, mode: str) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the same texts and the same model with txtai, its defaults otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        model = load_settings().model_dir / "all-minilm-l6-v2"
        index = PEER_INDEXES / mode
        config = Path(folder) / "app.yml"
        config.write_text(
            f"path: {index}\nwritable: false\nembeddings:\n  path: {model}\n"
            f"  content: true\n  hybrid: {str(mode == 'hybrid').lower()}\n",
            "utf-8",
        )
        if not index.is_dir():
            script = str(Path(__file__).with_name("txtai_index.py"))
            corpus = str(DATASET / "corpus.jsonl")
            subprocess.run([str(python), script, corpus, str(model), mode, str(index)], check=True)
        port = free_port()
        command = [str(python), "-m", "uvicorn", "txtai.api:app", "--port", str(port)]
        command += ["--log-level", "error"]
        with running(command, f"http://127.0.0.1:{port}", "/count", {"CONFIG": str(config)}) as it:
            yield it


@contextmanager
def running(
    command: Sequence[str], url: str, ready: str, environment: dict[str, str]
) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server until it is no longer needed; wait until it is ready."""
    with subprocess.Popen(
        command, env={**os.environ, "HF_HUB_OFFLINE": "1", **environment}
    ) as server:
        try:
            end = time.monotonic() + 120
            while not answers(url + ready):
                if server.poll() is not None or time.monotonic() > end:
                    sys.exit(f"error: {' '.join(command)} did not become ready")
                time.sleep(0.1)
            yield url, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(60)


def answers(url: str) -> bool:
    """Tell whether a URL gives a 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """Return a port that is free now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# --- loads ---------------------------------------------------------------------------------------


def measured(target: Target, seconds: float, repeat: int) -> list[Load]:
    """Load a server with growing numbers of clients, after a short one that warms it up."""
    load(target, 8, min(2.0, seconds))
    return [summed(target, clients, seconds, repeat) for clients in CLIENTS]


def summed(target: Target, clients: int, seconds: float, repeat: int) -> Load:
    """Repeat a load; return medians."""
    runs = [load(target, clients, seconds) for _ in range(repeat)]

    def middle(key: str) -> float:
        return round(statistics.median(run[key] for run in runs), 3)

    return Load(
        target.name,
        target.mode,
        clients,
        middle("rate"),
        middle("p50"),
        middle("p95"),
        middle("p99"),
        middle("cpu_ms"),
        int(sum(run["wrong"] for run in runs)),
    )


def load(target: Target, clients: int, seconds: float) -> dict[str, float]:
    """Run wrk once; return its figures and the CPU time of a request."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(target.bodies))
        file.flush()
        before = cpu_seconds(target.process)
        script = str(Path(__file__).with_name("post.lua"))
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "30s"]
        done = subprocess.run(
            [*command, "-s", script, target.url],
            env={
                **os.environ,
                "BENCH_BODIES": file.name,
                "BENCH_PATH": target.path,
                "BENCH_METHOD": target.method,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        used = cpu_seconds(target.process) - before
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    if found["wrong"]:
        print(done.stderr[:500], file=sys.stderr)
    found["rate"] = found["requests"] / found["seconds"]
    found["cpu_ms"] = 1e3 * used / max(1.0, found["requests"])
    return found


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))


# --- the page ------------------------------------------------------------------------------------

PAGE = """# Benchmark: searches over HTTP

Generated from [api.json](api.json) by `benchmarks/api.py`; do not edit.

{about}

{table}

{ratios}

One process of each server, asked by wrk on the same machine; {questions} questions of SciFact over
its 5,183 abstracts, ten hits with their texts each. Both embed with all-MiniLM-L6-v2. The dense
index of txtai is approximate (its default), ours compares every row.

## How to run it

`make bench-api PEER=.venv-peer/bin/python`; nothing else should run meanwhile.
`benchmarks/requirements.txt` says how to make the interpreter.
"""


def page_of(told: dict[str, Any], loads: Sequence[Load]) -> str:
    """Write the page."""
    machine, raw = told["machine"], told["raw"]
    head = "| server | mode | clients | requests/s | p50 ms | p95 ms | p99 ms | CPU ms | wrong |"
    lines = [head, "|---|---|---:|---:|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {one.server} | {one.mode} | {one.clients} | {one.requests_per_s:.1f} | {one.p50_ms:.1f}"
        f" | {one.p95_ms:.1f} | {one.p99_ms:.1f} | {one.cpu_ms:.1f} | {one.wrong} |"
        for one in loads
    ]
    about = (
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores. Raw parts, one at a time:"
        f" embedding a question {raw['embed_p50_ms']:.1f} ms,"
        f" a flat search of {raw['rows']} rows {raw['search_p50_ms']:.2f} ms."
    )
    return PAGE.format(
        about=about,
        table="\n".join(lines),
        ratios=ratios(raw, {(one.server, one.mode, one.clients): one for one in loads}),
        questions=told["questions"],
    )


def ratios(raw: dict[str, float], by: dict[tuple[str, str, int], Load]) -> str:
    """Compare with the raw parts and with the peer."""
    lines = []
    floor = raw["embed_p50_ms"] + raw["search_p50_ms"]
    for mode in MODES:
        alone = by["cumulo", mode, 1]
        lines.append(
            f"- {mode}, one client: {alone.p50_ms - floor:+.1f} ms over the raw parts"
            f" ({alone.p50_ms / floor:.2f} of them)."
        )
        for clients in CLIENTS:
            theirs = by.get(("txtai", mode, clients))
            if theirs is not None:
                ratio = by["cumulo", mode, clients].requests_per_s / theirs.requests_per_s
                lines.append(f"- {mode}, {clients} clients: {ratio:.1f} times txtai's rate.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
