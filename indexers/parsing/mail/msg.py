"""Mails as Outlook keeps them (.msg, [MS-OXMSG]).

Knows which properties of a mail mean what ([MS-OXPROPS]); how they are stored is known to
`outlook`, how mails look to `letter`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexers.parsing.archives.naming import member_name
from indexers.parsing.content import Content, Member, Part, Yielded
from indexers.parsing.mail.headers import Headers, written_address
from indexers.parsing.mail.letter import Letter, Text, letter_parts
from indexers.parsing.mail.mime import MAX_DECORATION
from indexers.parsing.mail.outlook import Storage
from indexers.parsing.mail.quoting import html_parts
from indexers.parsing.mail.rebuilt import eml_bytes
from indexers.parsing.mail.squeezed import expand_rtf
from indexers.parsing.office.ole import open_ole
from indexers.parsing.rtf.reader import parse_rtf
from rag.errors import UnreadableDocument

MAX_DEPTH = 5
"""Mails in mails in mails …; what is deeper is left out."""

_CLASS = 0x001A
_ENCRYPTED = re.compile(r"IPM\.Note\.(?:SMIME|Secure)", re.IGNORECASE)
_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER = ((0x0C1A, 0x5D01, 0x0C1F), (0x0042, 0x5D02, 0x0065))
"""Name, address on the net and other address of the sender, and of whom it was sent for."""
_SENT, _DELIVERED = 0x0039, 0x0E06
_MESSAGE_ID, _IN_REPLY_TO, _HEADERS = 0x1035, 0x1042, 0x007D
_TO_SHOWN, _CC_SHOWN = 0x0E04, 0x0E03
_KIND, _NAME, _NET_ADDRESS, _ADDRESS = 0x0C15, 0x3001, 0x39FE, 0x3003
_TO, _CC = 1, 2
_METHOD, _DATA, _LONG_NAME, _SHORT_NAME, _MIME, _CONTENT_ID = (
    *(0x3705, 0x3701, 0x3707, 0x3704),
    *(0x370E, 0x3712),
)
_IS_MAIL = 5
_IN_MAIL = "__substg1.0_3701000D"


def parse_msg(content: Content) -> Iterator[Yielded]:
    """Read one mail; its attachments are members, mails among them in the form of the net.

    Raise `UnreadableDocument` when the file is damaged or encrypted.
    """
    with open_ole(content) as container:
        mail = Storage(container)
        if _ENCRYPTED.fullmatch(mail.text(_CLASS)):
            raise UnreadableDocument("the mail is encrypted", code="encrypted")
        yield from letter_parts(_letter(mail, 0))


def _letter(mail: Storage, depth: int) -> Letter:
    headers = Headers(mail.text(_HEADERS).encode(errors="replace"))
    sent = headers.moment("date") or mail.moment(_SENT) or mail.moment(_DELIVERED)
    people = [(person.number(_KIND), _person(person)) for person in mail.inside("__recip_")]
    return Letter(
        subject=" ".join(mail.text(_SUBJECT).split()),
        sender=_sender(mail, headers),
        to=_people(people, _TO) or _shown(mail.text(_TO_SHOWN)),
        cc=_people(people, _CC) or _shown(mail.text(_CC_SHOWN)),
        date=sent,
        written_date=headers.text("date") or (f"{sent:%Y-%m-%d %H:%M:%S %Z}" if sent else ""),
        message_id=mail.text(_MESSAGE_ID).strip() or headers.text("message-id"),
        in_reply_to=mail.text(_IN_REPLY_TO).strip() or headers.text("in-reply-to"),
        texts=[_text(mail)],
        members=list(_members(mail, depth)),
    )


def _sender(mail: Storage, headers: Headers) -> list[str]:
    """Return the sender, with the address if any is known."""
    found = [
        _written(mail.text(name), mail.text(net_address), mail.text(address))
        for name, net_address, address in _SENDER
    ]
    found = [*found[:1], *headers.addresses("from")[:1], *found[1:]]
    found.sort(key=lambda person: "@" not in person)
    return list(filter(None, found))[:1]


def _person(person: Storage) -> str:
    return _written(person.text(_NAME), person.text(_NET_ADDRESS), person.text(_ADDRESS))


def _written(name: str, net_address: str, address: str) -> str:
    """Write a person; an address inside an organisation (`/O=…/CN=…`) only if nothing else is."""
    best = net_address or ("" if name and address.startswith("/") else address)
    return name.strip() if best and f"<{best}>" in name else written_address(name, best)


def _people(people: list[tuple[int | None, str]], kind: int) -> list[str]:
    return [person for found, person in people if found == kind and person]


def _shown(names: str) -> list[str]:
    return list(filter(None, map(str.strip, names.split(";"))))


def _text(mail: Storage) -> Text:
    html = mail.binary(_HTML)
    charset = mail.charset
    if not html and (page := mail.text(_HTML)):
        html, charset = page.encode(errors="replace"), "utf-8"
    plain = mail.text(_BODY)
    if plain.strip() or html:
        return Text(plain, html, charset)
    return Text(parts=_rich_text(mail.binary(_RTF)))


def _rich_text(data: bytes) -> list[Part]:
    if not data:
        return []
    try:
        found = parse_rtf(Content(expand_rtf(data)))
        return list(html_parts(part for part in found if isinstance(part, Part)))
    except UnreadableDocument:
        return []


def _members(mail: Storage, depth: int) -> Iterator[Member]:
    for number, file in enumerate(mail.inside("__attach_"), 1):
        if file.number(_METHOD) == _IS_MAIL:
            for inner in file.inside(_IN_MAIL):
                if depth < MAX_DEPTH:
                    yield _mail_in_mail(inner, depth + 1)
            continue
        data, kind = file.binary(_DATA), file.text(_MIME)
        name = member_name(file.text(_LONG_NAME) or file.text(_SHORT_NAME) or file.text(_NAME))
        is_shown = bool(file.text(_CONTENT_ID)) and kind.startswith("image/")
        if data and not (is_shown and len(data) < MAX_DECORATION):
            yield Member(name or f"attachment-{number}", data, kind)


def _mail_in_mail(mail: Storage, depth: int) -> Member:
    letter = _letter(mail, depth)
    name = member_name(letter.subject.replace("/", "-")[:100]) or "mail"
    return Member(f"{name}.eml", eml_bytes(letter), "message/rfc822")
