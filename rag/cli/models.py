"""`rag models`: list, pull, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli import session
from rag.cli.session import DataDir, Json

app = typer.Typer(help="List, pull and verify model files.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A known name, or owner/model on the Hugging Face hub.")]


@app.command("list")
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List the models that are here or can be pulled by name."""
    from rag.models import list_models

    found = list_models(session.settings(data_dir).model_dir)
    if json:
        session.print_json(
            [
                {
                    "name": m.name,
                    "path": None if m.path is None else str(m.path),
                    "source": m.source,
                    "about": m.about,
                }
                for m in found
            ]
        )
        return
    for model in found:
        typer.echo(f"{model.name}: {'here' if model.path else 'not pulled'}  {model.about}")
        typer.secho(f"    {model.path or model.source}", dim=True)


@app.command()
def pull(name: Name, data_dir: DataDir = None, json: Json = False) -> None:
    """Bring a model into the model folder, checked against its digest."""
    from rag.models import pull_model

    path = pull_model(name, session.settings(data_dir).model_dir, say=session.say)
    if json:
        session.print_json({"name": name, "path": str(path)})


@app.command()
def verify(name: Name, data_dir: DataDir = None, json: Json = False) -> None:
    """Compare a pulled model's files with the digests noted when it was pulled."""
    from rag.models import find_model, verify_model

    problems = verify_model(find_model(name, session.settings(data_dir).model_dir))
    if json:
        session.print_json({"name": name, "problems": problems})
    else:
        typer.echo("\n".join(problems) or f"{name}: every file is as it was pulled")
    if problems:
        raise typer.Exit(session.FAILED)
