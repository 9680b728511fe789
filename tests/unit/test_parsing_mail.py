"""Mails: subject, people, text, quotes, attachments; and mails that nobody should have sent."""

from __future__ import annotations

import base64
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Member, Part, Yielded
from indexers.parsing.mail.eml import parse_eml
from indexers.parsing.mail.headers import Headers, decoded_words, from_base64
from indexers.parsing.mail.mbox import MAX_MAILS, parse_mbox
from indexers.parsing.mail.mime import MAX_DEPTH
from rag.errors import UnreadableDocument
from rag.types import Document

HEAD = b"From: Ann Lee <ann@x.org>\nTo: bo@x.org\nSubject: Birds\n"


def read(data: bytes, name: str = "a.eml") -> tuple[Document, list[Member]]:
    found = list(documents(parse_eml(Content(data, name=name))))
    (document,) = (item for item in found if isinstance(item, Document))
    return document, [item for item in found if isinstance(item, Member)]


def blocks(data: bytes) -> list[tuple[str, str]]:
    """The blocks below the subject and the head."""
    document, _ = read(data)
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks][2:]


def body(text: str, kind: str = "text/plain; charset=utf-8") -> list[tuple[str, str]]:
    return blocks(HEAD + f"Content-Type: {kind}\n\n{text}".encode())


# --- head ----------------------------------------------------------------------------------------


def test_a_mail_is_a_document_with_subject_and_head() -> None:
    document, members = read(
        b'From: =?utf-8?q?Ann_L=C3=A9e?= <ann@x.org>\nTo: bo@x.org, "Ek, Cy" <cy@x.org>\n'
        b"Cc: Group: di@x.org;\nDate: Fri, 16 Dec 2022 17:04:16 -0500\nMessage-ID:\n <1@x>\n"
        b"In-Reply-To: <0@x>\nSubject: Birds\n and =?iso-8859-1?b?Zvxy?= =?iso-8859-1?q?_us?=\n"
        b"\nHi."
    )
    assert document.title == "Birds and für us"
    assert document.text == (
        "# Birds and für us\n\nFrom: Ann Lée <ann@x.org>\nTo: bo@x.org, Ek, Cy <cy@x.org>\n"
        "Cc: di@x.org\nDate: Fri, 16 Dec 2022 17:04:16 -0500\n\nHi."
    )
    assert document.metadata == {
        "meta.from": ["Ann Lée <ann@x.org>"],
        "meta.to": ["bo@x.org", "Ek, Cy <cy@x.org>"],
        "meta.cc": ["di@x.org"],
        "meta.date": 1671228256,
        "meta.message_id": "<1@x>",
        "meta.in_reply_to": "<0@x>",
        "meta.subject": "Birds and für us",
    }
    assert members == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("=?utf-8?b?5Lit5paH?=", "中文"),
        ("=?utf-8?b?5Lit5?= =?utf-8?b?paH?=", "中文"),
        ("=?utf-8?b?5Lit5g==?= =?utf-8?b?loc=?=", "中文"),
        ("=?gb2312?B?1tDOxA==?=", "中文"),
        ("=?nonsense?q?caf=E9?=", "café"),
        ("=?utf-8*en?Q?a_b?= c =?utf-8?Q?d?=", "a b c d"),
        ("=?utf-8?q?with blank?=", "with blank"),
        ("=?utf-8?b?!!!?= x", " x"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        ("plain", "plain"),
    ],
)
def test_encoded_words(written: str, expected: str) -> None:
    assert decoded_words(written) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"YWJj", b"abc"),
        (b"YW\nJj!", b"abc"),
        (b"YWI", b"ab"),
        (b"YWJjZ", b"abc"),
        (b"YQ==", b"a"),
        (b"====", b""),
    ],
)
def test_broken_base64_is_read_as_far_as_it_goes(data: bytes, expected: bytes) -> None:
    assert from_base64(data) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b'attachment; filename="a b.txt"', "a b.txt"),
        (b"attachment; filename=a.txt; x=y", "a.txt"),
        (b'attachment; filename="a\\"b.txt', 'a"b.txt'),
        (b"attachment; filename*=utf-8'en'%e2%82%ac.txt", "€.txt"),
        (b"attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac; filename*2=.txt", "€.txt"),
        (b'attachment; filename*1="b.txt"; filename*0="a"', "ab.txt"),
        (b'attachment; filename="=?utf-8?q?=E2=82=AC.txt?="', "€.txt"),
        (b"attachment; filename=\xe2\x82\xac.txt", "€.txt"),
        (b"attachment", ""),
    ],
)
def test_names_of_attachments(field: bytes, expected: str) -> None:
    headers = Headers(b"Content-Disposition: " + field)
    assert headers.parameter("content-disposition", "filename") == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"Subject: caf\xc3\xa9", "café"),
        (b"Subject: caf\xe9", "café"),
        (b"Subject: \xd6\xd0\xce\xc4\nContent-Type: text/plain; charset=gb2312", "中文"),
        (b"no colon\nSubject : spaced\n broken", "spaced broken"),
        (b"Subject: one\nSubject: two", "one"),
    ],
)
def test_heads_that_break_the_rules(data: bytes, expected: str) -> None:
    assert Headers(data).text("subject") == expected


