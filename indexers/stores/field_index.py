"""The fields of rows, turned into columns: which rows satisfy a filter, without visiting them.

Knows the six nodes of the filter language, held to `rag.filters.matches` by tests; knows no
storage. Chunks of one document have equal fields, so equal fields are indexed once.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from rag.filters import ORDER, And, Compare, Eq, Exists, Filter, Not, Or, Scalar, Value, kind
from rag.types import Metadata

Mask: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = npt.NDArray[np.int32]


class Column:
    """One field: which of the distinct fields have it, and with which values."""

    def __init__(self) -> None:
        self.present = array("i")
        self.values: dict[str, dict[Scalar, array[int]]] = defaultdict(dict)
        """Per kind, per value: the numbers of the fields that have it."""

    def add(self, number: int, value: Value) -> None:
        """Note the value of the fields with this number, higher than all before."""
        self.present.append(number)
        for one in value if isinstance(value, list) else (value,):
            of_kind = self.values[kind(one)]
            if (having := of_kind.get(one)) is None:
                having = of_kind[one] = array("i")
            having.append(number)


class FieldIndex:
    """A growing set of rows, numbered in the order in which they came."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        """Distinct fields, as the text they are stored as, to their number."""
        self._decoded: list[Metadata] = []
        self._rows = array("i")
        """Per row the number of its fields."""
        self._columns: dict[str, Column] = {}
        """Made when a filter first asks for them: few fields are ever asked for."""

    def add(self, text: str, decode: Callable[[], Metadata]) -> None:
        """Append a row by the text of its fields, which is decoded when it is new."""
        number = self._number.get(text)
        if number is None:
            number = self._number[text] = len(self._number)
            self._decoded.append(decode())
            for field, value in self._decoded[-1].items():
                if field in self._columns:
                    self._columns[field].add(number, value)
        self._rows.append(number)

    @staticmethod
    def of(texts: Sequence[str], numbers: Numbers) -> FieldIndex:
        """Take up rows: `texts[numbers[i]]` are the fields of row i, as JSON."""
        index = FieldIndex()
        index._number = {text: number for number, text in enumerate(texts)}
        index._decoded = json.loads(f"[{','.join(texts)}]")
        index._rows = array("i", numbers.tobytes())
        return index

    def distinct(self, rows: npt.NDArray[np.int64]) -> tuple[list[str], Numbers]:
        """Return the distinct fields of some rows, and for each of these rows which it has."""
        used, numbers = np.unique(np.frombuffer(self._rows, np.int32)[rows], return_inverse=True)
        texts = list(self._number)
        return [texts[number] for number in used.tolist()], numbers.astype(np.int32)

    def mask(self, where: Filter) -> Mask:
        """Tell for each row whether it satisfies the filter: shape (rows,)."""
        mask: Mask = self._mask(where)[np.frombuffer(self._rows, np.int32)]
        return mask

    def _column(self, field: str) -> Column:
        column = self._columns.get(field)
        if column is None:
            column = Column()
            for number, fields in enumerate(self._decoded):
                if field in fields:
                    column.add(number, fields[field])
            if column.present:  # what nobody has may be asked for under any name
                self._columns[field] = column
        return column

    def _mask(self, where: Filter) -> Mask:
        match where:
            case Eq(field, value):
                values = self._column(field).values.get(kind(value), {})
                return self._marked([values[value]] if value in values else [])
            case Compare(field, op, bound):
                test = ORDER[op]
                values = self._column(field).values.get("number", {})
                # Only numbers stand under this key.
                return self._marked(n for v, n in values.items() if test(v, bound))  # type: ignore[arg-type]
            case Exists(field):
                return self._marked([self._column(field).present])
            case And(children):
                mask = np.ones(len(self._number), np.bool_)
                for child in children:
                    mask &= self._mask(child)
                return mask
            case Or(children):
                mask = np.zeros(len(self._number), np.bool_)
                for child in children:
                    mask |= self._mask(child)
                return mask
            case Not(child):
                return ~self._mask(child)
            case _:
                assert_never(where)

    def _marked(self, groups: Iterable[array[int]]) -> Mask:
        mask = np.zeros(len(self._number), np.bool_)
        for numbers in groups:
            mask[np.frombuffer(numbers, np.int32)] = True
        return mask
