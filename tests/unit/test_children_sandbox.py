"""What code that took over a child process cannot reach: network, kernel, privileges."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from rag.children.limits import MIB, Limits
from rag.children.pool import ChildPool
from rag.children.sandbox.forbidden import FORBIDDEN
from rag.children.sandbox.syscalls import MACHINES, filter_program
from tests.unit.probing import REFUSED, TASK, attempt, gave, linux_only

pytestmark = linux_only


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(TASK, size=1, limits=Limits()) as opened:
        [_ async for _ in opened.call({"do": "echo"})]
        yield opened


@pytest.fixture
def network_is_locked(pool: ChildPool) -> None:
    assert pool.protections is not None
    if not pool.protections.network:
        pytest.skip("this kernel or machine takes no seccomp filter")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of this machine that nobody is to reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def nobody_came(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return True
    return False


@pytest.mark.usefixtures("network_is_locked")
class TestNetwork:
    async def test_no_connection_is_made(self, pool: ChildPool, listener: socket.socket) -> None:
        where = listener.getsockname()
        assert nobody_came(listener)
        socket.create_connection(where).close()
        assert not nobody_came(listener), "it can be reached from here"
        (found,) = await attempt(pool, f"socket.create_connection({where})")
        assert found == REFUSED
        assert nobody_came(listener)

    async def test_no_program_makes_one(self, pool: ChildPool, listener: socket.socket) -> None:
        where = listener.getsockname()
        program = f"import socket; socket.create_connection({where})"
        run = f"[{sys.executable!r}, '-I', '-S', '-c', {program!r}]"
        (found,) = await attempt(pool, f"subprocess.run({run}, capture_output=True).stderr[-60:]")
        assert "PermissionError: [Errno 1] Operation not permitted" in found["gave"]
        assert nobody_came(listener)

    async def test_no_socket_is_made(self, pool: ChildPool) -> None:
        for family in ("INET", "INET6", "UNIX", "NETLINK", "PACKET", "VSOCK"):
            making = f"socket.socket(socket.AF_{family}, socket.SOCK_"
            kinds = [f"{making}{kind})" for kind in ("STREAM", "DGRAM", "RAW")]
            assert await attempt(pool, *kinds) == [REFUSED] * 3

    async def test_socket_pairs_are_refused_since_they_can_send(self, pool: ChildPool) -> None:
        assert await attempt(pool, "socket.socketpair()") == [REFUSED]

    async def test_no_name_is_resolved(self, pool: ChildPool) -> None:
        found = await attempt(pool, "socket.getaddrinfo('localhost', 80)")
        assert found == [{"error": "gaierror"}]

    async def test_its_own_socket_leads_nowhere_else(self, pool: ChildPool) -> None:
        connect = "socket.socket(fileno=os.dup(3)).connect('\\0abstract')"
        assert await attempt(pool, connect) == [REFUSED]


@pytest.mark.usefixtures("network_is_locked")
class TestCalls:
    async def test_the_kernel_refuses(self, pool: ChildPool) -> None:
        for name in (
            *("io_uring_setup", "ptrace", "process_vm_readv", "process_vm_writev", "bpf"),
            *("kexec_load", "mount", "userfaultfd", "keyctl", "unshare", "setns", "shmget"),
            *("perf_event_open", "pidfd_getfd", "open_by_handle_at", "setsid", "fchmodat"),
        ):
            number = getattr(FORBIDDEN[name], os.uname().machine)
            call = f"(ctypes.CDLL(None, use_errno=True).syscall({number}, 0, 0, 0, 0, 0, 0),)"
            found = await gave(pool, f"{call} + (ctypes.get_errno(),)")
            assert found == "(-1, 1)", name

    @pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86_64 has other numberings")
    async def test_other_numberings_are_refused(self, pool: ChildPool) -> None:
        call = "(ctypes.CDLL(None, use_errno=True).syscall(0x40000000 + 39),)"
        assert await gave(pool, f"{call} + (ctypes.get_errno(),)") == "(-1, 1)"

    async def test_no_namespace_is_made(self, pool: ChildPool) -> None:
        clone = MACHINES[os.uname().machine].clone
        for flags in (0x10000000, 0x40000000):  # CLONE_NEWUSER, CLONE_NEWNET
            call = (
                f"(ctypes.CDLL(None, use_errno=True).syscall({clone}, {flags} | 17, 0, 0, 0, 0),)"
            )
            assert await gave(pool, f"{call} + (ctypes.get_errno(),)") == "(-1, 1)"

    async def test_limits_of_others_are_not_touched(self, pool: ChildPool) -> None:
        mine = f"__import__('resource').prlimit({os.getpid()}, 7)"
        own = "__import__('resource').prlimit(0, 7)"
        assert await attempt(pool, mine, own) == [REFUSED, {"gave": "(256, 256)"}]

    async def test_no_limit_is_raised(self, pool: ChildPool) -> None:
        found = await attempt(
            pool, "__import__('resource').getrlimit(9)", "__import__('resource').getrlimit(4)"
        )
        assert found == [{"gave": f"({1024 * MIB}, {1024 * MIB})"}, {"gave": "(0, 0)"}]
        raising = "subprocess.run(['sh', '-c', 'ulimit -v unlimited'], capture_output=True)"
        assert await gave(pool, f"{raising}.returncode != 0") == "True"

    async def test_no_privilege_is_left(self, pool: ChildPool) -> None:
        status = await gave(pool, "Path('/proc/self/status').read_text()")
        fields = dict(
            line.split(":\\t") for line in status.strip("'").split("\\n") if ":\\t" in line
        )
        assert fields["NoNewPrivs"] == "1"
        assert int(fields["CapEff"], 16) & ~4 == int(fields["CapPrm"], 16) & ~4 == 0

    async def test_no_core_is_dumped(self, pool: ChildPool) -> None:
        assert await gave(pool, "ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)") == "0"

    async def test_threads_and_programs_still_run(self, pool: ChildPool) -> None:
        run = "subprocess.run(['sh', '-c', 'echo $((6 * 7))'], capture_output=True).stdout"
        assert await gave(pool, run) == r"b'42\n'"
        threads = (
            "list(__import__('concurrent.futures').futures.ThreadPoolExecutor().map(abs, [-1]))"
        )
        assert await gave(pool, threads) == "[1]"


def test_the_filter_of_each_machine_is_well_formed() -> None:
    for machine in MACHINES.values():
        program = filter_program(machine)
        assert len(program) < 4096
        for place, (code, if_true, if_false, _) in enumerate(program):
            is_jump = code & 0x07 == 0x05
            assert is_jump or if_true == if_false == 0
            assert not is_jump or place + 1 + max(if_true, if_false) < len(program)
        assert program[-1][0] == 0x06
