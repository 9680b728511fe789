"""What stands in a paragraph of an OpenDocument text (ODF 1.3 part 3, 6).

Knows white space, hidden text, and what hangs on a paragraph but stands elsewhere: notes, comments,
frames. Knows nothing of lists and tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from indexers.parsing.office.grouping import Line
from indexers.parsing.office.odfpackage import DC, DRAW, TEXT
from indexers.parsing.office.odfstyles import Styles
from indexers.parsing.office.wordstyles import integer
from indexers.parsing.xmlsafe import all_text, local

MAX_SPACES = 100
DROPPED = frozenset(
    "tracked-changes ruby-text hidden-text sequence-decls forms shapes desc event-listeners "
    "table-of-content-source user-index-source soft-page-break".split()
)
"""Elements whose text is not seen."""
_SHAPES = frozenset(f"{DRAW}{name}" for name in "frame custom-shape g rect ellipse line a".split())
_PAGE_NUMBERS = frozenset({"page-number", "page-count"})


@dataclass(slots=True)
class Paragraph:
    """The text of a paragraph and what hangs on it."""

    text: str = ""
    notes: list[tuple[int, etree._Element]] = field(default_factory=list)
    comments: list[etree._Element] = field(default_factory=list)
    frames: list[etree._Element] = field(default_factory=list)
    has_page_number: bool = False


class Runs:
    """Reads paragraphs, and counts their notes."""

    def __init__(self, styles: Styles, *, drops_page_numbers: bool = False) -> None:
        """`drops_page_numbers`: leave out the fields that number pages, as margins want it."""
        self._styles, self._drops_page_numbers = styles, drops_page_numbers
        self._notes = 0

    def read(self, element: etree._Element) -> Paragraph:
        """Read a paragraph; white space is as it is shown (6.1.2)."""
        paragraph = Paragraph()
        pieces = [_flat(element.text)]
        stack = [(child, False) for child in reversed(element)]
        while stack:
            node, is_done = stack.pop()
            if is_done:
                pieces.append(_flat(node.tail))
                continue
            stack.append((node, True))
            if self._enters(node, paragraph, pieces):
                pieces.append(_flat(node.text))
                stack.extend((child, False) for child in reversed(node))
        paragraph.text = "".join(pieces)
        return paragraph

    def _enters(self, node: etree._Element, paragraph: Paragraph, pieces: list[str]) -> bool:
        """Take note of an element in a paragraph; return whether its content is of the text."""
        name = local(node)
        match name:
            case "s":
                count = integer(node.get(f"{TEXT}c")) or 1
                pieces.append(" " * min(max(count, 1), MAX_SPACES))
            case "tab":
                pieces.append("\t")
            case "line-break":
                pieces.append("\n")
            case "note":
                self._notes += 1
                paragraph.notes.append((self._notes, node))
                pieces.append(f"[^{self._notes}]")
            case "annotation":
                paragraph.comments.append(node)
            case _ if node.tag in _SHAPES:
                paragraph.frames.append(node)
            case _ if name in _PAGE_NUMBERS and self._drops_page_numbers:
                paragraph.has_page_number = True
            case _:
                is_hidden = self._styles.is_hidden(node.get(f"{TEXT}style-name") or "")
                return bool(name) and name not in DROPPED and not is_hidden
        return False


def comment_line(annotation: etree._Element) -> Line:
    """Write a comment (14.1)."""
    author = " ".join((annotation.findtext(f"{DC}creator") or "").split())
    paragraphs = (all_text(p).strip() for p in annotation.iter(f"{TEXT}p"))
    text = "\n".join(filter(None, paragraphs))
    name = f"Comment ({author})" if author else "Comment"
    return Line("quote", f"{name}: {text}" if text else "", is_aside=True)


def _flat(text: str | None) -> str:
    """Collapse white space, which has elements of its own where it means something."""
    if not text:
        return ""
    if text.isspace():
        return " "
    head = " " if text[0].isspace() else ""
    return f"{head}{' '.join(text.split())}{' ' if text[-1].isspace() else ''}"
