"""A disk that is full: a program run in a mount namespace of its own, because it mounts one.

Gives a data folder a small disk, lets `rag ingest` run out of space, searches, takes the
last byte and searches again, gives the disk room and runs again. Prints as JSON what it saw.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.checking import (
    content,
    differences,
    expire_leases,
    half_visible,
    leftovers,
    state_of,
)
from tests.faults.workers import Place, Worker, command, start

PLENTY = "size=1g"


async def fill(folder: Path, room: int, question: str) -> dict[str, Any]:
    """Return what happened; `room` is in bytes.

    The folder holds `source`, the data folders `before` and `right`, and an empty `disk`.
    """
    disk = folder / "disk"
    place = Place(disk / "data")

    def run(*argv: str) -> Worker:
        worker = start(place, folder / "said", command, *argv, "--json")
        worker.wait()
        return worker

    mount("-t", "tmpfs", "-o", PLENTY, "tmpfs", disk)
    shutil.copytree(folder / "before", place.data)
    mount("-o", f"remount,size={used(disk) + room}", disk)
    hurt = run("ingest", str(folder / "source"))
    saw: dict[str, Any] = {"exit": hurt.process.exitcode, "said": hurt.said()}
    for name in ("search", "search to the brim"):
        searched = run("search", question)
        saw[name] = [searched.process.exitcode, searched.said()]
        fill_up(disk)
    (disk / "filler").unlink()
    mount("-o", f"remount,{PLENTY}", disk)
    saw["half"] = half_visible(await state_of(place))
    await expire_leases(place)
    again = run("ingest", str(folder / "source"))
    saw["again"] = again.process.exitcode
    state, right = await state_of(place), await state_of(Place(folder / "right"))
    saw["wrong"] = half_visible(state) + leftovers(state)
    saw["wrong"] += differences(content(state), content(right))
    return saw


def mount(*argv: object) -> None:
    subprocess.run(["mount", *map(str, argv)], check=True)


def fill_up(disk: Path) -> None:
    """Take what room is left."""
    with suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def used(disk: Path) -> int:
    """Return the bytes in use."""
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))))
