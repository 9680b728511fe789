"""The rows that a search may return: as a mask, as numbers, as bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

RowNumbers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """The rows that a search may return."""

    mask: npt.NDArray[np.bool_]
    count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", int(np.count_nonzero(self.mask)))

    @cached_property
    def rows(self) -> RowNumbers:
        """Their numbers, ascending."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> npt.NDArray[np.uint8]:
        """The mask with eight rows in a byte, the lowest bit first."""
        return np.packbits(self.mask, bitorder="little")
