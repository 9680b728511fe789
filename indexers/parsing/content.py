"""What a parser gets and what it yields.

A parser is a generator: it yields the parts of a text in reading order, what the file says of
itself, and the files that it contains. It keeps no more of a large file in memory than one part
needs, wherever the format allows that.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, TypeAlias

from rag.errors import UnreadableDocument
from rag.types import BlockKind, Document, Metadata, Place


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """What a person may choose; it crosses the border of the process as JSON."""

    passwords: tuple[str, ...] = ()
    """Tried on encrypted files, in order."""
    parsers: Mapping[str, str] = field(default_factory=dict)
    """Further parsers: endings of names to `module:function`."""
    ocr: bool = True
    """Read scanned pages and images, where Tesseract is installed."""
    ocr_languages: tuple[str, ...] = ()
    """Tesseract's names (`eng`, `chi_sim`); empty: those of the script that is found."""


class Content:
    """The bytes of a file: in memory, or behind a descriptor that was opened for reading."""

    def __init__(
        self, source: bytes | int, *, name: str = "", options: ParseOptions | None = None
    ) -> None:
        """Take the bytes or the descriptor (it stays the caller's), and the file's bare name."""
        self._source = source
        self.name = name
        self.options = options or ParseOptions()
        self.size = len(source) if isinstance(source, bytes) else os.fstat(source).st_size
        self.read_up_to = 0
        self._reported: int | None = None

    @property
    def reached(self) -> int:
        """How far a parser is, in bytes: as it reported, else up to where it has read."""
        return self.read_up_to if self._reported is None else self._reported

    def report(self, share: float) -> None:
        """Say how far a parser is (0 to 1) that does not read from front to back."""
        self._reported = int(share * self.size)

    def head(self, size: int) -> bytes:
        """Return the first bytes."""
        return self._source[:size] if isinstance(self._source, bytes) else self._at(0, size)

    def read(self) -> bytes:
        """Return all bytes at once: for formats that cannot be read otherwise."""
        return self._source if isinstance(self._source, bytes) else self.open().read()

    def open(self) -> BinaryIO:
        """Return a new file to read and seek in, with a position of its own."""
        if isinstance(self._source, bytes):
            return io.BytesIO(self._source)
        return io.BufferedReader(_Descriptor(self._source, self), 1 << 16)

    def _at(self, offset: int, size: int) -> bytes:
        assert isinstance(self._source, int)
        return os.pread(self._source, size, offset)


class _Descriptor(io.RawIOBase):
    """A descriptor as a file with a position of its own."""

    def __init__(self, descriptor: int, content: Content) -> None:
        self._descriptor, self._content, self._position = descriptor, content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        read = os.preadv(self._descriptor, [buffer], self._position)
        self._position += read
        self._content.read_up_to = max(self._content.read_up_to, self._position)
        return read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._content.size}[
            whence
        ]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position


class Part(NamedTuple):
    """The text of a block, before it has a place in a document.

    The text of a heading carries its Markdown marks (`## Name`), and `label` is the bare name.
    Tables are Markdown tables, see `tabular.markdown_table`.
    """

    kind: BlockKind
    text: str
    level: int = 0
    label: str = ""
    places: tuple[Place, ...] = ()
    """Where in the file the text stands, `start` counted from the part's own beginning. A part
    without any stands where the part before it stood."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What a file says of itself; later ones add to earlier ones."""

    title: str | None = None
    """From the content, never from the file name."""
    metadata: Metadata = field(default_factory=dict)
    """From `metadata.metadata(…)`; common names: author, created, modified (epoch seconds), lang,
    pages, subject, keywords."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a file: an entry of an archive, an attachment of a mail."""

    name: str
    """Its path inside, with slashes, as the file says; only shown, never used as a path."""
    content: bytes
    media_type: str = ""
    """As the container declares it; the content tells more."""
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)
    error: UnreadableDocument | None = None
    """Why its content could not be taken out; then there is none."""


class Pulse:
    """A sign of life: work goes on, though there is nothing to show yet (a page without text)."""


Yielded: TypeAlias = Part | Properties | Member | Document | Pulse
"""A `Document` stands for all of its text, where a parser reads the whole at once (Markdown)."""
Parser: TypeAlias = Callable[[Content], Iterator[Yielded]]
