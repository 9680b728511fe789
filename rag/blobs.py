"""Files kept for documents, content-addressed within their document, on any fsspec file system.

A file lies at `<root>/<document id>/<sha256 of its content>`: equal contents of two documents are
two files, so that deleting one document never asks what another one needs. Plain functions that
wait for files; callers run them in a thread. Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from rag.durable import sync_folder
from rag.errors import ConfigError, MissingExtra, NotFound, Rejected, Unavailable

PIECE = 1 << 20
"""Bytes that are read at once of a large content."""
DIGEST = re.compile(r"[0-9a-f]{64}")


def content_digest(content: bytes) -> str:
    """Return the digest under which a content is kept."""
    return hashlib.sha256(content).hexdigest()


class Blobs:
    """Files under one root URL; a bare path is a local folder."""

    def __init__(self, root: str) -> None:
        import fsspec

        try:
            self._files, self._root = fsspec.core.url_to_fs(root)
        except ImportError as exc:
            raise MissingExtra(
                f"no driver for {root.partition('://')[0]}:// is installed: {exc}"
            ) from exc
        except ValueError as exc:
            raise ConfigError(f"{root} is no place for files: {exc}") from exc

    def put(self, document_id: str, content: bytes) -> str:
        """Keep a content, durably when this returns; return its digest."""
        self.put_all([(document_id, content)])
        return content_digest(content)

    def put_all(self, contents: Sequence[tuple[str, bytes]]) -> None:
        """Keep contents, given with their document's id; all are durable when this returns."""
        files = [
            (self._path(document_id, content_digest(content)), content)
            for document_id, content in contents
        ]
        try:
            if isinstance(self._files, _local_files()):
                _write_all([(Path(path), content) for path, content in files])
            else:  # an object store writes whole or not at all by itself
                for path, content in files:
                    self._files.pipe_file(path, content)
        except OSError as exc:
            raise Unavailable(
                f"a text cannot be written: {exc.strerror or exc}", hint="is the disk full?"
            ) from exc

    def put_file(self, document_id: str, path: Path, digest: str) -> None:
        """Keep the content of a file, however large, durably; raise `Unavailable` if it changed."""
        target = self._path(document_id, digest)
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise Unavailable("the file changed while it was read")
                file.seek(0)
                if isinstance(self._files, _local_files()):
                    _write_all([(Path(target), file)])
                else:
                    self._files.put_file(str(path), target)
        except OSError as exc:
            raise Unavailable(
                f"a text cannot be written: {exc.strerror or exc}", hint="is the disk full?"
            ) from exc

    def pieces(self, document_id: str, digest: str) -> Iterator[bytes]:
        """Yield a content piece by piece; the errors are those of `get`.

        The last piece comes when all of it was found to be what was written.
        """
        path, found, before = self._path(document_id, digest), hashlib.sha256(), b""
        try:
            with self._files.open(path, "rb") as file:
                while piece := file.read(PIECE):
                    found.update(piece)
                    if before:
                        yield before
                    before = piece
        except FileNotFoundError as exc:
            raise _missing(document_id) from exc
        except OSError as exc:
            raise _unreadable(document_id, exc) from exc
        if found.hexdigest() != digest:
            raise _damaged(document_id)
        yield before

    def size(self, document_id: str, digest: str) -> int:
        """Return the bytes of a content; raise `NotFound`."""
        try:
            return int(self._files.size(self._path(document_id, digest)))
        except FileNotFoundError as exc:
            raise _missing(document_id) from exc
        except OSError as exc:
            raise _unreadable(document_id, exc) from exc

    def get(self, document_id: str, digest: str) -> bytes:
        """Return a content; raise `NotFound`, or `Rejected` when it is not what was written."""
        try:
            content: bytes = self._files.cat_file(self._path(document_id, digest))
        except FileNotFoundError as exc:
            raise _missing(document_id) from exc
        except OSError as exc:
            raise _unreadable(document_id, exc) from exc
        if content_digest(content) != digest:
            raise _damaged(document_id)
        return content

    def listed(self) -> Iterator[tuple[str, str]]:
        """Yield (document id, digest) of all that is kept; other files are passed over."""
        if not self._files.exists(self._root):
            return
        for path in self._files.find(self._root):
            document_id, _, digest = path.removeprefix(self._root).lstrip("/").partition("/")
            if DIGEST.fullmatch(digest):
                yield document_id, digest

    def drop(self, document_id: str, digest: str) -> None:
        """Remove a content; a missing one is no error."""
        folder, path = self._folder(document_id), self._path(document_id, digest)
        try:
            with suppress(FileNotFoundError):
                self._files.rm_file(path)
            if isinstance(self._files, _local_files()):
                _clear_parts(Path(path))
        except OSError as exc:
            raise _cannot_remove(exc) from exc
        with suppress(OSError):  # it has other contents, or the store knows no folders
            self._files.rmdir(folder)

    def drop_all(self, document_id: str) -> None:
        """Remove everything that is kept for a document."""
        folder = self._folder(document_id)
        try:
            if self._files.exists(folder):
                self._files.rm(folder, recursive=True)
        except FileNotFoundError:
            pass  # somebody else was faster
        except OSError as exc:
            raise _cannot_remove(exc) from exc

    def _path(self, document_id: str, digest: str) -> str:
        return f"{self._folder(document_id)}/{digest}"

    def _folder(self, document_id: str) -> str:
        uuid.UUID(document_id)  # a name that is no id must never become a path
        return f"{self._root}/{document_id}"


def _missing(document_id: str) -> NotFound:
    return NotFound(
        f"the text of document {document_id} is not in the data folder",
        hint="run: rag doctor --fix",
    )


def _unreadable(document_id: str, exc: OSError) -> Unavailable:
    return Unavailable(
        f"the text of document {document_id} cannot be read: {exc.strerror or exc}",
        hint="check the disk",
    )


def _damaged(document_id: str) -> Rejected:
    return Rejected(f"the text of document {document_id} is damaged", hint="run: rag doctor --fix")


def _cannot_remove(exc: OSError) -> Unavailable:
    return Unavailable(f"a text cannot be removed: {exc.strerror or exc}", hint="check the disk")


def _write_all(files: Sequence[tuple[Path, bytes | BinaryIO]]) -> None:
    """Write files whole or not at all: first all contents reach the disk, then all names."""
    new = {target.parent for target, _ in files if not target.parent.exists()}
    for target, content in files:
        for again in (True, True, False):
            try:
                _replace(target, content)
                break
            except FileNotFoundError:  # `drop` took the empty folder or the part away in between
                if not again:
                    raise
    for folder in {target.parent for target, _ in files} | {folder.parent for folder in new}:
        with suppress(FileNotFoundError):  # dropped already
            sync_folder(folder)


def _replace(target: Path, content: bytes | BinaryIO) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        with part.open("wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content.seek(0)
                shutil.copyfileobj(content, file, PIECE)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _clear_parts(target)


def _clear_parts(target: Path) -> None:
    """Remove what writers of this file left when they were killed; a live one tries again."""
    for part in target.parent.glob(f".{target.name}.*"):
        part.unlink(missing_ok=True)


def _local_files() -> Any:
    from fsspec.implementations.local import LocalFileSystem

    return LocalFileSystem
