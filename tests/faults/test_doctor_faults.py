"""Random inconsistencies, one or several at once: the doctor finds each of them and mends them."""

from __future__ import annotations

from pathlib import Path

from indexers.doctor.findings import Kind
from tests.faults.evidence import Lane, Trial, lanes
from tests.faults.injuries import (
    LOST,
    NEEDS_THE_SOURCE,
    OF_DOCUMENTS,
    OF_THE_WHOLE,
    Injury,
)
from tests.faults.patient import Healthy, Patient

AT_ONCE = (1, 1, 2, 3, 5)


@lanes("doctor")
async def test_injuries_are_found_and_mended(lane: Lane, tmp_path: Path) -> None:
    healthy = await Healthy.made(tmp_path / "healthy")
    injected = 0
    for trial in lane.run():
        patient = healthy.patient(tmp_path / "data", trial.random)
        injuries = choose(patient)
        trial.fault = ", ".join(injury.__name__ for injury in injuries)
        expected: set[Kind] = set()
        for injury, document in zip(injuries, patient.documents(), strict=False):
            expected |= await injury(patient, document)
        injected += len(injuries)
        trial.fired = bool(expected)
        await check(trial, patient, injuries, expected)
        answers = await patient.answers()
        trial.check(answers == healthy.answers, "searches find something else than before")
        lane.figures = {"inconsistencies": injected}


async def check(
    trial: Trial, patient: Patient, injuries: list[Injury], expected: set[Kind]
) -> None:
    """Look, mend, give again what only the source has, and look whether all is well."""
    found = {finding.kind for finding in (await patient.examine()).findings}
    trial.check(found == expected, f"found {sorted(found)}, expected {sorted(expected)}")
    mended = await patient.examine(fix=True)
    kinds = {finding.kind for finding in mended.findings}
    trial.check(expected <= kinds, f"mending found {sorted(kinds)}")
    needy = (NEEDS_THE_SOURCE | LOST).intersection(injuries)
    left = {finding.kind for finding in mended.left}
    trial.check(bool(left) == bool(needy), f"left {sorted(left)} after {trial.fault}")
    if needy:
        await patient.ingest()
        mended = await patient.examine(fix=True)
        trial.check(not mended.left, f"left after ingesting: {mended.left[:1]}")
    after = await patient.examine()
    trial.check(not after.findings, f"still found: {after.findings[:1]}")


def choose(patient: Patient) -> list[Injury]:
    """Choose one injury of any kind, or several of documents: each hurts another document."""
    count = patient.random.choice(AT_ONCE)
    if count == 1:
        return [patient.random.choice(OF_DOCUMENTS + OF_THE_WHOLE)]
    return patient.random.sample(OF_DOCUMENTS, count)
