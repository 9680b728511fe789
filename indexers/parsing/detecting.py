"""Which media type a file has: by its content first, then by the ending of its name.

Knows the first bytes of formats and in which order the evidence counts; what containers hold and
how texts begin is told by `containers` and `markings`. Names of types are in `mediatypes`.
"""

from __future__ import annotations

import re

from indexers.parsing import mediatypes as types
from indexers.parsing.containers import compressed_type, is_tar, ole_type, zip_type
from indexers.parsing.content import Content
from indexers.parsing.markings import json_type, mail_type, markup_type
from indexers.parsing.text.decoding import HEAD, binary_format, head_text

_ENDING = re.compile(r"\.([a-z][a-z0-9_+-]{0,11}|1st)$")
_MAGIC = (
    (b"%PDF-", types.PDF),
    (b"\x89PNG\r\n\x1a\n", types.PNG),
    (b"\xff\xd8\xff", types.JPEG),
    (b"II*\0", types.TIFF),
    (b"MM\0*", types.TIFF),
    (b"II+\0", types.TIFF),
    (b"MM\0+", types.TIFF),
    (b"GIF87a", types.GIF),
    (b"GIF89a", types.GIF),
    (b"{\\rtf", types.RTF),
    (b"\x1f\x8b\x08", types.GZIP),
    (b"BZh", types.BZIP2),
    (b"\xfd7zXZ\0", types.XZ),
    (b"\x28\xb5\x2f\xfd", types.ZSTD),
    (b"7z\xbc\xaf\x27\x1c", types.SEVEN_ZIP),
    (b"Rar!\x1a\x07", types.RAR),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_JUNK = 1024
"""Bytes that may stand before a PDF (ISO 32000-1 Annex H, 3.4.1)."""


def detect(name: str, content: Content) -> str | None:
    """Return the type of a file; None when it is of no type that can be told.

    A binary format that is recognised counts more than the name's ending. Of text, a known ending
    decides; names without one, or with one that says nothing, are judged by how the text begins.
    A file without content is an empty text.
    """
    head = content.head(HEAD)
    if not head:
        return types.TEXT
    ending = _ending(name)
    return _binary_type(head, content, ending) or _text_type(head, content, ending)


def _ending(name: str) -> str:
    found = _ENDING.search(name.lower())
    return found[1] if found else ""


def _binary_type(head: bytes, content: Content, ending: str) -> str | None:
    if head.startswith(_ZIP):
        return zip_type(content) or types.BINARY_ENDINGS.get(ending, types.ZIP)
    if head.startswith(_OLE):
        return ole_type(content) or types.BINARY_ENDINGS.get(ending)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return compressed_type(content, kind)
    if is_tar(head):
        return types.TAR
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return types.WEBP
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return types.BMP
    if b"%PDF-" in head[:_JUNK] and (ending == "pdf" or binary_format(head) is not None):
        return types.PDF
    return None


def _text_type(head: bytes, content: Content, ending: str) -> str | None:
    if binary_format(head) is not None:
        return None
    if ending in types.TEXT_ENDINGS:
        return types.TEXT_ENDINGS[ending]
    text = head_text(head)
    found = markup_type(text) or mail_type(text)
    if found is not None or ending:
        return found
    return json_type(head, is_whole=len(head) == content.size) or types.TEXT
