"""The language of a text, and when it is better left open."""

from __future__ import annotations

import pytest

from indexers.parsing.text.language import detect_language


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("All human beings are born free and equal in dignity and rights.", "en"),
        ("Alle Menschen sind frei und gleich an Würde und Rechten geboren.", "de"),
        ("Tous les êtres humains naissent libres et égaux en dignité et en droits.", "fr"),
        ("Alle mennesker er født frie og lige i værdighed og rettigheder.", "da"),
        ("Wszyscy ludzie rodzą się wolni i równi pod względem swej godności.", "pl"),
        ("Все люди рождаются свободными и равными в своем достоинстве и правах.", "ru"),
        ("人人生而自由，在尊严和权利上一律平等。", "zh"),
        ("人人生而自由，在尊嚴和權利上一律平等。", "zh"),
        ("すべての人間は、生れながらにして自由であり、", "ja"),
        ("모든 인간은 태어날 때부터 자유로우며 그 존엄과", "ko"),
        ("يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق", "ar"),
    ],
)
def test_a_sentence_is_enough(text: str, code: str) -> None:
    assert detect_language(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello world",
        "12 345,67 | 2024-01-01 | 99 %",
        "https://example.org/some/long/path?with=words a@example.org",
        "Blues,STL,1\nFlyers,PHI,2\nMaple Leafs,TOR,13",
        "xq zrt wvk plm bnn qqs ttr kkl mmn zzx qwp",
        "\ud800\ud800",
    ],
)
def test_what_is_short_or_unsure_is_left_open(text: str) -> None:
    assert detect_language(text) is None


def test_most_of_a_long_text_decides() -> None:
    german = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. "
    english = "This is a note of the translator in front of the text. "
    assert detect_language(english * 9 + german * 500) == "de"
