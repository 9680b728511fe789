"""`rag serve` as a process: who may reach it, what it says, and how it ends."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from rag.cli import app
from tests.api.processes import serving


def _refused(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code != 0
    return f"{done.output} {done.exception}"


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "::ffff:127.0.0.1", "no.invalid", ""]
)
def test_it_listens_to_this_machine_only(tmp_path: Path, host: str) -> None:
    words = _refused("--host", host, "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert "not authenticated" in words or "has no address" in words
    assert not (tmp_path / "data").exists()


def test_a_name_with_any_address_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(host: str, *_: object, **__: object) -> list[object]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*stream, ("127.0.0.1", 0)), (*stream, ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert "not authenticated" in _refused("--host", "both.example", "--port", "0")


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = _refused("--port", port, "--data-dir", str(tmp_path / "data"))
    assert f"port {port}" in words
    assert "Address already in use" in words


def test_a_broken_data_folder_is_said_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "data" / "texts" / "x").mkdir(parents=True)
    assert "is lost" in _refused("--port", "0", "--data-dir", str(tmp_path / "data"))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_an_empty_folder_and_ends_well(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path / "data", workers=workers, drain_s=2) as server:
        assert httpx2.get(f"{server.url}/readyz").json() == {"ready": True}
        assert httpx2.get(f"{server.url}/v1/collections").json()["data"] == []
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert server.url in server.said
    assert f"{server.url}/docs" in server.said
    assert "curl" in server.said
    assert "Traceback" not in server.said
    assert (tmp_path / "data" / "catalog.sqlite").is_file()


def test_an_interrupt_ends_it_well_too(tmp_path: Path) -> None:
    with serving(tmp_path / "data", drain_s=2) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0
    assert "Traceback" not in server.said
