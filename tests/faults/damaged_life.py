"""What somebody does with a damaged data folder, in a process that may crash of it.

All that was said is written to a file after each step, so that a crash can be placed.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Step:
    """A command: how it ended, and what it gave."""

    name: str
    exit: int | None = None
    error: str = ""
    """What was said of failures; a traceback where nobody foresaw one."""
    foreseen: bool = True
    advised: bool = True
    """Every failure came with what to do."""
    gave: list[Any] = field(default_factory=list)


def live(source: str, diary: str, questions: list[str], documents: list[str]) -> None:
    """Search, list, show, ingest, consult the doctor; to be run by `start`."""
    _keep_snapshots_of_little()
    steps: list[Step] = []

    def did(step: Step) -> None:
        steps.append(step)
        Path(diary).write_text(json.dumps([asdict(step) for step in steps]), "utf-8")

    did(_search("search", questions))
    did(_rag("list", "documents", "list"))
    for number, document in enumerate(documents):
        did(_rag(f"show {number}", "documents", "show", document))
    did(_rag("ingest", "ingest", source))
    did(_search("search again", questions))
    did(_rag("doctor", "doctor"))
    did(_rag("fix", "doctor", "--fix"))
    did(_rag("ingest again", "ingest", source))
    did(_rag("doctor at last", "doctor"))


def leave_logs(source: str) -> None:
    """Ingest, write a little more, and die with everything open; to be run by `start`."""
    _keep_snapshots_of_little()
    asyncio.run(_write_and_die(Path(source)))


async def _write_and_die(source: Path) -> None:
    from indexers import ingest as job
    from rag.catalog import documents, writing
    from rag.filters import Eq
    from rag.runtime import open_runtime
    from rag.settings import load_settings
    from rag.types import LOCAL_OWNER, local_owner

    async with open_runtime(load_settings()) as runtime:
        collection = await job.open_collection(runtime, "default", "default")
        listings = await job.list_paths(runtime, collection, [source], {})
        assert (await job.ingest(runtime, collection, listings)).updated
        index = await runtime.index(collection.live)
        known = await runtime.catalog.read(
            documents.list_documents, collection.live.id, local_owner(), limit=20
        )
        for document in known:  # the same readers as before, written again
            await index.patch(Eq("document", document.id), {"subjects": [LOCAL_OWNER]})
            await runtime.catalog.write(writing.set_access, document.id, [LOCAL_OWNER])
        os.kill(os.getpid(), signal.SIGKILL)


def _rag(name: str, *argv: str) -> Step:
    from rag.cli import main

    out, err = io.StringIO(), io.StringIO()
    step = Step(name)
    sys.argv = ["rag", *argv, "--json"]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as exc:
        step.exit = exc.code if isinstance(exc.code, int) else 0
    except BaseException:  # noqa: BLE001 - a person would see a traceback
        step.foreseen, step.error = False, traceback.format_exc()
        return step
    step.error = err.getvalue()
    step.advised = "error: " not in step.error or "\n  " in step.error
    if said := out.getvalue():
        step.gave.append(json.loads(said))
    return step


def _search(name: str, questions: list[str]) -> Step:
    step = Step(name, 0)
    try:
        asyncio.run(_ask(step, questions))
    except BaseException as exc:  # noqa: BLE001 - a person would see a traceback
        _note(step, exc)
    return step


async def _ask(step: Step, questions: list[str]) -> None:
    from rag.errors import RagError
    from rag.runtime import open_runtime
    from rag.settings import load_settings
    from rag.types import Query, local_owner

    modes: Any = ("dense", "sparse", "hybrid")
    async with open_runtime(load_settings()) as runtime:
        for number, text in enumerate(questions):
            mode, exact = modes[number % 3], number % 2 == 0
            query = Query(text, "default", local_owner(), k=5, mode=mode, exact=exact)
            try:
                hits = (await runtime.retrieval.search(query)).hits
            except RagError as exc:
                _note(step, exc)
                continue
            for hit in hits:
                chunk = hit.chunk
                step.gave.append([hit.uri, hit.title, chunk.start, chunk.end, chunk.text])


def _note(step: Step, exc: BaseException) -> None:
    from rag.errors import RagError

    step.exit = 1
    if isinstance(exc, RagError):
        step.error = str(exc)
        step.advised = step.advised and bool(exc.hint)
    else:
        step.error, step.foreseen = "".join(traceback.format_exception(exc)), False


def _keep_snapshots_of_little() -> None:
    """Let snapshots and graphs be worth it for hundreds of rows, as otherwise for thousands."""
    from indexers.stores.faiss import FaissStore
    from indexers.stores.faiss_following import Sizes

    defaults: Any = FaissStore.__init__.__kwdefaults__
    defaults["sizes"] = Sizes(tail_rows=50, graph_rows=100)
