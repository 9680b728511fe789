"""reStructuredText with the directives of docutils and of Sphinx; nothing hostile takes long."""

from __future__ import annotations

import time

import pytest

from indexers.parsing.composing import documents
from indexers.parsing.content import Content
from indexers.parsing.markup.rst import parse_rst
from rag.types import Document


def document(source: str | bytes) -> Document:
    data = source.encode() if isinstance(source, str) else source
    (found,) = documents(parse_rst(Content(data)))
    assert isinstance(found, Document)
    return found


def read(source: str) -> list[tuple[str, str]]:
    found = document(source)
    return [(b.kind, found.text[b.start : b.end]) for b in found.blocks]


PAGE = """
=========
The Title
=========

:Author: Ann Author
:Date: 2020-01-31
:Version: 1.2

Intro *x* ``c`` `link <http://a>`_ |s| \\*star\\* [1]_.

.. |s| replace:: substituted
.. a comment

Sub
===

* a

  * b

#. x
#. y

Deeper
------

term
  meaning

.. [1] A footnote.

Words

  A quote.

  -- Who

| line
| block
"""


def test_structure_and_bibliographic_fields() -> None:
    found = document(PAGE)
    assert (found.title, found.metadata) == (
        "The Title",
        {"meta.author": "Ann Author", "meta.created": 1580428800, "meta.version": "1.2"},
    )
    assert read(PAGE) == [
        ("heading", "# The Title"),
        ("list", "- Author: Ann Author\n- Date: 2020-01-31\n- Version: 1.2"),
        ("paragraph", "Intro x c link substituted *star* [1]."),
        ("heading", "## Sub"),
        ("list", "- a\n  - b"),
        ("list", "1. x\n2. y"),
        ("heading", "### Deeper"),
        ("list", "- term\n  meaning"),
        ("paragraph", "[1] A footnote."),
        ("paragraph", "Words"),
        ("quote", "> A quote."),
        ("quote", "> Who"),
        ("paragraph", "line\nblock"),
    ]
    assert [b.level for b in found.blocks if b.kind == "heading"] == [1, 2, 3]


def test_tables_with_spans() -> None:
    source = """
+-----+-----+
| AB        |
+-----+-----+
| A   | B   |
+=====+=====+
| 1   | 2   |
+-----+-----+

.. csv-table:: Caption
   :header: a,b

   1,2
"""
    assert read(source) == [
        ("table", "| AB A | AB B |\n|---|---|\n| 1 | 2 |"),
        ("paragraph", "Caption"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (".. note:: Be careful\n   now", [("paragraph", "Note:"), ("paragraph", "Be careful now")]),
        (
            ".. code-block:: python\n   :linenos:\n   :caption: x\n\n   def f():\n       pass",
            [("code", "def f():\n    pass")],
        ),
        ("::\n\n  literal <b>", [("code", "literal <b>")]),
        ("text\n\n.. toctree::\n   :maxdepth: 2\n\n   a\n   b", [("paragraph", "text")]),
        (
            ".. py:function:: foo(a, b)\n   :noindex:\n\n   Does it.",
            [("paragraph", "foo(a, b)"), ("paragraph", "Does it.")],
        ),
        (".. versionadded:: 2.0\n   Words.", [("paragraph", "New in version 2.0 Words.")]),
        (".. only:: html\n\n   Shown.", [("paragraph", "Shown.")]),
        (
            "See :ref:`the text <target>`, :func:`~a.b`, `c`:custom: and :doc:`/x`.",
            [("paragraph", "See the text, a.b, c and /x.")],
        ),
        (".. image:: a.png\n   :alt: A picture", [("paragraph", "A picture")]),
        (".. figure:: a.png\n\n   A caption", [("paragraph", "A caption")]),
        (":name: value\n\n:other: more", [("list", "- name: value\n- other: more")]),
        ("-a  first\n-b  second", [("list", "- -a: first\n- -b: second")]),
        (
            "Not *closed\n\n.. table:: T\n\n   x",
            [("paragraph", "Not *closed"), ("code", ".. table:: T\n\n   x")],
        ),
        (
            ".. contents::\n\nA\n=\n\ntext\n\nB\n=\n\nmore",
            [("heading", "# A"), ("paragraph", "text"), ("heading", "# B"), ("paragraph", "more")],
        ),
    ],
)
def test_directives_and_roles(source: str, wanted: list[tuple[str, str]]) -> None:
    assert read(source) == wanted


@pytest.mark.parametrize(
    "source",
    [
        ".. include:: /etc/passwd",
        ".. literalinclude:: /etc/passwd",
        ".. csv-table::\n   :file: /etc/passwd",
        ".. raw:: html\n   :file: /etc/passwd",
    ],
)
def test_no_other_file_is_read(source: str) -> None:
    assert "root:" not in document(f"words\n\n{source}\n").text


@pytest.mark.parametrize(
    "source",
    [
        "".join(f"{' ' * i}x\n\n" for i in range(400)),
        "".join(f"{'  ' * i}* x\n\n" for i in range(400)),
        ("*a " * 300 + "\n") * 60,
        (":a:`b " * 300 + "\n") * 60,
        "word " * 5000,
        ".. a comment alone",
        "".join(f".. |{chr(97 + i)}| replace:: {f'|{chr(98 + i)}| ' * 10}\n" for i in range(9))
        + "\n|a|",
        "=== ===\n" * 1000,
        "Title\n===\n\n***",
    ],
)
def test_what_docutils_gives_up_on_is_plain_text(source: str) -> None:
    started = time.monotonic()
    found = document(source)
    assert time.monotonic() - started < 5
    assert found.text.strip()


def test_a_long_list_is_still_a_list() -> None:
    (block,) = document("".join(f"* item {i}\n" for i in range(2000))).blocks
    assert block.kind == "list"


def test_encodings_and_nothing() -> None:
    assert read("Größe\n=====\n\nText".encode("cp1252").decode("cp1252"))[0] == (
        "heading",
        "# Größe",
    )
    assert document("Größe\n=====\n\nText".encode("cp1252")).title == "Größe"
    assert document("").text == ""
    assert document(" \n\n").text == ""
