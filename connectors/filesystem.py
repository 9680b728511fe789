"""A folder on this machine as a source: every regular file below it is a document.

Knows listing, ignore files and how to hand out a file safely; knows nothing of formats, of the
catalog, or of what was listed before. Links are never followed, so nothing outside is reached.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from pathspec import GitIgnoreSpec
from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.ignoring import IGNORE_FILES, Ignored, Scope, check_patterns
from rag.errors import NotFound, Unavailable
from rag.ports import Change, Changed, Failed, ListingComplete
from rag.types import LOCAL_OWNER, Blob

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".epub": "application/epub+zip",
    ".htm": "text/html",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pdf": "application/pdf",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rst": "text/x-rst",
    ".rtf": "application/rtf",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".xhtml": "application/xhtml+xml",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    """Relative to the root, empty for the root itself."""
    ignored: Ignored
    """The patterns of the folders above."""


class FilesystemConnector:
    """List a folder tree in a stable order: a folder's files by name, then its folders by name.

    External ids are paths relative to the root, with slashes. A folder that cannot be listed is
    reported as failed and the listing does not complete, so nothing counts as deleted.
    """

    repeatable = True

    class Options(BaseModel):
        """What one run looks at. Paths are relative to the root, patterns have gitignore syntax."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        only: tuple[str, ...] = ()
        """Files and folders to restrict the listing to; hidden ones named here are looked at."""
        include: tuple[str, ...] = ()
        """Patterns of which a file must match one, when there are any."""
        exclude: tuple[str, ...] = ()
        """Patterns of files and folders to leave out."""
        hidden: bool = False
        """Look at names with a leading dot."""
        ignore_files: bool = True
        """Obey .gitignore and .cumuloignore in every folder."""
        max_bytes: int = Field(default=2**30, ge=0)
        """Larger files are reported as failed."""
        skip: tuple[str, ...] = ()
        """Folders that belong to other sources."""

        @field_validator("only", "skip")
        @classmethod
        def _relative(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
            for path in map(PurePosixPath, paths):
                if path.is_absolute() or ".." in path.parts:
                    raise ValueError(f"{str(path)!r} is not a path below the root")
            return tuple(str(PurePosixPath(path)) for path in paths)

        @field_validator("include", "exclude")
        @classmethod
        def _patterns(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
            check_patterns(lines)
            return lines

        def scope(self) -> Scope:
            """Compile the restrictions."""
            return Scope(
                only=() if "." in self.only else self.only,
                skip=frozenset(self.skip),
                hidden=self.hidden,
                include=GitIgnoreSpec.from_lines(self.include) if self.include else None,
                exclude=Ignored().below("", self.exclude),
            )

    kind = "filesystem"

    def __init__(self, options: Options, root: str) -> None:
        """Resolve the root, links included, once; raise `NotFound` when it is not a folder."""
        path = Path(os.path.realpath(root))
        if not path.is_dir():
            raise NotFound(f"there is no folder {root}", hint="give the path of an existing folder")
        self.root = str(path)
        self._below = path.as_posix().rstrip("/") + "/"
        self._options = options
        self._scope = options.scope()
        self._files = fsspec.filesystem("file")

    async def changes(self) -> AsyncIterator[Change]:
        """List the tree folder by folder, each in a thread."""
        complete = True
        pending = [_Folder("", Ignored())]
        while pending:
            folder = pending.pop()
            try:
                changes, folders = await asyncio.to_thread(self._list, folder)
            except OSError as exc:
                if not folder.path:
                    raise Unavailable(
                        f"the folder {self.root} cannot be listed: {exc}",
                        hint="nothing was changed; check that it is mounted and readable",
                    ) from exc
                complete = False
                yield self._failed(folder.path, f"the folder cannot be listed: {exc}")
                continue
            for change in changes:
                yield change
            pending.extend(reversed(folders))
        if complete:
            yield ListingComplete(self._scope.covers)

    async def fetch(self, change: Changed) -> Blob:
        """Hand out the file's path, checked again: it must still be a file and no link."""
        path = Path(self._below + change.external_id)
        try:
            await asyncio.to_thread(_check_regular, path)
        except (OSError, ValueError) as exc:
            raise Unavailable(
                f"the file {path} cannot be read: {exc}",
                hint="it was moved, replaced or protected since it was listed; list again",
            ) from exc
        suffix = path.suffix.lower()
        return Blob(change.uri, MEDIA_TYPES.get(suffix, UNKNOWN_TYPE), path=path)

    def _list(self, folder: _Folder) -> tuple[list[Change], list[_Folder]]:
        """List one folder: its files as changes, and its folders that are to be listed next."""
        path = Path(self._below + folder.path)
        if Path(os.path.realpath(path)) != path:
            raise OSError("it was replaced by a link")
        entries = {e["name"].removeprefix(self._below): e for e in self._files.ls(path, True)}
        ignored = folder.ignored
        if self._options.ignore_files and (lines := _ignore_lines(path, entries.values())):
            ignored = ignored.below(folder.path, lines)
        changes: list[Change] = []
        folders: list[_Folder] = []
        for name in sorted(entries):
            match entries[name]["type"]:  # links, sockets, pipes and devices are of type "other"
                case "file" if self._scope.takes(name) and name not in ignored:
                    changes.append(self._file(name, entries[name]))
                case "directory" if self._scope.enters(name) and f"{name}/" not in ignored:
                    if _is_text(name):
                        folders.append(_Folder(name, ignored))
                    else:
                        changes.append(self._unnamable(name))
        return changes, folders

    def _file(self, name: str, entry: dict[str, Any]) -> Change:
        size, modified = entry["size"], entry["mtime"]  # seconds, exact to a quarter microsecond
        if not _is_text(name):
            return self._unnamable(name)
        if size > self._options.max_bytes:
            limit = self._options.max_bytes
            return self._failed(
                name, f"the file has {size} bytes, the limit is {limit}; raise max_bytes to read it"
            )
        return Changed(
            name,
            self._uri(name),
            fingerprint=f"{size}-{int(modified * 1e9)}",
            access=(LOCAL_OWNER,),
            metadata={
                "meta.path": name,
                "meta.ext": PurePosixPath(name).suffix.lower(),
                "meta.modified": int(modified),
            },
            size=size,
        )

    def _unnamable(self, name: str) -> Failed:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        return Failed(shown, self._uri(name), "the name is not valid UTF-8; rename it")

    def _failed(self, name: str, error: str) -> Failed:
        return Failed(name, self._uri(name), error)

    def _uri(self, name: str) -> str:
        return Path(self._below + name).as_uri()


def _ignore_lines(folder: Path, entries: Any) -> list[str]:
    """Read the folder's ignore files; raise `OSError`, since an unread one may hide secrets."""
    files = {PurePosixPath(e["name"]).name for e in entries if e["type"] == "file"}
    lines: list[str] = []
    for name in IGNORE_FILES:
        if name in files:
            text = (folder / name).read_text("utf-8-sig", "surrogateescape")
            lines += text.split("\n")  # like git, which knows no other line ends
    return lines


def _is_text(name: str) -> bool:
    """Tell names that are Unicode from bytes that only look like it (lone surrogates)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_regular(path: Path) -> None:
    """Raise `OSError` unless this is a readable regular file and no part of its path is a link."""
    if Path(os.path.realpath(path, strict=True)) != path:
        raise OSError("a part of its path is a link")
    # Neither follows a link nor waits for the other end of a pipe.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a regular file")
    finally:
        os.close(descriptor)
