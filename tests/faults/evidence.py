"""Lanes of trials: how many there are, what each one did, and the file that proves it.

A lane is declared in `tests/lanes.toml`. A trial is one fault with its seed; one whose fault did
not fire proves nothing and is repeated. The evidence is written only by a whole lane at full count.
"""

from __future__ import annotations

import json
import os
import platform
import random
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from rag import __version__

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "docs" / "evidence"
FULL = "CUMULO_TEST_FULL"
SEED = "CUMULO_TEST_SEED"
SMALL = 5
"""Trials of every lane in every run of the tests, with fresh seeds."""


@dataclass(slots=True)
class Trial:
    """One fault. The test states the fault, that it fired, and what the process ended with."""

    seed: int
    fault: str = ""
    """What was done, and where."""
    fired: bool = False
    exit: int | None = None
    """Exit code of the process that was hurt; a signal is negative; None where there was none."""
    outcome: str = "ok"
    """Or what was wrong."""
    seconds: float = 0.0

    @property
    def random(self) -> random.Random:
        """Return this trial's source of chance, fresh from its seed."""
        return random.Random(self.seed)

    def check(self, holds: bool, otherwise: str) -> None:
        """Note what was wrong, unless something was wrong before."""
        if not holds and self.outcome == "ok":
            self.outcome = otherwise


@dataclass(slots=True)
class Lane:
    """A claim, and the trials that could refute it."""

    name: str
    claim: str
    trials: int | None
    """At full count; None where that is every case of a sweep."""
    budget_s: float
    rows: list[Trial] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    """What else the lane measured, by name."""
    _wanted: int = 0

    @property
    def full(self) -> bool:
        """Whether this is the whole lane."""
        return FULL in os.environ and SEED not in os.environ

    def run(self, small: int = SMALL) -> Iterator[Trial]:
        """Yield seeded trials until enough of them fired; close the lane after the last.

        An exception in the body of the loop is the test's failure, with the seed in the output.
        """
        self.start()
        assert self.trials is not None, "this lane is a sweep"
        self._wanted = self.trials if self.full else 1 if SEED in os.environ else small
        while (fired := sum(row.fired for row in self.rows)) < self._wanted:
            if len(self.rows) > 2 * fired + 2 * SMALL:
                break  # a fault that does not fire is a broken lane, not a reason to go on
            yield from self.trial(_seed())
        self.finish(whole=fired >= self._wanted)

    def sweep(self, cases: Sequence[int], small: int = SMALL) -> Iterator[Trial]:
        """Yield one trial per case, its seed being the case; a random few in the small lane."""
        self.start()
        if SEED in os.environ:
            cases = [int(os.environ[SEED])]
        elif not self.full:
            cases = sorted(random.Random(_seed()).sample(cases, min(small, len(cases))))
        self._wanted = len(cases)
        for case in cases:
            yield from self.trial(case)
        self.finish(whole=True)

    def is_last(self) -> bool:
        """Tell whether the trial under way is the last one, if its fault fires."""
        return sum(row.fired for row in self.rows) + 1 >= self._wanted

    def start(self) -> None:
        """Forget what an earlier run of this lane noted."""
        self.rows.clear()
        self.figures.clear()

    def trial(self, seed: int) -> Iterator[Trial]:
        """Yield one trial, and note it with the time that it took when the caller comes back."""
        print(f"lane {self.name}: {SEED}={seed}", flush=True)
        trial = Trial(seed)
        began = time.monotonic()
        yield trial
        trial.seconds = round(time.monotonic() - began, 3)
        self.rows.append(trial)

    def finish(self, *, whole: bool) -> None:
        """Write the evidence of a whole lane; fail when a claim did not hold or nothing fired."""
        fired = [row for row in self.rows if row.fired]
        bad = [row for row in self.rows if row.outcome != "ok"]
        if self.full and whole:
            self._write(fired, bad)
        assert len(fired) * 2 > len(self.rows), f"{len(fired)} of {len(self.rows)} faults fired"
        assert not bad, f"{len(bad)} of {len(self.rows)} trials: " + "; ".join(
            f"seed {row.seed}, {row.fault}: {row.outcome}" for row in bad[:5]
        )

    def _write(self, fired: Sequence[Trial], bad: Sequence[Trial]) -> None:
        head = {
            "lane": self.name,
            "claim": self.claim,
            "version": __version__,
            "date": date.today().isoformat(),
            "machine": machine(),
            "counts": {
                "trials": len(self.rows),
                "fired": len(fired),
                "ok": sum(row.outcome == "ok" for row in fired),
                "failures": len(bad),
            },
            # Rule of three: after n trials without a failure the rate is below 3/n (95 %).
            "bound": f"3/{len(fired)}" if not bad else None,
            "seconds": round(sum(row.seconds for row in self.rows), 1),
            "budget_s": self.budget_s,
            "figures": self.figures,
        }
        lines = ",\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in self.rows)
        text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
        file = EVIDENCE / f"{self.name}.json"
        file.write_text(f'{text},\n "rows": [\n{lines}\n]}}\n', "utf-8")


def lanes(*names: str) -> pytest.MarkDecorator:
    """Run a test once per lane, as its argument `lane`; the lane's name is in the test's."""
    declared = tomllib.loads((ROOT / "tests" / "lanes.toml").read_text("utf-8"))["faults"]
    made = [Lane(name, *_declaration(declared[name])) for name in names]
    return pytest.mark.parametrize("lane", made, ids=names)


def _declaration(given: dict[str, Any]) -> tuple[str, int | None, float]:
    return given["proves"], given.get("trials"), given["budget_s"]


def machine() -> str:
    """Say on what the trials ran: cores, kernel, and the file system of the data."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.system()} {platform.release()}, {_filesystem()}"


def _filesystem() -> str:
    """Name the file system under the temporary folder, where all data of tests lie."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    folder = os.path.realpath(gettempdir())
    above = [(len(at), kind) for at, kind in mounts if Path(folder).is_relative_to(at)]
    return max(above)[1]


def _seed() -> int:
    given = os.environ.get(SEED)
    return int(given) if given is not None else int.from_bytes(os.urandom(4), "big")
