"""`/healthz` and `/readyz`."""

from __future__ import annotations

from typing import Literal

from api.schemas.shared import Reply


class Health(Reply):
    """The process is alive."""

    status: Literal["ok"]


class ReadinessReply(Reply):
    """Whether questions can be answered now, and if not, why."""

    ready: bool
    reason: str | None = None
