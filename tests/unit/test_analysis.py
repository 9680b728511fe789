"""The analyzer: which terms a text has, in many languages, also when the text is hostile."""

from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.embedders import analysis
from rag.embedders.analysis import MAX_TERM, STOP_WORDS, analyse


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        (" \n\t .,;!? … — ++ ## ''", []),
        (" \u0301 \u0301.\u0301_ \u0301++ \u0640", []),
        ("The proteins were RUNNING", ["protein", "were", "run"]),
        ("to be or not to be", []),
        ("John's dogs and the dogs' bowl", ["john", "dog", "dog", "bowl"]),
        ("it’s Anna’S", ["anna"]),
        ("don't l'amour", ["don", "t", "l", "amour"]),
        ("p53 IL6 10:30", ["p53", "il6", "10", "30"]),
    ],
)
def test_words(text: str, terms: list[str]) -> None:
    assert analyse(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("0x80070005", ["0x80070005"]),
        ("0X8007000A IL6R", ["0x8007000a", "il6r"]),
        ("Base64String", ["base64string", "base64", "string"]),
        ("Get-ChildItem", ["get-childitem", "get", "childitem", "child", "item"]),
        ("v1.2.3", ["v1.2.3", "v1", "2", "3"]),
        ("snake_case_names", ["snake_case_names", "snake", "case", "name"]),
        ("foo.bar()", ["foo.bar", "foo", "bar"]),
        ("C++ C# F#, notepad++.", ["c++", "c", "c#", "c", "f#", "f", "notepad++", "notepad"]),
        ("192.168.0.1", ["192.168.0.1", "192", "168", "0", "1"]),
        ("<user@example.com>", ["user@example.com", "user", "exampl", "com"]),
        ("AT&T", ["at&t", "t"]),
        ("XMLHttpRequest", ["xmlhttprequest", "xml", "http", "request"]),
        ("parseHTML", ["parsehtml", "pars", "html"]),
        ("mRNA iPhone15", ["mrna", "rna", "iphone15", "phone15"]),
        ("__init__ ____ _private", ["init", "privat"]),
        ("a+b 1+1 x++y", ["b", "1", "1", "x", "y"]),
        ("end.Start of--it", ["end.start", "end", "start"]),
        ("well‐known well‑known", ["well-known", "well", "known"] * 2),
    ],
)
def test_identifiers_survive_whole_and_in_parts(text: str, terms: list[str]) -> None:
    assert analyse(text) == terms


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("get-childitem", "Use Get-ChildItem to list."),
        ("powershell", "PowerShell"),
        ("childitem", "Get-ChildItem"),
        ("cafe", "Café"),
        ("strasse", "STRAßE"),
        ("lodz", "Łódź"),
        ("istanbul", "İstanbul"),
        ("Σίσυφος", "ΣΙΣΥΦΟΣ"),
        ("елка", "Ёлка"),
        ("كتاب", "كِتَاب"),
        ("information", "in\u00adfor\u00admation"),
        ("fine", "ﬁne"),
        ("c#", "Ｃ＃"),
        ("ガギ", "ｶﾞｷﾞ"),
        ("葛城", "葛\U000e0100城"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("été", unicodedata.normalize("NFD", "été")),
    ],
)
def test_spellings_of_one_word_meet(question: str, passage: str) -> None:
    assert analyse(question)
    assert set(analyse(question)) <= set(analyse(passage))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("東京タワーに行く。", ["東京", "京タ", "タワ", "ワー", "ーに", "に行", "行く"]),
        ("猫", ["猫"]),
        ("2024年度", ["2024", "年度"]),
        ("コーヒー・ブレイク", ["コー", "ーヒ", "ヒー", "ブレ", "レイ", "イク"]),
        ("한국어 말", ["한국", "국어", "말"]),
        ("ดีมาก", ["ดี", "ีม", "มา", "าก"]),
        ("\U00020000\U00020001", ["\U00020000\U00020001"]),
        ("Python入門guide", ["python", "入門", "guid"]),
    ],
)
def test_scripts_without_spaces_become_pairs(text: str, terms: list[str]) -> None:
    assert analyse(text) == terms


def test_words_in_latin_letters_are_read_alike_beside_other_scripts() -> None:
    text = "Get-ChildItem v1.2.3 it's C++ c++x _a_ snake_case, 0x80070005; foo.bar() a@b.c x--y #"
    assert analyse(f"{text} 猫") == [*analyse(text), "猫"]
    assert analyse(f"猫{text}") == ["猫", *analyse(text)]


def test_marks_that_matter_stay() -> None:
    assert analyse("か") != analyse("が")
    assert analyse("हिन्दी भाषा") == ["हिन्दी", "भाषा"]
    assert analyse("हिन्दी") != analyse("हन्द")


def test_long_words_are_cut_and_random_ones_not_taken_apart() -> None:
    digest = "0123456789abcdef" * 8
    assert analyse(digest) == [digest[:MAX_TERM]]
    assert analyse("aGVsbG8gd29ybGQgdGhpcyBpcyBhIHRlc3Q") == ["agvsbg8gd29ybgqgdghpcybpcybhihrlc3q"]
    assert max(map(len, analyse("é" * 999 + ".b" * 999 + "X" * 999))) == MAX_TERM


@pytest.mark.parametrize(
    "unit",
    ["a", "a.", "a+", "'s", "aB", "_", "@", "é", "漢", "a\u0301", "\u0301\u0323", "\u0323ﾞ", "ﷺ"],
)
def test_hostile_repetitions_take_linear_time(unit: str) -> None:
    """Quadratic work on so many characters takes minutes."""
    terms = analyse(f"before {unit * (200_000 // len(unit))} after")
    assert (terms[0], terms[-1]) == ("befor", "after")
    assert max(map(len, terms)) <= MAX_TERM


def test_half_a_surrogate_pair_is_no_letter() -> None:
    assert analyse("\ud800left\udfff") == ["left"]


def test_stop_words_are_no_terms() -> None:
    assert len(STOP_WORDS) == 33
    assert analyse(" ".join(STOP_WORDS).upper()) == []


def test_remembered_words_stay_bounded_and_right() -> None:
    words = [f"w{i}" for i in range(analysis.MAX_KNOWN + 100)]
    assert analyse(" ".join(words)) == words
    assert analyse(" ".join(words)) == words
    assert len(analysis._KNOWN) <= analysis.MAX_KNOWN


def test_long_words_are_not_remembered() -> None:
    word = "longer" * 20
    analyse(word)
    assert word not in analysis._KNOWN


def test_threads_get_the_same_terms() -> None:
    texts = [f"Running{i} generalisations of Get-Item{i} naïve東京{i}" for i in range(200)]
    expected = [analyse(text) for text in texts]
    analysis._KNOWN.clear()
    with ThreadPoolExecutor(8) as pool:
        for terms in pool.map(lambda _: [analyse(text) for text in texts], range(16)):
            assert terms == expected
