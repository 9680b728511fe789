"""Rows of tables and of indexes as lines of JSON in compressed files, and back.

Equal rows of an index are equal lines, so digests of lines compare rows wherever they lie.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rag.errors import Rejected
from rag.outlines import outline_of, outlined
from rag.types import Chunk, Metadata
from rag.vectors import Batch, SparseMatrix

LEVEL: Final = 6
MODULUS: Final = 2**256


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write a new file; return how many lines it has."""
    path.parent.mkdir(exist_ok=True)
    written = 0
    with gzip.open(path, "xt", LEVEL, encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(line + "\n")
            written += 1
    return written


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n")
    except (OSError, EOFError, zlib.error) as exc:
        raise Rejected(f"{path} cannot be read: {exc}", hint="check the disk") from exc


def line_of(row: Mapping[str, Any]) -> str:
    """Write a row as a line, its keys in their order."""
    return json.dumps(row, separators=(",", ":"))


def row_of(line: str) -> dict[str, Any]:
    """Read a row."""
    row: dict[str, Any] = json.loads(line)
    return row


def sum_of(lines: Iterable[str]) -> int:
    """Add up the digests of lines: the same in every order, another one for other lines."""
    return sum(int.from_bytes(sha256(line.encode()).digest(), "big") for line in lines)


def digest_of(total: int) -> str:
    """Write a sum of sums of lines as a digest."""
    return f"{total % MODULUS:064x}"


def lines_of(batch: Batch, fields: Iterable[Metadata]) -> list[str]:
    """Write the rows of an index, with these fields in place of their own."""
    dense = batch.dense.astype("<f4", copy=False)
    lines = []
    for i, (chunk, seen) in enumerate(zip(batch.chunks, fields, strict=True)):
        terms, weights = batch.sparse.row(i)
        row = {
            "id": chunk.id,
            "document": chunk.document_id,
            "attempt": chunk.attempt,
            "ordinal": chunk.ordinal,
            "start": chunk.start,
            "end": chunk.end,
            "text": chunk.text,
            "heading": outline_of(chunk),
            "fields": dict(sorted(seen.items())),
            "dense": _packed(dense[i]),
            "terms": _packed(terms.astype("<u4", copy=False)),
            "weights": _packed(weights.astype("<f4", copy=False)),
        }
        lines.append(line_of(row))
    return lines


def batch_of(lines: Iterable[str]) -> Batch:
    """Read rows of an index, one at least."""
    rows = [row_of(line) for line in lines]
    return Batch(
        [
            Chunk(
                row["id"],
                row["document"],
                row["attempt"],
                row["ordinal"],
                row["start"],
                row["end"],
                row["text"],
                *outlined(row["heading"]),
            )
            for row in rows
        ],
        [row["fields"] for row in rows],
        np.stack([np.frombuffer(base64.b64decode(row["dense"]), "<f4") for row in rows]),
        SparseMatrix.from_rows(
            [
                (
                    np.frombuffer(base64.b64decode(row["terms"]), "<u4"),
                    np.frombuffer(base64.b64decode(row["weights"]), "<f4"),
                )
                for row in rows
            ]
        ),
    )


def _packed(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()