def test_a_bad_date_stays_in_the_text() -> None:
    document, _ = read(b"Subject: s\nDate: yesterday\n\nHi")
    assert document.metadata == {"meta.subject": "s"}
    assert "Date: yesterday" in document.text


# --- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "raw", "expected"),
    [
        (b"", b"caf\xc3\xa9", "café"),
        (b"Content-Type: text/plain; charset=x-unknown\n", b"caf\xc3\xa9", "café"),
        (b"Content-Type: text/plain; charset=iso-8859-1\n", b"caf\xe9", "café"),
        (b'Content-Type: text/plain; charset = "UTF-8"Content-Transfer\n', b"x", "x"),
        (b"Content-Type: nonsense\n", b"x", "x"),
        (b"Content-Type: multipart/mixed\n", b"no boundary", "no boundary"),
        (b"Content-Transfer-Encoding: base64\n", b"aGVsbG8=", "hello"),
        (b"Content-Transfer-Encoding: quoted-printable\n", b"caf=C3=A9=\n!", "café!"),
        (b"Content-Type: text/plain; charset=utf-7\n", b"caf+AOk-", "café"),
        (b"Content-Transfer-Encoding: x-uuencode\n", b"begin 644 a\n#86)C\n`\nend", "abc"),
    ],
)
def test_encodings_of_the_text(head: bytes, raw: bytes, expected: str) -> None:
    assert blocks(HEAD + head + b"\n" + raw) == [("paragraph", expected)]


def test_paragraphs_lists_and_signature() -> None:
    assert body("One\ntwo\n\nIt has:\n   - a\n     more\n   - b\n      * c\n\n-- \nAnn\n") == [
        ("paragraph", "One\ntwo"),
        ("paragraph", "It has:"),
        ("list", "- a\n  more\n- b\n  - c"),
        ("paragraph", "--\nAnn"),
    ]


def test_flowed_lines_are_joined() -> None:
    kind = "text/plain; charset=utf-8; format=flowed"
    assert body("a long \nline\n> quote \n> two\n from\n-- \nAnn", kind) == [
        ("paragraph", "a long line"),
        ("quote", "> quote\n> two"),
        ("paragraph", "from\n--\nAnn"),
    ]
    assert body("中 \n文", f"{kind}; delsp=yes") == [("paragraph", "中文")]


def test_quotes_are_kept_apart() -> None:
    text = (
        "I agree.\n\nOn Fri, 16 Dec 2022, Bo <bo@x.org>\nwrote:\n> What?\n>\n> > Deep\n"
        "Not here:\n> so\n"
    )
    assert body(text) == [
        ("paragraph", "I agree."),
        ("quote", "On Fri, 16 Dec 2022, Bo <bo@x.org>\nwrote:\n> What?"),
        ("quote", "> > Deep"),
        ("paragraph", "Not here:"),
        ("quote", "> so"),
    ]


