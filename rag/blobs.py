"""Parsed texts, content-addressed within their document, on any fsspec file system.

A text lies at `<root>/<document id>/<sha256 of the text>`: equal texts of two documents are two
files, so that deleting one document never asks what another one needs. Plain functions that wait
for files; callers run them in a thread.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from rag.errors import NotFound, Rejected, Unavailable


def text_digest(text: str) -> str:
    """Return the digest under which a text is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


class Blobs:
    """Texts under one root URL; a bare path is a local folder."""

    def __init__(self, root: str) -> None:
        import fsspec

        self._files, self._root = fsspec.core.url_to_fs(root)

    def put(self, document_id: str, text: str) -> str:
        """Keep a text, durably when this returns; return its digest."""
        digest = text_digest(text)
        path = self._path(document_id, digest)
        try:
            self._write(path, text.encode())
        except OSError as exc:
            raise Unavailable(
                f"a text cannot be written: {exc.strerror or exc}", hint="is the disk full?"
            ) from exc
        return digest

    def get(self, document_id: str, digest: str) -> str:
        """Return a text; raise `NotFound`, or `Rejected` when it is not what was written."""
        try:
            content: bytes = self._files.cat_file(self._path(document_id, digest))
        except FileNotFoundError as exc:
            raise NotFound(
                f"the text of document {document_id} is not in the data folder",
                hint="ingest its source again",
            ) from exc
        if hashlib.sha256(content).hexdigest() != digest:
            raise Rejected(
                f"the text of document {document_id} is damaged", hint="ingest its source again"
            )
        return content.decode()

    def drop(self, document_id: str, digest: str) -> None:
        """Remove a text; a missing one is no error."""
        folder = self._folder(document_id)
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{folder}/{digest}")
        with suppress(OSError):  # it has other texts, or the store knows no folders
            self._files.rmdir(folder)

    def drop_all(self, document_id: str) -> None:
        """Remove every text of a document."""
        folder = self._folder(document_id)
        if self._files.exists(folder):
            self._files.rm(folder, recursive=True)

    def _path(self, document_id: str, digest: str) -> str:
        return f"{self._folder(document_id)}/{digest}"

    def _folder(self, document_id: str) -> str:
        uuid.UUID(document_id)  # a name that is no id must never become a path
        return f"{self._root}/{document_id}"

    def _write(self, path: str, content: bytes) -> None:
        """Write whole or not at all: object stores do so by themselves, local files by rename."""
        if not isinstance(self._files, _local_files()):
            self._files.pipe_file(path, content)
            return
        for again in (True, True, False):
            try:
                _replace(Path(path), content)
                return
            except FileNotFoundError:  # `drop` took the empty folder away in between
                if not again:
                    raise


def _replace(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _local_files() -> Any:
    from fsspec.implementations.local import LocalFileSystem

    return LocalFileSystem
