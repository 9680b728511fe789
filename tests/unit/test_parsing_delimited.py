"""Records of delimited values: dialects, headers, lines as they are written, and their places."""

from __future__ import annotations

import csv
import io
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content, Part, Properties
from indexers.parsing.data.delimited import MAX_ROWS, parse_delimited
from indexers.parsing.data.delimited_records import MAX_FIELD
from indexers.parsing.data.dialects import Dialect, sniff
from rag.errors import UnreadableDocument
from rag.types import Document, Place


def parts(data: bytes | str, name: str = "a.csv") -> list[Part]:
    data = data.encode() if isinstance(data, str) else data
    found = parse_delimited(Content(data, name=name))
    return [item for item in found if isinstance(item, Part) and item.text]


def texts(data: bytes | str, name: str = "a.csv") -> list[str]:
    return [part.text for part in parts(data, name)]


def rows_of(part: Part) -> dict[str, int]:
    """Return the row of each line, as its place says."""
    places = sorted(part.places, key=lambda place: place.start)
    found, start = {}, 0
    for line in part.text.split("\n"):
        place = [p for p in places if p.start <= start][-1]
        found[line] = place.row + part.text.count("\n", place.start, start)
        start += len(line) + 1
    return found


def test_lines_stay_as_they_are_written_under_their_header() -> None:
    source = 'name,cell\nx,"=HYPERLINK(""http://a"",""b"")"\n"y, z",  2\n'
    (part,) = parts(source)
    assert part.kind == "table"
    assert part.text == 'name,cell\n---\nx,"=HYPERLINK(""http://a"",""b"")"\n"y, z",  2'
    assert part.places == (
        Place(0, "sheet", 1, row=1, column=1, columns=2),
        Place(14, "sheet", 1, row=2, column=1, columns=2),
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_recognised(delimiter: str) -> None:
    lines = [delimiter.join(row) for row in (["id", "name"], ["1", "a"], ["2", "b"])]
    assert sniff(lines) == Dialect(delimiter, header=True)


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["a;b;c", "1,5;2,5;3,5", "1,25;2,5;0,5"], ";"),
        (["1,5;2,5;3,5", "1,25;2,5;0,5"], ";"),
        (["id,tags", *['1,"a;b"'] * 50], ","),
        (["id,tags", *["1,a;b"] * 50], ","),
        (["a,b,c", "1,x | y,2", "1,x,2"], ","),
        (["Dear all, hello", "this is prose; it goes on", "and ends"], ","),
        (['a,"b;c;d"', '1,"x;y;z"'], ","),
        (["1,2,3", "a,b,c,d", "a,b,c,d", "a,b,c,d"], ","),
        (["sep=^", "a^b", "1^2"], "^"),
        ([], ","),
    ],
)
def test_the_delimiter_that_gives_equal_records_is_chosen(lines: list[str], delimiter: str) -> None:
    assert sniff(lines).delimiter == delimiter


def test_the_ending_decides_where_nothing_parts_the_lines() -> None:
    assert sniff(["one", "two"], "\t").delimiter == "\t"
    assert texts("a\tb\n1\t2\n", "a.tsv") == ["a\tb\n---\n1\t2"]


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        (["name,age", "Ann,33", "Bob,44"], True),
        (["name,city", "Ann,Rome", "Bob,Bonn"], True),
        (["country,2019,2020", "Italy,5.1,6.2"], True),
        (["name,,age", "Ann,x,33"], True),
        (["id", "1", "2"], True),
        (["1,2,3", "4,5,6"], False),
        (["Ann,33", "Bob,44"], False),
        (["a,a,b", "1,2,3"], False),
        (["Ann,Rome", "Ann,Bonn", "Bob,Rome"], False),
        (["apple", "pear", "plum"], False),
        (["name,age"], False),
        (["x" * 101 + ",b", "1,2"], False),
        (["2019,2020", "5.1,6.2"], False),
    ],
)
def test_a_header_names_what_is_below(lines: list[str], header: bool) -> None:
    assert sniff(lines).header is header


