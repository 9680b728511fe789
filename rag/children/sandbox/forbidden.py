"""The calls that no task needs, with their numbers on each kind of machine.

From `asm/unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64); None where a machine lacks
the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Numbers(NamedTuple):
    """The numbers of one call."""

    x86_64: int | None
    aarch64: int | None


_SOCKETS = {
    "socket": (41, 198),
    "socketpair": (53, 199),  # its datagrams can be sent to others
    "connect": (42, 203),
    "bind": (49, 200),
    "io_uring_setup": (425, 425),  # calls made through a ring pass no filter
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
_OTHER_PROCESSES = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "setsid": (112, 157),  # whoever leaves the group would outlive it
    "setpgid": (109, 154),
}
_FILES = {  # Landlock does not cover these
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "truncate": (76, 45),
    "open_by_handle_at": (304, 265),
}
_KERNEL = {
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "unshare": (272, 97),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "personality": (135, 92),
}

FORBIDDEN: Mapping[str, Numbers] = {
    name: Numbers(*numbers)
    for group in (_SOCKETS, _OTHER_PROCESSES, _FILES, _KERNEL)
    for name, numbers in group.items()
}
