"""Mails as they go over the net (RFC 5322), and pages saved as mails (MHTML, RFC 2557).

Knows which parts of a mail are its text and which are attachments; how they are encoded is known
to `mime`, how they look to `letter`.
"""

from __future__ import annotations

from collections.abc import Iterator

from indexers.parsing.archives.naming import member_name
from indexers.parsing.content import Content, Member, Properties, Yielded
from indexers.parsing.mail.headers import Headers
from indexers.parsing.mail.letter import Letter, Text, letter_parts
from indexers.parsing.mail.mime import Entity, Parts, Section, mail_parts
from indexers.parsing.mail.quoting import unflowed
from indexers.parsing.markup.html import read_page
from indexers.parsing.text.decoding import HEAD, binary_format
from rag.errors import UnreadableDocument

MAX_BYTES = 256 << 20

_ENDINGS = {
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/zip": ".zip",
    "application/rtf": ".rtf",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/tiff": ".tif",
    "text/html": ".html",
    "text/csv": ".csv",
    "text/calendar": ".ics",
    "text/markdown": ".md",
    "text/xml": ".xml",
    "message/rfc822": ".eml",
}


def parse_eml(content: Content) -> Iterator[Yielded]:
    """Read one mail; its attachments are members. A page saved as a mail is read as a page.

    Raise `UnreadableDocument`: malformed (no mail at all), too_large, encrypted (all of it),
    too_deep (all that it has is nested in more than 30 parts).
    """
    root = Entity(_bytes(content))
    if not root.headers and binary_format(content.head(HEAD)) is not None:
        raise UnreadableDocument("the content is no mail: it has no head, and is binary")
    parts = mail_parts(root)
    if parts.is_too_deep and not parts.sections and not parts.files:
        raise UnreadableDocument("the mail's parts are nested too deeply", code="too_deep")
    if parts.is_encrypted and not parts.sections and not parts.files:
        raise UnreadableDocument("the mail is encrypted", code="encrypted")
    if _is_saved_page(content.name, root.headers):
        yield from _page(parts)
    else:
        yield from letter_parts(_letter(root.headers, parts))


def _is_saved_page(name: str, headers: Headers) -> bool:
    """Whether nobody has sent it: browsers name themselves as the sender, or nobody."""
    if name.lower().endswith((".mht", ".mhtml")) or "snapshot-content-location" in headers:
        return True
    return headers.raw("from").lower().startswith("<saved by ")


def _page(parts: Parts) -> Iterator[Yielded]:
    """Yield the page that was saved; its pictures and frames are left out."""
    pages = [entity for section in parts.sections for entity in section.html]
    if not pages:
        raise UnreadableDocument("there is no page in the web archive")
    page = read_page(pages[0].payload(), charset=pages[0].charset)
    yield Properties(page.title, page.metadata)
    yield from page.parts


def _bytes(content: Content) -> bytes:
    if content.size > MAX_BYTES:
        raise UnreadableDocument(
            f"the mail has {content.size:,} bytes, allowed are {MAX_BYTES:,}", code="too_large"
        )
    data = content.read().removeprefix(b"\xef\xbb\xbf")
    return data.partition(b"\n")[2] if data.startswith(b"From ") else data


def _letter(headers: Headers, parts: Parts) -> Letter:
    dates = [name for name in ("date", "resent-date", "delivery-date") if name in headers]
    date = next(iter(dates), "date")
    return Letter(
        subject=headers.text("subject"),
        sender=headers.addresses("from") or headers.addresses("sender"),
        to=headers.addresses("to"),
        cc=headers.addresses("cc"),
        date=headers.moment(date),
        written_date=headers.text(date),
        message_id=headers.text("message-id"),
        in_reply_to=headers.text("in-reply-to"),
        texts=[_text(section) for section in parts.sections],
        members=[_member(entity, n) for n, entity in enumerate(parts.files, 1)],
    )


def _text(section: Section) -> Text:
    plain = "\n\n".join(map(_plain, section.plain))
    if len(section.html) == 1:
        return Text(plain, section.html[0].payload(), section.html[0].charset)
    # Pieces of one page may differ in encoding.
    return Text(plain, "\n".join(entity.text() for entity in section.html).encode(), "utf-8")


def _plain(entity: Entity) -> str:
    text = entity.text()
    if entity.headers.parameter("content-type", "format").lower() != "flowed":
        return text
    drops_space = entity.headers.parameter("content-type", "delsp").lower() == "yes"
    return unflowed(text, drops_space=drops_space)


def _member(entity: Entity, number: int) -> Member:
    kind = entity.media_type
    data = entity.payload()
    name = entity.filename.replace("\\", "/").rpartition("/")[2]
    if kind == "message/rfc822" and not name:
        name = Entity(data).headers.text("subject").replace("/", "-")[:100]
    elif kind.startswith("message/") and kind != "message/rfc822":
        kind = "text/plain"
    name = member_name(name) or f"attachment-{number}"
    ending = _ENDINGS.get(kind, "")
    if kind == "message/rfc822" and not name.lower().endswith(".eml"):
        name += ".eml"
    elif ending and "." not in name:
        name += ending
    return Member(name, data, kind)
