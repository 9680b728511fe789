"""The space kept aside: there before it is needed, and back after it was lent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag.errors import Unavailable
from rag.reserve import BYTES, NAME, keep_reserve, reserve_lent


def full(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    real = os.statvfs

    def statvfs(path: Path) -> os.statvfs_result:
        values = list(real(path))
        values[4] = free // values[1]
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_it_is_set_aside_once(tmp_path: Path) -> None:
    keep_reserve(tmp_path)
    before = (tmp_path / NAME).stat()
    keep_reserve(tmp_path)
    assert (before.st_size, (tmp_path / NAME).stat().st_mtime_ns) == (BYTES, before.st_mtime_ns)


def test_it_is_lent_only_while_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_reserve(tmp_path)
    with reserve_lent(tmp_path):
        assert (tmp_path / NAME).exists()
    full(monkeypatch, BYTES - 65536)
    with reserve_lent(tmp_path):
        assert not (tmp_path / NAME).exists()
    assert (tmp_path / NAME).stat().st_size == BYTES


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    with reserve_lent(tmp_path / "none"):
        pass
    with pytest.raises(Unavailable, match="no room"):
        keep_reserve(tmp_path / "none")
