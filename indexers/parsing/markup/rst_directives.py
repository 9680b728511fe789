"""Directives and roles that docutils does not know: those of Sphinx and of others.

What they mean is mostly that their content is to be shown; so it is. Nothing is read from other
files, and nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import en

MAX_NAMES = 500
"""Of unknown directives and roles in one document."""

_DIRECTIVE = re.compile(r"^[ \t]*\.\. (?:\|[^|\n]*\| )?([\w:+.-]+?)::(?:\s|$)", re.MULTILINE)
_ROLE = re.compile(r":([\w:+.-]{1,50}):`|`:([\w:+.-]{1,50}):")
_TARGET = re.compile(r"\s*<[^<>]*>$")
_HIDDEN = frozenset(
    "toctree index highlight currentmodule module meta literalinclude include raw "
    "automodule autoclass autofunction automethod autosummary autoattribute py:module "
    "py:currentmodule default-domain sectionauthor codeauthor tabularcolumns".split()
)
_VERBATIM = frozenset(
    "code code-block sourcecode highlight-block doctest testcode testoutput testsetup prompt "
    "parsed-literal ipython jupyter-execute math graphviz digraph graph mermaid uml plantuml "
    "productionlist terminal console".split()
)


_LEADS = {
    "versionadded": "New in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "seealso": "See also:",
}
_CONDITIONS = frozenset({"only", "ifconfig"})


class _AnyOption(dict[str, Callable[[str], Any]]):
    """Every option is allowed and means nothing."""

    def __missing__(self, name: str) -> Callable[[str], Any]:
        return bool


class _Shown(Directive):
    """Shows its arguments, and its content as text with markup."""

    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = _AnyOption(name=bool)
    has_content = True

    def run(self) -> list[Any]:
        shown = nodes.container()
        said = [] if self.name in _CONDITIONS else " ".join(self.arguments).split()
        text = " ".join([*_LEADS.get(self.name, "").split(), *said])
        if text:
            shown += nodes.paragraph(text, text)
        self.state.nested_parse(self.content, self.content_offset, shown)
        return [shown]


class _Verbatim(_Shown):
    """Shows its content as it is: code, formulas, drawings in words."""

    def run(self) -> list[Any]:
        text = "\n".join(self.content)
        if not text and self.arguments:
            text = self.arguments[0]
        return [nodes.literal_block(text, text)]


class _Hidden(_Shown):
    """Shows nothing: it only steers the layout, or reads what is not here."""

    def run(self) -> list[Any]:
        return []


def _role(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, *_: Any
) -> tuple[list[Any], list[Any]]:
    """Show the words of a reference without its target."""
    words = nodes.unescape(text)
    shown = _TARGET.sub("", words).lstrip("~!") or words
    return [nodes.inline(rawtext, shown)], []


def allow_unknown(source: str) -> None:
    """Make what the text uses and docutils does not know known to docutils."""
    names = {match[1].lower() for match in _DIRECTIVE.finditer(source)}
    for name in sorted(names)[:MAX_NAMES]:
        if name in _VERBATIM:
            directives.register_directive(name, _Verbatim)
        elif name in _HIDDEN:
            directives.register_directive(name, _Hidden)
        elif name not in en.directives:
            directives.register_directive(name, _Shown)
    used = {(match[1] or match[2]).lower() for match in _ROLE.finditer(source)}
    for name in sorted(used)[:MAX_NAMES]:
        if name not in en.roles:
            roles.register_local_role(name, _role)
