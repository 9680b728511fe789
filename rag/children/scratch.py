"""The scratch folder of a child process, and how to remove what a hostile one left in it.

Knows files; nothing of processes. Plain functions that wait for files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path


def make_scratch() -> Path:
    """Make a new folder that is this user's alone."""
    return Path(tempfile.mkdtemp(prefix="cumulo-child-")).resolve()


def is_empty(folder: Path) -> bool:
    """Whether the folder is there, and nothing in it."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def remove_scratch(folder: Path) -> None:
    """Remove the folder and all that is in it, as far as that can be done; its owner is dead.

    Folders inside are not walked down but moved up: they may be nested without end.
    """
    fresh = count()
    with suppress(OSError):
        while folders := [path for path in _entries(folder) if _is_folder_left(path)]:
            for inner in folders:
                inner.chmod(0o700)
                for path in _entries(inner):
                    if _is_folder_left(path):
                        path.rename(folder / f"moved-up-{os.getpid()}-{next(fresh)}")
                inner.rmdir()
        folder.rmdir()


def _entries(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from [Path(entry.path) for entry in entries]


def _is_folder_left(path: Path) -> bool:
    """Remove what is no folder, or an empty one; return whether it is a folder that stays."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return False
    with suppress(OSError):
        path.rmdir()
        return False
    return True
