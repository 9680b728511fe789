"""Plug-ins by name: entry points are looked up here, loaded on first use, never scanned at import.

Knows the groups and how to check a plug-in's options with its own model. Knows no plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from rag.errors import ConfigError, MissingExtra, UnknownPlugin
from rag.settings import describe

Group: TypeAlias = Literal[
    "vector_stores", "embedders", "sparse_encoders", "connectors", "llms", "rerankers"
]


def installed(group: Group) -> dict[str, EntryPoint]:
    """Return the installed plug-ins of a group by name, sorted."""
    found = {point.name: point for point in entry_points(group=f"cumulo.{group}")}
    return dict(sorted(found.items()))


def plugin_class(group: Group, kind: str) -> Any:
    """Load a plug-in's class; raise `UnknownPlugin` or `MissingExtra`."""
    known = installed(group)
    if kind not in known:
        raise UnknownPlugin(
            f"no {group.replace('_', ' ')[:-1]} of kind {kind!r} is installed",
            hint=f"installed: {', '.join(known) or 'none'}",
        )
    try:
        return known[kind].load()
    except ImportError as exc:
        raise MissingExtra(
            f"the plug-in {kind!r} needs the module {exc.name!r}",
            hint=f"pip install cumulo[{kind}]",
        ) from exc


def told_options(group: Group, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they may be stored and shown: secrets are asterisks."""
    told: dict[str, Any] = _checked(group, kind, options).model_dump(
        mode="json", exclude_unset=True
    )
    return told


def make_plugin(group: Group, kind: str, options: Mapping[str, Any], *rest: Any) -> Any:
    """Build a plug-in from options that its own model checks, and what its group gives it."""
    checked = _checked(group, kind, options)
    return plugin_class(group, kind)(checked, *rest)


def _checked(group: Group, kind: str, options: Mapping[str, Any]) -> Any:
    try:
        return plugin_class(group, kind).Options.model_validate(dict(options))
    except ValidationError as exc:
        raise ConfigError(describe(exc, f"options of {kind}")) from exc
