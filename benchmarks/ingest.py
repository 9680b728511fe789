"""Ingestion from end to end against the raw embedder, and the embedder against its peer.

All in one run on one machine, so that the ratios hold where the figures do not. Writes
`docs/benchmarks/ingest.json` and the page that is made of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import describe_machine
from passes import Passes, ratios, spread
from peer import find_peer, run_peer
from report import page, show
from sample import ROOT, SEED, unpack_sample
from sides import EMBEDDER, STORE, Texts, benchmark_settings, collect, time_ingest, time_raw
from watching import STAGES, Watch

from rag.errors import RagError
from rag.models import find_model
from rag.ports import Embedder
from rag.runtime import open_runtime

MODEL = "all-minilm-l6-v2"
PEER_TEXTS = 300
WARM_UP = 4
"""Every fourth text is embedded before the clock starts: the model compiles on first use."""


async def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the facts of the report."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "files"
        sample = unpack_sample(given.files, folder)
        async with open_runtime(benchmark_settings(Path(work) / "data")) as runtime:
            embedder = runtime.named_embedder(EMBEDDER)
            texts = await collect(runtime, folder)
            sides = await compare(embedder, folder, texts, given.repeat)
            python = None if given.skip_peer else find_peer(given.peer_python)
            if python is not None:
                model = find_model(MODEL, runtime.settings.model_dir)
                chosen = texts.distinct[:PEER_TEXTS]
                peer = await compare_peer(embedder, python, model, chosen, given.repeat)
            else:
                peer = {"skipped": "see benchmarks/requirements.txt for the peer's environment"}
    return {
        "machine": machine,
        "input": {
            **asdict(sample),
            "seed": SEED,
            "chunks": texts.chunks,
            "distinct_texts": len(texts.distinct),
        },
        "pipeline": {"model": MODEL, "embedder": embedder.fingerprint, "store": STORE},
        **sides,
        "peer": peer,
    }


async def compare(embedder: Embedder, folder: Path, texts: Texts, repeat: int) -> dict[str, Any]:
    """Time both sides in pairs; which comes first alternates."""
    raw, whole = Passes(), Passes()
    watches: list[Watch] = []
    await embedder.embed(texts.distinct[::WARM_UP], "passage")
    for pair in range(repeat):
        for side in ("raw", "end to end") if pair % 2 == 0 else ("end to end", "raw"):
            print(f"pair {pair + 1} of {repeat}: {side}", file=sys.stderr)
            if side == "raw":
                seconds, tokens, _ = await time_raw(embedder, texts.distinct)
                raw.add(seconds, tokens)
            else:
                seconds, tokens, watch = await time_ingest(embedder, folder, texts)
                whole.add(seconds, tokens)
                watches.append(watch)
    busy = [watch.busy["embed"] / s for watch, s in zip(watches, whole.seconds, strict=True)]
    return {
        "raw": raw.facts(),
        "end_to_end": {
            **whole.facts(),
            "extra_tokens": [tokens - raw.tokens[0] for tokens in whole.tokens],
            "embedder_busy": spread(busy),
            "busy_s": {
                name: round(median(watch.busy[name] for watch in watches), 3) for name in STAGES
            },
        },
        "ratio": ratios(whole, raw),
        "alone_s": {
            "parse_and_chunk": round(texts.parse_chunk_s, 3),
            "bm25": round(texts.bm25_s, 3),
        },
    }


async def compare_peer(
    embedder: Embedder, python: Path, model: Path, texts: Sequence[str], repeat: int
) -> dict[str, Any]:
    """Time both embedders on the same texts in pairs, and compare their vectors."""
    ours, theirs = Passes(), Passes()
    await embedder.embed(texts[::WARM_UP], "passage")
    for pair in range(repeat):
        print(f"pair {pair + 1} of {repeat}: raw and peer", file=sys.stderr)
        seconds, tokens, vectors = await time_raw(embedder, texts)
        ours.add(seconds, tokens)
        peer = await asyncio.to_thread(run_peer, python, model, texts)
        theirs.add(peer.seconds, peer.tokens)
    cosines = np.einsum("ij,ij->i", vectors, peer.vectors)
    return {
        "about": peer.about,
        "texts": len(texts),
        "raw": ours.facts(),
        "peer": theirs.facts(),
        "ratio": ratios(ours, theirs),
        "cosine": {
            "mean": round(float(cosines.mean()), 5),
            "min": round(float(cosines.min()), 5),
        },
    }


def main() -> None:
    """Measure, show, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=300, help="how many are ingested")
    parser.add_argument("--repeat", type=int, default=3, help="pairs of passes")
    parser.add_argument("--json", type=Path, default=ROOT / "docs" / "benchmarks" / "ingest.json")
    parser.add_argument("--skip-peer", action="store_true", help="without sentence-transformers")
    parser.add_argument("--peer-python", type=Path, help="interpreter with sentence-transformers")
    given = parser.parse_args()
    try:
        facts = asyncio.run(measure(given))
    except RagError as exc:
        sys.exit(f"error: {exc}")
    show(facts)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    given.json.with_suffix(".md").write_text(page(facts, given.json.name), "utf-8")
    print(f"written: {given.json} and {given.json.with_suffix('.md').name}", file=sys.stderr)


if __name__ == "__main__":
    main()
