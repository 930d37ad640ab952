"""The processes that compile: they end with the one that started them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ruledeploy.compile.workers import MIN_FILES

SLEEPER = f"""
import os, sys, time
from functools import partial
from ruledeploy.compile.workers import results

def make(folder, path, data):
    open(f"{{folder}}/{{os.getpid()}}", "w").close()
    time.sleep(0.05)

results(partial(make, sys.argv[1]), {{str(n): b"" for n in range({MIN_FILES * 4})}}, 2)
"""


def running(process: int) -> bool:
    """Whether there is such a process, dead ones that nobody waited for aside."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_a_killed_parent(tmp_path: Path, end: signal.Signals) -> None:
    """Neither the one that works nor the one that waits."""
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    seen = tmp_path / "seen"
    seen.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(seen)])
    until(lambda: len(list(seen.iterdir())) == 2)
    workers = [int(path.name) for path in seen.iterdir()]
    assert all(map(running, workers))
    parent.send_signal(end)
    parent.wait()
    until(lambda: not any(map(running, workers)))
