"""A source in memory that lists in pages, and breaks before the end when it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from rag.errors import Unavailable
from rag.ports import Change, Changed, ListingComplete
from rag.types import LOCAL_OWNER, Blob

PAGE = 4
FAULTS = ("raises", "a bug", "ends", "is empty", "expires")


class Paged:
    """Lists texts by name; breaks at a page in one of the ways of `FAULTS`."""

    kind = "paged"
    root = "/paged"
    repeatable = True

    def __init__(self, texts: Mapping[str, str], fault: str = "", page: int = 0) -> None:
        self._texts = texts
        self._fault = fault
        self._page = page
        self.broke = False
        """Whether the fault happened."""

    async def changes(self) -> AsyncIterator[Change]:
        names = sorted(self._texts)
        pages = [names[i : i + PAGE] for i in range(0, len(names), PAGE)]
        for number, page in enumerate([] if self._fault == "is empty" else pages):
            if self._fault and number == self._page:
                break
            for name in page:
                yield self._changed(name)
        self.broke = bool(self._fault)
        match self._fault:
            case "":
                yield ListingComplete(covers=lambda _: True)
            case "raises":
                raise Unavailable("the source is away")
            case "a bug":
                raise KeyError("next_page")
            case "expires":  # the cursor is too old: the source begins anew, and then gives up
                for name in pages[0]:
                    yield self._changed(name)
                raise Unavailable("the cursor has expired")

    async def fetch(self, change: Changed) -> Blob:
        content = self._texts[change.external_id].encode()
        return Blob(change.uri, "text/plain", content=content)

    def _changed(self, name: str) -> Changed:
        return Changed(name, f"paged:{name}", self._texts[name], (LOCAL_OWNER,))
