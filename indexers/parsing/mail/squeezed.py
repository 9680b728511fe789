"""RTF as Outlook keeps it in its mails, compressed ([MS-OXRTFCP]).

Knows the compression alone; nothing of RTF.
"""

from __future__ import annotations

import struct

from rag.errors import UnreadableDocument

MAX_BYTES = 32 << 20

_COMPRESSED = b"LZFu"
_PLAIN = b"MELA"
_WINDOW = 4096
_KNOWN = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern "
    b"\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0"
    b"\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""What the window holds before the first byte (2.1.2.1)."""


def expand_rtf(data: bytes) -> bytes:
    """Return the RTF; of damaged data what comes before the damage.

    Raise `UnreadableDocument` when it is no compressed RTF, or unpacks to more than 32 MiB.
    """
    if len(data) < 16 or data[8:12] not in (_COMPRESSED, _PLAIN):
        raise UnreadableDocument("the mail's RTF text is malformed")
    _, size = struct.unpack_from("<II", data)
    if data[8:12] == _PLAIN:
        return data[16 : 16 + size]
    if size > MAX_BYTES:
        raise UnreadableDocument("the mail's RTF text is too large", code="too_large")
    return _expanded(data, size)


def _expanded(data: bytes, size: int) -> bytes:
    window = bytearray(_WINDOW)
    window[: len(_KNOWN)] = _KNOWN
    at = len(_KNOWN)
    result = bytearray()
    position = 16
    while position < len(data) and len(result) < size:
        control = data[position]
        position += 1
        for bit in range(8):
            if control >> bit & 1:
                reference = int.from_bytes(data[position : position + 2], "big")
                position += 2
                start = reference >> 4
                if position > len(data) or start == at:  # the end is marked so
                    return bytes(result)
                piece = [start + i for i in range((reference & 15) + 2)]
            else:
                if position >= len(data):
                    return bytes(result)
                window[at] = data[position]
                position += 1
                piece = [at]
            for source in piece:
                byte = window[source % _WINDOW]
                window[at] = byte
                at = (at + 1) % _WINDOW
                result.append(byte)
    return bytes(result)
