"""`rag eval`: measure retrieval quality on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rag.cli import session
from rag.cli.session import Backend, DataDir, EmbedderName, Json

if TYPE_CHECKING:
    from evals.run import EvalResult
    from rag.runtime import Runtime

app = typer.Typer(help="Measure retrieval quality.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Measure retrieval quality on datasets."""


@app.command("run")
def run_(
    folder: Annotated[Path, typer.Argument(help="A BEIR folder: corpus, queries, qrels.")],
    mode: Annotated[
        Literal["dense", "sparse", "hybrid", "all"], typer.Option(help="Which mode to measure.")
    ] = "hybrid",
    split: Annotated[str, typer.Option(help="Judgements to use: qrels/SPLIT.tsv.")] = "test",
    backend: Backend = None,
    embedder: EmbedderName = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Index a dataset and score its questions through the real retrieval path.

    The index is kept in the folder "evals" of the data folder; a second run embeds nothing.
    """
    from evals.beir import load_beir
    from evals.run import MODES, as_json, evaluate, index_dataset
    from indexers.prepared import Progress
    from rag.cli.ingesting import shown

    dataset = load_beir(folder, split)
    own = session.settings(data_dir).data_dir / "evals"

    async def work(runtime: Runtime) -> list[EvalResult]:
        progress = Progress()
        async with shown(progress, live=not json):
            collection, summary = await index_dataset(
                runtime, dataset, backend=backend, embedder=embedder, progress=progress
            )
        for warning in summary.warnings:
            session.say(f"warning: {warning}")
        for failure in summary.failures:
            session.say(f"failed: {failure['uri']}: {failure['error']}")
        wanted = MODES if mode == "all" else (mode,)
        return [await evaluate(runtime, dataset, collection, one) for one in wanted]

    results = as_json(session.run(work, own, create=True))
    if json:
        session.print_json(results if mode == "all" else results[0])
        return
    for result in results:
        scores = "  ".join(f"{name} {value:.4f}" for name, value in result["metrics"].items())
        typer.echo(
            f"{result['dataset']} {result['mode']:6}  {scores}  "
            f"p50 {result['latency_ms']['p50']:.1f} ms  ({result['queries']} queries)"
        )
