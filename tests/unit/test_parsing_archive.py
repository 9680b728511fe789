"""Archives: what is inside becomes members and a list; what hurts does not get far."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from indexers.parsing.archives import archive as archives
from indexers.parsing.archives import unpacking
from indexers.parsing.archives.archive import parse_compressed, parse_tar, parse_zip
from indexers.parsing.archives.naming import member_name, shown_name, shown_size
from indexers.parsing.content import Content, Member, ParseOptions, Part, Yielded
from rag.errors import UnreadableDocument

Files = dict[str, bytes]

FILES: Files = {"dir/a.txt": b"alpha", "b.csv": b"x,y\n" * 400}
LISTED = "- dir/a.txt (5 bytes)\n- b.csv (1.6 KiB)"


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(
    files: Files, mode: str = "w", more: Callable[[tarfile.TarFile], None] | None = None
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if more is not None:
            more(archive)
    return buffer.getvalue()


def split(items: list[Yielded]) -> tuple[Files, str]:
    found = [item for item in items if isinstance(item, Member)]
    assert all(not item.content for item in found if item.error is not None)
    members = {item.name: item.content for item in found if item.error is None}
    return members, "\n".join(item.text for item in items if isinstance(item, Part))


def read(data: bytes, *passwords: str) -> tuple[Files, str]:
    return split(list(parse_zip(Content(data, options=ParseOptions(passwords=passwords)))))


def code(function: Callable[[Content], object], data: bytes) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        list(function(Content(data)))
    return caught.value.code


# --- ZIP -----------------------------------------------------------------------------------------


def test_files_of_a_zip_archive_are_members_and_listed() -> None:
    assert read(zipped(FILES)) == (FILES, LISTED)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_way_of_packing(method: int) -> None:
    assert read(zipped(FILES, method))[0] == FILES


def test_junk_folders_and_links_are_no_members() -> None:
    files = {
        "a.txt": b"a",
        "__MACOSX/._a.txt": b"x",
        "dir/.DS_Store": b"x",
        "dir/._b": b"x",
        "Thumbs.db": b"x",
        "folder/": b"",
    }
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO(zipped(files))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    members, listed = read(buffer.getvalue())
    assert members == {"a.txt": b"a"}
    assert listed == "- a.txt (1 byte)\n- link (11 bytes, a link)"


def test_names_lead_nowhere_and_show_all_they_have() -> None:
    files = {"../../etc/x": b"1", "/abs": b"2", "C:\\dir\\y": b"3", "evil\u202efdp.txt": b"4"}
    assert set(read(zipped(files))[0]) == {"etc/x", "abs", "C:/dir/y", "evil\\u202efdp.txt"}


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "cp932", "cp437"])
def test_names_without_a_mark_are_recognised(encoding: str) -> None:
    names = {
        "utf-8": ["Größe.txt"],
        "gb18030": ["中文文件说明.txt", "北京市项目报告.txt"],
        "cp932": ["日本語のファイル.txt", "テスト結果.txt"],
        "cp437": ["plain.txt"],
    }[encoding]
    raw = {name: name.encode(encoding) for name in names}
    fill = dict(zip(b"xyz", raw.values(), strict=False))
    data = zipped({chr(letter) * len(each): b"" for letter, each in fill.items()})
    for letter, each in fill.items():
        data = data.replace(bytes((letter,)) * len(each), each)
    assert list(read(data)[0]) == names


def encrypted(files: Files) -> bytes:
    """Set the bit that says so; the content then decrypts to nonsense."""
    data = bytearray(zipped(files))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        data[at + place] |= 1
    return bytes(data)


def locked(name: str, data: bytes, password: bytes) -> bytes:
    """Write an archive in the old way of encryption (APPNOTE 6.1)."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc_step(crc: int, byte: int) -> int:
        return ~zlib.crc32(bytes((byte,)), ~crc & 0xFFFFFFFF) & 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = crc_step(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc_step(keys[2], keys[1] >> 24)

    def encrypt(byte: int) -> int:
        key = keys[2] | 2
        stream = (key * (key ^ 1)) >> 8 & 0xFF
        update(byte)
        return byte ^ stream

    for byte in password:
        update(byte)
    crc = zlib.crc32(data)
    body = bytes(map(encrypt, bytes(11) + bytes((crc >> 24,)) + data))
    archive = bytearray(zipped({name: body}, zipfile.ZIP_STORED))
    for mark, flags, place in ((b"PK\x03\x04", 6, 14), (b"PK\x01\x02", 8, 16)):
        at = archive.find(mark)
        archive[at + flags] |= 1
        struct.pack_into("<III", archive, at + place, crc, len(body), len(data))
    return bytes(archive)


def test_encrypted_entries_are_listed() -> None:
    members, listed = read(encrypted({"secret.txt": b"x" * 50, "open.txt": b"o"}), "wrong")
    assert members == {"open.txt": b"o"}
    assert listed == "- secret.txt (50 bytes, encrypted)\n- open.txt (1 byte)"


def test_an_archive_of_encrypted_entries_is_encrypted() -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(encrypted({"secret.txt": b"x" * 50}))
    assert caught.value.code == "encrypted"
    assert "password" in str(caught.value)


def test_the_right_password_opens() -> None:
    data = locked("a.txt", b"hello", b"geheim")
    assert read(data, "wrong", "geheim") == ({"a.txt": b"hello"}, "- a.txt (5 bytes)")


def test_a_bomb_is_not_unpacked() -> None:
    bomb = {"bomb": bytes(20 << 20)}
    assert code(parse_zip, zipped(bomb)) == "too_large"
    members, listed = read(zipped({**bomb, "a": b"a"}))
    assert members == {"a": b"a"}
    assert listed == "- bomb (20.0 MiB, too large)\n- a (1 byte)"


def test_a_damaged_entry_costs_nobody_else() -> None:
    data = bytearray(zipped({"bad": b"bad content", "good": b"good"}, zipfile.ZIP_STORED))
    at = data.find(b"PK\x03\x04")
    data[at + 8] = 99  # the method, in the local header
    data[data.find(b"PK\x01\x02") + 10] = 99
    members, listed = read(bytes(data))
    assert members == {"good": b"good"}
    assert "bad (11 bytes, packed in an unknown way)" in listed


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04"])
def test_other_content_is_no_zip_archive(data: bytes) -> None:
    assert code(parse_zip, data) == "malformed"


def test_an_empty_archive_is_blank() -> None:
    assert read(zipped({})) == ({}, "")


# --- tar -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_files_of_a_tar_archive(mode: str) -> None:
    files = {**FILES, f"{'long' * 60}.txt": b"long", "größe": b"u", "exact": b"x" * 512}
    members, listed = split(list(parse_tar(Content(tarred(files, mode)))))
    assert members == files
    assert listed.startswith(LISTED)


def test_links_and_devices_are_not_followed() -> None:
    def more(archive: tarfile.TarFile) -> None:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"type{kind.decode()}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)

    members, listed = split(list(parse_tar(Content(tarred({"a": b"a"}, more=more)))))
    assert members == {"a": b"a"}
    assert listed.split("\n") == [
        "- a (1 byte)",
        "- type2 (0 bytes, a link)",
        "- type1 (0 bytes, a link)",
        "- type3 (0 bytes, no file)",
    ]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_that_is_cut_off_is_read_up_to_there(mode: str) -> None:
    noise = random.Random(1).randbytes(60_000)
    data = tarred({"a": noise[:30_000], "b": noise}, mode)
    members, listed = split(list(parse_tar(Content(data[: len(data) * 3 // 4]))))
    assert members == {"a": noise[:30_000]}
    assert "- b (58.6 KiB, cut off)" in listed


def test_a_file_that_is_too_large_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRY_BYTES", 100)
    members, listed = split(list(parse_tar(Content(tarred({"a": b"x" * 101, "b": b"y"})))))
    assert members == {"b": b"y"}
    assert listed == "- a (101 bytes, too large)\n- b (1 byte)"


def test_too_many_entries_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 2)
    members, listed = split(list(parse_tar(Content(tarred({str(n): b"" for n in range(5)})))))
    assert list(members) == ["0", "1"]
    assert listed.endswith("- 1 (0 bytes)\n(3 more entries were not read)")


def header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        header(b"x", 60_000) + b"1" * 60_416,
        header(b"x", 1 << 30) + b"0" * 5000,
        (header(b"x", 16_000) + b"1 " * 8_192) * 400,
        (header(b"L", 1) + b"a" + bytes(511)) * 5000,
        (header(b"x", 20) + b"9" * 20 + bytes(492)) * 10,
    ],
)
def test_hostile_headers_take_no_time(data: bytes) -> None:
    began = time.process_time()
    assert code(parse_tar, data) == "malformed"
    assert time.process_time() - began < 2


def test_a_size_beyond_the_archive_ends_it() -> None:
    began = time.process_time()
    data = tarred({"a": b"a"})[:1024] + header(b"0", 1 << 40) + bytes(5000)
    members, listed = split(list(parse_tar(Content(data))))
    assert members == {"a": b"a"}
    assert listed.endswith("- … (0 bytes, damaged from here on)")
    assert time.process_time() - began < 1


def test_a_sparse_bomb_is_too_large() -> None:
    sparse = bytearray(header(b"S", 0))
    sparse[386 : 386 + 24] = b"00000000000\0" + b"00000000000\0"
    sparse[483:495] = b"77777777777\0"  # its size when expanded
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    members, listed = split(list(parse_tar(Content(bytes(sparse) + bytes(2048)))))
    assert members == {}
    assert listed == "- x (8.0 GiB, too large)"


# --- compressed files ----------------------------------------------------------------------------

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("ending", PACKERS)
def test_a_compressed_file_is_a_member(ending: str) -> None:
    pack = PACKERS[ending]
    data = pack(b"one,") + pack(b"two")
    content = Content(data, name=f"data.csv{ending}")
    assert split(list(parse_compressed(content))) == (
        {"data.csv": b"one,two"},
        "- data.csv (7 bytes)",
    )


def test_a_compressed_tar_archive_is_one() -> None:
    assert split(list(parse_compressed(Content(tarred(FILES, "w:gz"))))) == (FILES, LISTED)


@pytest.mark.parametrize("ending", PACKERS)
def test_bombs_are_stopped(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MIN_SUSPICIOUS_BYTES", 1 << 20)
    assert code(parse_compressed, PACKERS[ending](bytes(4 << 20))) == "too_large"
    assert code(parse_tar, PACKERS[ending](tarred({"a": bytes(4 << 20)}))) == "too_large"
    small = PACKERS[ending](tarred({"a": b"a", "b": bytes(4 << 20)}))
    members, listed = split(list(parse_tar(Content(small))))
    assert members == {"a": b"a"}
    assert "not read from here on" in listed


def test_a_file_that_is_cut_off_is_read_up_to_there() -> None:
    data = gzip.compress(bytes(range(256)) * 20)[:-12]
    members, listed = split(list(parse_compressed(Content(data, name="a.gz"))))
    assert members["a"].startswith(bytes(range(250)))
    assert listed.endswith(", cut off)")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x28\xb5\x2f\xfd0000", "unsupported"),
        (b"plain", "unsupported"),
        (b"\x1f\x8b\x08garbage", "malformed"),
    ],
)
def test_other_content_is_not_unpacked(data: bytes, expected: str) -> None:
    assert code(parse_compressed, data) == expected


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x00b\nc\x7f", "a\\x00b\\x0ac\\x7f"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\U000e0041"),
        ("नि\u200dम ‌fa 中文 😀", "नि\u200dम ‌fa 中文 😀"),
        ("x" * 501, "x" * 500 + "…"),
    ],
)
def test_names_show_what_would_be_hidden(name: str, shown: str) -> None:
    assert shown_name(name) == shown


@pytest.mark.parametrize(
    ("path", "name"),
    [("./a//b/../c ", "a/b/c"), ("..", ""), ("a\\b", "a/b"), ("/", ""), ("...", "...")],
)
def test_paths_have_no_way_out(path: str, name: str) -> None:
    assert member_name(path) == name


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (5 << 40, "5120.0 GiB"),
    ],
)
def test_sizes_are_shown_for_people(size: int, shown: str) -> None:
    assert shown_size(size) == shown


# --- the corpus ----------------------------------------------------------------------------------


@pytest.mark.data
def test_archives_of_the_corpus(data_folder: Path) -> None:
    members, listed = read((data_folder / "formats/ok/simple.zip").read_bytes())
    assert set(members) == {"ideas-page.html", "stanley-cups.csv"}
    assert "stanley-cups.csv" in listed
    nested = (data_folder / "formats/hostile/nested-31.zip").read_bytes()
    depth = 0
    while nested[:2] == b"PK":
        members, _ = read(nested)
        nested = next(iter(members.values()))
        depth += 1
    assert depth == 31
