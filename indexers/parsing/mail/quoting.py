"""The text of a mail: what its author wrote, and what is quoted from earlier mails.

Knows how mail programs mark quotes, signatures and lists in plain text, and how Outlook puts the
earlier mail below; nothing of heads and parts of mails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from indexers.parsing.content import Part
from rag.types import BlockKind

MAX_INTRODUCTION = 3
"""Lines of `On Friday, … wrote:` above a quote."""
MAX_INTRODUCTION_CHARS = 400

_QUOTED = re.compile(r"\s{0,3}>")
_BLANK_QUOTED = re.compile(r"[\s>]*")
_RULE = re.compile(r"[ \t]*[-_]{2,}[ \t]*[^-_\s][^\n]{2,80}?[ \t]*-{2,}[ \t]*|[ \t]*_{20,}[ \t]*")
_SENDER = re.compile(
    r"\s*\*?(?:From|Von|De|Da|Van|Från|Fra|Lähettäjä|Od|Feladó|От|Від|Gönderen|Από|Kimden|Dari"
    r"|发件人|發件人|寄件者|差出人|送信者|보낸 ?사람|มาจาก|من)\s?\*?\s?[:：]",
    re.IGNORECASE,
)
_FIELD = re.compile(r"\s*\*?[^\s:：>][^:：\n]{0,30}[:：]\*?\s*\S")
_INTRODUCES = re.compile(r"\d|@|<|wrote|schrieb|écrit|escribió|scritto|写道|寫道", re.IGNORECASE)
_ITEM = re.compile(r"(\s*)(?:([-*•·+])|(\d{1,3})[.)])\s+(\S.*)")


def plain_parts(text: str) -> Iterator[Part]:
    """Yield the paragraphs, lists and quotes of a plain text.

    What follows the head of an earlier mail (`-----Original Message-----`, `From: …`) is quoted.
    """
    paragraphs = list(_paragraphs(text.split("\n")))
    is_below = False
    for number, lines in enumerate(paragraphs):
        following = paragraphs[number + 1] if number + 1 < len(paragraphs) else ()
        if is_below or begins_earlier_mail(lines, following):
            is_below = True
            yield Part("quote", quoted("\n".join(lines)))
        elif _holds_quote(lines) or (introduces(lines) and _is_quote(following)):
            yield Part("quote", "\n".join(lines))
        else:
            yield from _own(lines)


def html_parts(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield the parts of a mail's page: headings below the subject's, earlier mails as quotes."""
    found = list(parts)
    is_below = False
    for number, part in enumerate(found):
        lines = part.text.split("\n")
        following = found[number + 1] if number + 1 < len(found) else None
        if part.kind == "paragraph" and begins_earlier_mail(lines, ()):
            is_below = True
        if is_below and part.kind != "quote":
            yield Part("quote", quoted(part.text))
        elif part.kind == "paragraph" and introduces(lines) and following is not None:
            kind: BlockKind = "quote" if following.kind == "quote" else "paragraph"
            yield part._replace(kind=kind)
        elif part.kind == "heading":
            level = min(6, part.level + 1)
            yield Part("heading", f"{'#' * level} {part.label}", level, part.label)
        else:
            yield part


def unflowed(text: str, *, drops_space: bool = False) -> str:
    """Join the lines of `format=flowed` text (RFC 3676), except in quotes."""
    lines: list[str] = []
    is_open = False
    for line in text.split("\n"):
        is_quote = line.startswith(">")
        line = line.removeprefix(" ")
        if is_open and not is_quote and line != "-- ":
            last = lines.pop()
            line = (last[:-1] if drops_space else last) + line
        lines.append(line)
        is_open = line.endswith(" ") and line != "-- " and not is_quote
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Mark each line as quoted."""
    return "\n".join(line if line.startswith(">") else f"> {line}" for line in text.split("\n"))


def begins_earlier_mail(lines: Sequence[str], following: Sequence[str]) -> bool:
    """Whether a paragraph is the head of an earlier mail that was left below an answer.

    The rule above it may be a paragraph of its own.
    """
    head = list(lines)
    if _RULE.fullmatch(head[0]):
        head = head[1:] or list(following)
    fields = sum(_FIELD.match(line) is not None for line in head[:6])
    return bool(head) and _SENDER.match(head[0]) is not None and fields >= 2


def introduces(lines: Sequence[str]) -> bool:
    """Whether a paragraph can be `On Friday, … wrote:`."""
    text = "\n".join(lines)
    if len(lines) > MAX_INTRODUCTION or len(text) > MAX_INTRODUCTION_CHARS:
        return False
    return text.rstrip().endswith((":", "：")) and _INTRODUCES.search(text) is not None


def _holds_quote(lines: Sequence[str]) -> bool:
    """Whether a paragraph is a quote, perhaps below its introduction."""
    return any(map(_QUOTED.match, lines[: MAX_INTRODUCTION + 1]))


def _is_quote(lines: Sequence[str]) -> bool:
    return bool(lines) and _QUOTED.match(lines[0]) is not None


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    """Group lines; a blank line parts them, also one in a quote, and so do the ends of a quote.

    The head of an earlier mail begins a group of its own.
    """
    group: list[str] = []
    for number, line in enumerate(lines):
        is_quote = _QUOTED.match(line) is not None
        is_blank = _BLANK_QUOTED.fullmatch(line) is not None
        begins = is_quote and not _is_quote(group) and not introduces(group)
        ends = not is_quote and _is_quote(group[-1:])
        if group and (is_blank or begins or ends or _heads_earlier_mail(lines, number)):
            yield group
            group = []
        if not is_blank:
            group.append(line.rstrip())
    if group:
        yield group


def _heads_earlier_mail(lines: Sequence[str], number: int) -> bool:
    is_rule = _RULE.fullmatch(lines[number]) is not None
    if not is_rule and _SENDER.match(lines[number]) is None:
        return False
    if number and not is_rule and _RULE.fullmatch(lines[number - 1]):
        return False  # the group has begun with the rule
    return begins_earlier_mail(lines[number : number + 6], ())


def _own(lines: Sequence[str]) -> Iterator[Part]:
    """Yield a paragraph; the items of a list in it are a list."""
    text: list[str] = []
    items: list[str] = []
    for line in lines:
        item = _ITEM.fullmatch(line)
        if item is not None or (items and line[:1].isspace()):
            items.append(line)
        else:
            if items:
                yield from _block(text, items)
                text, items = [], []
            text.append(line)
    yield from _block(text, items)


def _block(text: Sequence[str], items: Sequence[str]) -> Iterator[Part]:
    if sum(_ITEM.fullmatch(line) is not None for line in items) < 2:
        text, items = [*text, *items], []
    if text:
        yield Part("paragraph", "\n".join(line.strip() for line in text))
    if items:
        yield Part("list", "\n".join(_listed(items)))


def _listed(items: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a list in the form of Markdown."""
    depths: list[int] = []
    for line in items:
        item = _ITEM.fullmatch(line)
        indent = "  " * max(0, len(depths) - 1)
        if item is None:
            yield f"{indent}  {line.strip()}"
            continue
        depth = len(item[1].expandtabs())
        while depths and depths[-1] >= depth:
            depths.pop()
        depths.append(depth)
        indent = "  " * (len(depths) - 1)
        yield f"{indent}{f'{item[3]}.' if item[3] else '-'} {item[4]}"
