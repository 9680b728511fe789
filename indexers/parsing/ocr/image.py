"""Pictures: the text that stands in them, and what they say of themselves.

Knows the files that Pillow reads, their sizes and pages; how text is found is the matter of `ocr`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from indexers.parsing.content import Content, Yielded
from indexers.parsing.ocr.imagenotes import DAMAGED, properties
from indexers.parsing.ocr.reading import ocr_available, read_image
from indexers.parsing.ocr.tesseract import not_installed
from rag.errors import UnreadableDocument
from rag.types import Place

MAX_PIXELS = 40_000_000
"""Of a picture as it is read; larger JPEG files are reduced while they are."""
MAX_PAGES = 1000
"""Of a TIFF file; those after are left out."""

_KINDS = (PngImageFile, JpegImageFile, TiffImageFile, GifImageFile, BmpImageFile, WebPImageFile)
_FORMATS = tuple(kind.format for kind in _KINDS)
_KIND_OF_PAGE, _REDUCED = 254, 1
"""The tag NewSubfileType, and its bit for a smaller copy of another page."""
_LEAST_DPI, _MOST_DPI = 96.0, 300.0
_LARGEST_CLAIM = 2400.0
_LONGEST_PAGE_IN, _SHEET_IN = 22.0, 11.7
_UNEVEN = 1.2


def parse_image(content: Content) -> Iterator[Yielded]:
    """Yield what the picture says of itself, then its text; the pages of a TIFF file have places.

    Raise `UnreadableDocument`: it is no picture, has too many pixels, or there is no Tesseract.
    """
    if not content.options.ocr:
        raise UnreadableDocument(
            "the text of pictures is not read", code="unsupported", hint="switch OCR on"
        )
    if not ocr_available():
        raise not_installed()
    with content.open() as file:
        image = _opened(file)
        pages = _pages(image)
        for number in range(pages):
            image = _loaded(image, number, file)
            if number == 0:
                yield properties(image, pages)
            elif _is_small_copy(image):
                continue
            picture, dpi = _upright(image)
            parts = read_image(picture, content.options, dpi=dpi)
            if parts and pages > 1:
                parts[0] = parts[0]._replace(places=(Place(0, "page", number + 1),))
            yield from parts


@contextmanager
def _guarded() -> Iterator[None]:
    """Turn what Pillow raises on damaged or huge files into `UnreadableDocument`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
            raise _too_large() from exc
        except DAMAGED as exc:
            raise UnreadableDocument(f"the picture is damaged: {exc}") from exc


def _too_large() -> UnreadableDocument:
    return UnreadableDocument(
        f"the picture has more than {MAX_PIXELS // 1_000_000} million pixels", code="too_large"
    )


def _opened(file: BinaryIO) -> Image.Image:
    """Read the head of the file."""
    with _guarded():
        try:
            return Image.open(file, formats=_FORMATS)
        except UnidentifiedImageError as exc:
            raise UnreadableDocument("the content is no picture that can be read") from exc


def _pages(image: Image.Image) -> int:
    """Count the pages of a TIFF file; of what moves, the first picture is all."""
    if image.format != "TIFF":
        return 1
    with _guarded():
        return min(int(getattr(image, "n_frames", 1)), MAX_PAGES)


def _loaded(image: Image.Image, number: int, file: BinaryIO) -> Image.Image:
    """Read a page; of a file that ends too early, what is there."""
    with _guarded():
        image.seek(number)
        _check_size(image)
        try:
            image.load()
        except OSError:
            return _mended(file, number)
        return image


def _is_small_copy(image: Image.Image) -> bool:
    """Whether a page of a TIFF file only repeats another one."""
    kind = getattr(image, "tag_v2", {}).get(_KIND_OF_PAGE, 0)
    return isinstance(kind, int) and bool(kind & _REDUCED)


def _check_size(image: Image.Image) -> None:
    """Refuse too many pixels; JPEG files can be read at a half to an eighth of their size."""
    if image.format in ("JPEG", "MPO"):
        width, height = image.size
        shrink = math.sqrt(MAX_PIXELS / max(1, width * height))
        wanted = (int(width * shrink / 2) + 1, int(height * shrink / 2) + 1)
        image.draft("L", wanted if shrink < 1 else image.size)
        if image.width < width and "dpi" in image.info:
            image.info["dpi"] = tuple(dpi * image.width / width for dpi in image.info["dpi"])
    if image.width * image.height > MAX_PIXELS:
        raise _too_large()


def _mended(file: BinaryIO, number: int) -> Image.Image:
    """Read a page whose data are not all there; what is missing is black."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        file.seek(0)
        image = Image.open(file, formats=_FORMATS)
        image.seek(number)
        _check_size(image)
        image.load()
        return image
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _upright(image: Image.Image) -> tuple[Image.Image, int]:
    """Return the picture as it is to be seen, and how many dots per inch it has both ways.

    Telefax pages have half as many down as across. Where the file says nothing credible, a picture
    of many pixels is taken for a sheet of paper, one of few for a screen.
    """
    across, down = _claimed(image)
    with _guarded():
        if across != down:
            dpi = max(across, down)
            size = (round(image.width * dpi / across), round(image.height * dpi / down))
            if size[0] * size[1] <= MAX_PIXELS:
                image, across = _resized(image, size), dpi
        return ImageOps.exif_transpose(image), round(across)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a grey picture of that size, which is still turned as the file says."""
    resized = image.convert("L").resize(size)
    resized.info = image.info
    return resized


def _claimed(image: Image.Image) -> tuple[float, float]:
    """Return the dots per inch across and down, where a page of that size can be; else a guess."""
    guess = min(_MOST_DPI, max(_LEAST_DPI, max(image.size) / _SHEET_IN))
    try:
        across, down = (float(value) for value in image.info.get("dpi", ()))
    except (TypeError, ValueError, ArithmeticError):
        return guess, guess
    if not all(_LEAST_DPI - 1 <= value <= _LARGEST_CLAIM for value in (across, down)):
        return guess, guess
    if max(image.width / across, image.height / down) > _LONGEST_PAGE_IN:
        return guess, guess
    return (across, down) if max(across, down) > _UNEVEN * min(across, down) else (across, across)
