"""The process that runs llama.cpp: it serves one model on a loopback port while anybody uses it.

Run as a file of its own, with the folder that it shares with its users and what to serve as JSON.
It holds `alive` locked as long as it lives. Users hold `users` locked together: who can lock it
alone knows that none is left, however they ended. Knows xllamacpp and the standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

POLL_S = 0.5
"""Between two looks whether anybody is left."""
START_S = 5.0
"""For whoever looks at the lock at this moment."""
PROMPTS_MIB = 256
"""Of memory for the beginnings of prompts that may come again."""


def main() -> None:
    """Serve until the last user is gone."""
    folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
    if not _locked(folder / "alive", START_S):
        return  # another one serves already
    users = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
    key = secrets.token_urlsafe(32)
    server = _serve(given, key)
    _tell(folder / "state", {"pid": os.getpid(), "address": server.listening_address, "key": key})
    while not _alone(users):
        time.sleep(POLL_S)
    (folder / "state").unlink(missing_ok=True)
    os._exit(0)  # the locks go with the process, after the state


def _serve(given: dict[str, Any], key: str) -> Any:
    """Load the model and listen; what fails is told on the error stream."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = given["model"]
    params.model_alias = {given["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cors_origins = ""
    params.ui = False
    params.n_parallel = given["parallel"]
    params.n_ctx = given["context_tokens"] * given["parallel"]
    params.cpuparams.n_threads = given["threads"]
    params.cache_ram_mib = PROMPTS_MIB
    params.verbosity = 1
    params.offline = True
    return xllamacpp.Server(params)


def _locked(path: Path, patience_s: float) -> bool:
    """Lock a file for good, unless another process does."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    end = time.monotonic() + patience_s
    while not _alone(file):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _alone(file: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _tell(path: Path, state: dict[str, Any]) -> None:
    """Write the state, whole or not at all, for this user's eyes only."""
    staged = path.with_suffix(".new")
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(state, file)
    staged.replace(path)


if __name__ == "__main__":
    main()
