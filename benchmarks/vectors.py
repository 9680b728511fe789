"""What a walk through the graph costs and finds against scanning, for filters of every share.

    python benchmarks/vectors.py --rows 100000 [--base vectors.npy]

Rows are mixtures of a base vector, one of its twenty neighbours and noise; give the vectors of
real texts with `--base`. The table says where the store walks; down to a twentieth of the rows,
`walk` is what that takes and finds in any case.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

from indexers.stores import faiss_graph
from indexers.stores.faiss_vectors import FlatVectors
from indexers.stores.selection import RowNumbers, Selection
from rag.vectors import Matrix

QUERIES = 100
WALKED_SHARE = 0.05


def unit(rows: Matrix) -> Matrix:
    """Scale rows to length one."""
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def random_base(rng: np.random.Generator, *, dim: int = 384) -> Matrix:
    """Draw 15,000 vectors about 500 centres."""
    centres = unit(rng.standard_normal((500, dim)))
    noise = unit(rng.standard_normal((15_000, dim)))
    return unit(centres[rng.integers(0, 500, 15_000)] + 0.9 * noise)


def neighbours(base: Matrix, *, count: int = 20) -> RowNumbers:
    """Return the nearest rows of each row."""
    parts = [
        np.argpartition(-(base[start : start + 2000] @ base.T), count + 1, axis=1)[:, 1 : count + 1]
        for start in range(0, len(base), 2000)
    ]
    return np.concatenate(parts)


def mixed(
    rng: np.random.Generator, base: Matrix, near: RowNumbers, *, rows: int, noise: float
) -> Matrix:
    """Draw unit rows."""
    a = rng.integers(0, len(base), rows)
    b = near[a, rng.integers(0, near.shape[1], rows)]
    return unit(
        0.75 * base[a] + 0.45 * base[b] + noise * unit(rng.standard_normal((rows, base.shape[1])))
    )


def measure(vectors: FlatVectors, queries: Matrix, among: Selection, *, depth: int) -> str:
    """Compare both ways; return a line of the table."""
    exact_s, walk_s, recalls, walks = [], [], [], 0
    share, step_rows = among.count / len(among.mask), faiss_graph.STEP_ROWS
    for query in queries[:, None]:
        began = time.perf_counter()
        rows, scores = vectors.candidates(query, depth, among)
        exact_s.append(time.perf_counter() - began)
        best = rows[np.argsort(-scores)][:depth]
        if share < WALKED_SHARE:
            continue
        walks += vectors._near(query, depth, among) is not None
        faiss_graph.STEP_ROWS = 0  # type: ignore[misc]
        began = time.perf_counter()
        rows, scores = vectors.candidates(query, depth, among, exact=False)
        walk_s.append(time.perf_counter() - began)
        faiss_graph.STEP_ROWS = step_rows  # type: ignore[misc]
        found = rows[np.argsort(-scores)][:depth]
        recalls.append(len(np.intersect1d(best, found)) / len(best))
    walked = f"{1000 * median(walk_s):.2f} | {np.mean(recalls):.3f}" if recalls else "– | –"
    way = "walks" if 2 * walks > len(queries) else "scans"
    return f"| {share:.1%} | {depth} | {1000 * median(exact_s):.2f} | {walked} | {way} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--base", help="a float32 matrix of unit vectors (.npy)")
    asked = parser.parse_args()
    rng = np.random.default_rng(1)
    base = random_base(rng) if asked.base is None else np.load(asked.base)
    near = neighbours(base)
    vectors = FlatVectors(base.shape[1])
    vectors.add(mixed(rng, base, near, rows=asked.rows, noise=0.35))
    queries = mixed(rng, base, near, rows=QUERIES, noise=0.5)
    began = time.perf_counter()
    vectors.link()
    stored = vectors.stored_graph()
    assert stored is not None
    rate = asked.rows / (time.perf_counter() - began)
    print(f"built at {rate:.0f} rows/s; {len(stored) / asked.rows:.0f} bytes a row\n")
    print("| share | depth | scan ms | walk ms | recall of the walk | the store |")
    print("|---|---|---|---|---|---|")
    for share in (1.0, 0.5, 0.25, 0.1, 0.01, 0.001):
        among = Selection(rng.random(asked.rows) < share)
        for depth in (10, 200):
            print(measure(vectors, queries, among, depth=depth), flush=True)


if __name__ == "__main__":
    main()
