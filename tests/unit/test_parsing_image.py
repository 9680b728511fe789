"""Pictures as files: what is read of them, what they say of themselves, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont, PngImagePlugin

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, ParseOptions, Part, Properties
from indexers.parsing.ocr import image as module
from indexers.parsing.ocr.image import parse_image
from indexers.parsing.ocr.tesseract import installed_languages
from rag.errors import UnreadableDocument
from rag.types import Document, Place

needs_english = pytest.mark.skipif(
    "eng" not in installed_languages(), reason="tesseract or its English is not installed"
)
Read = Callable[..., list[tuple[tuple[int, int], int]]]
FONT = ImageFont.load_default(36)


def drawn(text: str, size: tuple[int, int] = (900, 160)) -> Image.Image:
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((40, 50), text, font=FONT, fill=0)
    return image


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def only(data: bytes) -> Document:
    (document,) = documents(parse_image(Content(data, name="picture")))
    assert isinstance(document, Document)
    return document


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Image.Image, int]]:
    """Replace the reading of text; collect the pictures that should be read, and their dpi."""
    found: list[tuple[Image.Image, int]] = []

    def read(image: Image.Image, options: ParseOptions, *, dpi: int) -> list[Part]:
        found.append((image, dpi))
        return [Part("paragraph", f"one {len(found)}"), Part("paragraph", f"two {len(found)}")]

    monkeypatch.setattr(module, "read_image", read)
    monkeypatch.setattr(module, "ocr_available", lambda: True)
    return found


@needs_english
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"])
def test_every_format_is_read(format: str) -> None:
    document = only(saved(drawn("The harbour is closed on Sunday"), format))
    assert document.text == "The harbour is closed on Sunday"
    assert document.places == ()


def test_pages_of_a_tiff_have_places(seen: list[tuple[Image.Image, int]]) -> None:
    pages = [Image.new("L", (300, 200 + n), 255) for n in range(3)]
    document = only(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert document.text == "one 1\n\ntwo 1\n\none 2\n\ntwo 2\n\none 3\n\ntwo 3"
    assert document.places == (Place(0, "page", 1), Place(14, "page", 2), Place(28, "page", 3))
    assert document.metadata == {"meta.pages": 3}
    assert [image.height for image, _ in seen] == [200, 201, 202]


def test_small_copies_of_pages_are_left_out(seen: list[tuple[Image.Image, int]]) -> None:
    page, copy = Image.new("L", (300, 200), 255), Image.new("L", (30, 20), 255)
    copy.encoderinfo = {"tiffinfo": {254: 1}}  # type: ignore[attr-defined]
    data = saved(page, "TIFF", save_all=True, append_images=[copy])
    only(data)
    assert [image.size for image, _ in seen] == [(300, 200)]


def test_what_moves_is_read_once(seen: list[tuple[Image.Image, int]]) -> None:
    frames = [Image.new("L", (200, 100), level) for level in (250, 120, 0)]
    assert only(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])).places == ()
    assert len(seen) == 1
    assert seen[0][0].convert("L").getpixel((5, 5)) == 250


def test_notes_of_exif(seen: list[tuple[Image.Image, int]]) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada L."
    exif[ExifTags.Base.ImageDescription] = "A page\n of the log"
    exif[ExifTags.Base.Orientation] = 6
    exif[40091] = "Logbook".encode("utf-16-le") + b"\0\0"
    exif[40094] = "ships;log".encode("utf-16-le")
    exif.get_ifd(ExifTags.IFD.Exif)[36867] = "2019:05:12 10:30:00"
    document = only(saved(Image.new("L", (300, 200), 255), "JPEG", exif=exif))
    assert document.title == "Logbook"
    assert document.metadata == {
        "meta.author": "Ada L.",
        "meta.created": int(datetime(2019, 5, 12, 10, 30, tzinfo=UTC).timestamp()),
        "meta.description": "A page of the log",
        "meta.keywords": "ships;log",
    }
    assert seen[0][0].size == (200, 300)


def test_notes_of_png(seen: list[tuple[Image.Image, int]]) -> None:
    notes = PngImagePlugin.PngInfo()
    for name, text in (("Title", "Log"), ("Author", "Ada"), ("Creation Time", "2020-01-02")):
        notes.add_text(name, text)
    document = only(saved(Image.new("L", (300, 200), 255), "PNG", pnginfo=notes))
    assert document.title == "Log"
    assert document.metadata == {"meta.author": "Ada", "meta.created": 1577923200}


@pytest.mark.parametrize(
    ("size", "claim", "expected"),
    [
        ((850, 1100), (100, 100), 100),
        ((2480, 3508), (300, 300), 300),
        ((1700, 2200), None, 188),
        ((4000, 3000), (72, 72), 300),
        ((449, 110), None, 96),
        ((1700, 2200), (1e9, 1e9), 188),
    ],
)
def test_dots_per_inch_are_believed_or_guessed(
    seen: list[tuple[Image.Image, int]],
    size: tuple[int, int],
    claim: tuple[int, int] | None,
    expected: int,
) -> None:
    options = {"dpi": claim} if claim else {}
    only(saved(Image.new("1", size, 1), "TIFF", **options))
    assert [dpi for _, dpi in seen] == [expected]


def test_pages_of_a_telefax_are_stretched(seen: list[tuple[Image.Image, int]]) -> None:
    only(saved(Image.new("1", (1728, 1100), 1), "TIFF", dpi=(204, 98)))
    ((image, dpi),) = seen
    assert (image.size, dpi) == ((1728, round(1100 * 204 / 98)), 204)


def test_too_many_pixels_are_refused_before_they_are_read(
    seen: list[tuple[Image.Image, int]],
) -> None:
    for size in ((7000, 7000), (20_000, 20_000)):
        with pytest.raises(UnreadableDocument, match="million pixels") as raised:
            only(saved(Image.new("1", size), "PNG"))
        assert raised.value.code == "too_large"
    assert seen == []


def test_large_jpegs_are_read_at_half_their_size(
    seen: list[tuple[Image.Image, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 300_000)
    only(saved(Image.new("L", (800, 600), 255), "JPEG", dpi=(200, 200)))
    ((image, dpi),) = seen
    assert (image.size, dpi) == ((400, 300), 100)


def test_of_a_cut_file_what_is_there_is_read(seen: list[tuple[Image.Image, int]]) -> None:
    noise = Image.effect_noise((400, 400), 80)
    for format in ("JPEG", "PNG"):
        data = saved(noise, format)
        only(data[: len(data) * 2 // 3])
    assert [image.size for image, _ in seen] == [(400, 400)] * 2
    assert seen[0][0].crop((0, 0, 400, 100)).getextrema() != (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"II*\0\x08\0\0\0",
        b"words",
        b"%PDF-1",
    ],
)
def test_what_is_no_picture_is_malformed(data: bytes, seen: list[tuple[Image.Image, int]]) -> None:
    with pytest.raises(UnreadableDocument) as raised:
        only(data)
    assert raised.value.code == "malformed"
    assert seen == []


def test_damaged_files_raise_nothing_else(seen: list[tuple[Image.Image, int]]) -> None:
    pages = [Image.new("L", (60, 40), 255)] * 2
    whole = {
        format: saved(pages[0], format, **options)
        for format, options in (
            *(("PNG", {}), ("JPEG", {}), ("GIF", {}), ("BMP", {}), ("WEBP", {})),
            ("TIFF", {"save_all": True, "append_images": pages[1:], "compression": "tiff_lzw"}),
        )
    }
    outcomes = set()
    for data in whole.values():
        for at in range(0, len(data), max(1, len(data) // 40)):
            for value in (0, 0xFF):
                try:
                    only(data[:at] + bytes([value]) + data[at + 1 :])
                    outcomes.add("read")
                except UnreadableDocument as exc:
                    outcomes.add(exc.code)
    assert {"read", "malformed"} <= outcomes <= {"read", "malformed", "too_large"}


def test_without_the_program_or_the_wish_pictures_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = saved(Image.new("L", (30, 20), 255), "PNG")
    off = Content(data, name="a.png", options=ParseOptions(ocr=False))
    with pytest.raises(UnreadableDocument, match="switch OCR on") as raised:
        list(parse_image(off))
    assert raised.value.code == "unsupported"
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UnreadableDocument, match="install tesseract-ocr") as raised:
        only(data)
    assert raised.value.code == "unsupported"


@needs_english
def test_a_tiny_picture_without_text_is_an_empty_document() -> None:
    assert list(parse_image(Content(saved(Image.new("RGB", (1, 1)), "PNG")))) == [Properties()]
    assert only(saved(Image.new("RGBA", (16, 16), (200, 30, 30, 128)), "PNG")).text == ""


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "languages", "expected"),
    [
        ("chi_sim_image.jpeg", {"chi_sim", "chi_tra"}, ["新鲜甘草黄酮养分", "适用人群"]),
        # The models have no sign 倣, which stands between these two pieces.
        (
            "jpn-vert.jpeg",
            {"jpn", "jpn_vert"},
            ["元来日本語は漢文に", "、文字を上から下へ、また行を"],
        ),
    ],
)
def test_chinese_and_vertical_japanese_of_the_corpus(
    data_folder: Path, name: str, languages: set[str], expected: list[str]
) -> None:
    if not languages <= installed_languages():
        pytest.skip(f"tesseract has not all of {', '.join(sorted(languages))}")
    text = only((data_folder / "formats" / "ok" / name).read_bytes()).text
    for piece in expected:
        assert piece in text
