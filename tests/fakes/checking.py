"""Requests are read strictly: a wrong type or an unknown field is refused, whatever the real
server would let pass. Published examples are found here too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tests.fakes.serving import Asked, Refused

EXAMPLES = Path(__file__).parent / "examples"


class Strict(BaseModel):
    """A request whose fields are all known and of their type."""

    model_config = ConfigDict(extra="forbid", strict=True)


M = TypeVar("M", bound=BaseModel)


def read(model: type[M], body: Any, status: int) -> M:
    """Read a body; refuse it with this status where it does not fit."""
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise Refused(status, f"{place}: {problem['msg']}", "validation") from exc


@cache
def examples(server: str) -> list[dict[str, Any]]:
    """Return the published examples of a server: operation, source, version, request, response."""
    found: list[dict[str, Any]] = json.loads((EXAMPLES / f"{server}.json").read_text("utf-8"))
    return found


def replayed(server: str, handler: Callable[[Asked], Any]) -> Callable[[Asked], Any]:
    """Answer a request that was published with the response that was published with it."""

    def answer(asked: Asked) -> Any:
        reply = handler(asked)  # also what was published must pass the checks
        for example in examples(server):
            if example["status"] != 200 or example["request"] is None:
                continue
            same = example["operation"] == f"{asked.method} {asked.path}"
            whole = not (asked.body or {}).get("stream")
            if same and whole and example["request"] == asked.body:
                return example["response"]
        return reply

    return answer
