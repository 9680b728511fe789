"""What a killed or failing write and removal of one kept text leave behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rag.blobs import Blobs
from rag.errors import Unavailable
from rag.types import name_uuid
from tests.faults.workers import Place, start

DOCUMENT = name_uuid("document", "a")
CONTENT = b"The text."


def put_and_die(root: str) -> None:
    """Die when the text is written and does not yet have its name; to be run by `start`."""

    def die(_: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = die  # type: ignore[assignment]
    Blobs(root).put(DOCUMENT, CONTENT)


def left_by_a_dead_writer(folder: Path) -> Blobs:
    root = folder / "texts"
    worker = start(Place(folder), folder / "said", put_and_die, str(root))
    assert worker.wait() == -signal.SIGKILL, worker.said()
    (part,) = (root / DOCUMENT).iterdir()
    assert part.read_bytes() == CONTENT
    return Blobs(str(root))


def test_a_text_written_again_clears_what_its_killed_writer_left(tmp_path: Path) -> None:
    blobs = left_by_a_dead_writer(tmp_path)
    digest = blobs.put(DOCUMENT, CONTENT)
    assert [file.name for file in (tmp_path / "texts" / DOCUMENT).iterdir()] == [digest]


def test_a_dropped_text_clears_what_its_killed_writer_left(tmp_path: Path) -> None:
    blobs = left_by_a_dead_writer(tmp_path)
    (part,) = (tmp_path / "texts" / DOCUMENT).iterdir()
    blobs.drop(DOCUMENT, part.name.split(".")[1])
    assert list((tmp_path / "texts").iterdir()) == []


def test_a_text_that_cannot_be_removed_is_an_error_of_ours(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    digest = blobs.put(DOCUMENT, CONTENT)
    path = tmp_path / DOCUMENT / digest
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(Unavailable):
        blobs.drop(DOCUMENT, digest)
