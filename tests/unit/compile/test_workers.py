"""The processes that compile: they end with the one that started them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
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

if __name__ == "__main__":
    results(partial(make, sys.argv[1]), {{str(n): b"" for n in range({MIN_FILES * 4})}}, 2)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_a_killed_parent(tmp_path: Path, end: signal.Signals) -> None:
    """Neither the one that works nor the one that waits: all close the pipe that they inherit."""
    script, seen = tmp_path / "sleeper.py", tmp_path / "seen"
    script.write_text(SLEEPER)
    seen.mkdir()
    ended, held = os.pipe()
    with os.fdopen(ended):
        command = [sys.executable, str(script), str(seen)]
        parent = subprocess.Popen(command, pass_fds=[held])
        os.close(held)
        deadline = time.monotonic() + 30
        while len(list(seen.iterdir())) < 2:
            assert time.monotonic() < deadline, "there are no workers"
            time.sleep(0.02)
        parent.send_signal(end)
        parent.wait()
        assert select.select([ended], [], [], 30)[0], "a worker lives on"
