"""The figures for people: a table on the terminal, and a page beside the JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

Facts: TypeAlias = dict[str, Any]
Row: TypeAlias = tuple[str, str, str]

HEADER: Row = ("", "median", "min to max")

PAGE = """# Benchmark: ingestion

Generated from [{json}]({json}) by `benchmarks/ingest.py`; do not edit.

{about}

{table}

{notes}

## How to run it

`make bench`, or `.venv/bin/python benchmarks/ingest.py` with `--files`, `--repeat`, `--json`,
`--skip-peer` or `--peer-python`; `benchmarks/requirements.txt` says how to make an interpreter for
the last. Nothing else should run meanwhile. Figures of two machines cannot be compared, the
ratios can.

## What the rows mean

- **Raw embedder**: the distinct texts that ingestion embeds, given to the embedder in one call;
  tokenisation included, the model loaded and warm.
- **End to end**: `rag ingest` into an empty data folder with the vector cache off, from listing
  the files to the last commit, with the same embedder; tokens that were really embedded, divided
  by the seconds.
- **End to end / raw**: the quotient within each pair of passes; 1 would mean that everything but
  embedding is hidden behind it.
- **Embedder busy**: the share of the seconds from end to end in which a batch was being embedded.
- **Raw / sentence-transformers**: the same texts through both, each with its defaults on the CPU.
- **Cosine**: between the vectors of both, text by text.
"""


def show(facts: Facts) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*HEADER, title=_about(facts), caption=_notes(facts))
    for row in _rows(facts):
        table.add_row(*row)
    Console().print(table)


def page(facts: Facts, json_name: str) -> str:
    """Return the page in Markdown."""
    rows = [HEADER, ("---", "---:", "---:"), *_rows(facts)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return PAGE.format(json=json_name, about=_about(facts), table=table, notes=_notes(facts))


def _rows(facts: Facts) -> Iterator[Row]:
    whole, peer = facts["end_to_end"], facts["peer"]
    yield _row("Raw embedder, tokens/s", facts["raw"]["tokens_per_s"], ",.0f")
    yield _row("End to end, tokens/s", whole["tokens_per_s"], ",.0f")
    yield _row("End to end / raw", facts["ratio"], ".3f")
    yield _row("Embedder busy", whole["embedder_busy"], ".1%")
    if "skipped" not in peer:
        name = "sentence-transformers"
        yield _row(f"Raw embedder on {peer['texts']} texts", peer["raw"]["tokens_per_s"], ",.0f")
        yield _row(f"{name}, tokens/s", peer["peer"]["tokens_per_s"], ",.0f")
        yield _row(f"Raw / {name}", peer["ratio"], ".2f")
        cosine = peer["cosine"]
        yield f"Cosine to {name}", f"mean {cosine['mean']:.5f}", f"min {cosine['min']:.5f}"


def _row(name: str, spread: dict[str, float], form: str) -> Row:
    return name, f"{spread['median']:{form}}", f"{spread['min']:{form}} to {spread['max']:{form}}"


def _about(facts: Facts) -> str:
    machine, given = facts["machine"], facts["input"]
    arithmetic = "bf16" if machine["bf16"] else "float32"
    return (
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, {arithmetic} arithmetic; "
        f"{given['files']} files of {given['name']} ({given['bytes'] / 1e6:.1f} MB), "
        f"{given['chunks']:,} chunks, {given['distinct_texts']:,} distinct texts, "
        f"{facts['raw']['tokens'][0]:,} tokens; model {facts['pipeline']['model']}, "
        f"store {facts['pipeline']['store']}; pairs of passes: {len(facts['raw']['seconds'])}."
    )


def _notes(facts: Facts) -> str:
    whole, alone, peer = facts["end_to_end"], facts["alone_s"], facts["peer"]
    tokens, extra = facts["raw"]["tokens"][0], max(whole["extra_tokens"])
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in whole["busy_s"].items())
    if "skipped" in peer:
        against = f"sentence-transformers: skipped; {peer['skipped']}"
    else:
        about = peer["about"]
        against = (
            f"Peer: sentence-transformers {about['sentence-transformers']} on torch "
            f"{about['torch']}, {about['dtype']}, {about['threads']} threads, "
            f"batches of {about['batch_size']}"
        )
    return (
        f"Texts that recur in a later window are embedded again: {extra:,} tokens "
        f"({extra / tokens:.1%}). Stages of one run end to end overlap; each was busy for: "
        f"{stages}. Alone on one core, parsing and chunking takes {alone['parse_and_chunk']:.1f} s "
        f"and BM25 {alone['bm25']:.1f} s. {against}."
    )
