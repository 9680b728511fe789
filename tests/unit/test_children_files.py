"""What code that took over a child process cannot reach: files and other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rag.children.limits import Limits
from rag.children.pool import ChildPool
from rag.children.sandbox.files import landlock_version
from rag.children.surroundings import environment, import_path, readable
from tests.unit.probing import REFUSED, TASK, attempt, gave, linux_only

pytestmark = linux_only


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(TASK, size=1, limits=Limits(), readable=[Path("/opt")]) as opened:
        [_ async for _ in opened.call({"do": "echo"})]
        yield opened


@pytest.fixture
def files_are_locked(pool: ChildPool) -> None:
    assert pool.protections is not None
    if not pool.protections.files:
        pytest.skip("this kernel has no Landlock, or it is not switched on")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the same user."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.usefixtures("files_are_locked")
class TestFiles:
    async def test_files_of_the_system_and_of_people_are_not_read(
        self, pool: ChildPool, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        project = Path(__file__).parents[2]
        places = [
            *(secret, Path("/etc/passwd"), Path("/etc/hostname"), project / "pyproject.toml"),
            *(Path(__file__), Path("/proc/1/status"), Path(f"/proc/{os.getpid()}/environ")),
            Path("/proc/self/root/etc/passwd"),
        ]
        for place in places:
            assert place.exists()
            (found,) = await attempt(pool, f"Path({str(place)!r}).read_bytes()")
            assert found == REFUSED, place
        program = f"subprocess.run(['cat', {str(secret)!r}], capture_output=True).stdout"
        assert await gave(pool, program) == "b''"

    async def test_folders_are_not_listed(self, pool: ChildPool, tmp_path: Path) -> None:
        project = Path(__file__).parents[2]
        for place in (tmp_path, tmp_path.parent, project, Path("/"), Path("/etc"), Path("/proc")):
            assert await attempt(pool, f"os.listdir({str(place)!r})") == [REFUSED]

    async def test_nothing_is_written_outside_its_folder(
        self, pool: ChildPool, tmp_path: Path
    ) -> None:
        mine = tmp_path / "mine"
        mine.write_text("as it was")
        installed = Path(sys.prefix) / "lib" / "new-file"
        for place in (tmp_path / "new", mine, installed, Path("/dev/shm/new"), Path("/tmp/new")):
            assert await attempt(pool, f"Path({str(place)!r}).write_text('x')") == [REFUSED]
        for change in (
            f"os.unlink({str(mine)!r})",
            f"os.rename({str(mine)!r}, os.environ['TMPDIR'] + '/x')",
            f"os.truncate({str(mine)!r}, 0)",
            f"os.chmod({str(mine)!r}, 0o777)",
            f"os.mkdir({str(tmp_path / 'folder')!r})",
            f"os.open({str(mine)!r}, os.O_RDONLY | os.O_TRUNC)",
        ):
            assert (await attempt(pool, change))[0]["error"] in ("PermissionError", "OSError")
        assert mine.read_text() == "as it was"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]

    async def test_the_file_that_is_given_can_be_read(
        self, pool: ChildPool, tmp_path: Path
    ) -> None:
        path = tmp_path / "document"
        path.write_bytes(b"content")
        with path.open("rb") as file:
            given = file.fileno()
            assert await gave(pool, "os.pread(descriptor, 99, 0)", given) == "b'content'"
            writing = "os.open(f'/proc/self/fd/{descriptor}', os.O_RDWR)"
            assert await attempt(pool, writing, descriptor=given) == [REFUSED]
            (found,) = await attempt(pool, "os.write(descriptor, b'x')", descriptor=given)
            assert found == {"error": "OSError"}

    async def test_the_scratch_folder_can_be_used(self, pool: ChildPool) -> None:
        found = await attempt(
            pool,
            "os.mkdir('folder')",
            "Path('folder/a').write_text('x')",
            "Path('folder/a').rename('b').read_text()",
            "os.unlink('b')",
            "os.rmdir('folder')",
            "__import__('tempfile').TemporaryDirectory().cleanup()",
            "os.mknod('device', 0o20666, 0x0103)",
        )
        assert [head.get("gave", head.get("error")) for head in found] == [
            *("None", "1", "'x'", "None", "None", "None", "PermissionError"),
        ]

    async def test_without_a_scratch_folder_nothing_is_written(self, tmp_path: Path) -> None:
        async with ChildPool(TASK, size=1, limits=Limits(file_bytes=0)) as pool:
            writing = "Path('file').write_text('x')"
            assert await attempt(pool, writing) == [REFUSED]
            assert await attempt(pool, "Path('/tmp/file').write_text('x')") == [REFUSED]
            assert await gave(pool, "Path('/dev/null').write_text('x')") == "1"

    async def test_other_folders_can_be_allowed(self, tmp_path: Path) -> None:
        (tmp_path / "model").write_text("weights")
        async with ChildPool(TASK, size=1, limits=Limits(), readable=[tmp_path]) as pool:
            model = str(tmp_path / "model")
            assert await gave(pool, f"Path({model!r}).read_text()") == "'weights'"
            assert await attempt(pool, f"Path({model!r}).write_text('x')") == [REFUSED]

    async def test_installed_code_can_be_imported(self, pool: ChildPool) -> None:
        for name in ("numpy", "lxml.etree", "rag.types", "sqlite3", "zoneinfo"):
            assert (await gave(pool, f"__import__({name!r})")).startswith("<module ")

    async def test_other_processes_get_no_signal(
        self, pool: ChildPool, sleeper: subprocess.Popen[bytes]
    ) -> None:
        if landlock_version() < 6:
            pytest.skip("this kernel's Landlock is older than version 6: it lets signals pass")
        assert await attempt(pool, f"os.kill({sleeper.pid}, 15)") == [REFUSED]
        assert sleeper.poll() is None


def test_user_data_beside_the_code_is_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, installed = tmp_path / "project", tmp_path / "installed"
    for folder in (project, installed / "library-1.0.dist-info"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", ["", str(project), *sys.path, str(installed)])
    assert str(installed) in import_path()
    assert str(project) not in import_path()
    places = [Path(place) for place in readable(TASK, [])]
    root = Path(__file__).parents[2]
    assert root / "rag" in places
    assert not any(root.is_relative_to(place) for place in places)
    assert not any(project.is_relative_to(place) for place in places)


def test_the_environment_is_made_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("TESSDATA_PREFIX", "/opt/tessdata")
    monkeypatch.delenv("PATH")
    found = environment(None)
    assert "AWS_SECRET_ACCESS_KEY" not in found
    assert found["PATH"] == os.defpath
    assert found["HOME"] == "/nonexistent"
    assert "/opt/tessdata" in readable(TASK, [])
