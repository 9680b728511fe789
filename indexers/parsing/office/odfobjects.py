"""Objects inside OpenDocument files: formulas and charts, which are small documents themselves.

Knows the text that is stored with them; nothing of the document around.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from lxml import etree

from indexers.parsing.office.grouping import Line
from indexers.parsing.office.odfpackage import CHART, TABLE, TEXT, XLINK
from indexers.parsing.office.tables import Cell, table_lines
from indexers.parsing.unzipping import SafeZip, read_entry
from indexers.parsing.xmlsafe import all_text, local, parse_xml, without_entities
from rag.errors import UnreadableDocument

MAX_CELLS = 100_000


def object_lines(archive: SafeZip, element: etree._Element) -> Iterator[Line]:
    """Yield the formula as it was typed in, or title and numbers of the chart."""
    folder = posixpath.normpath(element.get(f"{XLINK}href") or "")
    root = _root(archive, f"{folder}/content.xml") if folder not in ("", ".") else None
    if root is None:
        return
    if local(root) == "math":
        yield Line("paragraph", _formula(root))
        return
    for chart in root.iter(f"{CHART}chart"):
        for name in ("title", "subtitle"):
            title = chart.find(f"{CHART}{name}")
            yield Line("paragraph", "" if title is None else all_text(title).strip())
        for table in chart.iter(f"{TABLE}table"):
            yield from table_lines(_rows(table), headers=1)


def _root(archive: SafeZip, name: str) -> etree._Element | None:
    try:
        return without_entities(parse_xml(read_entry(archive, name, partial=True)))
    except UnreadableDocument:
        return None


def _formula(root: etree._Element) -> str:
    """Return the source of a formula; without one, its signs in their order."""
    for element in root.iter():
        if local(element) == "annotation" and element.text:
            return " ".join(element.text.split())
    return " ".join(all_text(root).split())


def _rows(table: etree._Element) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    count = 0
    for row in table.iter(f"{TABLE}table-row"):
        texts = (
            " ".join(all_text(p) for p in cell.iter(f"{TEXT}p"))
            for cell in row.iterchildren(f"{TABLE}table-cell")
        )
        rows.append([Cell("" if text == "NaN" else text) for text in texts])
        count += len(rows[-1])
        if count > MAX_CELLS:
            break
    shown = sorted({n for row in rows for n, cell in enumerate(row) if cell.text})
    return [[row[n] for n in shown if n < len(row)] for row in rows]
