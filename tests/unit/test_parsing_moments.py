"""Dates as files write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from indexers.parsing.moments import moment

EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-02-03", datetime(2021, 2, 3)),
        (" 2021-02-03T04:05:06Z ", datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2021-02-03 04:05:06 UTC", datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2021-02-03T04:05+02:00", datetime(2021, 2, 3, 4, 5, tzinfo=EAST)),
        ("Wed, 3 Feb 2021 04:05:06 +0200", datetime(2021, 2, 3, 4, 5, 6, tzinfo=EAST)),
        ("2021", datetime(2021, 1, 1)),
        ("2021/2", datetime(2021, 2, 1)),
        ("2021.02.03", datetime(2021, 2, 3)),
        ("20210203", datetime(2021, 2, 3)),
        ("D:20210203040506", datetime(2021, 2, 3, 4, 5, 6)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "03/04/2021", "2021-99-01", "20219999", "x" * 10_000, "0000"]
)
def test_what_names_no_moment(text: str | None) -> None:
    assert moment(text) is None
