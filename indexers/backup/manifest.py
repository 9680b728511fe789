"""What a backup says of itself, and the check that it is what was written.

`manifest.json` names every file with its size and digest, and carries a digest of its own. Nothing
of a backup is used before all of it was checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from rag.catalog.tables import HEAD
from rag.errors import DataFolderError, NotFound, Rejected
from rag.settings import describe

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
ID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NAME: Final = re.compile(
    rf"catalog/[a-z_]+\.jsonl\.gz|rows/{ID}-[0-9]+\.jsonl\.gz|(?:texts|originals)/{ID}/[0-9a-f]{{64}}"
)
"""Names of files; nothing else can become a path."""

Report: TypeAlias = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is to do."""


class Generation(BaseModel):
    """The rows of one index: how many, and what they add up to."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    id: str
    store: str
    dim: int
    rows: int
    digest: str


class Collection(BaseModel):
    """For people: what is in the backup."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    tenant: str
    name: str
    documents: int


class File(BaseModel):
    """What a file must be."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """Everything that a backup says of itself."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    format: int
    cumulo: str
    """The version that wrote it."""
    revision: str
    """Of the catalog."""
    created: float
    collections: list[Collection]
    tables: dict[str, int]
    """Rows by table."""
    counters: dict[str, int]
    """The highest number ever given, by table that numbers its rows."""
    generations: list[Generation]
    files: dict[str, File]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files.values())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the file that makes a folder a backup."""
    body = manifest.model_dump()
    text = json.dumps({**body, "sha256": _digest(body)}, indent=1)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")


def check_backup(folder: Path, report: Report) -> Manifest:
    """Return the manifest of a backup in which every file is what was written.

    Raise `NotFound` without a backup, `DataFolderError` for one of a newer version, `Rejected` for
    a damaged one.
    """
    manifest = _read(folder)
    there = {name for name, _ in files_in(folder)} - {MANIFEST}
    if missing := manifest.files.keys() - there:
        raise _damaged(folder, f"{min(missing)} is missing")
    if strange := there - manifest.files.keys():
        raise _damaged(folder, f"{min(strange)} is no part of it")
    for number, (name, wanted) in enumerate(manifest.files.items()):
        report("checking", number, len(manifest.files))
        if fingerprint(folder / name) != wanted:
            raise _damaged(folder, f"{name} is not what was written")
    return manifest


def files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield all files below a folder, by their names in it."""
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() or path.is_symlink():
            yield path.relative_to(folder).as_posix(), path


def fingerprint(path: Path) -> File:
    """Read a file and say what it is."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return File(bytes=file.tell(), sha256=digest)
    except OSError as exc:
        raise Rejected(f"{path} cannot be read: {exc.strerror}", hint="check the disk") from exc


def _read(folder: Path) -> Manifest:
    try:
        content = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFound(
            f"there is no backup in {folder}: it has no {MANIFEST}",
            hint="make one with: rag backup FOLDER",
        ) from exc
    except OSError as exc:
        raise Rejected(f"{folder} cannot be read: {exc.strerror}", hint="check the disk") from exc
    try:
        body: dict[str, Any] = json.loads(content)
        written = body.pop("sha256")
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError) as exc:
        raise _damaged(folder, f"{MANIFEST} is no manifest") from exc
    if written != _digest(body):
        raise _damaged(folder, f"{MANIFEST} is not what was written")
    if body.get("format") != FORMAT or str(body.get("revision")) > HEAD:
        raise DataFolderError(
            f"the backup in {folder} is of another version of cumulo ({body.get('cumulo')})",
            hint="restore it with that version",
        )
    try:
        manifest = Manifest.model_validate(body)
    except ValidationError as exc:
        raise Rejected(describe(exc, MANIFEST), hint="this is no backup of cumulo's") from exc
    if strange := [name for name in manifest.files if not NAME.fullmatch(name)]:
        raise Rejected(
            f"{MANIFEST} names {strange[0]!r}, which no backup has",
            hint="this is no backup of cumulo's",
        )
    return manifest


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _damaged(folder: Path, what: str) -> Rejected:
    return Rejected(f"the backup in {folder} is damaged: {what}", hint="restore another copy of it")
