"""Chunks of a document: spans that follow its outline and fit an embedder's window.

Knows how pieces are gathered and that no embedded text may be over the limit. Tokenizers are given
as a function; of stores and models it knows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from math import inf

from indexers.context import Context, CountTokens
from indexers.pieces import AFTER_HEADING, Piece, cut, pieces_of
from indexers.tables import is_table
from rag.errors import ConfigError
from rag.types import Document, Span

VERSION = 1
"""Of the algorithm: it changes when the same document and options give other chunks."""
SMALLEST_WINDOW = 16
MAX_PIECES = 64
"""Of one chunk: keeps the search for the best cuts linear."""


@dataclass(frozen=True, slots=True)
class ChunkSpec:
    """How long chunks are, in tokens of the embedder; the defaults suit one that reads 256."""

    max_tokens: int = 254
    """Of the embedded text, never exceeded; special tokens and prefix are already taken off."""
    target_tokens: int = 200
    """Of the span alone."""
    min_tokens: int = 64
    """From here on a heading begins a new chunk."""
    table_tokens: int = 0
    """A table of up to so many tokens stays whole; of a longer one than the window, the embedded
    text is its header and the labels of its rows."""

    def __post_init__(self) -> None:
        ordered = 1 <= self.min_tokens <= self.target_tokens <= self.max_tokens
        if not ordered or self.max_tokens < SMALLEST_WINDOW:
            raise ConfigError(
                f"cannot make chunks of {self.min_tokens} to {self.target_tokens} tokens in a "
                f"window of {self.max_tokens}",
                hint=f"wanted 1 <= min <= target <= max and max >= {SMALLEST_WINDOW}",
            )

    @property
    def fingerprint(self) -> str:
        """Name all that the chunks depend on beside the document and the tokenizer."""
        *sizes, table = astuple(self)
        return "-".join(map(str, ("outline", VERSION, *sizes, *filter(None, [table]))))


def chunk(document: Document, spec: ChunkSpec, count_tokens: CountTokens) -> list[Span]:
    """Cut a document into spans that join to its text; none if it is blank.

    Blocks stay whole where they fit. Sections of at least `min_tokens` stand alone, smaller ones
    are gathered. No embedded text has more than `max_tokens`, as `count_tokens` counts it.
    """
    if not document.text.strip():
        return []
    text = document.text
    pieces = pieces_of(document)
    title = " ".join((document.title or "").split())
    named = (title, *(label for piece in pieces for label in piece.path))
    names = list(dict.fromkeys(filter(None, named)))
    counts = count_tokens([*names, *(piece.content(text) for piece in pieces)])
    tokens = dict(zip(names, counts, strict=False))
    room = spec.max_tokens // 3
    context = Context(title, tokens=tokens, room=room, count_tokens=count_tokens)
    pieces = [p._replace(tokens=n) for p, n in zip(pieces, counts[len(names) :], strict=True)]
    pieces = [_kept_whole(text, piece, spec) for piece in _limited(pieces, spec, context)]
    pieces = _fitted(text, pieces, count_tokens)
    return _verified(text, _gathered(pieces, spec, context), spec, context, count_tokens)


def _limited(pieces: Sequence[Piece], spec: ChunkSpec, context: Context) -> Iterator[Piece]:
    """Say how long each piece may be beside its lead and the headings right above it."""
    headings, above = 0, 0
    for piece in pieces:
        own = context.lead(piece).tokens
        above = above if headings else own
        limit = spec.max_tokens - max(own, above + headings)
        if limit < spec.max_tokens // 8:
            limit = spec.max_tokens - own  # such headings fill a chunk of their own
        if piece.kind == "paragraph":
            limit = min(limit, spec.target_tokens * 3 // 2)
        yield piece._replace(limit=limit)
        headings = headings + piece.tokens if piece.level else 0


def _kept_whole(text: str, piece: Piece, spec: ChunkSpec) -> Piece:
    """Mark a table that is too long for the window and yet not to be cut."""
    whole = piece.kind == "table" and piece.limit < piece.tokens <= spec.table_tokens
    return piece._replace(whole=whole and is_table(piece.content(text)))


def _fitted(text: str, pieces: list[Piece], count_tokens: CountTokens) -> list[Piece]:
    """Cut the pieces that are too long, until all fit or are single characters."""
    while True:
        cuts = {
            i: parts
            for i, piece in enumerate(pieces)
            if piece.tokens > piece.limit
            and not piece.whole
            and len(parts := cut(text, piece, share=piece.limit / piece.tokens / 4)) > 1
        }
        if not cuts:
            return pieces
        texts = [[*(p.content(text) for p in parts), parts[-1].header] for parts in cuts.values()]
        counts = iter(count_tokens([content for contents in texts for content in contents]))
        for i, parts in cuts.items():
            cuts[i] = _counted(parts, [next(counts) for _ in parts], header=next(counts))
        pieces = [part for i, piece in enumerate(pieces) for part in cuts.get(i, (piece,))]


def _counted(parts: Sequence[Piece], counts: Sequence[int], *, header: int) -> list[Piece]:
    """Note the tokens of a cut piece's parts; rows leave room for the head of their table."""
    head, *rest = (part._replace(tokens=n) for part, n in zip(parts, counts, strict=True))
    if rest[-1].header and not head.header:
        if header > head.limit // 4:
            rest = [row._replace(header="") for row in rest]
        else:
            rest = [row._replace(limit=row.limit - header) for row in rest]
    return [head, *rest]


