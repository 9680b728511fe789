"""The figures that the documentation quotes: every data set, every mode, in one run.

Run as `python -m evals.evidence DATA`, the folder that holds the data sets; writes
`docs/evidence/retrieval.json` and the page made of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.answers import score_answers
from evals.beir import load_beir
from evals.metrics import NAMES
from evals.run import MODES, as_json, evaluate, index_dataset
from rag import __version__
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings

RETRIEVAL = ("scifact", "drcd-zh-hant", "xquad-en")
ANSWERS = ("xquad-en",)
TARGET = Path(__file__).parents[1] / "docs" / "evidence"


async def gather(runtime: Runtime, data: Path) -> dict[str, Any]:
    """Measure all sets; each is embedded once."""
    facts: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "version": __version__,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "embedder": runtime.settings.defaults.embedder,
        "retrieval": [],
        "warnings": {},
        "answers": [],
    }
    for name in RETRIEVAL:
        dataset = load_beir(data / name)
        collection, summary = await index_dataset(runtime, dataset)
        facts["warnings"][name] = summary.warnings
        results = [await evaluate(runtime, dataset, collection, mode) for mode in MODES]
        facts["retrieval"] += as_json(results)
        print(json.dumps(as_json(results)), flush=True)
    for name in ANSWERS:
        scores = await score_answers(runtime, load_beir(data / name), 1_000_000)
        facts["answers"].append(asdict(scores))
    return facts


def page(facts: dict[str, Any]) -> str:
    """Lay the figures out as tables."""
    lines = [
        "# Retrieval and answers, measured",
        "",
        "Generated from [retrieval.json](retrieval.json) by `python -m evals.evidence`.",
        "",
        f"{facts['date']}, version {facts['version']}, {facts['machine']}, default settings.",
        "",
        f"| dataset | mode | queries | {' | '.join(NAMES)} | p50 ms |",
        "|---|---|---:|" + "---:|" * (len(NAMES) + 1),
    ]
    for row in facts["retrieval"]:
        scores = " | ".join(f"{row['metrics'][name]:.4f}" for name in NAMES)
        latency = row["latency_ms"]["p50"]
        lines.append(
            f"| {row['dataset']} | {row['mode']} | {row['queries']} | {scores} | {latency} |"
        )
    for name, warnings in facts["warnings"].items():
        lines += ["", *(f"Warning at {name}: {warning}." for warning in warnings)]
    lines += ["", "## Extractive answers", ""]
    for row in facts["answers"]:
        lines.append(
            f"{row['dataset']}: {row['questions']} questions, {row['quotes_landed']} of "
            f"{row['quotes']} quotes equal text[start:end]; {row['answered']:.1%} answered; the "
            f"gold span stands in {row['gold_in_answer']:.1%} of the answers and in "
            f"{row['gold_in_first']:.1%} of the first quotes; {row['words']:.0f} words on average."
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--data-dir", type=Path)
    given = parser.parse_args()

    async def work() -> dict[str, Any]:
        configured = load_settings(data_dir=given.data_dir)
        async with open_runtime(load_settings(data_dir=configured.data_dir / "evals")) as runtime:
            return await gather(runtime, given.data)

    facts = asyncio.run(work())
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / "retrieval.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    (TARGET / "retrieval.md").write_text(page(facts), "utf-8")


if __name__ == "__main__":
    main()
