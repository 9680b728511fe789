"""Mails of Outlook: the same documents as mails of the net, from properties in a compound file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TypeAlias

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Member
from indexers.parsing.mail.eml import parse_eml
from indexers.parsing.mail.msg import MAX_DEPTH, parse_msg
from indexers.parsing.mail.squeezed import expand_rtf
from rag.errors import UnreadableDocument
from rag.types import Document

Tree: TypeAlias = "dict[str, bytes | Tree]"
Values: TypeAlias = "dict[int, str | bytes | int]"

FREE, END = 0xFFFFFFFF, 0xFFFFFFFE
SECTOR, MINI, CUTOFF = 512, 64, 4096
SUBJECT, BODY, HTML, RTF = 0x0037, 0x1000, 0x1013, 0x1009
SENT = 133157018560000000  # 16 December 2022, 22:04:16, in units of 100 ns since 1601


def compound(tree: Tree) -> bytes:
    """Write a compound file ([MS-CFB]) whose folders are lists of siblings, not trees."""
    entries: list[list[object]] = [["Root Entry", 5, FREE, b""]]

    def add(folder: Tree) -> int:
        following = FREE
        for name in sorted(folder, reverse=True):
            item = folder[name]
            child = add(item) if isinstance(item, dict) else FREE
            kind = 1 if isinstance(item, dict) else 2
            entries.append([name, kind, child, b"" if isinstance(item, dict) else item, following])
            following = len(entries) - 1
        return following

    entries[0][2] = add(tree)
    entries[0].append(FREE)
    mini, table, small = bytearray(), [], {}
    for number, (_, kind, _, data, _) in enumerate(entries):
        assert isinstance(data, bytes)
        if kind == 2 and 0 < len(data) < CUTOFF:
            count = -(-len(data) // MINI)
            small[number] = len(table)
            table.extend([*range(len(table) + 1, len(table) + count), END])
            mini += data.ljust(count * MINI, b"\0")
    chains: list[tuple[int, bytes]] = [(-1, bytes(-(-len(entries) // 4) * SECTOR))]
    chains.append((-2, struct.pack(f"<{len(table)}I", *table).ljust(SECTOR, b"\xff")))
    chains.append((0, bytes(mini)))
    chains += [(n, e[3]) for n, e in enumerate(entries) if e[1] == 2 and len(e[3]) >= CUTOFF]
    fat, starts, body = [0xFFFFFFFD] * 8, {}, bytearray()
    for number, data in chains:
        count = -(-len(data) // SECTOR)
        starts[number] = len(fat) if count else END
        fat.extend([*range(len(fat) + 1, len(fat) + count), END] if count else [])
        body += data.ljust(count * SECTOR, b"\0")
    directory = b"".join(
        str(name).encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBB3I", len(str(name)) * 2 + 2, kind, 1, FREE, right, child)
        + bytes(36)
        + struct.pack("<IQ", starts.get(n, small.get(n, END)), len(mini) if n == 0 else len(data))
        for n, (name, kind, child, data, right) in enumerate(entries)
    )
    body[: len(directory)] = directory
    header = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack(
            "<HHHHH6xIIIIIIIIII",
            0x3E,
            3,
            0xFFFE,
            9,
            6,
            0,
            8,
            starts[-1],
            0,
            CUTOFF,
            starts[-2],
            -(-len(table) * 4 // SECTOR) or 1,
            END,
            0,
            0,
        )
    )
    header = header[:-4] + struct.pack("<109I", *range(8), *[FREE] * 101)
    return header + struct.pack("<1024I", *fat, *[FREE] * (1024 - len(fat))) + bytes(body)


def properties(values: Values, head: int) -> Tree:
    """Write properties as Outlook does: fixed ones in one stream, others in their own."""
    fixed = bytearray(head)
    tree: Tree = {}
    for tag, value in values.items():
        if isinstance(value, int):
            kind = 0x40 if value >> 32 else 0x03
            fixed += struct.pack("<HHIq", kind, tag, 6, value)
        else:
            kind = 0x1F if isinstance(value, str) else 0x102
            data = value.encode("utf-16-le") if isinstance(value, str) else value
            tree[f"__substg1.0_{tag:04X}{kind:04X}"] = data
            fixed += struct.pack("<HHII4x", kind, tag, 6, len(data))
    return {"__properties_version1.0": bytes(fixed), **tree}


def message(
    values: Values,
    people: list[Values] | None = None,
    files: list[Tree] | None = None,
    *,
    head: int = 32,
) -> Tree:
    tree = properties(values, head)
    for n, person in enumerate(people or []):
        tree[f"__recip_version1.0_#{n:08X}"] = properties(person, 8)
    for n, file in enumerate(files or []):
        tree[f"__attach_version1.0_#{n:08X}"] = file
    return tree


def file(name: str, data: bytes, **more: str) -> Tree:
    kind = {0x370E: more["kind"]} if "kind" in more else {}
    content_id = {0x3712: more["content_id"]} if "content_id" in more else {}
    return properties({0x3705: 1, 0x3701: data, 0x3707: name, **kind, **content_id}, 8)


def attached(mail: Tree) -> Tree:
    return {**properties({0x3705: 5}, 8), "__substg1.0_3701000D": mail}


def read(tree: Tree) -> tuple[Document, list[Member]]:
    found = list(documents(parse_msg(Content(compound(tree)))))
    (document,) = (item for item in found if isinstance(item, Document))
    return document, [item for item in found if isinstance(item, Member)]


PEOPLE: list[Values] = [
    {0x0C15: 1, 0x3001: "Bo Ek", 0x39FE: "bo@x.org", 0x3003: "/O=X/CN=BO"},
    {0x0C15: 2, 0x3001: "Cy", 0x3003: "cy@x.org"},
    {0x0C15: 3, 0x3001: "Secret", 0x3003: "secret@x.org"},
    {0x0C15: 1, 0x3001: "Room 5", 0x3003: "/O=X/CN=ROOM5"},
]
MAIL: Values = {
    SUBJECT: "Größe",
    BODY: "Hello.\r\n\r\n-----Original Message-----\r\nFrom: Bo\r\nSent: Friday\r\n\r\nOld",
    0x0C1A: "Ann Lee",
    0x0C1F: "ann@x.org",
    0x0039: SENT,
    0x1035: "<1@x>",
    0x1042: "<0@x>",
}


def test_a_mail_has_the_shape_of_every_mail() -> None:
    document, members = read(message(MAIL, PEOPLE))
    assert document.title == "Größe"
    assert document.text == (
        "# Größe\n\nFrom: Ann Lee <ann@x.org>\nTo: Bo Ek <bo@x.org>, Room 5\nCc: Cy <cy@x.org>\n"
        "Date: 2022-12-16 22:04:16 UTC\n\nHello.\n\n"
        "> -----Original Message-----\n> From: Bo\n> Sent: Friday\n\n> Old"
    )
    assert document.metadata == {
        "meta.from": ["Ann Lee <ann@x.org>"],
        "meta.to": ["Bo Ek <bo@x.org>", "Room 5"],
        "meta.cc": ["Cy <cy@x.org>"],
        "meta.date": 1671228256,
        "meta.message_id": "<1@x>",
        "meta.in_reply_to": "<0@x>",
        "meta.subject": "Größe",
    }
    assert members == []


def test_the_head_that_came_over_the_net_completes_it() -> None:
    head = "From: Ann <ann@x.org>\r\nDate: Fri, 16 Dec 2022 17:04:16 -0500\r\nMessage-ID: <9@x>"
    values: Values = {SUBJECT: "s", 0x0C1A: "Ann", 0x0C1F: "/O=X/CN=ANN", 0x007D: head}
    document, _ = read(message(values))
    assert document.metadata["meta.from"] == ["Ann <ann@x.org>"]
    assert document.metadata["meta.date"] == 1671228256
    assert document.metadata["meta.message_id"] == "<9@x>"


def test_people_may_only_be_named() -> None:
    document, _ = read(message({SUBJECT: "s", 0x0E04: "Bo; Cy Ek", 0x0042: "Ann"}))
    assert document.text == "# s\n\nFrom: Ann\nTo: Bo, Cy Ek"


def test_texts_in_an_old_code_page() -> None:
    tree = properties({0x3FFD: 1251}, 32)
    tree["__substg1.0_0037001E"] = "Привет".encode("cp1251")
    tree["__substg1.0_1000001E"] = "Текст письма".encode("cp1251")
    assert read(tree)[0].text == "# Привет\n\nТекст письма"


def test_the_page_is_read_where_there_is_no_plain_text() -> None:
    values: Values = {SUBJECT: "s", 0x3FDE: 1251, HTML: "<p>Текст<p>два".encode("cp1251")}
    assert read(message(values))[0].text == "# s\n\nТекст\n\nдва"


LZFU = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c0900206277"
    "05b06c647d0a800fa0"
)
REPEATS = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (LZFU, b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"),
        (REPEATS, b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),
        (b"\0\0\0\0\x04\0\0\0MELA\0\0\0\0{\\rtf", b"{\\rt"),
        (LZFU[:30], b"{\\rtf1\\ansi\\ansicpg125"),
    ],
)
def test_compressed_rtf(data: bytes, expected: bytes) -> None:
    """The examples of [MS-OXRTFCP] 4.1."""
    assert expand_rtf(data)[: len(expected)] == expected
    assert len(expand_rtf(data)) <= 2 * len(expected)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "malformed"),
        (bytes(20), "malformed"),
        (b"\0\0\0\0\0\0\0\x40LZFu" + bytes(9), "too_large"),
    ],
)
def test_other_data_is_no_compressed_rtf(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        expand_rtf(data)
    assert caught.value.code == code


def test_rtf_is_read_where_there_is_nothing_else() -> None:
    assert read(message({SUBJECT: "s", RTF: LZFU}))[0].text == "# s\n\nhello world"
    assert read(message({SUBJECT: "s", RTF: b"broken"}))[0].text == "# s"


def test_attachments_are_members() -> None:
    files = [
        file("C:\\dir\\big.pdf", b"%PDF" + bytes(5000), kind="application/pdf"),
        file("logo.png", b"x", kind="image/png", content_id="1@x"),
        file("photo.png", bytes(5000), kind="image/png", content_id="2@x"),
        file("", b"no name"),
    ]
    _, members = read(message(MAIL, files=files))
    assert [(m.name, m.media_type, len(m.content)) for m in members] == [
        ("C:/dir/big.pdf", "application/pdf", 5004),
        ("photo.png", "image/png", 5000),
        ("attachment-4", "", 7),
    ]


def test_a_mail_in_a_mail_stands_alone() -> None:
    page = "<p>Überschrift".encode()
    deepest = message({SUBJECT: "Deep", HTML: page, 0x3FDE: 65001}, head=24)
    inner = message(
        {**MAIL, SUBJECT: "In/ner", 0x0C1A: 'Lee, "Ann"'},
        PEOPLE,
        [file("a.txt", b"alpha"), attached(deepest)],
        head=24,
    )
    _, (member,) = read(message(MAIL, files=[attached(inner)]))
    assert (member.name, member.media_type) == ("In-ner.eml", "message/rfc822")
    document, *members = reversed(list(documents(parse_eml(Content(member.content)))))
    assert isinstance(document, Document)
    assert document.title == "In/ner"
    assert document.metadata["meta.from"] == ['Lee, "Ann <ann@x.org>']
    assert document.metadata["meta.to"] == ["Bo Ek <bo@x.org>", "Room 5"]
    assert document.metadata["meta.date"] == 1671228256
    assert "Hello.\n\n> -----Original" in document.text
    names = [(m.name, m.content[:5]) for m in members if isinstance(m, Member)]
    assert ("a.txt", b"alpha") in names
    assert "Deep.eml" in dict(names)


def test_mails_in_mails_end_somewhere() -> None:
    mail = message({SUBJECT: "bottom"}, head=24)
    for n in range(MAX_DEPTH + 3):
        mail = message({SUBJECT: f"level {n}"}, files=[attached(mail)], head=24)
    mail = {**mail, **message({SUBJECT: "top"})}
    _, (member,) = read(mail)
    assert b"level" in member.content
    assert b"bottom" not in member.content


@pytest.mark.parametrize(
    "data", [b"", b"no mail", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)]
)
def test_other_content_is_no_mail(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        list(parse_msg(Content(data)))
    assert caught.value.code == "malformed"


def test_an_encrypted_mail_says_so() -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(message({**MAIL, 0x001A: "IPM.Note.SMIME"}))
    assert caught.value.code == "encrypted"
    assert read(message({**MAIL, 0x001A: "IPM.Note.SMIME.MultipartSigned"}))[0].title == "Größe"


@pytest.mark.data
def test_the_mail_of_the_corpus(data_folder: Path) -> None:
    data = (data_folder / "formats/ok/fake-email.msg").read_bytes()
    (document,) = documents(parse_msg(Content(data)))
    assert isinstance(document, Document)
    assert document.title == "Test Email"
    assert "MROBINSON@UNSTRUCTURED.IO" in document.text.upper()
    assert document.text.endswith("Important points:\n\n- Roses are red\n- Violets are blue")
    assert document.metadata["meta.date"] == 1671228256
