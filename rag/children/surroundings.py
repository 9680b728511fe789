"""What a child process is given of its surroundings: program code to import, folders, variables.

Knows where Python and the system keep programs; nothing of how access is enforced. User data is
not program code, even where it lies beside a package that is installed in editable form.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX")
FIXED = {
    "LANG": "C.UTF-8",
    "TZ": "UTC0",  # a document reads the same on every machine
    "MALLOC_ARENA_MAX": "2",  # arenas of threads would use up the address space
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    ),
}
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload"),
    *("/etc/alternatives", "/etc/fonts", "/etc/localtime", "/etc/mime.types"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)
"""Where systems keep programs and what these read; absent ones do not matter."""
IN_PREFIX = ("bin", "lib", "lib64", "libexec", "share", "etc")


def environment(scratch: Path | None) -> dict[str, str]:
    """Return all environment variables of a child: none of them can hold a secret."""
    variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    variables.setdefault("PATH", os.defpath)
    home = str(scratch) if scratch else "/nonexistent"
    return {**variables, **FIXED, "HOME": home, "TMPDIR": home}


@cache
def packages(task: str) -> Mapping[str, str]:
    """Return the folders of the packages that a task "module:function" needs by name.

    They are told one by one, since import finds an editable package by means of its own.
    """
    names = ("rag", task.partition(":")[0].partition(".")[0])
    return {name: _folder(name) for name in names}


def _folder(package: str) -> str:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package named {package!r}", name=package)
    return str(Path(next(iter(spec.submodule_search_locations))).resolve())


def import_path() -> list[str]:
    """Return the folders and archives of `sys.path` that hold installed code.

    Others (the working folder, PYTHONPATH) may hold anything. A folder that pip installed into is
    told by its `*.dist-info`.
    """
    return [
        entry
        for entry in dict.fromkeys(sys.path)
        if Path(entry).is_absolute() and (_is_in_prefix(entry) or _is_installed(entry))
    ]


def readable(task: str, more: Iterable[Path]) -> list[str]:
    """Return the files and folders that a child may read and run programs from."""
    prefixes = {Path(p) for p in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    tessdata = os.environ.get("TESSDATA_PREFIX")
    places = [
        *SYSTEM,
        *(str(prefix / name) for prefix in prefixes for name in IN_PREFIX),
        str(Path(sys.executable).resolve().parent),
        *import_path(),
        *packages(task).values(),
        *((tessdata,) if tessdata else ()),
        *(str(path) for path in more),
    ]
    return list(dict.fromkeys(places))


def _is_in_prefix(entry: str) -> bool:
    """Whether the entry is the standard library's, or of the same environment."""
    places = (Path(p) / n for p in (sys.prefix, sys.base_prefix) for n in ("lib", "lib64"))
    return any(Path(entry).is_relative_to(place) for place in places)


def _is_installed(entry: str) -> bool:
    return next(Path(entry).glob("*.dist-info"), None) is not None