@pytest.mark.parametrize(
    "head",
    [
        "-----Original Message-----\nFrom: Bo\nSent: Friday",
        "________________________________\nFrom: Bo\nSent: Friday",
        "Von: Bo\nGesendet: Freitag",
        "发件人: Bo\n发送时间: 2022",
    ],
)
def test_what_is_below_an_earlier_head_is_quoted(head: str) -> None:
    lines = "\n".join(f"> {line}" for line in head.split("\n"))
    expected = [("quote", lines), ("quote", "> Old text\n> more")]
    assert body(f"New\n\n{head}\n\nOld text\nmore") == [("paragraph", "New"), *expected]
    assert body(f"New\n{head}\n\nOld text\nmore") == [("paragraph", "New"), *expected]


@pytest.mark.parametrize(
    "text", ["From: here to there", "--- Part one ---\nwords", "Name: Bo\nPhone: 1\nMail: bo@x.org"]
)
def test_ordinary_lines_begin_no_earlier_mail(text: str) -> None:
    assert body(f"{text}\n\nafter") == [("paragraph", text), ("paragraph", "after")]


def test_a_page_as_text() -> None:
    page = (
        "<h1>Head</h1><p>Words</p><div>On Fri 3, Bo wrote:</div><blockquote><p>Old</blockquote>"
        "<footer>Foot</footer><p><b>From:</b> Cy<br><b>Sent:</b> Friday</p><ul><li>x</ul>"
    )
    assert body(page, "text/html") == [
        ("heading", "## Head"),
        ("paragraph", "Words"),
        ("quote", "On Fri 3, Bo wrote:"),
        ("quote", "> Old"),
        ("paragraph", "Foot"),
        ("quote", "> From: Cy\n> Sent: Friday"),
        ("quote", "> - x"),
    ]


def alternatives(plain: str, page: str) -> list[tuple[str, str]]:
    message = EmailMessage()
    message["From"] = message["Subject"] = "x@y.z"
    message.set_content(plain)
    message.add_alternative(page, subtype="html")
    return blocks(message.as_bytes())


@pytest.mark.parametrize(
    ("plain", "page", "expected"),
    [
        ("Hello there.", "<p>Hello there!", "Hello there."),
        ("No HTML?", f"<p>{'Words of a page. ' * 9}", "Words of a page. " * 9),
        ("", "<p>Page", "Page"),
        ("Plain only", "<p> ", "Plain only"),
        ("See https://x.org/" + "a" * 99 + " now", "<p>See now", "See now"),
        ("A 1\nB 2", "<table><tr><td>A<td>1<tr><td>B<td>2<tr><td>C<td>3</table>", "| A | 1 |"),
    ],
)
def test_the_form_that_says_more_is_read(plain: str, page: str, expected: str) -> None:
    assert alternatives(plain, page)[0][1].startswith(expected.strip())


# --- attachments ---------------------------------------------------------------------------------


def test_attachments_are_members() -> None:
    inner = EmailMessage()
    inner["Subject"] = "Old/news"
    inner.set_content("Inner")
    message = EmailMessage()
    message["Subject"] = "Outer"
    message.set_content("Text")
    message.add_attachment(
        b"%PDF", maintype="application", subtype="pdf", filename="../a\u202eb.pdf"
    )
    message.add_attachment(b"x,y", maintype="text", subtype="csv")
    message.add_attachment(inner)
    message.add_attachment("notes", filename="notes.txt", disposition="inline")
    document, members = read(message.as_bytes())
    assert document.text == "# Outer\n\nText"
    assert [(m.name, m.media_type) for m in members] == [
        ("a\\u202eb.pdf", "application/pdf"),
        ("attachment-2.csv", "text/csv"),
        ("Old-news.eml", "message/rfc822"),
        ("notes.txt", "text/plain"),
    ]
    assert members[0].content == b"%PDF"
    assert read(members[2].content)[0].title == "Old/news"


