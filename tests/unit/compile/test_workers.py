"""The processes that compile: they may be killed, and end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from msgspec import msgpack

from ruledeploy.compile.workers import MIN_FILES, Make, results
from ruledeploy.errors import RuledeployError

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


FILES = {f"{n}.yml": b"" for n in range(MIN_FILES)}


def _killed_once(folder: Path, path: str, _: bytes) -> str:
    """Ends its process at one file in ten, the first time."""
    mark = folder / path
    if path.endswith("7.yml") and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def _killed(path: str, _: bytes) -> str:
    if path == "77.yml":
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def _out_of_memory(path: str, _: bytes) -> str:
    if path == "77.yml":
        raise MemoryError
    return path


def _bug(path: str, _: bytes) -> str:
    if path == "77.yml":
        raise LookupError(path)
    return path


def _slow(path: str, _: bytes) -> str:
    time.sleep(0.02)
    return path


def test_what_a_killed_process_had_is_done_again(tmp_path: Path) -> None:
    """All files, in their order, as if nothing had happened."""
    made = results(partial(_killed_once, tmp_path), FILES, 2)
    assert [(path, msgpack.decode(data)) for path, data in made.items()] == [
        (path, path) for path in FILES
    ]
    assert len(list(tmp_path.iterdir())) == 15


@pytest.mark.parametrize(("make", "why"), [(_killed, "SIGKILL"), (_out_of_memory, "out of memory")])
def test_a_file_that_ends_its_process_each_time_is_named(make: Make, why: str) -> None:
    """An error with its path and the way out, not a run without end."""
    with pytest.raises(RuledeployError, match=why) as caught:
        results(make, FILES, 2)
    assert str(caught.value.location) == "77.yml"
    assert "memory" in str(caught.value.hint)
    assert multiprocessing.active_children() == []


def test_a_bug_in_a_process_is_raised_here() -> None:
    """As it would be in one process; and no process stays."""
    with pytest.raises(LookupError, match=r"77\.yml"):
        results(_bug, FILES, 2)
    assert multiprocessing.active_children() == []


def test_killing_every_process_again_and_again_never_hangs() -> None:
    """Whatever they were doing: computing, reading their part or answering."""

    def kill() -> None:
        for _ in range(5):
            time.sleep(0.05)
            for child in multiprocessing.active_children():
                child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    made = results(_slow, FILES, 2)
    killer.join()
    assert list(made) == list(FILES)


def test_without_another_process_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that gives none, or not the second."""

    def refuse(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refuse)
    assert list(results(_slow, FILES, 2)) == list(FILES)
