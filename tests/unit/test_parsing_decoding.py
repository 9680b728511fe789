"""Bytes become text in any encoding, and binary content is refused."""

from __future__ import annotations

import codecs
import random
from pathlib import Path

import pytest

from indexers.parsing.content import Content
from indexers.parsing.text.alphabets import implausibility
from indexers.parsing.text.decoding import binary_format, cleaned, decode, head_text, open_text
from rag.errors import UnreadableDocument

ENGLISH = "The catalog is the truth; a vector store holds projections. "
WESTERN = "L'été était très chaud: Größe, señora, “quoted” and – dashed. "
CHINESE = "繁體中文的文件應該可以正確地讀取，否則搜尋不到任何內容。"
SIMPLIFIED = "简体中文文档应当能够正确读取，否则什么也搜索不到。"
JAPANESE = "日本語の文書は正しく読み取られなければなりません。"
RUSSIAN = "Русский документ должен быть прочитан правильно, иначе ничего не найти. "
GREEK = "Το έγγραφο πρέπει να διαβαστεί σωστά, αλλιώς δεν θα βρεθεί τίποτα. "
HEBREW = "המסמך צריך להיקרא נכון, אחרת לא יימצא בו דבר לעולם. "
ARABIC = "يجب قراءة المستند بشكل صحيح وإلا فلن يتم العثور على أي شيء فيه. "
THAI = "เอกสารต้องอ่านได้อย่างถูกต้อง มิฉะนั้นจะค้นหาอะไรไม่พบเลย "
POLISH = "Dokument musi zostać prawidłowo odczytany, w przeciwnym razie nic się nie znajdzie żółć. "
CZECH = "Dokument musí být přečten správně, jinak v něm už nikdy nikdo nic nenajde, řekl žák. "
HUNGARIAN = (
    "A dokumentumot helyesen kell beolvasni, különben senki sem fog belőle előkeríteni bármit. "
)
TURKISH = "Belge doğru okunmalıdır, aksi takdirde içinde hiçbir şey bulunamaz, dedi öğrenci. "
LATVIAN = "Dokuments ir jāizlasa pareizi, citādi tajā neko nevarēs atrast, teica skolēns. "
UKRAINIAN = "Документ має бути прочитаний правильно, інакше нічого не знайдеш, сказав їжак. "
FRENCH = (
    "Le document doit être lu correctement, sinon on n’y trouvera rien, dit l’élève zélé à Noël. "
)
GERMAN = (
    "Das Dokument muß richtig gelesen werden, sonst läßt sich später nichts finden, größtenteils. "
)
KOREAN = "한국어 문서는 올바르게 읽어야 합니다. 그렇지 않으면 찾을 수 없습니다. "


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_and_vanishes(bom: bytes, encoding: str) -> None:
    assert decode(bom + CHINESE.encode(encoding)) == CHINESE


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_recognised(encoding: str) -> None:
    data = (ENGLISH * 3).encode(encoding)
    assert binary_format(data) is None
    assert decode(data) == ENGLISH * 3


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", WESTERN),
        ("cp1252", WESTERN),
        ("big5", CHINESE),
        ("gb18030", SIMPLIFIED),
        ("shift_jis", JAPANESE),
        ("koi8-r", RUSSIAN),
        ("cp1251", RUSSIAN),
        ("euc_kr", KOREAN),
    ],
)
def test_encodings_without_a_mark_are_detected(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("iso8859-7", GREEK),
        ("cp1253", GREEK),
        ("cp737", GREEK),
        ("cp1255", HEBREW),
        ("iso8859-8", HEBREW),
        ("cp862", HEBREW),
        ("cp1256", ARABIC),
        ("iso8859-6", ARABIC),
        ("cp874", THAI),
        ("cp1250", POLISH),
        ("iso8859-2", POLISH),
        ("cp852", POLISH),
        ("cp1250", CZECH),
        ("iso8859-2", CZECH),
        ("cp852", CZECH),
        ("mac-latin2", CZECH),
        ("cp1250", HUNGARIAN),
        ("cp1254", TURKISH),
        ("cp857", TURKISH),
        ("cp1257", LATVIAN),
        ("iso8859-13", LATVIAN),
        ("cp1251", UKRAINIAN),
        ("koi8-u", UKRAINIAN),
        ("iso8859-5", RUSSIAN),
        ("cp866", RUSSIAN),
        ("mac-cyrillic", RUSSIAN),
        ("mac-roman", FRENCH),
        ("mac-roman", GERMAN),
        ("cp850", GERMAN),
        ("cp437", GERMAN),
        ("euc_jp", JAPANESE),
        ("iso2022_jp", JAPANESE),
        ("gbk", SIMPLIFIED),
        ("cp949", KOREAN),
    ],
)
def test_one_sentence_tells_its_encoding(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text",
    ["naïve", "café", "don’t", "“so”", "5 £", "±5 °C", "½ µm", "© 2020", "€5", "«mot»", "§ 5", "Ä"],
)
def test_a_few_characters_are_western_where_that_is_plausible(text: str) -> None:
    source = f"Words around {text} and more."
    assert decode(source.encode("cp1252")) == source


def test_a_few_bytes_of_another_script_are_not_taken_for_western() -> None:
    assert decode("文書を読む".encode("shift_jis")) == "文書を読む"
    assert decode("Слово и дело".encode("cp1251")) == "Слово и дело"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [RUSSIAN, GREEK, CHINESE, JAPANESE, KOREAN, ARABIC])
def test_utf16_without_a_mark_is_recognised_in_any_script(encoding: str, text: str) -> None:
    source = f"{text}\n{text}, {text}"
    assert decode(source.encode(encoding)) == source


