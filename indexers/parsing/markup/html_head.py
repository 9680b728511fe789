"""What the head of a page says of it: title, author, dates, language.

Knows the names that sites use (HTML, Open Graph, Dublin Core); nothing of the page's text.
"""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser

from indexers.parsing.markup.elements import collapsed
from indexers.parsing.metadata import metadata
from indexers.parsing.moments import moment
from rag.types import Metadata

_TITLES = ("og:title", "twitter:title", "dc.title", "dcterms.title", "citation_title")
_AUTHORS = (
    *(
        "author",
        "article:author",
        "dc.creator",
        "dcterms.creator",
        "citation_author",
        "parsely-author",
    ),
)
_CREATED = (
    *("article:published_time", "datepublished", "dc.date", "dc.date.issued", "dcterms.date"),
    *("dcterms.created", "dcterms.issued", "citation_publication_date", "citation_date"),
    *("parsely-pub-date", "pubdate", "publish_date", "date"),
)
_MODIFIED = (
    *("article:modified_time", "og:updated_time", "datemodified", "dcterms.modified"),
    *("last-modified", "revised"),
)
_DESCRIPTIONS = ("description", "og:description", "dc.description")
_LANGUAGES = ("dc.language", "dcterms.language", "content-language")


def read_head(tree: LexborHTMLParser) -> tuple[str | None, Metadata]:
    """Return the title, if the head has one, and what else the page says of itself."""
    metas = _metas(tree)
    author = _said(metas, _AUTHORS)
    return _title(tree) or _said(metas, _TITLES), metadata(
        {
            "lang": _language(tree) or _said(metas, _LANGUAGES),
            "description": _said(metas, _DESCRIPTIONS),
            "author": None if author and author.startswith(("http:", "https:")) else author,
            "created": moment(_said(metas, _CREATED)),
            "modified": moment(_said(metas, _MODIFIED)),
            "keywords": _said(metas, ("keywords",)),
        }
    )


def _title(tree: LexborHTMLParser) -> str | None:
    """Return the content of the head's title; drawings in the body have titles, too."""
    node = tree.head.css_first("title") if tree.head is not None else None
    return (collapsed(node.text()) or None) if node is not None else None


def _language(tree: LexborHTMLParser) -> str | None:
    if tree.root is None:
        return None
    attributes = tree.root.attributes
    return (attributes.get("lang") or attributes.get("xml:lang") or "").strip() or None


def _metas(tree: LexborHTMLParser) -> dict[str, str]:
    """Return the page's `meta` elements by name, the first of each name."""
    found: dict[str, str] = {}
    for node in tree.css("meta[content]"):
        attributes = node.attributes
        keys = (attributes.get(k) for k in ("name", "property", "itemprop", "http-equiv"))
        name = next(filter(None, keys), "").strip().lower()
        content = collapsed(attributes.get("content") or "")
        if name and content:
            found.setdefault(name, content)
    return found


def _said(metas: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((metas[name] for name in names if name in metas), None)
