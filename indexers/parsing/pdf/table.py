"""A table as it was found on a page, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from indexers.parsing.tabular import markdown_table

MAX_ROWS = 500
"""Of one part; a longer table becomes several, each with the header."""
_SAME_EDGE = 12.0


@dataclass(slots=True)
class Table:
    """Rows of equally many cells."""

    columns: list[tuple[float, float]]
    """Where each column begins and ends, in points."""
    header: list[str]
    """One text for each column; all empty: there is none."""
    rows: list[list[str]]

    @property
    def has_header(self) -> bool:
        return any(self.header)

    def texts(self) -> Iterator[str]:
        """Write the table in Markdown, cut between rows where it is long."""
        for start in range(0, max(1, len(self.rows)), MAX_ROWS):
            text = markdown_table([self.header, *self.rows[start : start + MAX_ROWS]])
            if text:
                yield text

    def goes_on(self, other: Table) -> bool:
        """Whether another table, without a header, has the same columns at the same places."""
        return (
            self.has_header
            and not other.has_header
            and len(self.columns) == len(other.columns)
            and all(
                abs(one[1] - two[1]) < _SAME_EDGE
                for one, two in zip(self.columns[1:], other.columns[1:], strict=True)
            )
        )


def one_header(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Join the rows of a header column by column, each text once."""
    columns = ([row[k] for row in rows if row[k]] for k in range(width))
    return [" ".join(dict.fromkeys(texts)) for texts in columns]
