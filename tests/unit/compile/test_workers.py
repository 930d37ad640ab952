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
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from msgspec import msgpack

from ruledeploy.compile import Cache, Means
from ruledeploy.compile.workers import MIN_FILES, Crew, Make
from ruledeploy.errors import RuledeployError

SLEEPER = f"""
import os, sys, time
from functools import partial
from ruledeploy.compile.workers import Crew

def make(folder, path, data):
    open(f"{{folder}}/{{os.getpid()}}", "w").close()
    time.sleep(0.05)

if __name__ == "__main__":
    files = {{str(n): b"" for n in range({MIN_FILES * 4})}}
    list(Crew(2).results(partial(make, sys.argv[1]), files))
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
    """All files, each once, as if nothing had happened."""
    made = Crew(2).results(partial(_killed_once, tmp_path), FILES)
    assert sorted((path, msgpack.decode(data)) for path, data in made) == [
        (path, path) for path in sorted(FILES)
    ]
    assert len(list(tmp_path.iterdir())) == 15


@pytest.mark.parametrize(("make", "why"), [(_killed, "SIGKILL"), (_out_of_memory, "out of memory")])
def test_a_file_that_ends_its_process_each_time_is_named(make: Make, why: str) -> None:
    """An error with its path and the way out, not a run without end."""
    with pytest.raises(RuledeployError, match=why) as caught:
        list(Crew(2).results(make, FILES))
    assert str(caught.value.location) == "77.yml"
    assert "memory" in str(caught.value.hint)
    assert multiprocessing.active_children() == []


def test_a_bug_in_a_process_is_raised_here() -> None:
    """As it would be in one process; and no process stays."""
    with pytest.raises(LookupError, match=r"77\.yml"):
        list(Crew(2).results(_bug, FILES))
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
    made = list(Crew(2).results(_slow, FILES))
    killer.join()
    assert sorted(path for path, _ in made) == sorted(FILES)


def test_without_another_process_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that gives none, or not the second."""

    def refuse(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refuse)
    assert [path for path, _ in Crew(2).results(_slow, FILES)] == list(FILES)


def test_no_process_stays_where_somebody_stops_reading() -> None:
    """What was not asked for any more is not made."""
    made = Crew(2).results(_slow, FILES)
    next(made)
    made.close()
    assert multiprocessing.active_children() == []


def _whose(path: str, _: bytes) -> tuple[str, int, bool]:
    """Which process makes it, and whether it had loaded pySigma before."""
    return path, os.getpid(), "sigma" in sys.modules


def _made(crew: Crew, files: Mapping[str, bytes]) -> list[tuple[str, int, bool]]:
    return [
        msgpack.decode(data, type=tuple[str, int, bool]) for _, data in crew.results(_whose, files)
    ]


def test_a_process_that_loads_ahead_makes_even_a_single_file() -> None:
    """The one that has loaded, in every task of the block; none stays behind it."""
    one = {"1.yml": b""}
    with Crew(2) as crew:
        crew.start_ahead()
        ((_, first, loaded),) = _made(crew, one)
        ((_, second, _),) = _made(crew, one)
        assert first == second != os.getpid()
        assert loaded
        assert {pid for _, pid, _ in _made(crew, FILES)} > {first}
    assert multiprocessing.active_children() == []


def test_few_files_are_made_here() -> None:
    """And without a block, no process stays after its task."""
    crew = Crew(2)
    crew.start_ahead()
    assert [pid for _, pid, _ in _made(crew, {"1.yml": b""})] == [os.getpid()]
    assert os.getpid() not in {pid for _, pid, _ in _made(crew, FILES)}
    assert multiprocessing.active_children() == []


def test_the_next_task_gets_none_of_the_answers_of_one_that_failed() -> None:
    """Whose processes end with it."""
    with Crew(2) as crew:
        with pytest.raises(LookupError):
            list(crew.results(_bug, FILES))
        assert multiprocessing.active_children() == []
        assert sorted(path for path, _, _ in _made(crew, FILES)) == sorted(FILES)


def test_loads_ahead_only_where_a_file_is_newer_than_what_is_kept(tmp_path: Path) -> None:
    """A run that finds everything kept would load for nothing."""
    files = [tmp_path / f"{n}.yml" for n in range(MIN_FILES)]
    for file in files:
        file.touch()
    places = [str(file) for file in files]
    cache = Cache(tmp_path)
    cache.put({b"k": b"v"})

    def starts(means: Means, places: list[str]) -> bool:
        with means.crew:
            means.expect(places)
            return bool(multiprocessing.active_children())

    assert not starts(Means(cache, Crew(2)), places)
    assert starts(Means(None, Crew(2)), places)
    assert starts(Means(Cache(tmp_path / "none"), Crew(2)), places)
    os.utime(files[7], (2**32, 2**32))
    assert starts(Means(cache, Crew(2)), places)
    assert not starts(Means(cache, Crew(1)), places)
    assert not starts(Means(cache, Crew(2)), places[:9])
