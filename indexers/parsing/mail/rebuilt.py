"""A mail written in the form of the net, so that a mail inside an Outlook file can stand alone.

Knows how to write what `letter` knows of a mail; the result is for this program's own reader.
"""

from __future__ import annotations

import re
from email.message import EmailMessage

from indexers.parsing.mail.letter import Letter, Text
from indexers.parsing.text.decoding import decode
from rag.errors import UnreadableDocument

_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")


def eml_bytes(letter: Letter) -> bytes:
    """Write a mail with its text and attachments."""
    message = EmailMessage()
    fields = {
        "Subject": letter.subject,
        "Date": letter.written_date,
        "Message-ID": letter.message_id,
        "In-Reply-To": letter.in_reply_to,
    }
    lines = [f"{name}: {_clean(value)}" for name, value in fields.items() if value]
    for name, people in (("From", letter.sender), ("To", letter.to), ("Cc", letter.cc)):
        if people:
            lines.append(f"{name}: {', '.join(map(_mailbox, people))}")
    for text in letter.texts[:1]:
        _set_text(message, text)
    for member in letter.members:
        kind = member.media_type if _TYPE.fullmatch(member.media_type) else ""
        main, _, sub = (kind or "application/octet-stream").partition("/")
        if main in ("message", "multipart"):
            main, sub = "application", "octet-stream"
        message.add_attachment(
            member.content, maintype=main, subtype=sub, filename=_clean(member.name)
        )
    return "\n".join(lines).encode(errors="replace") + b"\n" + message.as_bytes()


def _set_text(message: EmailMessage, text: Text) -> None:
    plain = text.plain or "\n\n".join(part.text for part in text.parts)
    message.set_content(_storable(plain))
    if text.html:
        try:
            page = decode(text.html, declared=text.charset)
        except UnreadableDocument:
            return
        message.add_alternative(_storable(page), subtype="html")


def _mailbox(person: str) -> str:
    """Write a person so that commas in the name part nobody."""
    name, _, address = _clean(person).rpartition(" <")
    if not name and "@" in address:
        return address
    name, address = (name, address) if name else (address, ">")
    escaped = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{escaped}" <{address}'


def _clean(value: str) -> str:
    return " ".join(_UNSAFE.sub(" ", value).split())


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode()
