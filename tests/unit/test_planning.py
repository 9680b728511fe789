"""What a sync has to do: files, what was taken out of them, and files in quarantine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from indexers.planning import Before, make_plan
from rag.catalog.documents import Known
from rag.catalog.quarantine import Refused
from rag.ports import Change, Changed, Failed, ListingComplete
from rag.types import Blob

ME = ("user:me",)


@dataclass
class Listed:
    """A source that lists what it is given."""

    items: Sequence[Change]
    kind: str = "listed"
    root: str = "/"
    repeatable: bool = True

    async def changes(self) -> AsyncIterator[Change]:
        for item in self.items:
            yield item

    async def fetch(self, change: Changed) -> Blob:
        raise AssertionError("a plan reads no content")


def file(name: str, fingerprint: str = "1", access: tuple[str, ...] = ME) -> Changed:
    return Changed(name, f"file:///{name}", fingerprint, access)


def known(name: str, fingerprint: str = "1", container: str | None = None) -> Known:
    return Known(name, name, f"file:///{name}", 1, fingerprint, "d", frozenset(ME), container)


def refused(name: str, fingerprint: str = "1", container: str | None = None) -> Refused:
    return Refused(name, container, f"file:///{name}", fingerprint, "crashed", "why", "1.0")


def before(*entries: Known | Refused) -> Before:
    return Before(
        {e.external_id: e for e in entries if isinstance(e, Known)},
        {e.external_id: e for e in entries if isinstance(e, Refused)},
    )


EVERYTHING = ListingComplete(lambda external_id: True)
ZIP = (known("a.zip"), known("a.zip!/x", container="a.zip"), known("a.zip!/y", container="a.zip"))


async def test_members_are_unchanged_with_their_file() -> None:
    plan = await make_plan(Listed([file("a.zip"), EVERYTHING]), before(*ZIP))
    assert (plan.unchanged, plan.fetch, plan.gone) == (3, [], [])


async def test_members_go_with_their_file_and_only_then() -> None:
    entries = (*ZIP, known("b.md"), refused("a.zip!/z", container="a.zip"))
    plan = await make_plan(Listed([file("b.md"), EVERYTHING]), before(*entries))
    assert [gone.external_id for gone in plan.gone] == ["a.zip", "a.zip!/x", "a.zip!/y"]
    assert plan.released == ["a.zip!/z"]
    failing = Listed([Failed("a.zip", "file:///a.zip", "no"), file("b.md"), EVERYTHING])
    plan = await make_plan(failing, before(*entries))
    assert (plan.gone, plan.released) == ([], [])
    plan = await make_plan(Listed([file("b.md")]), before(*entries))
    assert (plan.gone, plan.released) == ([], [])


async def test_new_readers_of_a_file_are_those_of_its_members() -> None:
    changed = file("a.zip", access=("group:x",))
    plan = await make_plan(Listed([changed, EVERYTHING]), before(*ZIP))
    assert [change.external_id for change in plan.access] == ["a.zip", "a.zip!/x", "a.zip!/y"]
    assert {change.access for change in plan.access} == {("group:x",)}
    assert plan.unchanged == 0


async def test_a_changed_file_is_fetched_and_its_members_are_judged_then() -> None:
    plan = await make_plan(Listed([file("a.zip", "2"), EVERYTHING]), before(*ZIP))
    assert [change.external_id for change in plan.fetch] == ["a.zip"]
    assert (plan.unchanged, plan.gone) == (0, [])


async def test_quarantine_holds_until_the_file_changes() -> None:
    entries = before(refused("a.pdf"))
    plan = await make_plan(Listed([file("a.pdf"), EVERYTHING]), entries)
    assert (plan.quarantined, plan.fetch) == (1, [])
    plan = await make_plan(Listed([file("a.pdf", "2"), EVERYTHING]), entries)
    assert (plan.quarantined, len(plan.fetch)) == (0, 1)


async def test_what_was_indexed_of_a_refused_file_stays() -> None:
    entries = before(known("a.pdf", "0"), refused("a.pdf"))
    plan = await make_plan(Listed([file("a.pdf", access=("group:x",)), EVERYTHING]), entries)
    assert (plan.quarantined, plan.unchanged, plan.gone) == (1, 0, [])
    assert plan.access == []


async def test_refused_members_are_counted_with_their_unchanged_file() -> None:
    entries = before(*ZIP, refused("a.zip!/z", container="a.zip"))
    plan = await make_plan(Listed([file("a.zip"), EVERYTHING]), entries)
    assert (plan.unchanged, plan.quarantined) == (3, 1)


async def test_another_program_or_a_wish_reads_a_refused_file_again() -> None:
    entries = before(*ZIP, refused("a.zip!/z", container="a.zip"), refused("b.pdf"))
    listed = Listed([file("a.zip"), file("b.pdf"), EVERYTHING])
    for doubting in (entries.doubting((), "2.0"), entries.doubting({"a.zip", "b.pdf"}, "1.0")):
        plan = await make_plan(listed, doubting)
        assert [change.external_id for change in plan.fetch] == ["a.zip", "b.pdf"]
        assert plan.quarantined == 0
        assert doubting.known["a.zip"].digest == ""
        assert doubting.known["a.zip!/x"].digest == "d"
    assert entries.doubting((), "1.0") == entries


async def test_a_file_whose_member_is_in_doubt_is_read_again() -> None:
    doubtful = replace(ZIP[2], fingerprint="", digest="")
    plan = await make_plan(
        Listed([file("a.zip"), EVERYTHING]), before(*ZIP[:2], doubtful).doubting((), "1.0")
    )
    assert [change.external_id for change in plan.fetch] == ["a.zip"]
