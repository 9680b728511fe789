"""`rag serve` as a process: who may reach it, what it says, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from rag.cli import app as command_line
from rag.testing.waiting import until
from typer.testing import CliRunner

LINE = re.compile(r"listening on (http://\S+),")
