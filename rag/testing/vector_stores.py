"""The conformance suite of vector stores: every installed one, compared with the reference.

In a test file, `from rag.testing.vector_stores import *` is all; it needs pytest-asyncio in auto
mode. Stores are found by their entry points; no test can be overridden. Two constants beside the
import are data: `STORE_OPTIONS = {"mine": {"url": …}}`, and `KNOWN_FAILURES = {"mine":
{"test_count": "why"}}`, whose tests must fail until the line is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pytest

PARTS: Final = ("names", "verbs", "searches", "filters", "sharing", "upkeep", "history")
pytest.register_assert_rewrite(*(f"rag.testing.store_{part}" for part in PARTS))

from rag.testing.store_backends import REFERENCE, Backend, installed  # noqa: E402
from rag.testing.store_filters import *  # noqa: E402, F403
from rag.testing.store_history import *  # noqa: E402, F403
from rag.testing.store_names import *  # noqa: E402, F403
from rag.testing.store_searches import *  # noqa: E402, F403
from rag.testing.store_sharing import *  # noqa: E402, F403
from rag.testing.store_upkeep import *  # noqa: E402, F403
from rag.testing.store_verbs import *  # noqa: E402, F403

SUBJECTS_OF_TESTS: Final[Mapping[str, Callable[[Backend], bool]]] = {
    "backend": lambda backend: True,
    "lasting": lambda backend: backend.name != REFERENCE,
    "shared": lambda backend: backend.capabilities.shared,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once per store that it speaks of."""
    options = getattr(metafunc.module, "STORE_OPTIONS", {})
    failures = getattr(metafunc.module, "KNOWN_FAILURES", {})
    for subject, applies in SUBJECTS_OF_TESTS.items():
        if subject in metafunc.fixturenames:
            backends = [Backend(name, options.get(name, {})) for name in installed()]
            metafunc.parametrize(
                subject,
                [
                    pytest.param(
                        backend, id=backend.name, marks=_marks(failures, backend, metafunc)
                    )
                    for backend in filter(applies, backends)
                ],
            )


def _marks(
    failures: Mapping[str, Mapping[str, str]], backend: Backend, metafunc: pytest.Metafunc
) -> list[pytest.MarkDecorator]:
    reason = failures.get(backend.name, {}).get(metafunc.function.__name__)
    return [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
