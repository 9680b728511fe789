"""Schemathesis against a running server: requests made from its own OpenAPI document.

Made-up ids lead nowhere, so what is sent as valid gets ids of things that exist (`Seeds`), most of
the time. Nothing here is told about single routes beyond the names of their parameters.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import schemathesis
from schemathesis.core.result import Ok
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import (
    FatalError,
    NonFatalError,
    ScenarioFinished,
    SchemaAnalysisWarnings,
)
from schemathesis.generation import GenerationMode
from schemathesis.hooks import unregister

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
)

REFUSALS = ["400", "403", "404", "405", "406", "409", "413", "415", "422"]
"""What a request that the document does not allow may get."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """Ids of what exists. Deletes take from `lost`, so that what is kept stays."""

    kept: dict[str, list[str]]
    """By the path as the document has it, up to and with the id: `/v1/runs/{id}`."""
    lost: dict[str, Iterator[str]]
    """The same for what may be deleted, each once; in the end ids of nothing."""
    values: dict[str, list[Any]]
    """Valid values of keys in JSON bodies and queries that may not be made up, such as `filter`."""
    forms: dict[str, list[Any]]
    """The same for keys of forms."""


@dataclass(slots=True)
class Found:
    """What came of it."""

    cases: int = 0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    media: dict[str, set[str]] = field(default_factory=dict)
    """Media types of replies by operation."""

    @property
    def never_succeeded(self) -> list[str]:
        """Operations that no request was right for."""
        return sorted(
            name
            for name, counts in self.statuses.items()
            if not any(200 <= status < 300 for status in counts)
        )


def explore(
    url: str, seeds: Seeds, *, examples: int, phases: Sequence[str], random: bool = False
) -> Found:
    """Send requests to every operation, about so many of each in each phase.

    They are always the same, unless they are `random`.
    """
    checks: dict[str, Any] = {name: {"enabled": True} for name in CHECKS}
    checks["negative_data_rejection"]["expected-statuses"] = REFUSALS
    config = schemathesis.Config.from_dict(
        {
            "phases": {name: {"enabled": name in phases} for name in PHASES},
            "checks": {"enabled": False, **checks},
            "generation": {"max-examples": examples, "deterministic": not random},
            "continue-on-failure": True,
            "request-timeout": 20,
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    found = Found()
    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok), operation
        found.statuses[operation.ok().label] = Counter()
    schema.hook(filter_case)
    seeding = _seeding(seeds)
    schemathesis.hook(seeding)
    try:
        for event in from_schema(schema).execute():
            _take(event, found)
    finally:
        unregister(seeding)
    return found


PHASES = ("examples", "coverage", "fuzzing", "stateful")


@schemathesis.deserializer("text/event-stream")
def _events(context: Any, response: Any) -> str:
    return str(response.content.decode("utf-8"))


def filter_case(context: Any, case: Any) -> bool:
    """Leave out what the HTTP parser refuses before the application: lines beyond 64 KiB."""
    return len(urlencode(case.query or {}, doseq=True, errors="replace")) < 60_000


def _seeding(seeds: Seeds) -> Callable[..., None]:
    """Make a hook that puts what exists in place of what was made up, three times of four."""
    turns = itertools.count()

    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        made_up = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
        if made_up and case.meta.phase.name.value != "stateful" and next(turns) % 4 != 3:
            _seed_path(case, seeds)
            _seed_values(case.query, seeds.values, next(turns))
            form = (case.media_type or "").startswith("multipart/")
            _seed_values(case.body, seeds.forms if form else seeds.values, next(turns))
        _spare(case, seeds)

    return before_call


def _seed_path(case: Any, seeds: Seeds) -> None:
    for stem, ids in seeds.kept.items():
        if case.operation.path.startswith(stem):
            case.path_parameters[_name(stem)] = ids[0]


def _spare(case: Any, seeds: Seeds) -> None:
    """Let nothing delete what is kept, in whichever way its id was found."""
    for stem, ids in seeds.kept.items():
        name = _name(stem)
        deletes = case.method.upper() == "DELETE" and case.operation.path == stem
        if deletes and stem in seeds.lost and (case.path_parameters or {}).get(name) in ids:
            case.path_parameters[name] = next(seeds.lost[stem])


def _name(stem: str) -> str:
    return stem.rpartition("{")[2].rstrip("}")


def _seed_values(part: Any, valid: dict[str, list[Any]], turn: int) -> None:
    for key, values in valid.items():
        if isinstance(part, dict) and key in part:
            part[key] = values[turn % len(values)]


def _take(event: Any, found: Found) -> None:
    if isinstance(event, FatalError):
        raise event.exception
    if isinstance(event, NonFatalError):
        found.warnings.append(f"{event.label}: {event.value!r}")
    elif isinstance(event, SchemaAnalysisWarnings):
        found.warnings.extend(map(str, event.warnings))
    elif isinstance(event, ScenarioFinished):
        if event.skip_warning is not None:
            found.warnings.append(f"{event.label}: {event.skip_warning}")
        _take_scenario(event.recorder, found)


def _take_scenario(recorder: Any, found: Found) -> None:
    for case_id, interaction in recorder.interactions.items():
        found.cases += 1
        label = recorder.cases[case_id].value.operation.label
        response = interaction.response
        if response is not None:
            found.statuses.setdefault(label, Counter())[response.status_code] += 1
            kind = response.headers.get("content-type", [""])[0].partition(";")[0]
            found.media.setdefault(label, set()).add(kind)
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.status is Status.SUCCESS or check.failure_info is None:
                continue
            info = check.failure_info
            label = recorder.cases[case_id].value.operation.label
            found.failures.append(
                f"{label}: {check.name}: {info.failure.title} ({_status(recorder, case_id)})\n"
                f"{info.failure.message}\n{info.code_sample[:4000]}"
            )


def _status(recorder: Any, case_id: str) -> str:
    response = recorder.find_response(case_id=case_id)
    return "no response" if response is None else str(response.status_code)
