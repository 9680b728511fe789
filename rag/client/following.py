"""Runs, as calls."""

from __future__ import annotations

from rag.client.call import Call, Listing, get, post
from rag.client.events import Feed, run_event
from rag.client.keeping import PAGE
from rag.client.kept import RunReply, RunsReply


def runs(collection: str | None = None) -> Listing[RunReply]:
    """List runs, newest first."""
    return Listing(get(RunsReply, "v1", "runs", limit=PAGE, collection=collection), "cursor")


def run(run_id: str) -> Call[RunReply]:
    """Return a run."""
    return get(RunReply, "v1", "runs", run_id)


def cancel_run(run_id: str) -> Call[RunReply]:
    """Ask a run to stop; what it has stored stays."""
    return post(RunReply, "v1", "runs", run_id, "cancel", body={}, repeatable=True)


def follow_run(run_id: str) -> Feed[RunReply]:
    """Follow a run: how it stands, again and again, at last when it has ended."""
    return Feed(get(RunReply, "v1", "runs", run_id, "events"), run_event)
