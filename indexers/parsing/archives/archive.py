"""Archives (ZIP, tar) and single compressed files: a list of what is inside, and the files.

Knows which entries are worth reading and how many there may be; nothing is ever written to disk,
links are never followed. How deep archives lie in archives is the business of who reads them.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from indexers.parsing.archives.naming import member_name, shown_name, shown_size
from indexers.parsing.archives.tars import Entry, entries_of_tar, is_tar
from indexers.parsing.archives.unpacking import Unpacked
from indexers.parsing.content import Content, Member, Part, Yielded
from indexers.parsing.text.decoding import decode
from indexers.parsing.unzipping import SafeZip, open_zip, read_entry
from rag.errors import UnreadableDocument

MAX_ENTRY_BYTES = 64 << 20
MAX_ENTRIES = 10_000
MAX_LINES = 500
"""Of one part of the list."""

_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_REASONS = {
    "encrypted": "encrypted",
    "too_large": "too large",
    "malformed": "damaged",
    "unsupported": "packed in an unknown way",
}
_JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_ENDINGS = {".gz": "", ".bz2": "", ".xz": "", ".gzip": "", ".z": "", ".lzma": ""}


def parse_zip(content: Content) -> Iterator[Yielded]:
    """Read a ZIP archive; entries that need a password are tried with those of the options.

    Raise `UnreadableDocument`: malformed, too_large (a bomb, too many entries), encrypted (all
    entries). What is wrong with single entries stands in the list.
    """
    archive = open_zip(content)
    try:
        yield from _zip_members(archive, list(content.options.passwords))
    finally:
        archive.close()


def parse_tar(content: Content) -> Iterator[Yielded]:
    """Read a tar archive, plain or compressed with gzip, bzip2 or xz.

    Raise `UnreadableDocument`: malformed, too_large. Of an archive that is cut off, the entries
    before are read.
    """
    listing = _Listing()
    for entry in entries_of_tar(content, MAX_ENTRY_BYTES):
        name = member_name(entry.name)
        if not name or _is_junk(name):
            continue
        if entry.content is not None and listing.count < MAX_ENTRIES:
            yield Member(name, entry.content)
        elif entry.problem and not entry.is_special:
            code = "too_large" if entry.is_large else "malformed"
            yield Member(name, b"", error=UnreadableDocument(f"it is {entry.problem}", code=code))
        listing.add(name, entry)
    yield from listing.parts()


def parse_compressed(content: Content) -> Iterator[Yielded]:
    """Read a compressed file, or the archive that is in it.

    Raise `UnreadableDocument`: unsupported (another way of packing), malformed, too_large.
    """
    stream = Unpacked(content.open())
    data = bytearray()
    while piece := stream.read(1 << 16):
        data += piece
        if len(data) == len(piece) and is_tar(data):
            yield from parse_tar(content)
            return
        if len(data) > MAX_ENTRY_BYTES:
            raise UnreadableDocument(
                f"it unpacks to more than {MAX_ENTRY_BYTES:,} bytes", code="too_large"
            )
    if stream.is_damaged and not data:
        raise UnreadableDocument("the compressed file is damaged")
    name = member_name(_inner_name(content.name))
    yield Member(name, bytes(data))
    listing = _Listing()
    listing.add(name, Entry(name, len(data), None, "cut off" if stream.is_damaged else ""))
    yield from listing.parts()


@dataclass(slots=True)
class _Listing:
    """What an archive holds, as a text: so a file's name finds the archive."""

    lines: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, name: str, entry: Entry) -> None:
        """Add an entry, with its size and why it was not read."""
        self.count += 1
        if self.count <= MAX_ENTRIES:
            said = ", ".join(filter(None, (shown_size(entry.size), entry.problem)))
            self.lines.append(f"- {name} ({said})")

    def parts(self) -> Iterator[Part]:
        """Yield the list in parts of at most 500 lines."""
        for start in range(0, len(self.lines), MAX_LINES):
            yield Part("list", "\n".join(self.lines[start : start + MAX_LINES]))
        if self.count > MAX_ENTRIES:
            yield Part("paragraph", f"({self.count - MAX_ENTRIES:,} more entries were not read)")


def _zip_members(archive: SafeZip, passwords: list[str]) -> Iterator[Yielded]:
    listing = _Listing()
    refused: list[Member] = []
    was_read = False
    names = _zip_names(archive.entries())
    for info, path in zip(archive.entries(), names, strict=True):
        name = member_name(path)
        if not name or info.is_dir() or _is_junk(name):
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            listing.add(name, Entry(name, info.file_size, None, "a link"))
            continue
        problem = ""
        try:
            yield Member(name, _read(archive, info, passwords))
            was_read = True
        except UnreadableDocument as error:
            refused.append(Member(name, b"", error=error))
            problem = _REASONS.get(error.code, error.code)
        listing.add(name, Entry(name, info.file_size, None, problem))
    if refused and refused[0].error is not None and not was_read:
        raise refused[0].error
    yield from refused
    yield from listing.parts()


def _read(archive: SafeZip, info: zipfile.ZipInfo, passwords: list[str]) -> bytes:
    """Unpack an entry; the password that opens it is tried first on the next one.

    In the old way of encryption, a wrong password may only show at the end.
    """
    if not info.flag_bits & _ENCRYPTED:
        return read_entry(archive, info, MAX_ENTRY_BYTES, partial=True)
    if info.file_size > MAX_ENTRY_BYTES:
        raise UnreadableDocument("the archive's entry is too large", code="too_large")
    for password in list(passwords):
        try:
            data = read_entry(archive, info, MAX_ENTRY_BYTES, password=password)
        except UnreadableDocument as error:
            if error.code == "too_large":
                raise
        else:
            passwords.remove(password)
            passwords.insert(0, password)
            return data
    raise UnreadableDocument(
        f"the archive's entry {shown_name(info.filename)!r} is encrypted",
        code="encrypted",
        hint="configure its password" if not passwords else None,
    )


def _zip_names(entries: list[zipfile.ZipInfo]) -> list[str]:
    """Return the entries' names; where no encoding is said, all together tell which it is.

    Programs write names in UTF-8 or in the code page of their country, and often do not say so.
    """
    unsaid = [
        info.filename
        for info in entries
        if not info.flag_bits & _UTF8_NAME and not info.filename.isascii()
    ]
    try:
        raw = "\n".join(unsaid).encode("cp437")
        told = decode(raw).split("\n")
    except (UnicodeEncodeError, UnreadableDocument):
        told = unsaid
    known = dict(zip(unsaid, told, strict=True)) if len(told) == len(unsaid) else {}
    return [known.get(info.filename, info.filename) for info in entries]


def _is_junk(name: str) -> bool:
    """Whether the entry is a note of a file manager to itself."""
    folder, _, last = name.rpartition("/")
    return last in _JUNK or last.startswith("._") or f"/{folder}/".startswith("/__MACOSX/")


def _inner_name(name: str) -> str:
    """Return the name of a compressed file without the ending that says so."""
    stem, dot, ending = name.rpartition(".")
    if dot and f".{ending.lower()}" in _ENDINGS:
        return stem or "content"
    return name or "content"
