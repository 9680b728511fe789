"""Boxes of mails in one file (mbox, RFC 4155): each mail is a member.

Knows where one mail ends and the next begins; nothing of what is in them. The file is read once,
and one mail at a time is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from indexers.parsing.content import Content, Member, Part, Yielded
from indexers.parsing.mail.headers import Headers, split_head
from rag.errors import UnreadableDocument

MAX_MAILS = 10_000
"""Mails that are read; the text says how many there are."""
MAX_BYTES = 64 << 20
"""Of one mail; what goes beyond is left out."""
MAX_LINES = 500
"""Of one part of the list."""
MAX_SUBJECT = 200
MAX_BEGIN = 300
_PIECE = 1 << 16

_BEGIN = re.compile(rb"From (?:\S.*)?\d{1,2}:\d{2}.*\d{4}|From \S+@\S+\s|From -\s")
_ESCAPED = re.compile(rb">+From ")


def parse_mbox(content: Content) -> Iterator[Yielded]:
    """Yield the mails, named by their numbers, and the list of their subjects.

    Raise `UnreadableDocument` when the file does not begin with a mail.
    """
    lines: list[str] = []
    count = 0
    for data in _mails(content.open()):
        count += 1
        if count > MAX_MAILS:
            continue
        headers = Headers(split_head(data)[0])
        lines.append(f"- {count}.eml: {_described(headers)}")
        yield Member(f"{count}.eml", data, "message/rfc822")
        if len(lines) == MAX_LINES:
            yield Part("list", "\n".join(lines))
            lines = []
    if not count:
        raise UnreadableDocument("the content is no mailbox: it does not begin with a mail")
    yield Part("list", "\n".join(lines))
    if count > MAX_MAILS:
        yield Part("paragraph", f"({count - MAX_MAILS:,} more mails were not read)")


def _described(headers: Headers) -> str:
    sender = ", ".join(headers.addresses("from")[:1])
    subject = headers.text("subject")[:MAX_SUBJECT]
    return ", ".join(filter(None, (subject, sender, headers.text("date")[:100]))) or "(no subject)"


def _mails(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of one mail after the other."""
    mail: list[bytes] | None = None
    size = 0
    is_blank = is_whole = True
    while line := file.readline(_PIECE):
        if is_whole and is_blank and _BEGIN.match(line[:MAX_BEGIN]):
            if mail is not None:
                yield b"".join(mail)
            mail, size = [], 0
        elif mail is not None and size < MAX_BYTES:
            mail.append(line[1:] if is_whole and _ESCAPED.match(line) else line)
            size += len(line)
        is_blank = is_whole and not line.strip()
        is_whole = line.endswith(b"\n")
    if mail is not None:
        yield b"".join(mail)