def test_ornaments_are_left_out() -> None:
    message = EmailMessage()
    message["Subject"] = "s"
    message.set_content("<p>Hi", subtype="html")
    for size, disposition in ((100, "inline"), (5000, "inline"), (101, "attachment")):
        message.add_attachment(
            bytes(size), maintype="image", subtype="png", disposition=disposition
        )
    _, members = read(message.as_bytes())
    assert [len(member.content) for member in members] == [5000, 101]


def test_a_mail_that_is_one_file() -> None:
    data = HEAD + b"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nJVBERg=="
    document, members = read(data)
    assert document.title == "Birds"
    assert [(m.name, m.content) for m in members] == [("attachment-1.pdf", b"%PDF")]


def multipart(kind: str, *parts: bytes, end: bytes = b"\n--b--\nepilogue") -> bytes:
    pieces = b"".join(b"\n--b\n" + part for part in parts)
    return HEAD + f"Content-Type: {kind}; boundary=b\n\npreamble".encode() + pieces + end


def test_digests_reports_and_signatures() -> None:
    digest = multipart("multipart/digest", b"\nSubject: One\n\nfirst", b"\nSubject: Two\n\nsecond")
    assert [m.name for m in read(digest)[1]] == ["One.eml", "Two.eml"]
    status = b"Content-Type: message/delivery-status\n\nStatus: 5.0.0"
    document, (report,) = read(multipart("multipart/report", b"\nIt bounced.", status))
    assert document.text.endswith("It bounced.")
    assert (report.name, report.media_type) == ("attachment-1", "text/plain")
    signed = multipart("multipart/signed", b"\nText", b"Content-Type: a/b; name=smime.p7s\n\nx")
    assert read(signed)[1] == []


@pytest.mark.parametrize("end", [b"", b"\n--b", b"\n--bb--\n"])
def test_a_mail_without_its_end(end: bytes) -> None:
    document, _ = read(multipart("multipart/mixed", b"\nOne", b"\nTwo", end=end))
    assert "One\n\nTwo" in document.text


