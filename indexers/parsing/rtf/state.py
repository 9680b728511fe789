"""What the control words of RTF mean: characters, groups that are no text, how text is set.

Tables alone; what follows from them is done by `rtf` and `rtf_blocks`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

CHARACTERS = {
    "tab": "\t",
    "line": "\n",
    "lbr": "\n",
    "emdash": "—",
    "endash": "–",
    "emspace": "\u2003",
    "enspace": "\u2002",
    "qmspace": "\u2005",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "zwj": "\u200d",
    "zwnj": "\u200c",
    "~": "\xa0",
    "_": "\u2011",
    "{": "{",
    "}": "}",
    "\\": "\\",
}
"""Control words and symbols that stand for a character."""

NOTES = frozenset({"footnote", "annotation", "shptxt"})
"""Groups whose text stands below the paragraph."""

SKIPPED = frozenset(
    """
    atnauthor atndate atnicn atnid atnparent atnref atntime atrfend atrfstart background bkmkend
    bkmkstart blipuid colorschememapping colortbl datafield datastore defchp defpap docvar
    factoidname falt ffdeftext ffentrymcr ffexitmcr ffformat ffhelptext ffl ffname ffstattext
    filetbl fldinst fldtype fname fontemb fontfile footer footerf footerl footerr formfield ftncn
    ftnsep ftnsepc aftncn aftnsep aftnsepc generator gridtbl header headerf headerl headerr
    hlinkbase htmltag keycode latentstyles levelnumbers leveltext list listlevel listname
    listoverride listoverridetable listpicture liststylename listtable mailmerge mhtmltag
    mmathPr nesttableprops nonesttables objalias objclass objdata objname objsect objtime
    oldcprops oldpprops oldsprops oldtprops oleclsid panose password passwordhash pgp pgptbl
    picprop pict pn pnseclvl pntxta pntxtb printim propname protend protstart protusertbl revtbl
    rsidtbl rxe shprslt sn sp staticval svb tc template themedata txe ud userprops
    wgrffmtfilter windowcaption writereservation writereservhash xe xform xmlattrname
    xmlattrvalue xmlclose xmlname xmlnstbl xmlopen
    """.split()
)
"""Groups that are no text of the document."""


@dataclass(slots=True)
class State:
    """How text is set; each group begins with that of the group around it, and gives it back."""

    encoding: str | None = None
    """Of the font; None is that of the document."""
    skipped: int = 1
    """Characters after one of Unicode that stand for it (`\\uc`)."""
    is_hidden: bool = False
    style: int = 0
    outline: int | None = None
    """Level of a heading: 0 is the highest, 9 is text."""
    in_table: bool = False
    list_level: int = 0
    in_list: bool = False
    note_depth: int = 0
    """The group that is a note, counted from outside."""
    marker_depth: int = 0
    """The group that is the bullet or number of an item."""

    def copy(self) -> State:
        """Return one that can be changed; a note or a bullet begins anew in it."""
        return replace(self, note_depth=0, marker_depth=0)

    def begin_paragraph(self) -> None:
        """Give up what is set for paragraphs (`\\pard`)."""
        self.style, self.outline = 0, None
        self.in_table = self.in_list = False
        self.list_level = 0