def test_lines_above_the_table_are_a_paragraph_and_the_title() -> None:
    source = "Cups,,\n\nTeam,Place,Cups\nBlues,STL,1\n"
    found = list(parse_delimited(Content(source.encode(), name="a.csv")))
    assert found[0] == Properties(title="Cups")
    paragraph, table = (item for item in found if isinstance(item, Part))
    assert (paragraph.kind, paragraph.text) == ("paragraph", "Cups,,")
    assert (table.kind, table.text) == ("table", "Team,Place,Cups\n---\nBlues,STL,1")
    assert rows_of(paragraph) == {"Cups,,": 1}
    assert rows_of(table) | {"---": 0} == {"Team,Place,Cups": 3, "---": 0, "Blues,STL,1": 4}


def test_a_remark_above_the_table_is_no_title() -> None:
    found = list(parse_delimited(Content(b"# made by x\na,b\n1,2\n3,4\n", name="a.csv")))
    assert not any(isinstance(item, Properties) for item in found)
    assert [p.text for p in found if isinstance(p, Part)] == ["# made by x", "a,b\n---\n1,2\n3,4"]


def test_the_hint_of_spreadsheets_is_no_row() -> None:
    (part,) = parts("sep=;\na;b\n1;2\n")
    assert part.text == "a;b\n---\n1;2"
    assert rows_of(part)["a;b"] == 1


def test_every_part_has_the_header_and_its_own_rows() -> None:
    source = "id,word\n" + "".join(f"{i},w{i}\n" for i in range(2, 500))
    found = parts(source)
    assert [part.text.count("\n") for part in found] == [MAX_ROWS + 1, MAX_ROWS + 1, 99]
    for part in found:
        assert part.text.startswith("id,word\n---\n")
        rows = rows_of(part)
        assert rows["id,word"] == 1
        assert all(rows[line] == int(line.split(",")[0]) for line in part.text.split("\n")[2:])


def test_parts_are_bounded_by_characters_too() -> None:
    found = parts("id,word\n" + "".join(f"{i},{'x' * 5000}\n" for i in range(40)))
    assert len(found) == 4
    assert all(len(part.text) < 60_000 for part in found)


def test_a_line_of_names_that_is_too_long_is_written_with_the_cells() -> None:
    names = [f"a long name of column {i}" for i in range(12)]
    rows = [names, [str(i) for i in range(12)], ["x", "", *["y"] * 10, "beyond"]]
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    (part,) = parts(buffer.getvalue())
    assert part.kind == "list"
    assert part.text.split("\n")[:3] == [
        "- " + "; ".join(f"{name}: {i}" for i, name in enumerate(names[:4])),
        "  " + "; ".join(f"{name}: {i}" for i, name in enumerate(names[4:8], start=4)),
        "  " + "; ".join(f"{name}: {i}" for i, name in enumerate(names[8:], start=8)),
    ]
    assert part.text.split("\n")[3].startswith(
        "- a long name of column 0: x; a long name of column 2: y; a long"
    )
    assert part.text.endswith("; beyond")
    assert list(rows_of(part).values()) == [2, 2, 2, 3, 3, 3]
    assert [(p.column, p.columns) for p in part.places[:3]] == [(1, 4), (5, 4), (9, 4)]


def test_records_over_several_lines_stand_on_one() -> None:
    (part,) = parts('a,b\n1,"x\ny\n\nz"\n2,w\n')
    assert part.text == 'a,b\n---\n1,"x y  z"\n2,w'
    assert rows_of(part)["2,w"] == 3


def test_blank_records_are_left_out_and_counted() -> None:
    (part,) = parts("a,b\n1,x\n\n,,\n2,y\n")
    assert part.text == "a,b\n---\n1,x\n2,y"
    assert rows_of(part) | {"---": 0} == {"a,b": 1, "---": 0, "1,x": 2, "2,y": 5}


def test_records_of_unequal_length_are_kept() -> None:
    (part,) = parts("1,2,3\na,b,c,d\na,b\n")
    assert part.text == "1,2,3\na,b,c,d\na,b"
    assert {place.columns for place in part.places} == {4}


