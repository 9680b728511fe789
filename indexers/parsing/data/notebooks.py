"""Jupyter notebooks (nbformat 3 and 4, https://nbformat.readthedocs.io): prose, code, outputs.

Prose is read as Markdown; of outputs only text is kept, no pictures and no pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.data.json_records import parse_json
from indexers.parsing.markup.markdown import parse_markdown
from indexers.parsing.metadata import metadata
from indexers.parsing.text.decoding import cleaned, decode
from rag.errors import UnreadableDocument

MAX_BYTES = 64 << 20
MAX_OUTPUT = 10_000
"""Characters of one output: more of them is a log or data."""


def parse_notebook(content: Content) -> Iterator[Yielded]:
    """Yield the cells in order; what is no notebook is read as any JSON."""
    if content.size > MAX_BYTES:
        raise UnreadableDocument(
            f"a notebook of {content.size:,} bytes is read as a whole, allowed are {MAX_BYTES:,}",
            code="too_large",
            hint="clear its outputs",
        )
    try:
        notebook = orjson.loads(decode(content.read()))
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        notebook = None
    cells = _cells(notebook)
    if cells is None:
        yield from parse_json(content)
        return
    yield _properties(notebook)
    titled = False
    for cell in cells:
        for part in _parts(cell):
            if part.level == 1 and part.label and not titled:
                titled = True
                yield Properties(title=part.label)
            yield part


def _cells(notebook: Any) -> list[Any] | None:
    """Return the cells; those of the older format stand in worksheets."""
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        return None
    if isinstance(sheets := notebook.get("worksheets"), list):
        found = [_list(sheet.get("cells")) for sheet in sheets if isinstance(sheet, dict)]
        return [cell for cells in found for cell in cells]
    return _list(notebook.get("cells"))


def _properties(notebook: dict[str, Any]) -> Properties:
    said = _dict(notebook.get("metadata"))
    language = _dict(said.get("language_info")).get("name")
    authors = [_dict(author).get("name") for author in _list(said.get("authors"))]
    names = ", ".join(name for name in authors if isinstance(name, str))
    fields: dict[object, object] = {"programming_language": language}
    if names:
        fields["author"] = names
    title = said.get("title")
    return Properties(title if isinstance(title, str) else None, metadata(fields))


def _parts(cell: Any) -> Iterator[Part]:
    cell = _dict(cell)
    source = _joined(cell.get("source", cell.get("input")))
    match cell.get("cell_type"):
        case "markdown":
            prose = parse_markdown(source.encode())
            for block in prose.blocks:
                text = prose.text[block.start : block.end]
                yield Part(block.kind, text, block.level, block.label)
        case "heading":
            level = cell.get("level")
            level = level if isinstance(level, int) and 1 <= level <= 6 else 1
            label = " ".join(source.split())
            yield Part("heading", f"{'#' * level} {label}", level, label)
        case "code":
            yield Part("code", source)
            for output in _list(cell.get("outputs")):
                yield Part("code", _output(_dict(output)))
        case _:
            yield Part("paragraph", source)


def _output(output: dict[str, Any]) -> str:
    """Return the text of an output, if it has any."""
    if "ename" in output:
        return f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
    text = output.get("text") or _dict(output.get("data")).get("text/plain")
    return _joined(text)[:MAX_OUTPUT]


def _joined(text: Any) -> str:
    """Read a text that may be written as a list of lines."""
    lines = text if isinstance(text, list) else [text]
    whole = "".join(line for line in lines if isinstance(line, str))
    return cleaned(whole.replace("\r\n", "\n").replace("\r", "\n"))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
