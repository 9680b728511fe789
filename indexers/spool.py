"""Files that were handed over and wait to be ingested, in a folder of the data folder.

Each upload has a folder of its own, which goes when its run has ended. Names of files are ours.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rag.durable import sync_folder
from rag.errors import DataFolderError

ABANDONED_S = 6 * 3600.0
"""An upload that grows no more for so long was left by a process that died."""
PLACE = "place"


@dataclass(frozen=True, slots=True)
class Spool:
    """The folder of all uploads of a data folder; plain functions that wait for the disk."""

    root: Path

    def place(self) -> str:
        """Return the name of this spool: only workers that share its folder can read it."""
        self._make()
        file = self.root / PLACE
        with suppress(FileExistsError):
            part = self.root / f".{uuid.uuid4()}"
            part.write_text(str(uuid.uuid4()))
            try:
                os.link(part, file)  # of several that begin at once, one wins
            finally:
                part.unlink()
        return file.read_text()

    def open(self) -> Path:
        """Make the folder of a new upload."""
        self._make()
        folder = self.root / str(uuid.uuid4())
        folder.mkdir(mode=0o700)
        return folder

    def folder(self, name: str) -> Path:
        """Return the folder of an upload by its name, which is never a path."""
        return self.root / str(uuid.UUID(name))

    def settle(self, folder: Path) -> None:
        """Make what stands in an upload's folder durable; its files are so already."""
        sync_folder(folder)
        sync_folder(self.root)

    def remove(self, folder: Path) -> None:
        """Remove an upload; a missing one is no error."""
        shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, wanted: Collection[str]) -> int:
        """Remove old uploads that no run wants; return how many."""
        before, swept = time.time() - ABANDONED_S, 0
        with suppress(FileNotFoundError):
            for folder in self.root.iterdir():
                if folder.is_dir() and folder.name not in wanted and _newest(folder) < before:
                    self.remove(folder)
                    swept += 1
        return swept

    def _make(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise DataFolderError(f"{self.root} cannot be made: {exc.strerror}") from exc


def spool_of(data_dir: Path) -> Spool:
    """Return the spool of a data folder."""
    return Spool(data_dir / "spool")


def _newest(folder: Path) -> float:
    times = [0.0]
    for path in (folder, *folder.glob("*")):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)