def _gathered(pieces: Sequence[Piece], spec: ChunkSpec, context: Context) -> list[list[Piece]]:
    """Gather pieces into runs of about the target, cut where it costs least over all.

    The search for the cheapest sequence of cuts is that of lines in a paragraph (Knuth and Plass,
    Breaking Paragraphs into Lines, 1981), from the end to the beginning.
    """
    best = [0.0] * (len(pieces) + 1)
    following = [0] * len(pieces)
    for start in range(len(pieces) - 1, -1, -1):
        best[start] = inf
        for end, tokens in _ends(pieces, start, spec, context):
            cost = (1 - tokens / spec.target_tokens) ** 2 + best[end]
            if end < len(pieces):
                cost += pieces[end].cost
            if cost < best[start]:
                best[start], following[start] = cost, end
    runs = []
    start = 0
    while start < len(pieces):
        runs.append(list(pieces[start : following[start]]))
        start = following[start]
    return runs


def _ends(
    pieces: Sequence[Piece], start: int, spec: ChunkSpec, context: Context
) -> Iterator[tuple[int, int]]:
    """Yield where a run may end, and its tokens: always after one piece, then while it fits."""
    first = top = pieces[start]
    room = first.limit if first.header else spec.max_tokens - context.lead(top).tokens
    tokens, is_heading = 0, True
    for end in range(start, min(len(pieces), start + MAX_PIECES)):
        piece = pieces[end]
        if piece.whole:
            if end == start:
                yield end + 1, min(piece.tokens, spec.target_tokens)
            return
        if piece.level and is_heading:
            if piece.floor < top.floor:
                top = piece
                room = spec.max_tokens - context.lead(top).tokens
        elif piece.level and (piece.level < top.floor or tokens >= spec.min_tokens):
            return
        tokens += piece.tokens
        if tokens > room and end > start:
            return
        is_heading = is_heading and piece.level > 0
        yield end + 1, tokens


def _verified(
    text: str,
    runs: Sequence[Sequence[Piece]],
    spec: ChunkSpec,
    context: Context,
    count_tokens: CountTokens,
) -> list[Span]:
    """Make the spans; halve those whose whole counts more than the sum of its pieces."""
    spans: list[Span] = []
    while runs:
        tried = [context.span(text, run, spec.max_tokens) for run in runs]
        counts = count_tokens([span.embedded_text for span in tried])
        long: list[Sequence[Piece]] = []
        for run, span, tokens in zip(runs, tried, counts, strict=True):
            halves = _halves(text, run) if tokens > spec.max_tokens else [run]
            if len(halves) == 1:
                spans.append(replace(span, tokens=tokens))
            else:
                long += halves
        runs = long
    return sorted(spans, key=lambda span: span.start)


def _halves(text: str, run: Sequence[Piece]) -> list[Sequence[Piece]]:
    """Cut a run in two where it costs least, then nearest to the middle; not after a heading."""
    if all(piece.cost >= AFTER_HEADING for piece in run[1:]):
        run = [*run[:-1], *cut(text, run[-1], share=0.5)]
    if len(run) == 1:
        return [run]
    middle = min(range(1, len(run)), key=lambda i: (run[i].cost, abs(2 * i - len(run))))
    return [run[:middle], run[middle:]]
