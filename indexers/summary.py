"""What a run of ingestion did, in numbers and words."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field

from indexers.prepared import Progress


@dataclass(slots=True)
class Summary:
    """What a run did; the first seven counts partition the documents that it met or missed."""

    run: str = ""
    """Its id: receipts of what it removed carry it."""
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    access_changed: int = 0
    failed: int = 0
    quarantined: int = 0
    """Could not be parsed in an earlier run and have not changed: passed over."""
    chunks: int = 0
    """Written in this run."""
    tokens: int = 0
    """Embedded in this run; vectors from the cache cost none."""
    seconds: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False
    warnings: list[str] = field(default_factory=list)


def so_far(summary: Summary, progress: Progress) -> dict[str, float]:
    """Return how far a run is that is under way, in numbers by name."""
    return {
        **counts(summary, progress),
        "added": progress.added,
        "updated": progress.updated,
        "unchanged": summary.unchanged + progress.unchanged,
        "failed": len(progress.failures),
        "chunks": progress.chunks,
        "tokens": progress.tokens,
    }


def counts(summary: Summary, progress: Progress) -> dict[str, float]:
    """Return what a run did, in numbers by name."""
    done = {k: v for k, v in asdict(summary).items() if type(v) in (int, float)}
    return {
        **done,
        "files": progress.files,
        "files_done": progress.files_done,
        "bytes": progress.bytes,
        "bytes_done": progress.bytes_done,
    }


def finish(summary: Summary, progress: Progress, started: float) -> None:
    """Take over what the stages counted; `started` is of the monotonic clock."""
    summary.added, summary.updated = progress.added, progress.updated
    summary.unchanged += progress.unchanged
    summary.chunks, summary.tokens = progress.chunks, progress.tokens
    summary.failed = len(progress.failures)
    summary.failures = [{"uri": uri, "error": error} for uri, error in progress.failures]
    if progress.empty:
        summary.warnings.append(f"{progress.empty} documents hold no text")
    summary.seconds = round(time.monotonic() - started, 3)


def warn(summary: Summary, progress: Progress, embedder: str, bearable: float) -> None:
    """Say when the embedder reads less of the text than is bearable."""
    share = progress.unknown / progress.sampled if progress.sampled else 0.0
    if share > bearable:
        summary.warnings.append(
            f"the embedder {embedder!r} cannot read {share:.0%} of this text: "
            "such questions are answered by words alone. A multilingual model reads it, for "
            "example intfloat/multilingual-e5-small (rag models pull), in a new collection"
        )
