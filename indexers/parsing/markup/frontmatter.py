"""The YAML block that may stand at the head of a Markdown file.

Knows where it ends and how to read it without harm; nothing of the Markdown below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

MAX_CHARS = 32_768
MAX_DEPTH = 16

_FRONT = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it was compiled in


def split_front_matter(text: str) -> tuple[str, str]:
    """Return the YAML text at the head, empty when there is none, and the text after it."""
    found = _FRONT.match(text, 0, MAX_CHARS)
    return (found[1], text[found.end() :]) if found else ("", text)


def load_front_matter(text: str) -> Mapping[object, object] | None:
    """Return the fields; None when the text is no YAML mapping that can be read safely."""
    try:
        if not _is_harmless(text):
            return None
        fields = yaml.load(text, _LOADER)  # noqa: S506 - a safe loader in both cases
    except (yaml.YAMLError, ValueError, OverflowError):  # a date such as 2026-13-45: ValueError
        return None
    return fields if isinstance(fields, dict) else None


def _is_harmless(text: str) -> bool:
    """Refuse what makes loaders explode: aliases, and nesting (libyaml's loader recurses in C)."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            return False
    return True
