"""What stands in a paragraph of a Word document (ECMA-376 part 1, 17.3, 17.13, 17.16).

Knows which of its elements are seen: insertions but not deletions, results of fields but not their
codes, no hidden text. Collects what belongs to the paragraph but stands elsewhere: notes, comments,
text boxes, drawings, ends of pages. Knows nothing of styles of paragraphs and of lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from indexers.parsing.office.equations import equation_text
from indexers.parsing.office.symbols import symbol
from indexers.parsing.office.wordstyles import Styles, W, is_hidden, is_on, value
from indexers.parsing.xmlsafe import local

_SKIPPED = frozenset(
    "del moveFrom pPr rPr sdtPr sdtEndPr delText delInstrText rt rubyPr tblPr proofErr "
    "annotationRef bookmarkStart bookmarkEnd txbxContent footnoteRef endnoteRef separator "
    "continuationSeparator".split()
)
_FIXED = {"tab": "\t", "ptab": "\t", "cr": "\n", "noBreakHyphen": "-"}
_PAGE_NUMBERS = frozenset({"PAGE", "NUMPAGES", "SECTIONPAGES"})
MAX_CODE = 100
"""Characters of the code of a field that are looked at."""


@dataclass(slots=True)
class Paragraph:
    """The text of a paragraph and what belongs to it."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    pages: list[int] = field(default_factory=list)
    """Offsets at which a new page begins."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """Kind and id of the notes that it refers to."""
    comments: list[str] = field(default_factory=list)
    boxes: list[etree._Element] = field(default_factory=list)
    drawings: list[etree._Element] = field(default_factory=list)
    has_page_number: bool = False
    equations: list[str] = field(default_factory=list)
    """They stand in brackets behind the words, so that sentences can be searched and quoted."""
    _is_after_equation: bool = False

    def add(self, text: str) -> None:
        """Put text at the end."""
        if self._is_after_equation and text:
            self._is_after_equation = False
            if "".join(self.pieces[-2:])[-1:] in ("", " "):
                text = text.lstrip(" ")
            elif text[0].isalnum():
                text = f" {text}"
        self.pieces.append(text)
        self.length += len(text)

    def add_equation(self, text: str) -> None:
        """Add an equation, apart from the words before and after it."""
        if text:
            self.equations.append(text)
            self._is_after_equation = True

    @property
    def text(self) -> str:
        """All of the text."""
        words, equations = "".join(self.pieces), "; ".join(self.equations)
        if not equations:
            return words
        return f"{words.rstrip()} ({equations})" if words.strip() else equations


@dataclass(slots=True)
class _Field:
    code: str = ""
    is_code: bool = True


class Runs:
    """Reads paragraphs one after the other: fields may begin in one and end in another."""

    def __init__(self, styles: Styles, *, drops_page_numbers: bool = False) -> None:
        """`drops_page_numbers`: leave out the fields that number pages, as margins want it."""
        self._styles = styles
        self._drops_page_numbers = drops_page_numbers
        self._fields: list[_Field] = []
        self._codes = 0
        """How many of the open fields hide what comes: it belongs to their code."""
        self._notes: dict[tuple[str, str], int] = {}

    def read(self, element: etree._Element, *, hidden: bool = False) -> Paragraph:
        """Read a paragraph; `hidden`: its style hides what does not say that it is shown."""
        paragraph = Paragraph()
        stack = list(reversed(element))
        while stack:
            node = stack.pop()
            name = local(node)
            if name in _SKIPPED or not name:
                continue
            if name == "r":
                self._run(node, paragraph, hidden=hidden)
            elif name == "fldSimple" and self._is_dropped(node.get(f"{W}instr") or ""):
                paragraph.has_page_number = True
            elif name in ("oMath", "oMathPara"):
                paragraph.add_equation(equation_text(node).strip())
            elif name == "commentReference":
                paragraph.comments.append(node.get(f"{W}id") or "")
            elif name == "AlternateContent":
                stack.extend(reversed(chosen(node)))
            elif not (name == "sdt" and is_placeholder(node)):
                stack.extend(reversed(node))
        return paragraph

    def number(self, kind: str, note: str) -> int:
        """Return the number of a note: they are counted in the order in which they are met."""
        return self._notes.setdefault((kind, note), len(self._notes) + 1)

    def _run(self, run: etree._Element, paragraph: Paragraph, *, hidden: bool) -> None:
        properties = run.find(f"{W}rPr")
        own = is_hidden(properties)
        if own is None and properties is not None:
            style = value(properties.find(f"{W}rStyle"))
            own = True if style and self._styles.style(style, "character").is_hidden else None
        hidden = hidden if own is None else own
        stack = list(reversed(run))
        while stack:
            node = stack.pop()
            name = local(node)
            if name == "fldChar":
                self._field(node, paragraph)
            elif name == "instrText" and self._fields:
                self._fields[-1].code += (node.text or "")[: MAX_CODE - len(self._fields[-1].code)]
            elif name == "lastRenderedPageBreak":
                paragraph.pages.append(paragraph.length)
            elif name == "AlternateContent":
                stack.extend(reversed(chosen(node)))
            elif name == "ruby":
                stack.extend(run for base in node.iter(f"{W}rubyBase") for run in reversed(base))
            elif name == "r":
                stack.extend(reversed(node))
            elif not hidden and not self._codes:
                self._content(name, node, paragraph)

    def _content(self, name: str, node: etree._Element, paragraph: Paragraph) -> None:
        """Add what one element of a run shows."""
        match name:
            case "t":
                paragraph.add((node.text or "").replace("\n", " "))
            case "br" if node.get(f"{W}type") not in ("page", "column"):
                paragraph.add("\n")
            case "sym":
                paragraph.add(symbol(node.get(f"{W}font") or "", node.get(f"{W}char") or ""))
            case "footnoteReference" | "endnoteReference":
                note = (name.removesuffix("Reference"), node.get(f"{W}id") or "")
                paragraph.notes.append(note)
                paragraph.add(f"[^{self.number(*note)}]")
            case "commentReference":
                paragraph.comments.append(node.get(f"{W}id") or "")
            case "drawing" | "pict" | "object":
                paragraph.boxes.extend(_outermost_boxes(node))
                paragraph.drawings.append(node)
            case _:
                paragraph.add(_FIXED.get(name, ""))

    def _field(self, node: etree._Element, paragraph: Paragraph) -> None:
        """Follow a field from its code to its result (17.16.18)."""
        kind = node.get(f"{W}fldCharType")
        if kind == "begin":
            box = node.find(f"{W}ffData/{W}checkBox")
            if box is not None and not self._codes:
                state = box.find(f"{W}checked")
                state = box.find(f"{W}default") if state is None else state
                checked = state is not None and is_on(state.get(f"{W}val"))
                paragraph.add("☒" if checked else "☐")
            self._fields.append(_Field())
            self._codes += 1
        elif kind == "separate" and self._fields and self._fields[-1].is_code:
            if self._is_dropped(self._fields[-1].code):
                paragraph.has_page_number = True
            else:
                self._fields[-1].is_code = False
                self._codes -= 1
        elif kind == "end" and self._fields:
            self._codes -= self._fields.pop().is_code

    def _is_dropped(self, code: str) -> bool:
        words = code.split(None, 1)
        return self._drops_page_numbers and bool(words) and words[0].upper() in _PAGE_NUMBERS


def chosen(alternatives: etree._Element) -> list[etree._Element]:
    """Return the children of the first choice that is not empty (part 3, 9.3)."""
    for branch in alternatives:
        if local(branch) in ("Choice", "Fallback") and len(branch):
            return list(branch)
    return []


def is_placeholder(control: etree._Element) -> bool:
    """Whether a content control shows only its invitation to enter text."""
    showing = control.find(f"{W}sdtPr/{W}showingPlcHdr")
    return showing is not None and is_on(showing.get(f"{W}val"))


def _outermost_boxes(drawing: etree._Element) -> list[etree._Element]:
    """Return the contents of the text boxes in a drawing, but not of those inside another."""
    found: list[etree._Element] = []
    stack = [drawing]
    while stack:
        node = stack.pop()
        if local(node) == "txbxContent":
            found.append(node)
        elif local(node) == "AlternateContent":
            stack.extend(reversed(chosen(node)))
        else:
            stack.extend(reversed(node))
    return found
