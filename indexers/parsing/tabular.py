"""Tables as Markdown, alike from every format.

The first line is the header, so that a row that is cut off can be shown with it. Knows nothing of
where the cells come from.
"""

from __future__ import annotations

from collections.abc import Sequence

RULE = "---"


def table_row(cells: Sequence[str]) -> str:
    """Write one row; white space in cells collapses, bars are escaped."""
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def markdown_table(rows: Sequence[Sequence[str]], *, headers: int = 1) -> str:
    """Write rows of equal or unequal length as a table; short rows are filled with empty cells.

    `headers`: how many of the first rows are the header. Several are joined column by column into
    one line (`2023 Net sales`), so that each cell below stands under all that is said of it; 0
    writes an empty header. A cell that spans several columns should be repeated in each. No rows
    give an empty text.
    """
    if not any(any(cell.strip() for cell in row) for row in rows):
        return ""
    width = max(len(row) for row in rows)
    filled = [[*row, *[""] * (width - len(row))] for row in rows]
    head = [_joined([row[column] for row in filled[:headers]]) for column in range(width)]
    return "\n".join([table_row(head), "|" + f"{RULE}|" * width, *map(table_row, filled[headers:])])


def _joined(cells: Sequence[str]) -> str:
    """Join the header cells of one column, each text once."""
    return " ".join(dict.fromkeys(" ".join(cell.split()) for cell in cells if cell.strip()))
