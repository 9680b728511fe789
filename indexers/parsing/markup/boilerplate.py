"""What of a page is its frame: heads and feet of the site, side bars, lists of links, banners.

Knows the blocks of a page, how much of their text stands in links, and what they are called;
nothing of elements inside the text. In doubt a block is content: what is dropped is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from indexers.parsing.content import Part
from indexers.parsing.markup.elements import Attributes, tags

MIN_PROSE = 30
"""Characters outside links that make a block prose."""
MIN_PAGE_PROSE = 120
"""Characters of prose without which a page may well consist of its links."""
LONG_PROSE = 500
"""Characters of prose beside which a single link is no content."""
MAX_BANNER = 3000
MAX_CRUMBS = 500
DENSE = 0.6
"""Share of its text that stands in links, in a block of links."""
MAX_SHARE_OF_PROSE = 0.25
MIN_LINKS = 3
NO_LEVEL = 9
"""Lower than any heading."""

CONTAINERS = tags("body main article section div center form fieldset table tbody tr td")
"""Elements that hold blocks, though words may stand in them, too."""
_SECTIONS = tags("article section main blockquote")
_WORDS = tags("h1 h2 h3 h4 h5 h6 p li dt dd")
_ROLES = {"complementary": "aside", "banner": "header", "contentinfo": "footer"}
_NOTE = re.compile(r"note|tip|warning", re.IGNORECASE)
_CONSENT = re.compile(
    r"(?:cookie|consent|gdpr|privacy).{0,40}?(?:banner|notice|bar|pop-?up|modal|dialog|overlay"
    r"|message|alert|layer|prompt|disclaimer|law|warning|sdk)|onetrust|cookiebot|didomi"
    r"|usercentrics|cc-window|truste",
    re.IGNORECASE,
)
_FRAME = re.compile(
    r"(?:^|[\s_-])(?:catlinks|navbox|nav|navigation|pagination|pager|related|recommended|share"
    r"|recommendations|sharing|social|sidebar|menu|toc|tags|widget|sponsored|advert|promo)"
    r"(?=$|[\s_-])",
    re.IGNORECASE,
)
_CRUMBS = re.compile(r"bread-?crumb", re.IGNORECASE)
_TOPS = frozenset({"#", "#top"})


@dataclass(slots=True)
class Words:
    """How many characters gathered, and how many of them in links."""

    text: int = 0
    linked: int = 0
    links: int = 0
    jumps: int = 0
    """Links to another place of the page."""
    jump: str = ""
    """The last of them."""
    prose: int = 0
    """Characters outside links, of blocks with more than a few."""
    level: int = NO_LEVEL
    """Of the highest heading."""

    def add(self, other: Words) -> None:
        """Add what gathered elsewhere."""
        self.text += other.text
        self.linked += other.linked
        self.links += other.links
        self.jumps += other.jumps
        self.jump = other.jump or self.jump
        self.prose += other.prose
        self.level = min(self.level, other.level)


@dataclass(slots=True)
class Box:
    """A block of a page and what is inside; counted while the page is read."""

    tag: str
    attributes: Attributes
    depth: int
    in_section: bool
    """Whether it belongs to a section of the page, not to the page."""
    first: int
    """The first part inside."""
    last: int
    """The first part after it."""
    end: int = 0
    """The first box after it that is not inside."""
    words: Words = field(default_factory=Words)

    @property
    def role(self) -> str:
        """What the element is: a role that is given stands above the tag."""
        return _ROLES.get(self.attributes.get("role") or "", self.tag)

    @property
    def name(self) -> str:
        """What the page's author calls it."""
        found = (self.attributes.get(key) for key in ("class", "id", "aria-label"))
        return " ".join(filter(None, found))[:500]

    @property
    def is_note(self) -> bool:
        """Whether it is an aside that belongs to the text."""
        said = (self.attributes.get(key) or "" for key in ("role", "epub:type", "class"))
        return _NOTE.search(" ".join(said)[:500]) is not None

    def is_dense(self, share: float = DENSE) -> bool:
        """Whether the text is mostly links."""
        words = self.words
        is_dense = words.links >= MIN_LINKS and words.linked >= share * words.text
        return is_dense and words.prose <= MAX_SHARE_OF_PROSE * words.text

    def holds(self, tag: str, attributes: Attributes, first: int) -> Box:
        """Return a new box inside this one."""
        in_section = self.in_section or self.tag in _SECTIONS
        return Box(tag, attributes, self.depth + 1, in_section, first, first)


