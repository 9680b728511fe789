"""Org files: outline, lists, tables, blocks, and what they say of themselves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content
from indexers.parsing.markup.org import parse_org
from rag.types import Document


def document(source: str | bytes) -> Document:
    data = source.encode() if isinstance(source, str) else source
    (found,) = documents(parse_org(Content(data)))
    assert isinstance(found, Document)
    return found


def read(source: str | bytes) -> list[tuple[str, str]]:
    found = document(source)
    return [(b.kind, found.text[b.start : b.end]) for b in found.blocks]


PAGE = """#+TITLE: The
#+title: Title
#+AUTHOR: Ann
#+DATE: <2020-01-31 Fri>
#+LANGUAGE: de
#+OPTIONS: toc:nil
# a comment

* TODO First [[http://a][heading]] :work:urgent:
  SCHEDULED: <2020-02-01>
  :PROPERTIES:
  :CUSTOM_ID: hidden
  :END:
Some *bold* text with [[file:a.org]],
  and [[http://b][a link]].\\\\
******** Deep
** Lists
- a
  more of a
  + b
  + c

  1) x
- [ ] d :: e

-----
end
"""


def test_outline_lists_and_keywords() -> None:
    found = document(PAGE)
    assert (found.title, found.metadata) == (
        "The Title",
        {"meta.author": "Ann", "meta.lang": "de", "meta.created": 1580428800},
    )
    assert read(PAGE) == [
        ("heading", "# TODO First heading :work:urgent:"),
        ("paragraph", "SCHEDULED: <2020-02-01>"),
        ("paragraph", "Some *bold* text with a.org,\nand a link."),
        ("heading", "###### Deep"),
        ("heading", "## Lists"),
        ("list", "- a\n  more of a\n  - b\n  - c\n  1. x\n- [ ] d :: e"),
        ("paragraph", "end"),
    ]
    assert [(b.level, b.label) for b in found.blocks if b.level] == [
        (1, "TODO First heading"),
        (6, "Deep"),
        (2, "Lists"),
    ]


def test_the_first_heading_is_the_title_where_none_is_given() -> None:
    assert document("text\n* One\n* Two").title == "One"
    assert document("text").title is None


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("| a | b |\n|---+---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("|---|\n| a | b |\n| / | < |\n| 1 | 2 |", "|  |  |\n|---|---|\n| a | b |\n| 1 | 2 |"),
        ("| <l> | <10> |\n| a |\n| b | c |\n|-\n| 1 |", "| a b | c |\n|---|---|\n| 1 |  |"),
        ("| [[u][w]] |\n|-\n| x |\n|-\n| y |\n#+TBLFM: $1=2", "| w |\n|---|\n| x |\n| y |"),
    ],
)
def test_tables(source: str, wanted: str) -> None:
    assert read(source) == [("table", wanted)]


def test_long_tables_repeat_their_header() -> None:
    found = read("| h |\n|---|\n" + "| x |\n" * 501)
    assert [text.count("\n") for _, text in found] == [501, 2]
    assert all(text.startswith("| h |\n|---|\n| x |") for _, text in found)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (
            "#+BEGIN_SRC py\n  def f():\n\n      1\n  ,* x\n#+END_SRC",
            [("code", "def f():\n\n    1\n* x")],
        ),
        ("  #+begin_example\n  a\n  #+end_example\nb", [("code", "a"), ("paragraph", "b")]),
        ("#+BEGIN_QUOTE\na [[u][b]]\n\nc\n#+END_QUOTE", [("quote", "> a b\n>\n> c")]),
        ("#+BEGIN_COMMENT\nhidden\n#+END_COMMENT\n#+begin_export html\n<b>\n#+end_export", []),
        ("#+BEGIN_CENTER\n- a\n\nb\n#+END_CENTER", [("list", "- a"), ("paragraph", "b")]),
        ("#+BEGIN_SRC py\nnever closed", [("paragraph", "#+BEGIN_SRC py\nnever closed")]),
        (": fixed\n:   width\ntext", [("code", "fixed\n  width"), ("paragraph", "text")]),
        (":NOTES:\nshown\n:END:", [("paragraph", "shown")]),
        (":PROPERTIES:\n* H\n:END:", [("paragraph", ":PROPERTIES:"), ("heading", "# H")]),
        (
            "#+CAPTION: A figure\n[[file:a.png]]",
            [("paragraph", "A figure"), ("paragraph", "a.png")],
        ),
        ("- a\n#+begin_src sh\nls\n#+end_src", [("list", "- a"), ("code", "ls")]),
        ("- a\n\n\n- b", [("list", "- a"), ("list", "- b")]),
        ("[fn:1] a note", [("paragraph", "[fn:1] a note")]),
        ("#hash", [("paragraph", "#hash")]),
        ("", []),
        (" \n\n", []),
    ],
)
def test_blocks(source: str, wanted: list[tuple[str, str]]) -> None:
    assert read(source) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "#+begin_src\n" * 50_000,
        ":logbook:\n" * 50_000,
        "".join(f"{' ' * (i % 500)}- x\n" for i in range(20_000)),
        "[[" * 100_000,
        "* a " + ":" * 100_000,
        "* " + " :a" * 50_000,
        " \t" * 100_000,
        "|" * 100_000,
        "#+begin_src\n* h\n" * 20_000,
    ],
)
def test_hostile_input_takes_linear_time(source: str) -> None:
    started = time.monotonic()
    document(source)
    assert time.monotonic() - started < 5


def test_encodings() -> None:
    assert read("* Größe\nText".encode("utf-16"))[0] == ("heading", "# Größe")


@pytest.mark.data
def test_the_corpus(data_folder: Path) -> None:
    found = document((data_folder / "formats/ok/README.org").read_bytes())
    assert found.title == "Example Docs"
    assert "- ~example-10k.html~ - A 10-K SEC filing in HTML format" in found.text
    assert [b.kind for b in found.blocks if b.kind != "paragraph"] == [
        "heading",
        "list",
        "heading",
        "code",
    ]
