"""Documents written again without their source: from the kept text, else from the kept original.

Goes through the pipeline's own stages and commit protocol, so a writer that is faster wins and the
old rows leave through the outbox. Knows nothing of what was wrong with them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from indexers.parser import Parser
from indexers.pipeline import WINDOW_TOKENS, Pipeline, open_pipeline, windows
from indexers.prepared import Prepared, Progress
from indexers.reading import Reader
from indexers.vector_cache import VectorCache
from rag.blobs import Blobs
from rag.catalog.auditing import Version
from rag.catalog.documents import Known
from rag.errors import UnreadableDocument
from rag.parsed import has_structure, unpack_document
from rag.ports import Change, Changed, Index
from rag.runtime import Runtime
from rag.types import Blob, Collection, Source


@dataclass(slots=True)
class KeptOriginals:
    """The kept originals of one source, as a source that can be read only once."""

    kind: str
    root: str
    versions: Sequence[Version]
    originals: Blobs
    repeatable: bool = False

    async def changes(self) -> AsyncIterator[Change]:
        """Name the documents; of others of the source nothing is said."""
        for version in self.versions:
            yield _changed(version)

    async def fetch(self, change: Changed) -> Blob:
        """Open a kept original; its name and content tell what it is."""
        (digest, document_id) = next(
            (version.original_digest, version.document_id)
            for version in self.versions
            if version.external_id == change.external_id
        )
        if digest is None:
            raise UnreadableDocument("no original is kept of it")
        content = await asyncio.to_thread(self.originals.get, document_id, digest)
        return Blob(uri=change.uri, media_type="", content=content)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Writes documents of one generation again; `live` of the collection is that generation."""

    runtime: Runtime
    collection: Collection
    index: Index
    cache: VectorCache

    async def from_texts(self, versions: Sequence[Version]) -> dict[str, str]:
        """Write documents again from their kept texts; return why some failed, by address."""
        failed: dict[str, str] = {}
        for source, mine in _by_source(versions):
            stages = await self._stages(source)
            window: list[Prepared] = []
            for version in mine:
                window.append(await asyncio.to_thread(self._prepare, stages, version))
                if sum(prepared.tokens for prepared in window) >= WINDOW_TOKENS:
                    await _write(stages, window)
                    window = []
            await _write(stages, window)
            failed |= dict(stages.progress.failures)
        return failed

    async def from_originals(self, versions: Sequence[Version]) -> dict[str, str]:
        """Parse documents again from their kept originals; return why some failed, by address."""
        failed: dict[str, str] = {}
        parser = Parser(self.runtime.settings.parsing)
        try:
            for source, mine in _by_source(versions):
                stages = await self._stages(source)
                kept = KeptOriginals(source.kind, source.root, mine, self.runtime.originals)
                known = {v.external_id: replace(_known(v), digest="") for v in mine}
                reader = Reader(kept, parser, stages.cutter, known, stages.progress)
                async for window in windows(_wanted(reader, mine), asyncio.Event()):
                    await _write(stages, window)
                failed |= dict(stages.progress.failures)
        finally:
            await parser.close()
        return failed

    def has_structure(self, version: Version) -> bool:
        """Tell whether the kept text is enough to cut the document again."""
        return has_structure(self.runtime.texts.get(version.document_id, version.text_digest))

    async def _stages(self, source: Source) -> Pipeline:
        return await asyncio.to_thread(
            open_pipeline,
            self.runtime,
            self.collection,
            source=source,
            index=self.index,
            cache=self.cache,
            progress=Progress(),
            restores=True,
        )

    def _prepare(self, stages: Pipeline, version: Version) -> Prepared:
        parsed = self.runtime.texts.get(version.document_id, version.text_digest)
        original = None
        if version.original_digest is not None:
            content = self.runtime.originals.get(version.document_id, version.original_digest)
            original = Blob(uri=version.uri, media_type="", content=content)
        document = unpack_document(parsed)
        return stages.cutter.cut(
            _changed(version), _known(version), version.digest, original, document
        )


async def _wanted(reader: Reader, versions: Sequence[Version]) -> AsyncIterator[Prepared]:
    """Read the originals; of what is inside them, nothing is written."""
    changes = deque(_changed(version) for version in versions)
    while changes:
        async for prepared in reader.read(changes, asyncio.Event()):
            if prepared.container is None:
                yield prepared
        for prepared in reader.findings.held:
            yield prepared
        reader.findings.held.clear()


async def _write(stages: Pipeline, window: Sequence[Prepared]) -> None:
    for part in await stages.embed(window) if window else ():
        await stages.store(part)


def _by_source(versions: Sequence[Version]) -> Iterator[tuple[Source, list[Version]]]:
    groups: dict[Source, list[Version]] = defaultdict(list)
    for version in versions:
        groups[version.source].append(version)
    yield from groups.items()


def _changed(version: Version) -> Changed:
    return Changed(
        version.external_id, version.uri, version.fingerprint, version.access, version.metadata
    )


def _known(version: Version) -> Known:
    return Known(
        document_id=version.document_id,
        external_id=version.external_id,
        uri=version.uri,
        attempt=version.attempt,
        fingerprint=version.fingerprint,
        digest=version.digest,
        access=frozenset(version.access),
        given=version.given,
    )
