"""The OpenAPI document: what the framework derives, with problems as problems, and examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.errors import PROBLEM
from api.examples import PROBLEM_EXAMPLE, REPLIES, REQUESTS
from api.json import JSON

ABOUT = """Search documents and get cited answers.

Point an OpenAI client at `/v1`, or use the routes below.

Failures are [problems](https://www.rfc-editor.org/rfc/rfc9457) with a hint of what to do. Every
reply has `X-Request-Id`; a request may bring its own. `X-Request-Timeout` (seconds) makes the
deadline of a request shorter. A client that goes away ends the work that it asked for.
"""
METHODS = ("get", "put", "post", "delete", "patch")


def name_of(route: APIRoute) -> str:
    """Name an operation as its function."""
    return route.name


def document(app: FastAPI) -> None:
    """Give the application its OpenAPI document; it is made when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=ABOUT,
                routes=app.routes,
                separate_input_output_schemas=False,
            )
            for name, operation in _operations(made):
                _describe(name, operation)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # how FastAPI wants it to be replaced


def _operations(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in made["paths"].values():
        for method, operation in item.items():
            if method in METHODS:
                yield operation["operationId"], operation


def _describe(name: str, operation: dict[str, Any]) -> None:
    """Give an operation's problems their media type, and its bodies examples."""
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        schema = content.get(JSON, {}).get("schema", {})
        if schema.get("$ref", "").endswith("/Problem"):
            response["content"] = {PROBLEM: {"schema": schema, "example": PROBLEM_EXAMPLE}}
        elif status.startswith("2") and name in REPLIES and JSON in content:
            content[JSON]["example"] = REPLIES[name]
    body = operation.get("requestBody", {}).get("content", {})
    if name in REQUESTS and JSON in body:
        body[JSON]["example"] = REQUESTS[name]