def test_a_quote_that_is_never_closed_swallows_nothing() -> None:
    source = 'size\tname\n"5 inch\tpipe\n6\tbolt\n7\tnut\n'
    (part,) = parts(source, "a.tsv")
    assert part.text == 'size\tname\n---\n"5 inch\tpipe\n6\tbolt\n7\tnut'
    assert rows_of(part)["7\tnut"] == 4


def test_many_unclosed_quotes_take_linear_time() -> None:
    line = '"' + "x" * 100 + ",y\n"
    (*_, last) = parts("a,b\n" + line * 30_001)
    assert rows_of(last)[line.strip()] == 30_002


def test_long_fields_and_control_characters() -> None:
    field = "word " * 40_000
    found = texts(f"a,b\n1,{field}\n2,x\0\x01y\n")
    assert found[0] == f"a,b\n---\n1,{field}"
    assert found[1] == "a,b\n---\n2,xy"


def test_a_field_beyond_the_limit_is_kept_as_lines() -> None:
    lines = ["x" * 1000] * (MAX_FIELD // 1000 + 10)
    found = texts('a,b\n1,"' + "\n".join(lines) + '"\n2,y\n')
    assert found[-1].endswith("\n2,y")
    assert sum(text.count("x") for text in found) == 1000 * len(lines)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_recognised(encoding: str) -> None:
    source = "Größe,Straße\r\n1,Köln\r\n2,Düren\r\n"
    assert texts(source.encode(encoding)) == ["Größe,Straße\n---\n1,Köln\n2,Düren"]


def test_an_encoding_that_shows_late_is_recognised() -> None:
    source = "id,word\n" + "1,plain\n" * 20_000 + "2,Köln\n2,Düren\n"
    assert texts(source.encode("cp1252"))[-1].endswith("2,Köln\n2,Düren")


def test_a_bad_byte_later_is_replaced() -> None:
    data = "id,word\n1,Größe\n".encode() + b"2,x\n" * 40_000 + b"3,\xff\n"
    assert texts(data)[-1].endswith("\n3,\ufffd")


@pytest.mark.parametrize("data", [b"", b"\n\n", b" , ,\n", b"\xef\xbb\xbf"])
def test_nothing_gives_no_text(data: bytes) -> None:
    (document,) = documents(parse_delimited(Content(data, name="a.csv")))
    assert isinstance(document, Document)
    assert document.text == ""


def test_a_header_alone_is_text() -> None:
    assert texts("name,age\n") == ["name,age"]


def test_binary_content_is_refused() -> None:
    with pytest.raises(UnreadableDocument, match="binary"):
        parts(b"a\0b\0\xff\xfe\0c" * 10)


def test_any_bytes_end_in_text_or_a_typed_error() -> None:
    rng = random.Random(7)
    for _ in range(200):
        data = bytes(rng.choice(b'a1,;\t|"\n\r\xc3\xa4 ') for _ in range(rng.randrange(80)))
        for part in parts(data):
            assert part.text.strip()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,word\n" + "123456,some words here\n" * 50_000)
    descriptor = os.open(path, os.O_RDONLY)
    tracemalloc.start()
    count = sum(1 for _ in parse_delimited(Content(descriptor, name="a.csv")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    os.close(descriptor)
    assert count == 250
    assert peak < 1 << 20


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("ok/stanley-cups-utf-16.csv", "Maple Leafs,TOR,13"),
        ("ok/csv-semicolon.csv", "Rasmussen Group"),
        ("ok/stanley-cups-with-emoji.tsv", "👨"),
        ("hostile/csv-inconsistent-header.csv", "1,2,3 a,b,c,d"),
        ("hostile/formula.csv", "y,+1+cmd|' /C calc'!A0"),
    ],
)
def test_the_corpus(data_folder: Path, file: str, wanted: str) -> None:
    path = data_folder / "formats" / file
    text = " ".join("\n".join(texts(path.read_bytes(), path.name)).split())
    assert wanted in text
