"""The page of routes, made from the OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.app import create_app
from rag.settings import Settings

TITLES = {
    "asking": "Questions",
    "collections": "Collections",
    "documents": "Documents",
    "runs": "Runs",
    "openai": "The wire of OpenAI, Jina and Cohere",
    "health": "Health",
}
INTRODUCTION = """\
What each takes and gives, with examples, stands in the OpenAPI document: `/openapi.json` of a
running server, or `/docs` to read and try. [The guide](api.md) explains them.
"""


def page(note: str) -> str:
    """Return the page, in the order of the document."""
    document = create_app(Settings(data_dir=Path("/nowhere"))).openapi()
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            tag = operation.get("tags", ["health"])[0]
            groups.setdefault(tag, []).append(_row(path, method, operation))
    lines = ["# Routes", note, INTRODUCTION]
    for tag, rows in groups.items():
        lines += [f"## {TITLES.get(tag, tag.capitalize())}\n"]
        lines += ["| route | takes | |", "|---|---|---|", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(path: str, method: str, operation: dict[str, Any]) -> str:
    taken = [_parameter(one) for one in operation.get("parameters", []) if one["in"] != "path"]
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        schema = body["schema"].get("$ref", "").rpartition("/")[2]
        taken.insert(0, f"`{schema}`" if schema else kind.partition(";")[0])
    says = (operation.get("description") or "").split("\n\n")[0].replace("\n", " ")
    return f"| `{method.upper()} {path}` | {', '.join(taken)} | {says} |"


def _parameter(one: dict[str, Any]) -> str:
    return f"header `{one['name']}`" if one["in"] == "header" else f"`?{one['name']}`"
