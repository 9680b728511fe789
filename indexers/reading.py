"""The first stages: fetch, parse, chunk, encode. Files of one source become prepared documents.

Several files are read at once, in any order. Knows containers: what was taken out of a file goes
on ahead, the file's own document is held back until all of it is committed, because from then on
the file counts as unchanged. Knows nothing of stores.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import quote

from indexers.chunking import ChunkSpec, chunk
from indexers.opening import Opened, open_blob
from indexers.parser import Parsed, Parser
from indexers.planning import reason
from indexers.prepared import Prepared, Progress
from rag.catalog.documents import Known
from rag.catalog.quarantine import Refused
from rag.errors import UnreadableDocument
from rag.given import same
from rag.parsed import pack_document
from rag.ports import Changed, Connector, Embedder, SparseEncoder
from rag.types import Blob, Document, Metadata

INSIDE = "!/"
"""Between the name of a file and the path of what is inside."""
SAMPLE = 16
"""Texts per document whose readability is measured."""
RAMP_S = 0.5
"""Between the beginnings of two readers: for a few small files, one process is enough."""
HELD = 256
"""Files whose own documents are held back at once."""


@dataclass(slots=True)
class Findings:
    """What reading files brought beside documents; whoever runs the job acts on it."""

    touched: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Visible attempt and new fingerprint of documents whose content is unchanged."""
    access: list[Changed] = field(default_factory=list)
    """The same content, other readers."""
    given: list[Changed] = field(default_factory=list)
    """The same content, other metadata from a person."""
    vanished: list[Known] = field(default_factory=list)
    """Taken out of a file before, and not in it any more."""
    held: list[Prepared] = field(default_factory=list)
    """Files' own documents, to be committed after what was taken out of them."""
    refused: list[Refused] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    """External ids of files that were read after all."""


@dataclass(frozen=True, slots=True)
class Cutter:
    """Chunks documents and encodes their words, as one generation wants it."""

    embedder: Embedder
    sparse: SparseEncoder
    spec: ChunkSpec
    progress: Progress

    def cut(
        self,
        change: Changed,
        known: Known | None,
        digest: str,
        original: Blob | None,
        document: Document,
        *,
        parsed: bytes = b"",
        container: str | None = None,
    ) -> Prepared:
        """Prepare a parsed document; `parsed` are its bytes where they are known."""
        spans = chunk(document, self.spec, self.embedder.count_tokens)
        texts = [span.embedded_text for span in spans]
        sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
        if sample:
            self.progress.unknown += self.embedder.unknown_share(sample) * len(sample)
            self.progress.sampled += len(sample)
        return Prepared(
            change=change,
            known=known,
            digest=digest,
            original=original,
            document=document,
            parsed=parsed or pack_document(document),
            spans=spans,
            sparse=self.sparse.encode([span.words or span.embedded_text for span in spans]),
            tokens=sum(span.tokens for span in spans),
            container=container,
        )


