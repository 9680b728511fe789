"""The fields of rows, turned into columns: which rows satisfy a filter, without visiting them.

Knows the six nodes of the filter language, held to `rag.filters.matches` by tests; knows no
storage. Chunks of one document have equal fields, so equal fields are indexed once.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from rag.filters import ORDER, And, Compare, Eq, Exists, Filter, Not, Or, Scalar, elements, kind
from rag.types import Metadata

Mask: TypeAlias = npt.NDArray[np.bool_]


class FieldIndex:
    """A growing set of rows, numbered in the order in which they came."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        """Distinct fields, as the text they are stored as, to their number."""
        self._rows = array("i")
        """Per row the number of its fields."""
        self._values: dict[tuple[str, str], dict[Scalar, array[int]]] = defaultdict(dict)
        """Per field and kind, per value: the numbers of the fields that have it."""
        self._present: dict[str, array[int]] = {}

    def add(self, text: str, decode: Callable[[], Metadata]) -> None:
        """Append a row by the text of its fields, which is decoded when it is new."""
        number = self._number.get(text)
        if number is None:
            number = self._number[text] = len(self._number)
            self._learn(number, decode())
        self._rows.append(number)

    def mask(self, where: Filter) -> Mask:
        """Tell for each row whether it satisfies the filter: shape (rows,)."""
        mask: Mask = self._mask(where)[np.frombuffer(self._rows, np.int32)]
        return mask

    def _learn(self, number: int, fields: Metadata) -> None:
        for field in fields:
            self._present.setdefault(field, array("i")).append(number)
            for value in elements(fields, field):
                of_kind = self._values[field, kind(value)]
                of_kind.setdefault(value, array("i")).append(number)

    def _mask(self, where: Filter) -> Mask:
        match where:
            case Eq(field, value):
                values = self._values.get((field, kind(value)), {})
                return self._marked([values[value]] if value in values else [])
            case Compare(field, op, bound):
                test = ORDER[op]
                values = self._values.get((field, "number"), {})
                # Only numbers stand under this key.
                return self._marked(n for v, n in values.items() if test(v, bound))  # type: ignore[arg-type]
            case Exists(field):
                return self._marked([self._present[field]] if field in self._present else [])
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
