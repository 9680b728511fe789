"""Documents out of parts: offsets, places, and texts that are too long for one document."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from indexers.parsing.composing import compose, documents, split
from indexers.parsing.content import Member, Part, Properties
from rag.types import Block, Document, Place


def test_parts_are_joined_by_blank_lines_and_blank_ones_dropped() -> None:
    page = compose(
        [Part("heading", "# A", 1, "A"), Part("paragraph", " \n"), Part("paragraph", "\nwords \n")]
    )
    assert page.text == "# A\n\nwords"
    assert page.blocks == (Block("heading", 0, 3, 1, "A"), Block("paragraph", 5, 10))


def test_places_move_with_their_part_and_are_not_repeated() -> None:
    page = compose(
        [
            Part("paragraph", "one", places=(Place(0, "page", 1),)),
            Part("paragraph", "two", places=(Place(0, "page", 1),)),
            Part("paragraph", "three four", places=(Place(0, "page", 1), Place(6, "page", 2))),
            Part("paragraph", "five"),
        ]
    )
    assert page.places == (Place(0, "page", 1), Place(16, "page", 2))
    assert page.text[16:].startswith("four")


def test_places_of_rows_are_all_kept() -> None:
    table = "| a |\n|---|\n| 1 |"
    places = (Place(0, "sheet", 1, "", 1, 1, 1), Place(12, "sheet", 1, "", 2, 1, 1))
    page = compose([Part("paragraph", "title"), Part("table", table, places=places)])
    assert [page.text[place.start : place.start + 5] for place in page.places] == ["| a |", "| 1 |"]


def test_a_long_text_is_continued_at_the_same_place() -> None:
    parts = [Part("paragraph", "x" * 40, places=(Place(0, "page", n),)) for n in (1, 2)]
    parts.append(Part("paragraph", "y" * 40))
    first, second, third = documents(iter([Properties("T", {"meta.a": 1}), *parts]), limit=50)
    assert [d.text[0] for d in (first, second, third) if isinstance(d, Document)] == ["x", "x", "y"]
    assert isinstance(third, Document)
    assert third.places == (Place(0, "page", 2),)
    assert third.title == "T"
    assert third.metadata == {"meta.a": 1}


def test_there_is_always_a_document() -> None:
    member = Member("a", b"")
    (found, blank) = documents(iter([member]))
    assert found is member
    assert blank == Document("")


def test_a_part_longer_than_a_document_is_cut_between_words() -> None:
    text = " ".join(["word"] * 100)
    found = [d for d in documents([Part("paragraph", text)], limit=60) if isinstance(d, Document)]
    assert len(found) > 5
    assert max(len(d.text) for d in found) <= 60
    assert " ".join(d.text for d in found) == text


@given(
    st.lists(st.text(alphabet="ab \n", min_size=1, max_size=30), min_size=1, max_size=8),
    st.integers(5, 40),
)
def test_a_document_that_is_split_loses_nothing(paragraphs: list[str], limit: int) -> None:
    text, blocks = "", []
    for paragraph in paragraphs:
        blocks.append(Block("paragraph", len(text), len(text) + len(paragraph)))
        text += paragraph + "\n\n"
    pieces = list(split(Document(text, tuple(blocks)), limit))
    assert "".join(piece.text for piece in pieces) == text
    assert all(len(piece.text) <= limit for piece in pieces)
    for piece in pieces:
        assert all(0 <= b.start < b.end <= len(piece.text) for b in piece.blocks)
        assert all(one.end <= other.start for one, other in pairwise(piece.blocks))
