"""RTF: paragraphs, headings, lists, tables and notes, as a reader of the document sees them.

Knows what control words mean (Rich Text Format Specification 1.9.1); the syntax is known to
`rtf_tokens`. Pictures, embedded objects, running heads and feet are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from indexers.parsing.content import Content, Part, Properties, Yielded
from indexers.parsing.rtf.blocks import Blocks
from indexers.parsing.rtf.info import Info, read_fonts, read_info, read_styles
from indexers.parsing.rtf.state import CHARACTERS, NOTES, SKIPPED, State
from indexers.parsing.rtf.tokens import Token, Tokens, code_page_encoding
from rag.errors import UnreadableDocument

MAX_BYTES = 256 << 20
MAX_DEPTH = 1000
"""Groups in groups; deeper ones share what the last one sets."""
MAX_SKIPPED = 100
"""Characters that may stand for one of Unicode."""
_ENCODINGS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850", "ansi": "cp1252"}


def parse_rtf(content: Content) -> Iterator[Yielded]:
    """Read a document; one that is cut off as far as it goes.

    Raise `UnreadableDocument`: malformed (no RTF), too_large.
    """
    if content.size > MAX_BYTES:
        raise UnreadableDocument(
            f"the file has {content.size:,} bytes, allowed are {MAX_BYTES:,}", code="too_large"
        )
    data = content.read().removeprefix(b"\xef\xbb\xbf").lstrip()
    if not data.startswith(b"{\\rtf"):
        raise UnreadableDocument("the content is no RTF")
    reader = _Reader(data)
    first: Part | None = None
    for part in reader.parts():
        first = first or (part if part.level == 1 else None)
        yield part
    title = reader.info.title or (first.label if first is not None else None)
    yield Properties(title, reader.info.metadata())


class _Reader:
    """Follows the tokens; the blocks gather what they make."""

    def __init__(self, data: bytes) -> None:
        self.info = Info()
        self._tokens = Tokens(data)
        self._blocks = Blocks()
        self._state = State()
        self._stack: list[State] = []
        self._depth = 0
        self._bytes = bytearray()
        """Characters in the encoding of the font: one may take several."""
        self._to_skip = 0
        """Characters that stand for the last one of Unicode."""
        self._is_starred = False

    def parts(self) -> Iterator[Part]:
        """Yield the document's parts as they are complete."""
        for token in self._tokens:
            if token.text:
                self._text(token.text)
            elif token.byte is not None:
                self._text(bytes((token.byte,)))
            elif token.brace:
                self._brace(token.brace)
                if self._depth == 0:  # what follows is no part of the document
                    break
            else:
                self._word(token)
            if self._blocks.done:
                yield from self._blocks.take()
        self._flush()
        self._blocks.end()
        yield from self._blocks.take()

    def _text(self, text: bytes) -> None:
        if self._to_skip:
            skipped = min(self._to_skip, len(text))
            self._to_skip -= skipped
            text = text[skipped:]
        if not self._state.is_hidden:
            self._bytes += text

    def _flush(self) -> None:
        """Decode the characters that have gathered."""
        if self._bytes:
            encoding = self._state.encoding or self.info.encoding
            self._blocks.add(self._bytes.decode(encoding, errors="replace"))
            self._bytes.clear()

    def _brace(self, brace: bytes) -> None:
        self._flush()
        self._to_skip = 0
        self._is_starred = False
        if brace == b"{":
            self._depth += 1
            if self._depth < MAX_DEPTH:
                self._stack.append(self._state)
                self._state = self._state.copy()
            return
        if self._depth < MAX_DEPTH and self._stack:
            if self._state.note_depth == self._depth:
                self._blocks.end_note()
            elif self._state.marker_depth == self._depth:
                self._blocks.end_marker()
            self._state = self._stack.pop()
        self._depth -= 1

    def _word(self, token: Token) -> None:
        word = token.word
        if word == "*":
            self._is_starred = True
            return
        is_starred, self._is_starred = self._is_starred, False
        if self._to_skip and word != "u":
            self._to_skip -= 1
            return
        if self._destination(word, is_starred=is_starred):
            return
        if word in CHARACTERS:
            self._flush()
            if not self._state.is_hidden:
                self._blocks.add(CHARACTERS[word])
        elif word == "u":
            self._unicode(token.number or 0)
        elif word in ("uc", "f", "plain", "v", "deleted", "deff", "ansicpg") or word in _ENCODINGS:
            self._flush()
            self._format(word, token.number)
        else:
            if self._blocks.ends_text(word):
                self._flush()
            self._blocks.word(word, token.number, self._state, self.info.styles)

    def _destination(self, word: str, *, is_starred: bool) -> bool:
        """Read or pass over a group that is no text of the document; return whether it was one."""
        match word:
            case "fonttbl":
                self.info.fonts = read_fonts(self._group())
            case "stylesheet":
                self.info.styles = read_styles(self._group(), self.info.encoding)
            case "info":
                read_info(self._group(), self.info)
            case _ if word in NOTES:
                self._flush()
                self._blocks.begin_note()
                self._state.note_depth = self._depth
            case "listtext" | "pntext":
                self._flush()
                self._blocks.begin_marker()
                self._state.marker_depth = self._depth
            case _ if word in SKIPPED or (is_starred and word not in ("shpinst", "shptxt")):
                self._group()
            case _:
                return False
        return True

    def _group(self) -> bytes:
        """Return the rest of the group, and go on behind it."""
        self._flush()
        data = self._tokens.rest_of_group()
        self._brace(b"}")
        return data

    def _unicode(self, number: int) -> None:
        self._flush()
        if not self._state.is_hidden:
            self._blocks.add(chr(number & 0xFFFF))
        self._to_skip = self._state.skipped

    def _format(self, word: str, number: int | None) -> None:
        state = self._state
        match word:
            case "uc":
                state.skipped = min(MAX_SKIPPED, max(0, number or 0))
            case "f":
                state.encoding = self.info.fonts.get(number or 0)
            case "deff":
                self.info.default_font = number or 0
            case "plain":
                state.encoding = self.info.fonts.get(self.info.default_font)
                state.is_hidden = False
            case "v" | "deleted":
                state.is_hidden = number != 0
            case "ansicpg":
                self.info.encoding = code_page_encoding(number or 0)
            case _:
                self.info.encoding = _ENCODINGS[word]
