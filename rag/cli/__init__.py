"""The `rag` command: small files, one per group, nothing heavy imported before it is needed.

Exit codes: 0 done, 1 failed, 2 wrong use or settings, 3 done but some documents failed,
130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli import (
    asking,
    collections,
    doctoring,
    documents,
    failures,
    ingesting,
    keeping,
    models,
    parsing,
    serving,
    session,
    starting,
)
from rag.cli import evals as eval_commands
from rag.cli.session import DataDir

app = typer.Typer(
    name="rag",
    help="Cumulo: put documents in, get cited answers out.",
    epilog="Start with: rag init, then rag ingest PATH, then rag ask 'a question'.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _before(data_dir: DataDir = None) -> None:
    if data_dir is not None:
        session.given_data_dir.append(data_dir)


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version."""
    from rag import __version__

    if json:
        session.print_json({"version": __version__})
    else:
        typer.echo(__version__)


app.command("init")(starting.init)
app.command("ingest")(ingesting.ingest)
app.command("parse")(parsing.parse)
app.command("search")(asking.search)
app.command("ask")(asking.ask)
app.command("serve")(serving.serve)
app.add_typer(collections.app, name="collections")
app.add_typer(documents.app, name="documents")
app.add_typer(failures.app, name="failures")
app.add_typer(models.app, name="models")
app.command("backup")(keeping.backup)
app.command("restore")(keeping.restore)
app.command("doctor")(doctoring.doctor)
app.add_typer(eval_commands.app, name="eval")


def main() -> None:
    """Run the command line; a user's mistake is one line, never a traceback."""
    from rag.errors import RagError, UserError

    try:
        app()
    except RagError as exc:
        session.fail(
            exc.message, exc.hint, session.USAGE if isinstance(exc, UserError) else session.FAILED
        )
    except KeyboardInterrupt:
        session.fail("interrupted", None, session.INTERRUPTED)
