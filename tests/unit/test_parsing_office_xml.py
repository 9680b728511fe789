"""XML is read up to its damage, and no entity of it is ever expanded."""

from __future__ import annotations

import io

import pytest

from indexers.parsing.office.equations import M, equation_text
from indexers.parsing.xmlsafe import (
    MAX_DEPTH,
    all_text,
    local,
    parse_xml,
    stream_xml,
    without_entities,
)
from rag.errors import UnreadableDocument

ENTITIES = (
    b'<!DOCTYPE r [<!ENTITY own "OWN"><!ENTITY file SYSTEM "file:///etc/hostname">]>'
    b"<r>a&own;b&file;c&amp;d</r>"
)


def test_entities_are_not_expanded() -> None:
    root = parse_xml(ENTITIES)
    assert (root.text, [local(node) for node in root]) == ("a", ["", ""])
    assert all_text(without_entities(root)) == "abc&d"
    assert [root.text for root in stream_xml(io.BytesIO(ENTITIES), ["r"])] == ["abc&d"]


def test_a_document_that_needs_its_entities_can_be_refused() -> None:
    with pytest.raises(UnreadableDocument, match="entities are not expanded") as caught:
        parse_xml(ENTITIES, refuse_entities=True)
    assert caught.value.code == "malformed"
    plain = b'<!DOCTYPE r SYSTEM "http://example.org/r.dtd"><r>a</r>'
    assert parse_xml(plain, refuse_entities=True).text == "a"


@pytest.mark.parametrize("data", [b"", b"no XML", b"\0\1"])
def test_what_has_no_root_is_malformed(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        parse_xml(data)
    assert caught.value.code == "malformed"


def test_nothing_to_stream_is_malformed() -> None:
    with pytest.raises(UnreadableDocument) as caught:
        list(stream_xml(io.BytesIO(b""), ["a"]))
    assert caught.value.code == "malformed"


def test_damaged_xml_is_read_up_to_the_damage_unless_it_must_not() -> None:
    data = b"<r><p>1</p><p>2</p><p>3<broken"
    assert [p.text for p in parse_xml(data)] == ["1", "2", "3"]
    assert [p.text for p in stream_xml(io.BytesIO(data), ["p"])] == ["1", "2", "3"]
    with pytest.raises(UnreadableDocument):
        parse_xml(data, recover=False)
    with pytest.raises(UnreadableDocument):
        list(stream_xml(io.BytesIO(data), ["p"], recover=False))


def test_depth_is_bounded() -> None:
    root = parse_xml(b"<a>" * 100_000)
    assert sum(1 for _ in root.iter()) == MAX_DEPTH


def test_streaming_yields_outermost_elements_and_forgets_them() -> None:
    data = b"<r><x/>" + b"<p><p>in</p>a</p>" * 3 + b"</r>"
    seen = []
    for element in stream_xml(io.BytesIO(data), ["p"]):
        kept = [(node.tag, len(node)) for node in element.itersiblings(preceding=True)]
        seen.append((element[0].text, element[0].tail, kept))
    assert seen == [("in", "a", [("x", 0)]), ("in", "a", [("p", 0)]), ("in", "a", [("p", 0)])]


def math(inner: str) -> str:
    return equation_text(parse_xml(f'<m:oMath xmlns:m="{M[1:-1]}">{inner}</m:oMath>'.encode()))


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def arguments(**parts: str) -> str:
    return "".join(f"<m:{name}>{run(text)}</m:{name}>" for name, text in parts.items())


@pytest.mark.parametrize(
    ("inner", "written"),
    [
        (run("E=") + run("mc"), "E=mc"),
        (f"<m:f>{arguments(num='a+b', den='2a')}</m:f>", "(a+b)/2a"),
        (
            f'<m:f><m:fPr><m:type m:val="noBar"/></m:fPr>{arguments(num="n", den="k")}</m:f>',
            "n¦k",
        ),
        (f"<m:sSup>{arguments(e='x', sup='2')}</m:sSup>{run('y')}", "x^2 y"),
        (f"<m:sSubSup>{arguments(e='x', sub='i', sup='')}</m:sSubSup>", "x_i"),
        (f"<m:sPre>{arguments(sub='1', sup='2', e='X')}</m:sPre>", "_1^2 X"),
        (f"<m:rad>{arguments(deg='', e='b^2-4ac')}</m:rad>", "√(b^2-4ac)"),
        (f"<m:rad>{arguments(deg='3', e='x')}</m:rad>", "∛x"),
        (f"<m:rad>{arguments(deg='n', e='x')}</m:rad>", "√(n&x)"),
        (
            f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr>'
            f"{arguments(sub='n=1', sup='∞', e='n')}</m:nary>",
            "∑_(n=1)^∞ n",
        ),
        (f"<m:func>{arguments(fName='sin', e='x')}</m:func>", "sin x"),
        (f"<m:limLow>{arguments(e='lim', lim='n→∞')}</m:limLow>", "lim_(n→∞)"),
        (f"<m:d>{arguments(e='x+1')}</m:d>", "(x+1)"),
        (
            '<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val=""/></m:dPr>'
            f"{arguments(e='x')}{arguments(e='y')}</m:d>",
            "[x|y",
        ),
        (
            f"<m:m><m:mr>{arguments(e='1')}{arguments(e='0')}</m:mr>"
            f"<m:mr>{arguments(e='0')}{arguments(e='1')}</m:mr></m:m>",
            "[1&0; 0&1]",
        ),
        (f"<m:eqArr>{arguments(e='x=1')}{arguments(e='y=2')}</m:eqArr>", "x=1; y=2"),
        (f"<m:box>{arguments(e='x')}</m:box>", "x"),
    ],
)
def test_equations_are_written_in_one_line(inner: str, written: str) -> None:
    assert math(inner) == written


def test_equations_nested_too_deeply_end() -> None:
    assert math("<m:box><m:e>" * 60 + run("x") + "</m:e></m:box>" * 60) == ""
