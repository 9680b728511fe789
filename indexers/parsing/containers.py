"""What is inside a container: office files, books and archives look alike from outside.

Knows where each format says what it is; reads names of entries and a few bytes, nothing more.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping

from indexers.parsing import mediatypes as types
from indexers.parsing.content import Content
from indexers.parsing.office.ole import open_ole
from indexers.parsing.unzipping import SafeZip, open_zip, read_entry
from rag.errors import UnreadableDocument

TAR_BLOCK = 512
_PACKED = 1 << 16
"""Bytes that are unpacked to see whether a compressed file is a tar archive."""
_MAX_TYPE_NAME = 256

_OOXML = (
    ("word/", types.DOCX),
    ("xl/workbook.bin", types.XLSB),
    ("xl/", types.XLSX),
    ("ppt/", types.PPTX),
)
"""Folders of the main part, see ECMA-376 part 1 section 11 to 13."""
_ODF = {
    name: kind
    for kind in (types.ODT, types.ODS, types.ODP, types.ODG)
    for name in (kind, f"{kind}-template", f"{kind}-master", f"{kind}-web")
}
_OLE = (
    ("EncryptedPackage", types.OLE_ENCRYPTED),
    ("WordDocument", types.DOC),
    ("Workbook", types.XLS),
    ("Book", types.XLS),
    ("PowerPoint Document", types.PPT),
    ("__properties_version1.0", types.MSG),
)


def zip_type(content: Content) -> str | None:
    """Tell what a ZIP archive is; None when it is damaged or a bomb."""
    try:
        archive = open_zip(content)
        try:
            return _declared_type(archive) or _office_type(archive.names()) or types.ZIP
        finally:
            archive.close()
    except UnreadableDocument:
        return None


def _declared_type(archive: SafeZip) -> str | None:
    """Read the entry in which OpenDocument files and books say what they are."""
    if archive.find("mimetype") is None:
        return None
    try:
        name = read_entry(archive, "mimetype", _MAX_TYPE_NAME).decode("ascii", "ignore").strip()
    except UnreadableDocument:
        return None
    return types.EPUB if name == types.EPUB else _ODF.get(name)


def _office_type(names: list[str]) -> str | None:
    entries = [name.replace("\\", "/").lstrip("/").lower() for name in names]
    if "[content_types].xml" not in entries and "word/document.xml" not in entries:
        return None
    return next(
        (kind for start, kind in _OOXML for name in entries if name.startswith(start)), None
    )


def ole_type(content: Content) -> str | None:
    """Tell what an OLE2 compound file is; None when it is damaged or none of the known ones."""
    try:
        with open_ole(content) as container:
            return next((kind for stream, kind in _OLE if container.exists(stream)), None)
    except UnreadableDocument:
        return None


def is_tar(head: bytes) -> bool:
    """Whether a tar archive begins like this (POSIX pax and ustar, GNU)."""
    return head[257:262] == b"ustar"


def _zlib_start(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data, TAR_BLOCK)


def _bz2_start(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, TAR_BLOCK)


def _lzma_start(data: bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=256 << 20).decompress(data, TAR_BLOCK)


_UNPACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    types.GZIP: _zlib_start,
    types.BZIP2: _bz2_start,
    types.XZ: _lzma_start,
}


def compressed_type(content: Content, kind: str) -> str:
    """Return the type of a compressed tar archive, or `kind` when something else is compressed."""
    unpack = _UNPACKERS.get(kind)
    if unpack is None:
        return kind
    data = content.head(_PACKED if kind != types.BZIP2 else 1 << 20)
    try:
        return types.TAR if is_tar(unpack(data)) else kind
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, MemoryError):
        return kind
