"""Characters of symbol fonts as Unicode.

Knows the ones that carry meaning in documents: boxes, bullets, arrows, Greek letters, signs.
"""

from __future__ import annotations

_SYMBOLS = {  # of the fonts Wingdings and Symbol, that have no meaning elsewhere
    "wingdings": {
        0x6C: "●", 0x6E: "■", 0x6F: "□", 0xA8: "☐", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
        0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xF0: "⇨", 0x4A: "☺", 0xA7: "▪", 0xD8: "➢",
    },
    "symbol": dict(zip(
        range(0x41, 0x7B),
        "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ",
        strict=True,
    )) | {0xA3: "≤", 0xB3: "≥", 0xB1: "±", 0xB4: "×", 0xB7: "•", 0xB9: "≠", 0xBB: "≈", 0xAE: "→",
          0xA5: "∞", 0xD6: "√", 0xE5: "∑", 0xF2: "∫", 0xB0: "°", 0xDE: "⇒", 0xCE: "∈"},
}  # fmt: skip


def symbol(font: str, code: str) -> str:
    """Return a character by its hexadecimal code; nothing where it could only be a wrong one."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    family = font.lower().rstrip(" 23")
    low = number & 0xFF
    if family in _SYMBOLS:
        plain = chr(low) if family == "symbol" and 0x20 <= low < 0x7F else ""
        return _SYMBOLS[family].get(low, plain)
    return chr(number) if 0x20 <= number < 0xD800 else ""