class Frame:
    """One page, seen as boxes: tells the frame from the content."""

    def __init__(
        self, parts: Sequence[Part], boxes: Sequence[Box], has_place: Callable[[str], bool]
    ) -> None:
        """`has_place`: whether the page has an element of this identifier."""
        self._parts, self._boxes, self._has_place = parts, boxes, has_place
        self._base = self._article() if boxes[0].tag == "body" else 0
        self._path = self._way_to_the_content()
        self._is_long = boxes[self._path[-1]].words.prose >= LONG_PROSE
        levels = [part.level or NO_LEVEL for part in parts]
        self._before = list(accumulate(levels, min, initial=NO_LEVEL))
        self._after = list(accumulate(reversed(levels), min, initial=NO_LEVEL))[::-1]

    def content(self) -> list[Part]:
        """Return the parts that are not the frame; all of them where nothing else is left."""
        kept: list[Part] = []
        base = self._boxes[self._base]
        at, position = self._beginning(base), 0
        while position < base.end:
            box = self._boxes[position]
            if max(at, box.first) < box.last and self._is_frame(position):
                kept.extend(self._parts[at : box.first])
                at, position = box.last, box.end
            else:
                position += 1
        kept.extend(self._parts[at : base.last])
        return kept or list(self._parts)

    def _beginning(self, base: Box) -> int:
        """Return the first part to read: the page's title may stand above the article."""
        if any(part.level == 1 for part in self._parts[base.first : base.last]):
            return base.first
        above = (i for i in range(base.first, 0, -1) if self._parts[i - 1].level == 1)
        return next(above, base.first + 1) - 1

    def _article(self) -> int:
        """Return the one article that has most of the page's prose; else the whole page."""
        found = [i for i, box in enumerate(self._boxes) if box.tag == "article"]
        if len(found) != 1:
            return 0
        prose = self._boxes[found[0]].words.prose
        return found[0] if prose and prose * 2 >= self._boxes[0].words.prose else 0

    def _way_to_the_content(self) -> list[int]:
        """Return the boxes down to the smallest one that holds most of the prose."""
        path = [self._base]
        for position in range(self._base + 1, self._boxes[self._base].end):
            box, above = self._boxes[position], self._boxes[path[-1]]
            if position >= above.end:
                break
            is_child = box.depth == above.depth + 1 and box.tag in CONTAINERS
            if is_child and box.words.prose >= 0.8 * above.words.prose > 0:
                path.append(position)
        return path

    def _is_frame(self, position: int) -> bool:
        box = self._boxes[position]
        if position <= self._base < box.end or position in self._path:
            return False
        if box.words.text <= MAX_BANNER and _CONSENT.search(box.name):
            return True
        if self._is_directory(box):
            return True
        role = box.role
        if role == "footer":
            return not box.in_section or box.is_dense()
        if role == "header" and self._is_head_of_site(box):
            return True
        if role == "aside" and not box.is_note:
            return box.is_dense() or not (self._is_inside(position) or box.in_section)
        if role in _WORDS or self._boxes[0].words.prose < MIN_PAGE_PROSE:
            return False
        return self._is_list_of_links(position)

    def _is_directory(self, box: Box) -> bool:
        """Whether it leads about on this page or to those above: contents, bread crumbs."""
        words = box.words
        if _CRUMBS.search(box.name):
            return words.text <= MAX_CRUMBS
        if not words.jumps or words.jumps < words.links or words.linked < 0.7 * words.text:
            return False
        if words.links >= MIN_LINKS:
            return self._has_place(words.jump[1:])
        is_first = box.first == self._boxes[self._base].first
        return words.linked == words.text and (is_first or words.jump in _TOPS)

    def _is_list_of_links(self, position: int) -> bool:
        """Whether it is a block of links beside the content, or one that says what it is."""
        box = self._boxes[position]
        if self._heads(box):
            return False
        if self._is_inside(position):
            return box.is_dense(0.5) and _FRAME.search(box.name) is not None
        words = box.words
        is_link = words.linked == words.text and words.links > 0
        return box.is_dense() or (is_link and (words.jumps > 0 or self._is_long))

    def _is_head_of_site(self, box: Box) -> bool:
        """Whether it heads all pages of a site: no prose, and the page has a heading elsewhere."""
        if self._boxes[self._base].tag != "body" or box.in_section:
            return False
        return box.words.prose < MIN_PAGE_PROSE and not self._heads(box)

    def _heads(self, box: Box) -> bool:
        """Whether the page's title stands in it: a heading with none of its level elsewhere."""
        return box.words.level < min(self._before[box.first], self._after[box.last])

    def _is_inside(self, position: int) -> bool:
        """Whether it stands in the box that has most of the prose."""
        innermost = self._path[-1]
        return innermost < position < self._boxes[innermost].end