@pytest.mark.parametrize(
    "data",
    [
        multipart("multipart/encrypted", b"Content-Type: application/octet-stream\n\nx"),
        HEAD + b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx",
    ],
)
def test_encrypted_mails_say_so(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(data)
    assert caught.value.code == "encrypted"


# --- hostile -------------------------------------------------------------------------------------


def nested(depth: int, text: bytes = b"") -> bytes:
    words = b"--b%d\n\n" + text + b"\n"
    part = (
        b"Content-Type: multipart/mixed; boundary=b%d\n\n" + (words if text else b"") + b"--b%d\n"
    )
    fill = 3 if text else 2
    return b"".join(part % ((n,) * fill) for n in range(depth)) + b"\nbottom"


def test_depth_is_limited() -> None:
    assert "bottom" in read(nested(MAX_DEPTH - 1))[0].text
    with pytest.raises(UnreadableDocument) as caught:
        read(nested(20_000))
    assert caught.value.code == "too_deep"
    document, _ = read(nested(20_000, b"words"))
    assert document.text.count("words") == MAX_DEPTH


@pytest.mark.parametrize(
    "data",
    [
        multipart("multipart/mixed", *[b"\nx"] * 50_000),
        b"Content-Type: multipart/mixed; boundary=b\n\n"
        + b"--b\nContent-Type: multipart/mixed; boundary=b\n\n" * 20_000,
        b"From: " + b"(" * 32_000 + b"\n\nx",
        b"To: " + b"a@b, " * 100_000 + b"\n\nx",
        b"Subject: " + b"=?" * 16_000 + b"\n\nx",
        b"A: b\n" * 100_000 + b"\nx",
        HEAD + b"\n" + b"From: x\nSent: y\n" * 10_000,
        HEAD + b"\n" + b"-" * 1_000_000,
        HEAD + b"\n" + b"> a\nb\n" * 10_000,
    ],
)
def test_hostile_mails_take_no_time(data: bytes) -> None:
    began = time.process_time()
    found = [item for item in parse_eml(Content(data)) if isinstance(item, Part | Member)]
    assert len(found) < 40_000
    assert time.process_time() - began < 2


@pytest.mark.parametrize("data", [b"\x00\x01\x02" * 100, b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_other_content_is_no_mail(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(data)
    assert caught.value.code == "malformed"


# --- saved pages and mailboxes -------------------------------------------------------------------


def test_a_saved_page_is_a_page() -> None:
    page = b"Content-Type: text/html; charset=utf-8\n\n<title>T</title><nav>x</nav><p>Words"
    image = b"Content-Type: image/png\nContent-Location: a.png\n\n" + b"x" * 9000
    saved = multipart("multipart/related; type=text/html", page, image)
    for data, name in (
        (saved, "a.mhtml"),
        (saved.replace(b"Ann Lee <ann@x.org>", b"<Saved by Blink>"), "a.eml"),
    ):
        document, members = read(data, name)
        assert (document.title, document.text, members) == ("T", "Words", [])
    with pytest.raises(UnreadableDocument, match="no page"):
        read(multipart("multipart/related", image), "a.mht")


def mails(data: bytes) -> tuple[list[Member], str]:
    found: list[Yielded] = list(parse_mbox(Content(data)))
    parts = (item.text for item in found if isinstance(item, Part))
    return [item for item in found if isinstance(item, Member)], "\n".join(parts)


def test_a_mailbox_holds_mails() -> None:
    data = (
        b"From ann@x.org Sat Jan  1 00:00:00 2022\r\nSubject: One\r\nFrom: ann@x.org\r\n\r\n"
        b"Text\r\n>From here\r\nFrom there to here\r\n\r\nFrom now on\r\n\r\n"
        b"From - Sun Jan 02 10:00:00 2022\nSubject: =?utf-8?q?Zw=C3=B6?=\n\nMore\n"
    )
    members, listed = mails(data)
    assert [m.name for m in members] == ["1.eml", "2.eml"]
    assert members[0].content.endswith(
        b"Text\r\nFrom here\r\nFrom there to here\r\n\r\nFrom now on\r\n\r\n"
    )
    assert listed == "- 1.eml: One, ann@x.org\n- 2.eml: Zwö"
    assert read(members[1].content)[0].text == "# Zwö\n\nMore"


def test_a_large_mailbox_is_read_up_to_the_limit() -> None:
    one = b"From a@b Sat Jan  1 00:00:00 2022\nSubject: s\n\nx\n\n"
    members, listed = mails(one * (MAX_MAILS + 5))
    assert len(members) == MAX_MAILS
    assert listed.endswith("(5 more mails were not read)")


@pytest.mark.parametrize("data", [b"", b"Subject: a\n\nb", b"From here on it is text\n"])
def test_other_content_is_no_mailbox(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        mails(data)
    assert caught.value.code == "malformed"


# --- the corpus ----------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ok/fake-email-attachment.eml", "- Lots of whitespace\n- Little to no content"),
        ("ok/fake-email-b64.eml", "- Roses are red\n- Violets are blue"),
        ("ok/mime-word-encoded-subject.eml", "# Simple email with ☸☿ Unicode subject"),
        ("hostile/fake-email-malformed-encoding.eml", "- Roses are red"),
    ],
)
def test_mails_of_the_corpus(data_folder: Path, name: str, words: str) -> None:
    document, members = read((data_folder / "formats" / name).read_bytes())
    assert words in document.text
    attached = [(m.name, m.content) for m in members]
    expected = base64.b64decode("SGV5IHRoaXMgaXMgYSBmYWtlIGF0dGFjaG1lbnQh")
    assert attached == ([("fake-attachment.txt", expected)] if "attachment" in name else [])


@pytest.mark.data
def test_two_hundred_parts_in_each_other(data_folder: Path) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read((data_folder / "formats/hostile/mime-depth-200.eml").read_bytes())
    assert caught.value.code == "too_deep"
