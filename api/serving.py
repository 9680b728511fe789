"""The server: address, processes, and an end that loses nothing."""

from __future__ import annotations

import ipaddress
import math
import signal
import socket
from dataclasses import dataclass
from types import FrameType

from fastapi import FastAPI

from rag.errors import ConfigError
from rag.settings import Serving, Settings

BACKLOG = 2048
KEEP_ALIVE_S = 75
AFTER_DRAIN_S = 5
"""For replies to be sent and things to be closed, after requests were told to end."""
HUNG_S = 60
"""A worker that does not even say that it lives for so long is replaced."""


@dataclass(frozen=True, slots=True)
class AppOf:
    """Makes the application of these settings, in whichever process calls it."""

    settings: Settings
    listener: socket.socket | None = None
    """What only this process listens to."""

    def __call__(self) -> FastAPI:
        """Make it."""
        from api.app import create_app

        app = create_app(self.settings)
        app.state.drain.listener = self.listener
        return app


def listen(serving: Serving) -> socket.socket:
    """Open the port; raise `ConfigError` when it is taken, or open to others than this machine."""
    host = _loopback(serving.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small replies at once (TCP_NODELAY) only where the protocol is named
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, serving.port))
    except OSError as exc:
        opened.close()
        raise ConfigError(
            f"port {serving.port} of {host} cannot be used: {exc.strerror}",
            hint="choose another with --port; 0 takes any free one",
        ) from exc
    opened.listen(BACKLOG)
    opened.set_inheritable(True)
    return opened


def serve(settings: Settings, opened: socket.socket) -> None:
    """Answer requests until a signal to end; requests under way are finished first."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    serving = settings.serving
    config = uvicorn.Config(
        AppOf(settings, opened if serving.workers == 1 else None),
        factory=True,
        workers=serving.workers,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(serving.drain_s) + AFTER_DRAIN_S,
        timeout_worker_healthcheck=HUNG_S,
        lifespan="on",
    )
    # The server raises the signal that ended it once more when all is done: then it means nothing.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ended)
    if serving.workers == 1:
        uvicorn.Server(config).run(sockets=[opened])
    else:
        Multiprocess(config, sockets=[opened]).run()


def _ended(number: int, frame: FrameType | None) -> None:
    """Let the process go on to its own end."""


def address(opened: socket.socket) -> str:
    """Return the URL of an open port."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loopback(host: str) -> str:
    """Return the address to listen on; every address of the name must be this machine's own."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise ConfigError(f"the host {host!r} has no address: {exc}") from exc
    addresses = [str(one[4][0]).partition("%")[0] for one in found]
    if not all(ipaddress.ip_address(one).is_loopback for one in addresses):
        raise ConfigError(
            f"{host} can be reached from other machines, and callers are not authenticated yet",
            hint="listen on 127.0.0.1, behind something that knows who calls",
        )
    return addresses[0]