def test_binary_content_is_not_taken_for_utf16() -> None:
    rng = random.Random(5)
    for size in (40, 200, 4000):
        for _ in range(100):
            data = bytes(rng.choice((0, 0, rng.randrange(256))) for _ in range(size))
            assert binary_format(b"\x01\0" + data) == "NUL bytes"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("für später", "f„r sp„ter"),
        ("människor", "mŠnniskor"),
        ("mała", "ma³a"),
        ("слово и дело", "сЛОвО и дЕЛо"),
        ("слово и дело", "ñëîâî è äåëî"),
        ("слово", "cлoвo"),
        ("résumé", "r\x82sum\x82"),
        ("größer", "gr市er"),
        ("plain", "pl\ufffdin"),
    ],
)
def test_plausible_text_is_told_from_wrongly_decoded_text(right: str, wrong: str) -> None:
    assert implausibility(right) == 0
    assert implausibility(wrong) > 0.2


def test_control_characters_are_dropped() -> None:
    assert decode(b"a\x01b\x1b[31mred\x1b[0m\x7f\tc\x0bd\x1a") == "abred\tc d"
    assert cleaned("a\x85b\x90c\ufffed\ufeff") == "a\nbcd\ufeff"
    assert decode(b"a\fb") == "a\fb"


def test_the_beginning_is_decoded_far_enough_for_ascii() -> None:
    assert (
        head_text("<é>".encode("utf-16")) == "\ufeff<é>"
        or head_text("<é>".encode("utf-16")) == "<é>"
    )
    assert head_text("<é>".encode())[0] == "<"


def opened(data: bytes) -> str:
    with open_text(Content(data)) as text:
        return text.read()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1251", "gb18030"])
def test_text_is_read_piece_by_piece_in_its_encoding(encoding: str) -> None:
    source = (CHINESE if encoding == "gb18030" else RUSSIAN) * 3000
    source = "".join(f"{source[i : i + 70]}\n" for i in range(0, len(source), 70))
    assert opened(source.replace("\n", "\r\n").encode(encoding)) == source


def test_the_encoding_of_a_long_text_shows_where_ascii_ends() -> None:
    source = "plain\n" * 30_000 + WESTERN
    assert opened(source.encode("cp1252")) == source
    assert opened(source.encode()) == source


def test_a_character_cut_off_by_the_sample_does_no_harm() -> None:
    for lead in range(4):
        source = "a" * lead + CHINESE * 2000
        assert opened(source.encode()) == source
        assert opened(source.encode("big5")) == source


def test_binary_content_is_not_opened_as_text() -> None:
    with pytest.raises(UnreadableDocument, match="NUL"):
        opened(b"a\0\0\0b" * 20)


def test_one_damaged_place_does_not_spoil_a_utf8_text() -> None:
    good = CHINESE.encode()
    assert decode(good + b"\xff" + good) == f"{CHINESE}\ufffd{CHINESE}"


def test_a_declared_encoding_is_believed_where_it_can_be_true() -> None:
    # Two characters that are also valid UTF-8: only the declaration can tell.
    assert decode("联通".encode("gbk"), declared="gb2312") == "联通"
    assert decode("€".encode("cp1252"), declared="ISO-8859-1") == "€"


def test_valid_utf8_is_better_evidence_than_the_customary_claim() -> None:
    assert decode(WESTERN.encode(), declared="iso-8859-1") == WESTERN


@pytest.mark.parametrize("declared", ["unicode_escape", "punycode", "rot13", "no-such", "", "a\0b"])
def test_declared_names_that_are_no_encodings_of_documents_are_ignored(declared: str) -> None:
    assert decode(rb"a \ud800 b", declared=declared) == r"a \ud800 b"


def test_a_declared_encoding_that_does_not_fit_is_dropped() -> None:
    assert decode(CHINESE.encode("big5"), declared="utf-8") == CHINESE


def test_newlines_are_normalised_and_nul_is_dropped() -> None:
    data = codecs.BOM_UTF16_LE + "a\r\nb\rc\0d\n".encode("utf-16-le")
    assert decode(data) == "a\nb\ncd\n"


def test_nul_after_the_head_is_dropped() -> None:
    assert decode(b"a" * 9000 + b"\0b") == "a" * 9000 + "b"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04....", "ZIP"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"{\\rtf1 text}", "RTF"),
        (b"text \0 with NUL and more", "NUL bytes"),
    ],
)
def test_binary_content_is_refused_by_name(data: bytes, name: str) -> None:
    assert binary_format(data) == name
    with pytest.raises(UnreadableDocument, match=name):
        decode(data)


def test_noise_without_nul_is_in_no_encoding() -> None:
    rng = random.Random(1)
    data = bytes(rng.randrange(1, 256) for _ in range(2000))
    with pytest.raises(UnreadableDocument, match="encoding"):
        decode(data)


def test_no_bytes_are_no_text() -> None:
    assert decode(b"") == ""


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("udhr-ar-cp1256.txt", "يولد جميع الناس"),
        ("udhr-el-iso8859-7.txt", "Όλοι οι άνθρωποι"),
        ("udhr-ko-euckr.txt", "모든 인간은"),
        ("udhr-ru-koi8r.txt", "Все люди рождаются"),
        ("udhr-zh-hans-gbk.txt", "人人生而自由"),
        ("udhr-zh-hant-big5.txt", "人人生而自由"),
        ("tidb-overview-gb18030.txt", "分布式关系型数据库"),
        ("tidb-overview-utf16le-bom.md", "分布式关系型数据库"),
        ("umlauts-non-utf8.md", "können"),
    ],
)
def test_the_corpus(data_folder: Path, file: str, wanted: str) -> None:
    assert wanted in decode((data_folder / "formats/ok" / file).read_bytes())
