"""Calls into pdfium that are made for every character or object of a page.

Knows how to make them fast: addresses are plain numbers, so that ctypes has nothing to convert,
which takes a third of the time. Knows nothing of what the answers mean.
"""

from __future__ import annotations

import ctypes
from collections import deque
from functools import cache
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pypdfium2.raw as raw

_BOX_BYTES = ctypes.sizeof(raw.FS_RECTF)


def loose_boxes(text_page: pdfium.PdfTextPage, count: int) -> npt.NDArray[np.float32]:
    """Return left, top, right and bottom of the first characters, as high as their font."""
    rectangles = (raw.FS_RECTF * count)()
    first = ctypes.addressof(rectangles)
    targets = range(first, first + _BOX_BYTES * count, _BOX_BYTES)
    deque(map(_loose_box(), repeat(_address(text_page)), range(count), targets), maxlen=0)
    return np.frombuffer(rectangles, np.float32).reshape(count, 4)


def object_kinds(page: pdfium.PdfPage, count: int) -> list[int]:
    """Return of which type the first objects of a page are."""
    objects = map(_object(), repeat(_address(page)), range(count))
    return list(map(_kind(), objects))


@cache
def _loose_box() -> Any:
    return _direct(
        raw.FPDFText_GetLooseCharBox, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
    )


@cache
def _object() -> Any:
    return _direct(raw.FPDFPage_GetObject, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)


@cache
def _kind() -> Any:
    return _direct(raw.FPDFPageObj_GetType, ctypes.c_int, ctypes.c_void_p)


def _direct(function: Any, result: Any, *arguments: Any) -> Any:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return ctypes.CFUNCTYPE(result, *arguments)(address)


def _address(handle: Any) -> int:
    return ctypes.cast(handle.raw, ctypes.c_void_p).value or 0
