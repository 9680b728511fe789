"""Which calls the kernel refuses to the process, by a seccomp filter.

Knows seccomp(2) and the classic BPF of `linux/filter.h` and `linux/seccomp.h`. A filter sees
numbers, no strings: paths are the business of `files`.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import NamedTuple

from rag.children.sandbox.forbidden import FORBIDDEN
from rag.children.sandbox.libc import libc

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_REFUSE = _ERRNO | errno.EPERM
_NOT_THERE = _ERRNO | errno.ENOSYS
_LOAD, _RETURN = 0x20, 0x06  # BPF_LD|BPF_W|BPF_ABS and BPF_RET|BPF_K
_IF_EQUAL, _IF_GREATER_EQUAL, _IF_ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_X86_64 = 0xC000003E
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""


class Machine(NamedTuple):
    """What a kind of machine calls the same things."""

    audit: int
    """Its number in `linux/audit.h`."""
    forbidden: tuple[int, ...]
    clone: int
    clone3: int
    prlimit64: int


def _forbidden(machine: str) -> tuple[int, ...]:
    numbers = (getattr(numbers, machine) for numbers in FORBIDDEN.values())
    return tuple(number for number in numbers if number is not None)


MACHINES = {
    "x86_64": Machine(_X86_64, _forbidden("x86_64"), 56, 435, 302),
    "aarch64": Machine(0xC00000B7, _forbidden("aarch64"), 220, 435, 261),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def lock_syscalls() -> None:
    """Refuse new sockets, and calls that reach other processes, files by the way, or the kernel.

    Raise `OSError` where the kernel or the machine is not known to do this. The caller has forgone
    new privileges.
    """
    machine = MACHINES.get(os.uname().machine)
    if machine is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(errno.ENOTSUP, "no filter for this machine")
    instructions = [_Instruction(*fields) for fields in filter_program(machine)]
    array = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), array)
    if libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")


def filter_program(machine: Machine) -> list[tuple[int, int, int, int]]:
    """Return the instructions. A jump says how many to leave out, if true and if not."""
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),  # calls of another machine have other numbers
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine.audit == _X86_64:
        program += [(_IF_GREATER_EQUAL, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE)]
    for number in machine.forbidden:
        program += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    program += [
        # Its flags are in memory, unseen; the C library then falls back to the old call.
        (_IF_EQUAL, 0, 1, machine.clone3),
        (_RETURN, 0, 0, _NOT_THERE),
        # In a namespace of its own a process would be root.
        (_IF_EQUAL, 0, 4, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
        # A process may ask for its own limits, as number 0, but touch nobody else's.
        (_IF_EQUAL, 0, 3, machine.prlimit64),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return program
