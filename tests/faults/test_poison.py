"""Hostile files among good ones: every good one is indexed, nothing leaks, nothing is devoured."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from rag.testing.poison import PARSERS
from tests.faults.evidence import ROOT, Lane, lanes
from tests.faults.hostile import CANARY, hostile_files

GOOD = 200
MAX_PARENT_MB = 500
CPU_S = 5.0
COMMAND = """
import atexit, re, sys
from pathlib import Path
def peak():
    found = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())
    Path("peak").write_text(found[1])
atexit.register(peak)
from rag.cli import main
main()
"""


@lanes("poison")
def test_hostile_files_cost_no_other(lane: Lane, tmp_path: Path) -> None:
    for trial in lane.run(small=1):
        place = tmp_path / str(trial.seed)
        with listening() as (port, calls):
            saw = ingest_among_good(place, trial.random.sample, port)
            trial.check(not calls, f"{len(calls)} connections were made")
        trial.exit, hostile, found = saw["exit"], saw["hostile"], saw["found"]
        trial.fault = f"{len(hostile)} hostile files among {GOOD}"
        trial.fired = len(found) > len(hostile) // 2
        trial.check(saw["good"] == GOOD, f"only {saw['good']} of {GOOD} good files are indexed")
        for name, codes in hostile.items():
            code = found.get(name, "")
            trial.check(code in codes, f"{name} ended as {code or 'read'}, not as {codes}")
        trial.check("too_large" in saw["members"], "the bomb in an archive was not refused")
        trial.check(not saw["leaks"], f"the canary is in {saw['leaks']}")
        trial.check(not (place / "outside.txt").exists(), "a file was written outside")
        trial.check(saw["peak_mb"] <= MAX_PARENT_MB, f"the parent took {saw['peak_mb']} MB")
        lane.figures["parent_peak_mb"] = max(saw["peak_mb"], lane.figures.get("parent_peak_mb", 0))
        lane.figures["seconds"] = max(saw["seconds"], lane.figures.get("seconds", 0))


def ingest_among_good(place: Path, sample: Any, port: int) -> dict[str, Any]:
    """Ingest all files with the command line, as a person would, and look at what came of it."""
    folder = place / "docs"
    folder.mkdir(parents=True)
    secret = place / "secret.txt"
    secret.write_text(CANARY)
    hostile = hostile_files(secret, place / "outside.txt", port)
    order = sample(range(10_000), GOOD + len(hostile))
    for n in range(GOOD):
        text = f"# Good {n}\n\nThis file is about subject{n} and nothing else.\n"
        (folder / f"{order[n]:04}-good.md").write_text(text)
    names = {}
    for n, (name, (content, codes)) in enumerate(hostile.items(), start=GOOD):
        shown = name if name[0].isdigit() else f"{order[n]:04}-{name}"
        names[shown] = codes
        (folder / shown).write_bytes(content)
    tree = {
        "data_dir": str(place / "data"),
        "defaults": {"embedder": "hashing"},
        "parsing": {"parsers": PARSERS, "cpu_s": CPU_S, "wall_s": 25.0},
    }
    (place / "cumulo.yaml").write_text(yaml.safe_dump(tree))
    exit_code, summary = rag(place, "ingest", str(folder))
    peak = int((place / "peak").read_text())
    failures = rag(place, "failures", "list")[1]
    listed = rag(place, "documents", "list", "--limit", "10000")[1]
    return {
        "exit": exit_code,
        "hostile": names,
        "found": {f["external_id"]: f["code"] for f in failures if f["container"] is None},
        "members": {f["code"] for f in failures if f["container"] is not None},
        "good": sum(row["external_id"].endswith("-good.md") for row in listed),
        "leaks": leaks_in(place),
        "peak_mb": peak // 1024,
        "seconds": summary["seconds"],
    }


def leaks_in(place: Path) -> list[str]:
    """Return the files of the data folder that hold the canary."""
    return [
        str(path.relative_to(place))
        for path in (place / "data").rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]


def rag(place: Path, *arguments: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments, "--json"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@contextmanager
def listening() -> Iterator[tuple[int, list[object]]]:
    """Listen on a port of this machine, and note the connections that are made to it."""
    calls: list[object] = []
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def accept() -> None:
            while not ended.is_set():
                try:
                    calls.append(server.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], calls
        finally:
            ended.set()
            thread.join()
