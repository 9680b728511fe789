"""Builds txtai's index of a BEIR corpus; run by an interpreter that has txtai."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(corpus: str, model: str, mode: str, target: str) -> None:
    """Embed title and text of every document."""
    from txtai import Embeddings  # type: ignore[import-not-found,unused-ignore]

    lines = Path(corpus).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    embeddings = Embeddings(path=model, content=True, hybrid=mode == "hybrid")
    embeddings.index((row["_id"], f"{row['title']}\n{row['text']}", None) for row in rows)
    embeddings.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
