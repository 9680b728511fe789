"""Org mode (https://orgmode.org/worg/org-syntax.html): headings, lists, tables, blocks, keywords.

Reads line by line. Marks of emphasis stay as they are written, links become their words; drawers
of properties and comments are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.metadata import metadata
from indexers.parsing.moments import moment
from indexers.parsing.tabular import markdown_table
from indexers.parsing.text.decoding import decode

MAX_ROWS = 500
"""Of one part of a table."""
MAX_LEVEL = 6
MAX_NESTING = 20

_HEADING = re.compile(r"(\*+)[ \t]+(\S.*)")
_TAGS = re.compile(r"[ \t]+:[\w@#%:]+:[ \t]*$")
_KEYWORD = re.compile(r"[ \t]*#\+(\w+)(?:\[[^\]]*\])?:[ \t]*(.*)")
_BEGIN = re.compile(r"[ \t]*#\+begin_(\S+)", re.IGNORECASE)
_END = re.compile(r"[ \t]*#\+end_\S+[ \t]*", re.IGNORECASE)
_DRAWER = re.compile(r"[ \t]*:([\w-]+):[ \t]*")
_COMMENT = re.compile(r"[ \t]*#(?:[ \t]|$)")
_FIXED = re.compile(r"[ \t]*:(?:[ \t](.*))?$")
_RULE = re.compile(r"[ \t]*-{5,}[ \t]*")
_ITEM = re.compile(r"([ \t]*)([-+]|[ \t]\*|\d{1,9}[.)])(?:[ \t]+(.*))?$")
_LINK = re.compile(r"\[\[([^][]{1,2000})\](?:\[([^][]{1,2000})\])?\]")
_COOKIE = re.compile(r"(?:/|<>?|>|<[lcr]?\d*>)?")
_DATE = re.compile(r"[\[<](\d{4}-\d\d-\d\d)[^\]>]*[\]>]")

_CODE = frozenset({"src", "example", "latex"})
_QUOTES = frozenset({"quote", "verse"})
_HIDDEN = frozenset({"comment", "export"})
_HIDDEN_DRAWERS = frozenset({"properties", "logbook", "clock"})
_SHOWN_KEYWORDS = frozenset({"caption", "subtitle", "description"})


def parse_org(content: Content) -> Iterator[Yielded]:
    """Yield the parts; the title is that of the file, or else the first heading of level one."""
    lines = decode(content.read()).split("\n")
    said = _keywords(lines)
    title = _plain(" ".join(said.get("title", [])))
    yield Properties(title or None, metadata(_fields(said)))
    for part in _Blocks(lines).parts():
        if not title and part.level == 1:
            title = part.label
            yield Properties(title=title or None)
        yield part


def _keywords(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        if match := _KEYWORD.match(line):
            found.setdefault(match[1].lower(), []).append(match[2].strip())
    return found


def _fields(said: dict[str, list[str]]) -> dict[object, object]:
    fields: dict[object, object] = {}
    for name, field in (("author", "author"), ("keywords", "keywords"), ("language", "lang")):
        if text := ", ".join(filter(None, said.get(name, []))):
            fields[field] = text
    written = " ".join(said.get("date", []))
    stamp = _DATE.search(written)
    if (when := moment(stamp[1] if stamp else written)) is not None:
        fields["created"] = when
    return fields


def _plain(text: str) -> str:
    """Put the words of links in their place."""
    return _LINK.sub(lambda link: link[2] or link[1].removeprefix("file:"), text)


class _Blocks:
    """The lines of a file, of which one block after the other is read."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._next = 0
        self._no_end: dict[str, int] = {}
        """Marks of ends, and before which line there is none."""

    def parts(self) -> Iterator[Part]:
        """Yield the parts in order."""
        paragraph: list[str] = []
        while self._next < len(self._lines):
            line = self._lines[self._next]
            special = self._special(line)
            if special is None and line.strip():
                paragraph.append(line.strip().removesuffix("\\\\").rstrip())
                self._next += 1
                continue
            if paragraph:
                yield Part("paragraph", _plain("\n".join(paragraph)))
                paragraph = []
            if special is None:
                self._next += 1
            else:
                yield from special
        if paragraph:
            yield Part("paragraph", _plain("\n".join(paragraph)))

    def _special(self, line: str) -> list[Part] | None:
        """Read what begins with this line, if that is more than a paragraph."""
        if heading := _HEADING.fullmatch(line):
            self._next += 1
            return [_heading(len(heading[1]), heading[2])]
        bare = line.lstrip(" \t")
        match bare[:1]:
            case "#":
                return self._marked(line)
            case "|":
                return self._table()
            case ":":
                return self._colon(line)
        if _RULE.fullmatch(line):
            self._next += 1
            return []
        return self._list() if _ITEM.match(line) else None

    def _marked(self, line: str) -> list[Part] | None:
        """Read a comment, a keyword or a block."""
        if begin := _BEGIN.match(line):
            return self._block(begin[1].lower())
        if keyword := _KEYWORD.match(line):
            self._next += 1
            shown = keyword[1].lower() in _SHOWN_KEYWORDS
            return [Part("paragraph", _plain(keyword[2]))] if shown else []
        if _COMMENT.match(line) or _END.fullmatch(line):
            self._next += 1
            return []
        return None

    def _block(self, name: str) -> list[Part] | None:
        end = self._end(f"#+end_{name}")
        if end is None:
            return None
        body = self._lines[self._next + 1 : end]
        if name in _CODE:
            parts = [Part("code", "\n".join(_dedented(body)))]
        elif name in _QUOTES:
            quoted = _plain("\n".join(f"> {line.strip()}".rstrip() for line in body))
            parts = [Part("quote", quoted)]
        elif name in _HIDDEN:
            parts = []
        else:
            self._next += 1  # its content is like any other, and so is the line that ends it
            return []
        self._next = end + 1
        return parts

    def _end(self, mark: str) -> int | None:
        """Return the next line that is the mark, if there is one before the next heading."""
        if self._no_end.get(mark, 0) > self._next:
            return None
        i = self._next + 1
        while i < len(self._lines) and not _HEADING.fullmatch(self._lines[i]):
            if self._lines[i].strip().lower() == mark:
                return i
            i += 1
        self._no_end[mark] = i
        return None

    def _colon(self, line: str) -> list[Part] | None:
        """Read lines of fixed width, or a drawer."""
        if _FIXED.match(line):
            body = []
            while fixed := _FIXED.match(self._line()):
                body.append(fixed[1] or "")
                self._next += 1
            return [Part("code", "\n".join(body))]
        if drawer := _DRAWER.fullmatch(line):
            end = self._end(":end:") if drawer[1].lower() in _HIDDEN_DRAWERS else self._next
            if drawer[1].lower() == "end" or end is not None:
                self._next = (end or self._next) + 1
                return []
        return None

    def _line(self) -> str:
        return self._lines[self._next] if self._next < len(self._lines) else "*"

    def _table(self) -> list[Part]:
        rows: list[list[str]] = []
        headers = 0
        while (line := self._line().strip()).startswith("|"):
            self._next += 1
            if line.startswith("|-"):
                headers = headers or len(rows)
                continue
            cells = [_plain(cell.strip()) for cell in line.strip("|").split("|")]
            if not all(map(_COOKIE.fullmatch, cells)):
                rows.append(cells)
        headers = headers if headers < len(rows) else 0
        head, body = rows[:headers], rows[headers:]
        return [
            Part("table", markdown_table([*head, *body[i : i + MAX_ROWS]], headers=headers))
            for i in range(0, len(body), MAX_ROWS)
        ]

    def _list(self) -> list[Part]:
        """Read a list until its indentation ends, or two lines are empty."""
        lines: list[str] = []
        indents: list[int] = []
        while True:
            line = self._line()
            if not line.strip():
                line = self._lines[self._next + 1] if self._next + 1 < len(self._lines) else ""
                if not line.strip() or not (_ITEM.match(line) or _indent(line) > indents[0]):
                    break
                self._next += 1
            if _HEADING.fullmatch(line) or _BEGIN.match(line):
                break
            if item := _ITEM.match(line):
                indent = _indent(line)
                while indents and indents[-1] >= indent:
                    indents.pop()
                indents.append(indent)
                mark = f"{item[2][:-1]}." if item[2][0].isdigit() else "-"
                lines.append(f"{_margin(indents[1:])}{mark} {_plain(item[3] or '')}".rstrip())
            elif _indent(line) > indents[0]:
                lines.append(f"{_margin(indents)}{_plain(line.strip())}")
            else:
                break
            self._next += 1
        return [Part("list", "\n".join(lines))]


def _margin(indents: list[int]) -> str:
    return "  " * min(len(indents), MAX_NESTING)


def _indent(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def _heading(stars: int, text: str) -> Part:
    """Compose a heading; tags stay in its text and are no part of its label."""
    text = " ".join(_plain(text).split())
    level = min(stars, MAX_LEVEL)
    return Part("heading", f"{'#' * level} {text}", level, _TAGS.sub("", text))


def _dedented(lines: list[str]) -> list[str]:
    """Drop what all lines are indented by, and the commas that protect marks."""
    shared = min((_indent(line) for line in lines if line.strip()), default=0)
    bare = (line.expandtabs(8)[shared:].rstrip() for line in lines)
    return [line[1:] if line.startswith((",*", ",#+")) else line for line in bare]