class Reader:
    """Reads the files of one source; `known` is what is indexed of it, by external id."""

    def __init__(
        self,
        connector: Connector,
        parser: Parser,
        cutter: Cutter,
        known: Mapping[str, Known],
        progress: Progress,
    ) -> None:
        self.findings = Findings()
        self._connector, self._parser, self._cutter = connector, parser, cutter
        self._known, self._progress = known, progress
        self._members: defaultdict[str, dict[str, Known]] = defaultdict(dict)
        for id_, entry in known.items():
            if entry.container is not None:
                self._members[entry.container][id_] = entry

    async def read(
        self, changes: deque[Changed], stop: asyncio.Event
    ) -> AsyncGenerator[Prepared, None]:
        """Take changes from the left and yield their documents, in the order they are ready.

        Ends when none is left, on `stop`, and when so many files are held back that they should
        be committed first.
        """
        ready: asyncio.Queue[Prepared | None] = asyncio.Queue(self._parser.workers)

        nothing_left = asyncio.Event()

        async def work(after: float) -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(nothing_left.wait(), after)
            while changes and not stop.is_set() and len(self.findings.held) < HELD:
                async with aclosing(self._file(changes.popleft())) as documents:
                    async for prepared in documents:
                        await ready.put(prepared)
            nothing_left.set()
            await ready.put(None)

        delays = [RAMP_S * n for n in range(self._parser.workers)]
        workers = [asyncio.create_task(work(after)) for after in delays]
        try:
            for _ in workers:
                while (prepared := await ready.get()) is not None:
                    yield prepared
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _file(self, change: Changed) -> AsyncGenerator[Prepared, None]:
        """Read one file; what goes wrong with it costs no other."""
        try:
            blob = await self._connector.fetch(change)
            with closing(await asyncio.to_thread(open_blob, blob)) as file:
                known = self._known.get(change.external_id)
                if known is not None and known.digest == file.digest:
                    self._unchanged(change, known)
                    return
                async with aclosing(self._documents(change, known, file)) as documents:
                    async for prepared in documents:
                        yield prepared
        except UnreadableDocument as exc:
            self._refuse(change, None, exc)
            self._done(change)
        except Exception as exc:  # noqa: BLE001 - one bad document must not stop the others
            self._progress.failures.append((change.uri, reason(exc)))
            self._done(change)

    async def _documents(
        self, change: Changed, known: Known | None, file: Opened
    ) -> AsyncGenerator[Prepared, None]:
        """Yield what is inside a file, then its own document, unless that is held back."""
        own: Parsed | None = None
        members = self._members[change.external_id]
        seen: set[str] = set()
        counted = 0
        async with aclosing(self._parser.parse(file)) as parts:
            async for parsed in parts:
                if parsed.reached > counted:
                    advance = min(parsed.reached, change.size) - counted
                    self._progress.bytes_done += advance
                    counted += advance
                if not parsed.path:
                    own = parsed
                    continue
                inside = _inside(change, parsed)
                seen.add(inside.external_id)
                prepared = await self._member(change, inside, parsed)
                if prepared is not None:
                    yield prepared
        if own is None or own.document is None:
            raise UnreadableDocument("its parser gave no document", code="crashed")
        original = None if self._connector.repeatable else file.blob
        rest = replace(change, size=change.size - counted)
        prepared = await self._cut(rest, known, own, own.document, original)
        self.findings.released.append(change.external_id)
        self.findings.vanished += [k for id_, k in members.items() if id_ not in seen]
        if seen or members:
            self.findings.held.append(prepared)
        else:
            yield prepared

    async def _member(self, change: Changed, inside: Changed, parsed: Parsed) -> Prepared | None:
        """Prepare what was taken out of a file; None when it is unchanged or cannot be read."""
        if parsed.error is not None or parsed.document is None:
            error = parsed.error or UnreadableDocument("its parser gave no document")
            self._refuse(inside, change.external_id, error)
            return None
        self.findings.released.append(inside.external_id)
        known = self._known.get(inside.external_id)
        if known is not None and known.digest == parsed.digest:
            self._same(inside, known)
            return None
        return await self._cut(inside, known, parsed, parsed.document, None, change.external_id)

    async def _cut(
        self,
        change: Changed,
        known: Known | None,
        parsed: Parsed,
        document: Document,
        original: Blob | None,
        container: str | None = None,
    ) -> Prepared:
        if not document.text.strip():
            self._progress.empty += 1
        return await asyncio.to_thread(
            self._cutter.cut,
            change,
            known,
            parsed.digest,
            original,
            document,
            parsed=parsed.packed,
            container=container,
        )

    def _unchanged(self, change: Changed, known: Known) -> None:
        """Note that a file has the content that is indexed, with all that was taken out of it."""
        self._same(change, known)
        self.findings.released.append(change.external_id)
        for member in self._members[change.external_id].values():
            inside = replace(change, external_id=member.external_id, uri=member.uri)
            self._same(inside, member)
        self._done(change)

    def _same(self, change: Changed, known: Known) -> None:
        self.findings.touched[known.document_id] = known.attempt, change.fingerprint
        described = change.given is not None and not same(change.given, known.given)
        if described:
            self.findings.given.append(change)
        if known.access != frozenset(change.access):
            self.findings.access.append(change)
        elif not described:
            self._progress.unchanged += 1

    def _refuse(self, change: Changed, container: str | None, error: UnreadableDocument) -> None:
        why = reason(error)
        self._progress.failures.append((change.uri, why))
        self.findings.refused.append(
            Refused(change.external_id, container, change.uri, change.fingerprint, error.code, why)
        )

    def _done(self, change: Changed) -> None:
        self._progress.files_done += 1
        self._progress.bytes_done += change.size


def _inside(change: Changed, parsed: Parsed) -> Changed:
    """Describe what was taken out of a file as a document of the same source."""
    path = INSIDE.join(parsed.path)
    of_file = {name: value for name, value in change.metadata.items() if name != "meta.ext"}
    of_text: Metadata = parsed.document.metadata if parsed.document is not None else {}
    metadata: Metadata = {
        **of_file,
        **of_text,
        **parsed.metadata,
        "meta.path": f"{change.external_id}{INSIDE}{path}",
        "meta.ext": PurePosixPath(parsed.path[-1]).suffix.lower(),
        "meta.container": change.external_id,
    }
    return replace(
        change,
        external_id=f"{change.external_id}{INSIDE}{path}",
        uri=INSIDE.join((change.uri, *map(quote, parsed.path))),
        metadata=metadata,
        size=0,
    )
