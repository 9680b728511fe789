"""Uploaded files: a form that is written to the spool while it arrives, never held in memory.

Whatever goes wrong on the way, nothing of the form stays. Knows forms and limits; what becomes of
the files is the run's matter.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from api.disconnecting import Gone
from api.naming import clean_name
from indexers.spool import Spool
from indexers.tasks import SpooledFile
from rag.errors import StorageFull, TooLarge, Unavailable, UserError

MAX_FILES = 100
MAX_FIELDS = 10
MAX_FIELD = 1 << 16
"""Bytes of a field that is no file."""
BATCH = 1 << 20
"""Bytes that are gathered before a thread writes them."""
HEADERS = 1 << 10
"""Bytes that a part counts for beside its data."""
MEDIA_TYPE = 200
"""Characters of a media type that is believed."""


@dataclass(slots=True)
class Form:
    """What a form had: files that lie in a folder of the spool, and fields."""

    folder: Path
    files: list[SpooledFile] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Part:
    """A part of the form under way."""

    name: str
    filename: str | None
    media_type: str
    file: IO[bytes] | None = None
    content: bytearray = field(default_factory=bytearray)
    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0


@asynccontextmanager
async def received(request: Request, spool: Spool, *, max_bytes: int) -> AsyncIterator[Form]:
    """Take a form with files of up to so many bytes each; its folder goes when an error leaves.

    Raise `UserError` for what is no form, `TooLarge`, and `StorageFull`.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    with _told():
        folder = await asyncio.to_thread(spool.open)
    try:
        with _told():
            form = await _read(request, boundary, Form(folder), max_bytes)
            await asyncio.to_thread(spool.settle, folder)
        yield form
    except BaseException:
        await asyncio.shield(asyncio.to_thread(spool.remove, folder))
        raise


@asynccontextmanager
async def spooled(
    spool: Spool, name: str, content: bytes, media_type: str = ""
) -> AsyncIterator[Form]:
    """Put one document into the spool as if a form had brought it."""
    with _told():
        folder = await asyncio.to_thread(spool.open)
    try:
        with _told():
            form = await asyncio.to_thread(_put, spool, folder, name, content, media_type)
        yield form
    except BaseException:
        await asyncio.shield(asyncio.to_thread(spool.remove, folder))
        raise


def _put(spool: Spool, folder: Path, name: str, content: bytes, media_type: str) -> Form:
    writer = _Writer(Form(folder), len(content))
    writer.begin(_Part("file", name, media_type))
    writer.data(content)
    writer.end()
    spool.settle(folder)
    return writer.form


async def _read(request: Request, boundary: bytes, form: Form, max_bytes: int) -> Form:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > shutil.disk_usage(form.folder).free:
        raise StorageFull("the disk has no room for this upload")
    writer = _Writer(form, max_bytes)
    parsing = _Parsing(boundary)
    try:
        try:
            async for chunk in request.stream():
                parsing.feed(chunk)
                if parsing.pending >= BATCH:
                    await asyncio.to_thread(parsing.hand_over, writer)
        except ClientDisconnect as exc:
            raise Gone("the caller went away while it sent a form") from exc
        await asyncio.to_thread(parsing.hand_over, writer)
    finally:
        writer.close()
    if not parsing.whole:
        raise UserError("the form ends before its last boundary")
    return form


class _Parsing:
    """The form as a series of steps for a writer, gathered until a thread takes them."""

    def __init__(self, boundary: bytes) -> None:
        self.pending = 0
        self.whole = False
        self._steps: list[_Part | bytes | None] = []
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_part_data": self._on_data,
                    "on_part_end": lambda: self._steps.append(None),
                    "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_headers,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as exc:
            raise UserError("the form's boundary cannot be used") from exc

    def feed(self, chunk: bytes) -> None:
        """Read on; raise `UserError` where it is no form."""
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise UserError(f"the form cannot be read: {exc}") from exc

    def hand_over(self, writer: _Writer) -> None:
        """Have everything written that was read; waits for the disk."""
        for step in self._steps:
            match step:
                case _Part():
                    writer.begin(step)
                case None:
                    writer.end()
                case _:
                    writer.data(step)
        self._steps, self.pending = [], 0

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._steps.append(data[start:end])
        self.pending += end - start

    def _on_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name, self._value = bytearray(), bytearray()

    def _on_headers(self) -> None:
        self.pending += HEADERS
        kind, options = parse_options_header(
            self._headers.get("content-disposition", "").encode("latin-1")
        )
        if kind != b"form-data" or b"name" not in options:
            raise UserError("a part of the form has no name")
        filename = options.get(b"filename")
        given = self._headers.get("content-type", "")
        self._steps.append(
            _Part(
                name=_text(options[b"name"]),
                filename=None if filename is None else _text(filename),
                media_type=given if len(given) <= MEDIA_TYPE and given.isprintable() else "",
            )
        )

    def _on_end(self) -> None:
        self.whole = True


class _Writer:
    """Writes the parts of a form, one after the other, within limits."""

    def __init__(self, form: Form, max_bytes: int) -> None:
        self.form, self._max_bytes = form, max_bytes
        self._part: _Part | None = None

    def begin(self, part: _Part) -> None:
        """Open a part; raise `TooLarge` when it is one too many."""
        form = self.form
        if part.filename is None:
            if len(form.fields) >= MAX_FIELDS or part.name in form.fields:
                raise UserError(f"the form has the field {part.name[:80]!r} twice, or too many")
        elif len(form.files) >= MAX_FILES:
            raise TooLarge(f"the form has more than {MAX_FILES} files", hint="send several forms")
        else:
            part.filename = clean_name(part.filename)
            if any(file.name == part.filename for file in form.files):
                raise UserError(f"the form has two files of the name {part.filename!r}")
            part.file = (form.folder / str(len(form.files))).open("xb")
        self._part = part

    def data(self, content: bytes) -> None:
        """Write on; raise `TooLarge` beyond a limit."""
        part = self._part
        assert part is not None
        part.size += len(content)
        if part.file is None:
            if part.size > MAX_FIELD:
                raise TooLarge(f"the field {part.name[:80]!r} is larger than {MAX_FIELD} bytes")
            part.content += content
            return
        if part.size > self._max_bytes:
            raise TooLarge(f"{part.filename!r} is larger than {self._max_bytes} bytes")
        part.file.write(content)
        part.digest.update(content)

    def end(self) -> None:
        """Close a part: a file is on the disk from here on."""
        part, self._part = self._part, None
        assert part is not None
        if part.file is None or part.filename is None:
            self.form.fields[part.name] = _text(bytes(part.content))
            return
        with part.file as file:
            file.flush()
            os.fsync(file.fileno())
        self.form.files.append(
            SpooledFile(
                name=part.filename,
                file=str(len(self.form.files)),
                digest=part.digest.hexdigest(),
                media_type=part.media_type,
            )
        )

    def close(self) -> None:
        """Close what an error left open."""
        if self._part is not None and self._part.file is not None:
            self._part.file.close()


@contextmanager
def _told() -> Iterator[None]:
    """Say what the disk refused."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(
                "the disk has no room for this upload", hint="free some space and send it again"
            ) from exc
        raise Unavailable(f"the upload cannot be written: {exc.strerror}") from exc


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type.encode("latin-1"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UserError(
            "the body is no form", hint="send multipart/form-data with one part for each file"
        )
    return options[b"boundary"]


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise UserError("a name or field of the form is not UTF-8") from exc
