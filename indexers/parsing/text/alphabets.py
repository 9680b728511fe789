"""How likely it is that a decoded text is what its writer meant.

Knows the letters of many languages and what stands out of place within a word; nothing of
encodings. Bytes read in the wrong encoding give capitals inside words (`mŠnniskor`), signs between
letters (`f„r`), words of mixed scripts, and letters that no single language has side by side.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal, TypeAlias

MAX_HITS = 2000
"""Characters beyond ASCII that are judged; more would not change the verdict."""

_ALPHABETS = tuple(
    frozenset(letters)
    for letters in (
        "éèàêçâîôùûïëœ",  # French
        "üäöß",  # German
        "óáíéñúü",  # Spanish
        "èàéòùì",  # Italian
        "ãçáéíóêõâúôà",  # Portuguese
        "ëéïèöü",  # Dutch, Albanian
        "äåöé",  # Swedish, Finnish
        "øåæé",  # Danish, Norwegian
        "áíðöéúþóæý",  # Icelandic
        "óàéèçíòúïü",  # Catalan
        "ąęłśżóćńź",  # Polish
        "íáéěřýčžšůúňťďó",  # Czech
        "áíéýčžšťúľôňäďóŕĺ",  # Slovak
        "áéőöíóüúű",  # Hungarian
        "čšžćđ",  # Croatian, Slovene, Bosnian, Serbian in Latin script
        "ăîâţşțș",  # Romanian
        "ıüşğçöâîû",  # Turkish, Azeri
        "äõüöšž",  # Estonian
        "āīēšņūžļčķģ",  # Latvian
        "ėšąųžūįčę",  # Lithuanian
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",  # Russian
        "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",  # Ukrainian
        "абвгдеёжзійклмнопрстуўфхцчшыьэюя",  # Belarusian
        "абвгдежзийклмнопрстуфхцчшщъьюя",  # Bulgarian
        "абвгдђежзијклљмнњопрстћуфхцчџш",  # Serbian
        "абвгдѓежзѕијклљмнњопрстќуфхцчџш",  # Macedonian
        "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ",  # Greek
        "אבגדהוזחטיכלמנסעפצקרשתךםןףץ",  # Hebrew
        "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءأإآؤئپچژگکیہےں",  # Arabic, Persian, Urdu
        "đơưăâêôáàãạảấầẫậẩắằẵặẳéèẽẹẻếềễệểíìĩịỉóòõọỏốồỗộổớờỡợởúùũụủứừữựửýỳỹỵỷ",  # Vietnamese
    )
)
_BEYOND_ALPHABETS = "\u0e00"
"""From Thai on, scripts have encodings of their own that need no help to be told apart."""

_Kind: TypeAlias = Literal["upper", "lower", "letter", "mark", "space", "number", "sign", "none"]
_KINDS: dict[str, _Kind] = {
    "Lu": "upper",
    "Ll": "lower",
    "Cc": "none",
    "Cn": "none",
    "Co": "none",
    "Cs": "none",
}
_GROUPS: dict[str, _Kind] = {
    "L": "letter",
    "M": "mark",
    "N": "number",
    "Z": "space",
    "C": "mark",  # what only steers the layout
}
_INSIDE_WORDS = frozenset("’·‐\xad\u200c\u200d")
_COMMON_SIGNS = frozenset("’‘“”„«»–—…·°§€¡¿ªº№‚‹›•‐،؟؛©®™£½²³±×µ、。，：；？！（）「」《》")
_NOT_AFTER_LETTERS = frozenset("‚„¤¢£¥¦§¨©¬¯°±¸¶¡¿")
_CROWDED = 0.3
"""What a letter between two others beyond ASCII counts: few Latin words have three in a row."""
_HEBREW_FINALS = frozenset("ךםןףץ")
_HIGH = re.compile(r"[^\0-\x7f]")


def implausibility(text: str) -> float:
    """Return 0 where nothing is odd, about 1 where every character beyond ASCII is."""
    letters: Counter[str] = Counter()
    odd, high, capitals = 0.0, 0, 0
    for hit in _HIGH.finditer(text):
        start, char = hit.start(), hit[0]
        odd += _oddity(text[start - 1 : start] or " ", char, text[start + 1 : start + 2] or " ")
        if char < _BEYOND_ALPHABETS and _kind(char) in ("upper", "lower", "letter"):
            letters[char.lower()] += 1
            capitals += char.isupper()
        high += 1
        if high == MAX_HITS:
            break
    cased = letters.total()
    odd += cased - max(_known(letters, alphabet) for alphabet in _ALPHABETS)
    if cased > 8 and capitals > cased * 0.8:
        odd += cased * 0.1
    return odd / high if high else 0.0


def _known(letters: Counter[str], alphabet: frozenset[str]) -> int:
    return sum(count for letter, count in letters.items() if letter in alphabet)


def _oddity(before: str, char: str, after: str) -> float:
    """Say how odd a character beyond ASCII is between its neighbours."""
    kind, left, right = _kind(char), _kind(before), _kind(after)
    match kind:
        case "none":
            return 2.0
        case "upper" | "lower":
            crowded = min(before, char, after) > "\x7f" and {left, right} <= {"upper", "lower"}
            return float(_is_misplaced(before, char, after)) or _CROWDED * (
                crowded and _script(char) == "LATIN"
            )
        case "letter":
            return _oddity_of_uncased(before, char, after)
        case "sign" | "number" if char not in _INSIDE_WORDS:
            inside = left in ("upper", "lower") and right in ("upper", "lower")
            if inside or ("─" <= char <= "▟" and {left, right} & {"upper", "lower", "letter"}):
                return 1.0
            if char in _NOT_AFTER_LETTERS and left in ("upper", "lower"):
                return 0.7
            return 0.0 if char in _COMMON_SIGNS else 0.3
        case "space" if left in ("upper", "lower") and right in ("upper", "lower"):
            return 0.3
    return 0.0


def _is_misplaced(before: str, char: str, after: str) -> bool:
    """Whether a letter is a capital within a word, or of another script than its neighbours."""
    if _kind(before) == "lower" and char.isupper():
        return True
    if _kind(before) in ("upper", "lower") and _script(before) != _script(char):
        return True
    return after.isascii() and after.isalpha() and _script(char) != "LATIN"


def _oddity_of_uncased(before: str, char: str, after: str) -> float:
    """Judge a letter of a script without capitals, which seldom stands alone in a Latin word."""
    if char in _HEBREW_FINALS and "א" <= after <= "ת":
        return 1.0
    left, right = before.isascii() and before.isalpha(), after.isascii() and after.isalpha()
    alone = (left and (right or not _is_letter(after))) or (right and not _is_letter(before))
    return 0.5 if alone else 0.0


def _is_letter(char: str) -> bool:
    return _kind(char) in ("upper", "lower", "letter", "mark")


@lru_cache(maxsize=4096)
def _kind(char: str) -> _Kind:
    if char in "\t\n\r\f":
        return "space"
    if char in _COMMON_SIGNS:
        return "sign"
    category = unicodedata.category(char) if char != "\ufffd" else "Cn"
    return _KINDS.get(category) or _GROUPS.get(category[0], "sign")


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    """Return the first word of the character's name, which tells the scripts with capitals."""
    return unicodedata.name(char, "").partition(" ")[0]
