"""Which of Tesseract's languages read which script.

Knows their names (https://github.com/tesseract-ocr/tessdata); nothing of pictures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

LATIN: Mapping[str, str] = {
    pair[:2]: pair[3:]
    for pair in (
        "af:afr az:aze ca:cat cs:ces cy:cym da:dan de:deu en:eng eo:epo es:spa et:est eu:eus "
        "fi:fin fr:fra ga:gle gl:glg hr:hrv hu:hun id:ind is:isl it:ita la:lat lt:lit lv:lav "
        "ms:msa mt:mlt nb:nor nl:nld nn:nor no:nor pl:pol pt:por ro:ron sk:slk sl:slv sq:sqi "
        "sv:swe sw:swa tr:tur vi:vie"
    ).split()
}
"""Languages in Latin letters by their ISO 639-1 codes."""

_CHINESE = ("chi_sim", "chi_tra")
_SCRIPTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Han": (_CHINESE, ("jpn",)),
    "Japanese": (("jpn",), _CHINESE),
    "Hiragana": (("jpn",),),
    "Katakana": (("jpn",),),
    "Korean": (("kor",),),
    "Hangul": (("kor",),),
    "Cyrillic": (("rus", "ukr", "bul"), ("srp", "mkd", "bel"), ("kaz", "mon")),
    "Greek": (("ell", "grc"),),
    "Arabic": (("ara", "fas"), ("urd", "pus", "uig")),
    "Hebrew": (("heb", "yid"),),
    "Devanagari": (("hin", "mar", "nep"), ("san",)),
    "Bengali": (("ben", "asm"),),
    "Gurmukhi": (("pan",),),
    "Gujarati": (("guj",),),
    "Oriya": (("ori",),),
    "Tamil": (("tam",),),
    "Telugu": (("tel",),),
    "Kannada": (("kan",),),
    "Malayalam": (("mal",),),
    "Sinhala": (("sin",),),
    "Thai": (("tha",),),
    "Lao": (("lao",),),
    "Khmer": (("khm",),),
    "Myanmar": (("mya",),),
    "Tibetan": (("bod",),),
    "Georgian": (("kat",),),
    "Armenian": (("hye",),),
    "Ethiopic": (("amh", "tir"),),
    "Fraktur": (("frk", "deu_latf"), ("deu",)),
}
_VERTICAL = "_vert"
_WHOLE = "script/"


class Model(NamedTuple):
    """Languages that read together, and whether they read columns from top to bottom."""

    languages: str
    """As on the command line: `chi_sim+chi_tra`."""
    vertical: bool = False


def chosen(names: Iterable[str], installed: Collection[str]) -> list[Model]:
    """Return the models of the languages that a person chose, of those that are installed."""
    here = [name for name in names if name in installed]
    flat = [name for name in here if not name.endswith(_VERTICAL)]
    steep = [Model(name, vertical=True) for name in here if name.endswith(_VERTICAL)]
    return [Model("+".join(flat)), *steep] if flat else steep


def first(installed: Collection[str]) -> Model:
    """Return the model for a page of which nothing is known: English, else what there is."""
    flat = sorted(name for name in installed if not name.endswith(_VERTICAL))
    return Model(
        next((name for name in ("eng", "script/Latin") if name in flat), (flat or [*installed])[0])
    )


def of_script(script: str, installed: Collection[str]) -> list[Model]:
    """Return the models for a script as Tesseract names it, the likeliest first."""
    if script == "Latin":
        return [first(installed)]
    models = []
    for group in _SCRIPTS.get(script, ()):
        for ending in ("", _VERTICAL):
            here = [name + ending for name in group if name + ending in installed]
            if here:
                models.append(Model("+".join(here), vertical=bool(ending)))
    if not models and _WHOLE + script in installed:
        models.append(Model(_WHOLE + script))
    return models
