"""Archives: what they hold is read, what would hurt is refused before it does."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from indexers.parsing import unzipping
from indexers.parsing.content import Content
from indexers.parsing.unzipping import open_zip, read_entry
from rag.errors import UnreadableDocument


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def code(data: bytes, name: str = "a", **options: object) -> str:
    """Return the code with which reading an entry fails."""
    with pytest.raises(UnreadableDocument) as caught:
        read_entry(open_zip(Content(data)), name, **options)  # type: ignore[arg-type]
    return caught.value.code


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """Change a field of the first entry in the list of entries."""
    at = data.index(b"PK\x01\x02") + offset
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
def test_entries_are_read_however_they_are_packed(compression: int) -> None:
    archive = open_zip(Content(zipped({"a/": b"", "a/b.txt": b"text " * 5000}, compression)))
    assert archive.names() == ["a/b.txt"]
    assert [info.filename for info in archive.entries()] == ["a/", "a/b.txt"]
    assert read_entry(archive, "a/b.txt") == b"text " * 5000


def test_an_archive_is_read_behind_a_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"stub of a program" + zipped({"a": b"x"}))
    with path.open("rb") as file:
        assert read_entry(open_zip(Content(file.fileno())), "a") == b"x"


def test_names_differ_in_case_and_slashes() -> None:
    archive = open_zip(Content(zipped({"Word\\Document.XML": b"x"})))
    assert read_entry(archive, "word/document.xml") == b"x"


def test_a_missing_entry_is_malformed() -> None:
    assert code(zipped({"b": b""})) == "malformed"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"text", zipped({"a": b"x"})[:-5]])
def test_what_is_no_archive_is_malformed(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        open_zip(Content(data))
    assert caught.value.code == "malformed"


def test_an_empty_archive_is_one() -> None:
    assert open_zip(Content(zipped({}))).names() == []


def test_an_entry_over_its_limit_is_too_large() -> None:
    data = zipped({"a": b"0123456789"})
    assert read_entry(open_zip(Content(data)), "a", 10) == b"0123456789"
    assert code(data, limit=9) == "too_large"


def test_an_entry_that_unpacks_to_far_more_than_it_takes_is_too_large() -> None:
    size = unzipping.MIN_SUSPICIOUS_BYTES
    assert len(read_entry(open_zip(Content(zipped({"a": bytes(size)}))), "a")) == size
    assert code(zipped({"a": bytes(size + 1)})) == "too_large"


def test_a_declared_size_is_believed_and_never_exceeded() -> None:
    data = patched(zipped({"a": bytes(5000)}), 24, struct.pack("<I", 100))
    archive = open_zip(Content(data))
    assert code(data) == "malformed"  # the checksum tells
    assert read_entry(archive, "a", partial=True) == bytes(100)


def test_a_packed_size_is_limited_by_the_next_entry() -> None:
    """Else a lie about it would hide the ratio."""
    data = zipped({"a": bytes(5000), "b": b"x"})
    with pytest.raises(UnreadableDocument) as caught:
        open_zip(Content(patched(data, 20, struct.pack("<I", 4000))))
    assert caught.value.code == "malformed"
    assert "overlap" in caught.value.message


def test_entries_that_share_their_bytes_are_refused() -> None:
    data = zipped({"a": b"x", "b": b"y"})
    second = data.rindex(b"PK\x01\x02")
    shared = data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]
    with pytest.raises(UnreadableDocument, match="overlap"):
        open_zip(Content(shared))


def test_all_entries_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unzipping, "MAX_TOTAL_BYTES", 15)
    data = zipped({"a": b"0123456789", "b": b"0123456789"})
    archive = open_zip(Content(data))
    read_entry(archive, "a")
    with pytest.raises(UnreadableDocument) as caught:
        read_entry(archive, "b")
    assert caught.value.code == "too_large"
    with pytest.raises(UnreadableDocument) as caught:
        open_zip(Content(data), whole=True)
    assert caught.value.code == "too_large"


def test_a_bomb_anywhere_refuses_the_whole() -> None:
    data = zipped({"a": b"x", "bomb": bytes(unzipping.MIN_SUSPICIOUS_BYTES + 1)})
    assert read_entry(open_zip(Content(data)), "a") == b"x"
    with pytest.raises(UnreadableDocument) as caught:
        open_zip(Content(data), whole=True)
    assert caught.value.code == "too_large"


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unzipping, "MAX_ENTRIES", 2)
    assert len(open_zip(Content(zipped({"a": b"", "b": b""}))).names()) == 2
    with pytest.raises(UnreadableDocument) as caught:
        open_zip(Content(zipped({"a": b"", "b": b"", "c": b""})))
    assert caught.value.code == "too_large"


def test_a_long_list_of_entries_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unzipping, "MAX_DIRECTORY_BYTES", 40)
    with pytest.raises(UnreadableDocument) as caught:
        open_zip(Content(zipped({"a": b""})))
    assert caught.value.code == "too_large"


def test_an_encrypted_entry_says_so() -> None:
    data = zipped({"a": b"0123456789abcdef", "b": b"x"}, zipfile.ZIP_STORED)
    locked = patched(data, 8, b"\x01\x00")
    locked = locked[:6] + b"\x01\x00" + locked[8:]
    assert code(locked) == "encrypted"
    assert code(locked, password="wrong") == "encrypted"
    assert read_entry(open_zip(Content(locked), whole=True), "b") == b"x"


def test_an_unknown_way_of_packing_is_unsupported() -> None:
    data = zipped({"a": b"x"})
    data = data[:8] + b"\x63\x00" + data[10:]
    assert code(patched(data, 10, b"\x63\x00")) == "unsupported"


@pytest.mark.parametrize("cut", [31, 60])
def test_a_damaged_entry_is_read_up_to_the_damage(cut: int) -> None:
    content = bytes(range(256)) * 300
    data = zipped({"a": content})
    damaged = data[:cut] + b"\xff\xff\xff\xff" + data[cut + 4 :]
    assert code(damaged) == "malformed"
    part = read_entry(open_zip(Content(damaged)), "a", partial=True)
    assert part != content
    assert content.startswith(part[:64] if cut > 31 else b"")


def test_a_strange_offset_is_malformed() -> None:
    data = zipped({"a": b"x"})
    assert code(data[5:]) == "malformed"
