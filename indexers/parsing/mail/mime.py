"""The parts of a mail (RFC 2045, 2046): text, alternatives of it, and files.

Knows how bodies nest and are encoded; nothing of people, dates and quotes. Nesting costs neither
recursion nor more than a fixed number of levels and parts.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from indexers.parsing.mail.headers import Headers, decoded, from_base64, split_head

MAX_DEPTH = 30
"""Parts in parts in parts …"""
MAX_PARTS = 1000
MAX_DECORATION = 4096
"""Bytes of an image that is taken for a mere ornament of the text."""

_TEXTS = frozenset({"text/plain", "text/html", "text/enriched", "text/richtext"})
_CHARSET = re.compile(r"""charset\*?\s*=\s*["']?\s*([\w.:+-]+)""", re.IGNORECASE)
_BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"([^"]*)"?|'([^']*)'|([^;\s]+))""", re.IGNORECASE)
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\n]*\n", re.MULTILINE)


class Entity:
    """A mail or one part of it: a head and a body."""

    def __init__(self, data: bytes, default: str = "text/plain") -> None:
        """Take the bytes; `default` is the type where none is said."""
        head, self.body = split_head(data)
        self.headers = Headers(head)
        said = self.headers.value("content-type")
        self.media_type = said if re.fullmatch(r"[\w.+-]+/[\w.+-]+", said) else default

    @property
    def charset(self) -> str | None:
        """What it says of its own encoding."""
        found = _CHARSET.search(self.headers.raw("content-type"))
        return found[1] if found is not None else None

    @property
    def filename(self) -> str:
        """The name under which it should be kept; empty where it has none."""
        return self.headers.parameter("content-disposition", "filename") or self.headers.parameter(
            "content-type", "name"
        )

    @property
    def is_attachment(self) -> bool:
        """Whether it should not be shown with the text."""
        return self.headers.value("content-disposition") == "attachment"

    @property
    def is_decoration(self) -> bool:
        """Whether it is a small image that the text shows: a logo, a rule, a counting pixel."""
        if not self.media_type.startswith("image/") or self.is_attachment:
            return False
        return len(self.body) < MAX_DECORATION * 4 // 3 and len(self.payload()) < MAX_DECORATION

    def payload(self) -> bytes:
        """Return the body without its transfer encoding; what is broken as far as it goes."""
        match self.headers.value("content-transfer-encoding"):
            case "base64":
                return from_base64(self.body)
            case "quoted-printable":
                return binascii.a2b_qp(self.body)
            case "x-uuencode" | "uuencode" | "x-uue" | "uue":
                return _from_uu(self.body)
            case _:
                return self.body

    def text(self) -> str:
        """Return the body as text."""
        return decoded(self.payload(), self.charset)

    def children(self) -> Iterator[Entity]:
        """Yield the parts of a multipart body; none where the boundary is not to be found."""
        found = _BOUNDARY.search(self.headers.raw("content-type"))
        boundary = next(filter(None, found.groups()), "").strip() if found is not None else ""
        default = "message/rfc822" if self.media_type == "multipart/digest" else "text/plain"
        for piece in _pieces(self.body, boundary.encode(errors="replace")) if boundary else ():
            yield Entity(piece, default)


@dataclass(slots=True)
class Section:
    """A stretch of a mail's text, in as many forms as it was sent in."""

    plain: list[Entity] = field(default_factory=list)
    html: list[Entity] = field(default_factory=list)

    def add(self, entity: Entity) -> None:
        """Add what follows in one of the forms."""
        (self.html if entity.media_type == "text/html" else self.plain).append(entity)


@dataclass(slots=True)
class Parts:
    """What a mail consists of."""

    sections: list[Section] = field(default_factory=list)
    files: list[Entity] = field(default_factory=list)
    is_encrypted: bool = False
    is_too_deep: bool = False
    """Something was left out because it was nested too deeply."""


def mail_parts(root: Entity) -> Parts:
    """Return the texts and files of a mail, at most 1,000 parts and 30 levels of them."""
    parts = Parts()
    stack: list[tuple[Entity, int, Section | None]] = [(root, 0, None)]
    count = 0
    while stack and count < MAX_PARTS:
        entity, depth, section = stack.pop()
        count += 1
        kind = entity.media_type
        if kind == "multipart/encrypted" or _is_enveloped(entity):
            parts.is_encrypted = True
        elif kind.startswith("multipart/") and depth >= MAX_DEPTH:
            parts.is_too_deep = True
        elif kind.startswith("multipart/") and (children := _children(entity, kind)):
            if kind == "multipart/alternative" and section is None:
                section = Section()
                parts.sections.append(section)
            stack.extend((child, depth + 1, section) for child in reversed(children))
        elif _is_text(entity, is_root=entity is root):
            if section is None:
                parts.sections.append(Section())
            (section or parts.sections[-1]).add(entity)
        elif not entity.is_decoration:
            parts.files.append(entity)
    return parts


def _children(entity: Entity, kind: str) -> list[Entity]:
    found: list[Entity] = []
    for child in entity.children():
        found.append(child)
        if len(found) == (1 if kind == "multipart/signed" else MAX_PARTS):
            break
    return found


def _is_text(entity: Entity, *, is_root: bool) -> bool:
    if entity.media_type.startswith("multipart/"):  # in one piece after all
        return True
    return entity.media_type in _TEXTS and (
        is_root or not (entity.is_attachment or entity.filename)
    )


def _is_enveloped(entity: Entity) -> bool:
    if entity.media_type not in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return False
    return entity.headers.parameter("content-type", "smime-type").lower() != "signed-data"


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield what stands between the boundary's lines (RFC 2046, 5.1.1); the last may be open."""
    mark = b"--" + boundary
    start = -1
    position = 0
    while (position := body.find(mark, position)) >= 0:
        line_end = body.find(b"\n", position)
        line_end = len(body) if line_end < 0 else line_end + 1
        rest = body[position + len(mark) : min(line_end, position + len(mark) + 100)].strip()
        is_line = position == 0 or body[position - 1 : position] in (b"\n", b"\r")
        if is_line and rest in (b"", b"--"):
            if start >= 0:
                yield _trimmed(body, start, position)
            start = -1 if rest else line_end
            if rest:
                return
        position = line_end if is_line else position + len(mark)
    if start >= 0:
        yield body[start:]


def _trimmed(body: bytes, start: int, end: int) -> bytes:
    """Return a piece without the line end that belongs to the boundary."""
    for newline in (b"\r\n", b"\n"):
        if body.endswith(newline, start, end):
            return body[start : end - len(newline)]
    return body[start:end]


def _from_uu(body: bytes) -> bytes:
    begin = _UU_BEGIN.search(body)
    decoded_lines: list[bytes] = []
    for line in body[begin.end() if begin else 0 :].splitlines():
        if line.strip() in (b"end", b"`", b""):
            break
        try:
            decoded_lines.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(decoded_lines)
