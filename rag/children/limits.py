"""How much a child process may use, and from what it is kept.

Knows numbers alone; `sandbox` and `channel` enforce them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child process may use, and so may each program that it starts."""

    memory_bytes: int = 1024 * MIB
    """Address space of the process (RLIMIT_AS), its program code included."""
    cpu_s: float = 12.0
    """Processor time from one reply to the next."""
    cpu_s_per_mib: float = 1.0
    """Time added for each MiB of the descriptor's file, to `cpu_s` and to `wall_s`."""
    wall_s: float = 60.0
    """How long the caller waits for the next reply; the caller's own pauses do not count."""
    total_s: float = 7200.0
    """How long the caller waits in one call, however many replies there are."""
    file_bytes: int = 64 * MIB
    """Size of a file in the scratch folder; with 0 there is no folder, and nothing is written."""
    output_bytes: int = 256 * MIB
    """All replies of one call together, heads included."""
    open_files: int = 256

    def allowance_s(self, size: int) -> float:
        """Return the seconds that an input of so many bytes adds."""
        return self.cpu_s_per_mib * size / MIB


class Protections(NamedTuple):
    """What the system really keeps from the child: measured there, after the locks were set."""

    network: bool
    """No connection of any kind can be made, not even to other processes of this machine."""
    files: bool
    """No file can be read but program code, and none written outside the scratch folder."""
