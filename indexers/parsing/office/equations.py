"""Equations of Office documents (OMML, ECMA-376 part 1, 22.1) as one line of text.

Writes them in the linear form of Unicode Technical Note 28, which readers and word processors
understand: `x=(-b±√(b^2-4ac))/2a`. Knows nothing of where equations stand.
"""

from __future__ import annotations

from lxml import etree

from indexers.parsing.xmlsafe import local

MAX_DEPTH = 40
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_FORMS = {
    "f": "{num}{bar}{den}",
    "sSup": "{e}{^sup}",
    "sSub": "{e}{_sub}",
    "sSubSup": "{e}{_sub}{^sup}",
    "sPre": "{_sub}{^sup} {e_bare}",
    "func": "{fName_bare} {e_bare}",
    "limLow": "{e_bare}{_lim}",
    "limUpp": "{e_bare}{^lim}",
    "nary": "{sign}{_sub}{^sup} {e_bare}",
    "acc": "{e_bare}{accent}",
}
_ROOTS = {"3": "∛", "4": "∜"}


def equation_text(element: etree._Element, depth: int = 0) -> str:
    """Write an equation, or a piece of one; what is nested too deeply is left out."""
    if depth > MAX_DEPTH:
        return ""
    pieces: list[str] = []
    was_object = False
    for child in element:
        text = _written(child, depth + 1)
        is_object = local(child) in _FORMS
        if text and pieces and was_object and _runs_together(pieces[-1], text):
            pieces.append(" ")
        if text:
            pieces.append(text)
            was_object = is_object
    return "".join(pieces)


def _runs_together(before: str, after: str) -> bool:
    return before[-1].isalnum() and after[0].isalnum()


def _written(element: etree._Element, depth: int) -> str:
    """Write one object of an equation."""
    name = local(element)
    if name == "t":
        return element.text or ""
    if name in _FORMS:
        return _FORMS[name].format_map(_Arguments(element, depth))
    match name:
        case "rad":
            return _root(_Arguments(element, depth))
        case "d":
            return _delimited(element, depth)
        case "m":
            rows = (
                "&".join(equation_text(cell, depth).strip() for cell in row.iterchildren(f"{M}e"))
                for row in element.iterchildren(f"{M}mr")
            )
            return f"[{'; '.join(rows)}]"
        case "eqArr":
            lines = (equation_text(line, depth).strip() for line in element.iterchildren(f"{M}e"))
            return "; ".join(filter(None, lines))
    return "" if name.endswith("Pr") else equation_text(element, depth)


class _Arguments(dict[str, str]):
    """The arguments of an object by their names, as `_FORMS` wants them.

    They are bracketed unless the name ends in `_bare`; scripts are empty or begin with `_` or `^`.
    """

    def __init__(self, element: etree._Element, depth: int) -> None:
        super().__init__()
        self._element, self._depth = element, depth

    def __missing__(self, name: str) -> str:
        match name:
            case "bar":
                return "¦" if _option(self._element, "fPr", "type") == "noBar" else "/"
            case "sign":
                return _option(self._element, "naryPr", "chr") or "∫"
            case "accent":
                return _option(self._element, "accPr", "chr") or "\u0302"
        mark = name[0] if name[0] in "_^" else ""
        child = self._element.find(f"{M}{name.removeprefix(mark).removesuffix('_bare')}")
        text = "" if child is None else equation_text(child, self._depth).strip()
        if name.endswith("_bare"):
            return text
        return f"{mark}{_group(text)}" if text else ""


def _root(arguments: _Arguments) -> str:
    degree = arguments["deg_bare"]
    if not degree or degree in _ROOTS:
        return f"{_ROOTS.get(degree, '√')}{arguments['e']}"
    return f"√({degree}&{arguments['e_bare']})"


def _delimited(element: etree._Element, depth: int) -> str:
    """Write what stands between brackets, with the brackets that the equation asks for."""
    begin, separator, end = (
        default if (own := _option(element, "dPr", name)) is None else own
        for name, default in (("begChr", "("), ("sepChr", "|"), ("endChr", ")"))
    )
    inner = (equation_text(part, depth).strip() for part in element.iterchildren(f"{M}e"))
    return f"{begin}{separator.join(inner)}{end}"


def _option(element: etree._Element, properties: str, name: str) -> str | None:
    option = element.find(f"{M}{properties}/{M}{name}")
    return None if option is None else option.get(f"{M}val", "")


def _group(text: str) -> str:
    """Bracket what must stay together: anything but one word or number."""
    if len(text) <= 1 or text.isalnum():
        return text
    return text if text[0] == "(" and text.find(")") == len(text) - 1 else f"({text})"
