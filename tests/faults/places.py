"""Empty data folders, quickly: one is made, the others are copies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.runtime import open_runtime
from rag.settings import Settings, load_settings


@dataclass(slots=True)
class Fresh:
    """A maker of data folders that have their tables and nothing in them."""

    _made: Path
    _given: dict[str, Any]

    @staticmethod
    async def made(folder: Path, **given: Any) -> Fresh:
        """Make the first, with these settings for all."""
        path = folder / "fresh"
        async with open_runtime(load_settings(data_dir=path, **given)):
            return Fresh(path, given)

    def settings(self) -> Settings:
        """Return the settings of another one; the one before is removed."""
        path = self._made.with_name("data")
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._made, path)
        return load_settings(data_dir=path, **self._given)
