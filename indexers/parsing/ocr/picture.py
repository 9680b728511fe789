"""A picture of a page made ready to be read: grey, even, upright lines, about 300 dots per inch.

Knows brightness and geometry; nothing of text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

DPI = 300
"""What Tesseract's models were trained for."""
MAX_PIXELS = 12_000_000
"""Of a picture that is read: an A3 page at 240 dots per inch."""
DARK = 128
"""Pixels below are ink, once the background is white."""

_COARSE = 4
_LOW_DPI, _HIGH_DPI = 220, 400
_LEAST_CONTRAST = 40
_SPECKS = 60
"""Pixels; a letter in small print has about 100."""
_LEAST_INK = 40
"""Such squares; a digit in small print has about 100."""
_PAPER = 110
"""A darker background is a photograph or light text on dark ground, and stays as it is."""
_GREYS = 0.03
"""Share of grey pixels from which on a background counts as shaded."""
_MARGIN_IN = 0.1
"""White around the picture; letters that touch its edge are misread."""
_LARGEST_SKEW = 5.0
_LEAST_SKEW = 0.25

Mask: TypeAlias = npt.NDArray[np.bool_]
Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """Grey pixels with a white background, and their dots per inch."""

    pixels: Pixels
    dpi: int

    def image(self) -> Image.Image:
        """Return the picture as Pillow has it."""
        return Image.fromarray(self.pixels)

    def turned(self, degrees: int) -> Picture:
        """Return the picture turned clockwise by a multiple of 90 degrees, and straightened."""
        turned = np.rot90(self.pixels, -(degrees // 90) % 4)
        return straightened(Picture(np.ascontiguousarray(turned), self.dpi))


def prepared(image: Image.Image, dpi: int) -> Picture | None:
    """Return the picture as Tesseract likes it; None when there is nothing in it to read."""
    grey = _flat(image)
    low, high = _extremes(grey)
    if high - low < _LEAST_CONTRAST:
        return None
    grey, dpi = _scaled(grey, max(1, dpi))
    stretched = grey.point([_stretch(level, low, high) for level in range(256)])
    pixels = _evened(np.asarray(stretched))
    if not has_ink(pixels):
        return None
    margin = max(1, round(_MARGIN_IN * dpi))
    return straightened(Picture(np.pad(pixels, margin, constant_values=255), dpi))


def has_ink(pixels: Pixels) -> bool:
    """Whether there is more than a few specks of dust: dark squares of two by two pixels."""
    dark = pixels < DARK
    wide = dark[:, 1:] & dark[:, :-1]
    return int(np.count_nonzero(wide[1:] & wide[:-1])) >= _LEAST_INK


def straightened(picture: Picture) -> Picture:
    """Turn the picture by the few degrees by which its lines of text are askew."""
    angle = _skew(picture.pixels)
    if abs(angle) < _LEAST_SKEW:
        return picture
    turned = picture.image().rotate(angle, Image.Resampling.BICUBIC, fillcolor=255)
    return Picture(np.asarray(turned), picture.dpi)


def _flat(image: Image.Image) -> Image.Image:
    """Return the picture in grey; what is transparent is white."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        return _from_wide(image)
    if "transparency" in image.info and "A" not in image.getbands():
        image = image.convert("RGBA")
    grey = image.convert("L")
    if "A" in image.getbands():
        ground = Image.new("L", image.size, 255)
        ground.paste(grey, mask=image.getchannel("A"))
        return ground
    return grey


def _from_wide(image: Image.Image) -> Image.Image:
    """Bring more than 256 levels of grey down to 256."""
    levels = np.nan_to_num(np.asarray(image, dtype=np.float32))
    low, high = float(levels.min()), float(levels.max())
    scaled = (levels - low) * (255.0 / max(high - low, 1e-9))
    return Image.fromarray(scaled.astype(np.uint8))


def _extremes(grey: Image.Image) -> tuple[int, int]:
    """Return the levels below and above which only a few specks are."""
    counts = np.cumsum(grey.histogram())
    few = max(1, min(_SPECKS, int(counts[-1]) // 1000))
    return int(np.searchsorted(counts, few)), int(np.searchsorted(counts, counts[-1] - few))


def _stretch(level: int, low: int, high: int) -> int:
    return min(255, max(0, (level - low) * 255 // (high - low)))


def _scaled(grey: Image.Image, dpi: int) -> tuple[Image.Image, int]:
    """Bring the picture near 300 dots per inch, as far as its size allows."""
    factor = DPI / dpi if not _LOW_DPI <= dpi <= _HIGH_DPI else 1.0
    factor = min(factor, (MAX_PIXELS / (grey.width * grey.height)) ** 0.5)
    if abs(factor - 1) < 0.05:
        return grey, dpi
    size = (max(1, round(grey.width * factor)), max(1, round(grey.height * factor)))
    way = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX
    return grey.resize(size, way), max(1, round(dpi * factor))


def _evened(pixels: Pixels) -> Pixels:
    """Make shaded backgrounds white: each pixel in proportion to the brightest ones around it."""
    greys = np.count_nonzero((pixels > _PAPER) & (pixels < 230))
    if greys < _GREYS * pixels.size:
        return pixels
    image = Image.fromarray(pixels)
    coarse = image.reduce(_COARSE) if min(image.size) >= _COARSE else image
    ground = coarse.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.MaxFilter(9))
    ground = ground.filter(ImageFilter.MinFilter(9)).filter(ImageFilter.MinFilter(9))
    ground = ground.filter(ImageFilter.GaussianBlur(1))
    level = np.asarray(ground.resize(image.size, Image.Resampling.BILINEAR)).astype(np.uint16)
    level[level < _PAPER] = 255
    even: Pixels = np.minimum(pixels.astype(np.uint16) * 255 // level, 255).astype(np.uint8)
    return even


def _skew(pixels: Pixels) -> float:
    """Estimate by how many degrees the lines of text climb; 0 where there are no lines.

    The angle at which the sums of ink along lines differ most (W. Postl, US patent 4,723,297).
    """
    reduced = np.asarray(Image.fromarray(pixels).reduce(_COARSE)) if pixels.size else pixels
    rows, columns = np.nonzero(reduced < DARK)
    if len(rows) < 500:
        return 0.0
    step = max(1, len(rows) // 40_000)
    rows, columns = rows[::step].astype(np.float32), columns[::step].astype(np.float32)

    def sharpness(angle: float) -> float:
        along = rows + columns * np.float32(np.tan(np.radians(angle)))
        counts = np.bincount((along - along.min()).astype(np.int32))
        return float(np.sum(counts.astype(np.float64) ** 2))

    level = sharpness(0.0)
    best = max(np.arange(-_LARGEST_SKEW, _LARGEST_SKEW + 0.1, 0.5), key=sharpness)
    best = max(np.arange(best - 0.4, best + 0.45, 0.1), key=sharpness)
    return -float(best) if sharpness(best) > 1.1 * level else 0.0
