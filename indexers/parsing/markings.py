"""By which marks a text shows what it is: its first element, its first lines.

Knows XML, HTML, mail, mailboxes and JSON as far as telling them apart needs; reads a file's
beginning only.
"""

from __future__ import annotations

import re

import orjson

from indexers.parsing import mediatypes as types

_SPACE = " \t\r\n\f\ufeff"
_DOCTYPE = re.compile(r"<!doctype\s+([\w:.-]+)", re.IGNORECASE)
_ELEMENT = re.compile(r"<([A-Za-z_][\w:.-]*)")
_NAMESPACE = re.compile(r"<[^<>]*\sxmlns(?::[\w.-]+)?\s*=")
_MBOX = re.compile(r"From \S[^\n]*\d\d:\d\d[^\n]*\n>?[A-Za-z][\w-]*:")
_FIELD = re.compile(r"([A-Za-z][\w-]*):(?:\s|$)")
_MAIL_FIELDS = frozenset(
    "received return-path message-id mime-version from to subject date delivered-to".split()
)
_SURE_FIELDS = frozenset("received return-path message-id mime-version from".split())
MIN_FIELDS = 2


def markup_type(text: str) -> str | None:
    """Tell HTML, SVG and other XML by what stands first; None when no markup does."""
    is_xml = text.lstrip(_SPACE).startswith("<?xml")
    start = _after_prolog(text)
    if (doctype := _DOCTYPE.match(text, start)) is not None:
        is_xml = is_xml or doctype[1].lower() != "html"
        name = doctype[1]
    elif (element := _ELEMENT.match(text, start)) is not None:
        name = element[1]
        is_xml = is_xml or _NAMESPACE.match(text, start) is not None
    else:
        return types.XML if is_xml else None
    match name.rpartition(":")[2].lower():
        case "html":
            return types.HTML
        case "svg":
            return types.SVG
    return types.XML if is_xml else None


def _after_prolog(text: str) -> int:
    """Return where the white space, comments and instructions before the first element end."""
    position = 0
    while True:
        position += len(text) - position - len(text[position:].lstrip(_SPACE))
        for opening, closing in (("<?", "?>"), ("<!--", "-->")):
            if text.startswith(opening, position):
                end = text.find(closing, position)
                if end < 0:
                    return len(text)
                position = end + len(closing)
                break
        else:
            return position


def mail_type(text: str) -> str | None:
    """Tell a mailbox or a mail by its first lines (RFC 4155, RFC 5322); None when it is neither."""
    text = text.lstrip("\r\n").replace("\r\n", "\n")
    if _MBOX.match(text):
        return types.MBOX
    fields: set[str] = set()
    for line in text.split("\n"):
        if not line:
            break
        if line[0] in " \t" and fields:
            continue
        field = _FIELD.match(line)
        if field is None:
            return None
        fields.add(field[1].lower())
    known = fields & _MAIL_FIELDS
    return types.MAIL if len(known) >= MIN_FIELDS and known & _SURE_FIELDS else None


def json_type(head: bytes, *, is_whole: bool) -> str | None:
    """Tell JSON, or lines of it, by its form; None when it is neither."""
    head = head.removeprefix(b"\xef\xbb\xbf").strip()
    if not head.startswith((b"{", b"[")):
        return None
    first, _, rest = head.partition(b"\n")
    if rest.lstrip()[:1] == first[:1] and _is_json(first):
        return types.JSON_LINES
    if is_whole:
        return types.JSON if _is_json(head) else None
    return types.JSON if re.match(rb'(?:\{\s*"|\[\s*[\[{"])', head) else None


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
