"""A mail, however it was stored, and the document that it becomes.

Knows what of a mail is title, head, text and attachments; nothing of how mails are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from indexers.parsing.content import Member, Part, Properties, Yielded
from indexers.parsing.mail.quoting import html_parts, plain_parts
from indexers.parsing.markup.html import read_page
from indexers.parsing.metadata import MAX_VALUE_BYTES, metadata
from rag.errors import UnreadableDocument
from rag.types import Metadata

MAX_SHOWN = 50
"""Addresses of one kind in the text."""
SUBSTANTIAL = 0.6
"""Share of the page's words that a plain text must have to be read instead of it."""
MIN_SHARE_OF_WORDS = 0.7
"""Share of a plain text that are not addresses of pages."""

_ADDRESS = re.compile(r"https?://[^\s>\])]+")


@dataclass(slots=True)
class Text:
    """A stretch of a mail, in one form or in both."""

    plain: str = ""
    html: bytes = b""
    charset: str | None = None
    """Of the page, as the mail says."""
    parts: list[Part] = field(default_factory=list)
    """Of a text in neither form."""


@dataclass(slots=True)
class Letter:
    """One mail."""

    subject: str = ""
    sender: list[str] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    cc: list[str] = field(default_factory=list)
    date: datetime | None = None
    written_date: str = ""
    message_id: str = ""
    in_reply_to: str = ""
    texts: list[Text] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)


def letter_parts(letter: Letter) -> Iterator[Yielded]:
    """Yield the mail: what it says of itself, subject, head, text, attachments."""
    yield Properties(letter.subject or None, _metadata(letter))
    if letter.subject:
        yield Part("heading", f"# {letter.subject}", 1, letter.subject)
    yield Part("paragraph", "\n".join(_head(letter)))
    for text in letter.texts:
        yield from _best(text)
    yield from letter.members


def _metadata(letter: Letter) -> Metadata:
    fields: dict[object, object] = {
        "from": _fitting(letter.sender),
        "to": _fitting(letter.to),
        "cc": _fitting(letter.cc),
        "date": letter.date,
        "message_id": letter.message_id,
        "in_reply_to": letter.in_reply_to,
        "subject": letter.subject,
    }
    return metadata({name: value for name, value in fields.items() if value})


def _fitting(addresses: Sequence[str]) -> list[str]:
    """Return the first addresses, as many as a field can hold."""
    size = 0
    kept: list[str] = []
    for address in addresses:
        size += len(address.encode(errors="replace"))
        if size > MAX_VALUE_BYTES:
            break
        kept.append(address)
    return kept


def _head(letter: Letter) -> Iterator[str]:
    people = {"From": letter.sender, "To": letter.to, "Cc": letter.cc}
    for name, addresses in people.items():
        if addresses:
            more = ", …" if len(addresses) > MAX_SHOWN else ""
            yield f"{name}: {', '.join(addresses[:MAX_SHOWN])}{more}"
    if letter.written_date:
        yield f"Date: {letter.written_date}"


def _best(text: Text) -> list[Part]:
    """Return the form that says more; plain text in doubt, for its quotes are marked.

    Addresses of pages, which programs write out in plain text, say nothing.
    """
    if text.parts:
        return text.parts
    plain = list(plain_parts(text.plain))
    if not text.html.strip():
        return plain
    try:
        page = list(html_parts(read_page(text.html, charset=text.charset, whole=True).parts))
    except UnreadableDocument:
        return plain
    if not plain or any(_is_data(part) for part in page):
        return page or plain
    bare = len(_ADDRESS.sub("", text.plain))
    if bare < MIN_SHARE_OF_WORDS * len(text.plain):
        return page
    return plain if bare >= SUBSTANTIAL * sum(len(part.text) for part in page) else page


def _is_data(part: Part) -> bool:
    """Whether it is a table with several rows and columns, which plain text cannot show."""
    lines = part.text.split("\n")
    return part.kind == "table" and len(lines) > 3 and lines[1].count("|") > 2
