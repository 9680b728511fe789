"""Kept texts: what is read is what was written, and no name leads out of the folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from rag.blobs import Blobs, content_digest
from rag.errors import ConfigError, NotFound, Rejected, Unavailable
from rag.types import name_uuid

DOCUMENT = name_uuid("document", "a")
OTHER = name_uuid("document", "b")
TEXTS = (
    "",
    "plain",
    "naïve café, 東京, שלום, \U0001f9ea\u200d",
    "line\r\nline\rline\u2028\ttab",
    "long " * 50_000,
)
NO_IDS = ("", ".", "..", "../other", "/etc", "a/b", DOCUMENT + "/..", "\0", "x" * 36)


@pytest.fixture(params=["folder", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "deep" / "texts")
        return
    name = f"/{uuid.uuid4().hex}"
    yield f"memory:/{name}"
    files = fsspec.filesystem("memory")
    if files.exists(name):
        files.rm(name, recursive=True)


@pytest.fixture
def blobs(root: str) -> Blobs:
    return Blobs(root)


def files_below(root: str) -> list[str]:
    """List every file, hidden ones too, relative to the root."""
    files, path = fsspec.core.url_to_fs(root)
    return sorted(name.removeprefix(path).lstrip("/") for name in files.find(path))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text_comes_back_as_it_was(blobs: Blobs, root: str, text: str) -> None:
    digest = blobs.put(DOCUMENT, text.encode())
    assert digest == content_digest(text.encode())
    assert blobs.get(DOCUMENT, digest) == text.encode()
    assert Blobs(root).get(DOCUMENT, digest) == text.encode()  # and for whoever opens it next
    assert files_below(root) == [f"{DOCUMENT}/{digest}"]  # nothing else is left behind


def test_the_same_text_twice_is_kept_once(blobs: Blobs, root: str) -> None:
    assert blobs.put(DOCUMENT, b"same") == blobs.put(DOCUMENT, b"same")
    assert len(files_below(root)) == 1


def test_documents_do_not_share_texts(blobs: Blobs) -> None:
    digest = blobs.put(DOCUMENT, b"same")
    blobs.put(OTHER, b"same")
    blobs.drop(DOCUMENT, digest)
    assert blobs.get(OTHER, digest) == b"same"
    with pytest.raises(NotFound, match=DOCUMENT):
        blobs.get(DOCUMENT, digest)


@pytest.mark.parametrize("position", [0, 7, -1])
def test_a_changed_byte_is_noticed(blobs: Blobs, root: str, position: int) -> None:
    digest = blobs.put(DOCUMENT, b"every byte of this counts")
    files, path = fsspec.core.url_to_fs(f"{root}/{DOCUMENT}/{digest}")
    content = bytearray(files.cat_file(path))
    content[position] ^= 1
    files.pipe_file(path, bytes(content))
    with pytest.raises(Rejected, match="damaged"):
        blobs.get(DOCUMENT, digest)


def test_a_cut_text_is_noticed(blobs: Blobs, root: str) -> None:
    digest = blobs.put(DOCUMENT, b"cut in the middle")
    files, path = fsspec.core.url_to_fs(f"{root}/{DOCUMENT}/{digest}")
    files.pipe_file(path, b"cut in")
    with pytest.raises(Rejected, match="damaged"):
        blobs.get(DOCUMENT, digest)
    blobs.put(DOCUMENT, b"cut in the middle")  # what ingesting again does
    assert blobs.get(DOCUMENT, digest) == b"cut in the middle"


def test_dropping_leaves_the_others(blobs: Blobs, root: str) -> None:
    old, new = blobs.put(DOCUMENT, b"old"), blobs.put(DOCUMENT, b"new")
    blobs.drop(DOCUMENT, old)
    assert blobs.get(DOCUMENT, new) == b"new"
    blobs.drop(DOCUMENT, old)  # a missing one is no error
    blobs.drop(DOCUMENT, new)
    blobs.drop(DOCUMENT, new)
    assert files_below(root) == []


def test_a_document_without_texts_leaves_no_folder(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    blobs.drop(DOCUMENT, blobs.put(DOCUMENT, b"text"))
    assert list(tmp_path.iterdir()) == []


def test_dropping_all_takes_one_document(blobs: Blobs, root: str) -> None:
    kept = blobs.put(OTHER, b"kept")
    for n in range(3):
        blobs.put(DOCUMENT, f"version {n}".encode())
    blobs.drop_all(DOCUMENT)
    blobs.drop_all(DOCUMENT)
    assert files_below(root) == [f"{OTHER}/{kept}"]


@pytest.mark.parametrize("name", NO_IDS)
def test_what_is_no_id_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    blobs, beside = Blobs(str(tmp_path / "texts")), tmp_path / "other" / "file"
    digest = blobs.put(DOCUMENT, b"text")
    beside.parent.mkdir()
    beside.write_text("not ours")
    for call in (
        lambda: blobs.put(name, b"text"),
        lambda: blobs.get(name, "file"),
        lambda: blobs.drop(name, "file"),
        lambda: blobs.drop_all(name),
    ):
        with pytest.raises(ValueError, match="UUID"):
            call()
    assert beside.read_text() == "not ours"
    assert blobs.get(DOCUMENT, digest) == b"text"


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    blocked = tmp_path / DOCUMENT / content_digest(b"text")
    blocked.mkdir(parents=True)
    with pytest.raises(Unavailable, match="cannot be written"):
        Blobs(str(tmp_path)).put(DOCUMENT, b"text")
    assert list(blocked.parent.iterdir()) == [blocked]


def test_a_disk_that_takes_nothing_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="cannot be written"):
        Blobs(str(tmp_path / "texts")).put(DOCUMENT, b"text")


def test_everything_kept_is_listed(blobs: Blobs, root: str) -> None:
    assert list(blobs.listed()) == []
    kept = {(document, blobs.put(document, b"text")) for document in (DOCUMENT, OTHER)}
    kept.add((OTHER, blobs.put(OTHER, b"another")))
    files, path = fsspec.core.url_to_fs(f"{root}/{OTHER}/.half.part")
    files.pipe_file(path, b"what a crash left")
    assert sorted(blobs.listed()) == sorted(kept)


def test_a_place_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="no place for files"):
        Blobs("nonsense://bucket")
