"""The local stack as a process of its own, which a test may kill."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src"
START_SECONDS = 20
# The key of a secured stack, as it is sent.
API_KEY = base64.b64encode(b"k:s").decode()

# Users and keys of a secured stack; the password and the secret are known to every test.
_PROGRAM = """
import sys
from pathlib import Path
from ruledeploy.stack import ApiKey, StackConfig, User, serve

data, secured = Path(sys.argv[1]), sys.argv[2] == "secured"
users = (User("ann", "secret"), User("eve", "secret", "reader")) if secured else ()
keys = (ApiKey("k", "s", "tests"),) if secured else ()
serve(StackConfig(data=data, users=users, api_keys=keys, request_log=data / "requests.ndjson"))
"""


@dataclass(frozen=True, slots=True)
class StackProcess:
    """A running stack: where it answers, and the process to kill."""

    kibana_url: str
    elasticsearch_url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it as a power cut would, without a chance to tidy up."""
        self.process.kill()
        self.process.wait()


def start(data: Path, *, secured: bool = False) -> StackProcess:
    """Start a stack on that data folder and wait until it answers."""
    data.mkdir(parents=True, exist_ok=True)
    state = data / "stack.json"
    state.unlink(missing_ok=True)
    # Warnings of the tests' interpreter are no business of the server's.
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(data), "secured" if secured else "open"],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            told = json.loads(state.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            if process.poll() is not None:
                raise AssertionError(f"the stack ended at once: {process.returncode}") from None
            time.sleep(0.01)
            continue
        return StackProcess(told["kibana_url"], told["elasticsearch_url"], process)
    process.kill()
    raise AssertionError(f"the stack did not answer within {START_SECONDS} s")


@contextmanager
def stack_process(data: Path, *, secured: bool = False) -> Iterator[StackProcess]:
    """A stack for the length of the block."""
    running = start(data, secured=secured)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(START_SECONDS)
