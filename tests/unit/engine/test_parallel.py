"""Several processes find what one finds, and fail as one fails."""

from __future__ import annotations

import gc
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.engine import EmbeddedEngine, EngineRule, Files, Hits
from ruledeploy.engine import parallel as module
from ruledeploy.engine.embedded import bundled_table
from ruledeploy.engine.parallel import cuts_of
from ruledeploy.engine.sources import parts
from ruledeploy.errors import SourceError

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
INDEX = "logs-endpoint.events.process-default"
RULES = [
    EngineRule("odd", "lucene", "process.pid:1", (INDEX,)),
    EngineRule("named", "lucene", "process.name:cmd*.exe AND NOT process.name:cmd3.exe", (INDEX,)),
    EngineRule("all", "lucene", "*:*", (INDEX,)),
]


only_forked = pytest.mark.skipif(
    sys.platform != "linux", reason="other processes are forked on Linux only: nothing to test here"
)


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a megabyte are worth another process, however it is started."""
    monkeypatch.setattr(module, "_SHARES", {"fork": 1 << 18, "spawn": 1 << 18})
    monkeypatch.setattr(module, "_LESSON", 1 << 16)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How the other processes of the runs to come were started."""
    ways: list[str] = []
    together = module._together

    def noted(run: Any, cuts: Any, index: str, context: Any, others: int) -> None:
        ways.extend([context.get_start_method()] * others)
        together(run, cuts, index, context, others)

    monkeypatch.setattr(module, "_together", noted)
    return ways


def line(number: int, **changes: Any) -> str:
    """An event without an id, so that its place is its id."""
    process = {"pid": number % 2, "name": f"cmd{number % 7}.exe"}
    return json.dumps({"process": process, "pad": "p" * 300} | changes)


def found(paths: Sequence[Path], jobs: int) -> dict[str, Hits]:
    """What so many processes find."""
    engine = EmbeddedEngine(jobs=jobs)
    return engine.run(RULES, Files(tuple(paths), INDEX), None, NOW)


@pytest.mark.usefixtures("small_shares")
def test_files_of_all_kinds_are_shared(tmp_path: Path, started: list[str]) -> None:
    """Large and small files, packed and arrays; ids from lines are those of the whole file."""
    (tmp_path / "a.ndjson").write_text("\n".join(map(line, range(4_000))))
    with gzip.open(tmp_path / "b.ndjson.gz", "wt") as file:
        file.write("\n".join(map(line, range(2_000))))
    (tmp_path / "c.json").write_text(f"[{','.join(map(line, range(3_000)))}]")
    for number in range(20):
        (tmp_path / f"d{number}.ndjson").write_text("\n".join(map(line, range(number))))
    (tmp_path / "e.ndjson").write_text("\n\n".join(map(line, range(3_000))) + "\n")
    alone = found([tmp_path], 1)
    assert alone["all"].count == 4_000 + 2_000 + 3_000 + sum(range(20)) + 3_000
    assert found([tmp_path], 3) == alone
    alone_here = sys.platform == "linux" and threading.active_count() == 1
    assert started == ["fork" if alone_here else "spawn"] * 2
    assert "e.ndjson:5999" in alone["all"].event_ids


@pytest.mark.usefixtures("small_shares")
def test_beside_threads_a_process_is_started_anew(tmp_path: Path, started: list[str]) -> None:
    """Forking there could take over a lock that nobody opens again."""
    (tmp_path / "a.ndjson").write_text("\n".join(map(line, range(4_000))))
    alone = found([tmp_path], 1)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert found([tmp_path], 2) == alone
        # Field tables that cannot be sent to another process keep the run in this one.
        table = bundled_table(INDEX)
        engine = EmbeddedEngine(lambda _: table, jobs=2)
        assert engine.run(RULES, Files((tmp_path,), INDEX), None, NOW) == alone
    finally:
        done.set()
        thread.join()
    assert started == ["spawn"]


@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize("broken", [(5,), (100, 3_900), (3_899, 3_900), (1_500, 2_500, 3_500)])
def test_the_first_that_is_wrong_is_told(tmp_path: Path, broken: tuple[int, ...]) -> None:
    """Whoever comes upon it first."""
    lines = [line(number) if number not in broken else "{" for number in range(4_000)]
    (tmp_path / "a.ndjson").write_text("\n".join(lines))
    for _ in range(3):
        with pytest.raises(SourceError, match=rf"a\.ndjson:{broken[0] + 1}: not a JSON line"):
            found([tmp_path], 3)


@pytest.mark.usefixtures("small_shares")
def test_without_another_process_one_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system gives none, as under a limit of processes."""

    def none(*_: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    (tmp_path / "a.ndjson").write_text("\n".join(map(line, range(4_000))))
    alone = found([tmp_path], 1)
    monkeypatch.setattr(module, "_Child", none)
    assert found([tmp_path], 3) == alone


FORKED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ruledeploy.engine import EmbeddedEngine, EngineRule, Files, parallel

parallel._SHARES = {"fork": 1 << 18}
parallel._LESSON = 1 << 16
path, index = sys.argv[1:]
rules = [
    EngineRule("odd", "lucene", "process.pid:1", (index,)),
    EngineRule("named", "lucene", "process.name:cmd*.exe AND NOT process.name:cmd3.exe", (index,)),
]
began = parallel._work
parallel._work = lambda *given: (print("forked", flush=True), began(*given))
one, many = (
    EmbeddedEngine(jobs=jobs).run(rules, Files((Path(path),), index), None, datetime.now(UTC))
    for jobs in (1, 3)
)
print("same" if one == many else "different", one["odd"].count)
"""


@only_forked
def test_forked_processes_find_the_same(tmp_path: Path) -> None:
    """In a process without threads, whatever the tests before this one have left running."""
    for name in "ab":
        (tmp_path / f"{name}.ndjson").write_text("\n".join(map(line, range(4_000))))
    command = [sys.executable, "-c", FORKED, str(tmp_path), INDEX]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("forked") == 2
    assert done.stdout.endswith("same 4000\n")


KILLED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from ruledeploy.engine import EmbeddedEngine, EngineRule, Files, parallel
from ruledeploy.engine.run import Run
from ruledeploy.errors import RuledeployError

parallel._SHARES = {"fork": 1 << 18}
parallel._LESSON = 1 << 16
parent, put = os.getpid(), Run.put_part

def killed(run, part, index):
    if os.getpid() != parent:
        os.kill(os.getpid(), 9)
    put(run, part, index)

Run.put_part = killed
path, index = sys.argv[1:]
rule = EngineRule("r", "lucene", "*:*", (index,))
try:
    EmbeddedEngine(jobs=2).run([rule], Files((Path(path),), index), None, datetime.now(UTC))
except RuledeployError as error:
    print(error)
"""


@only_forked
def test_a_process_that_is_killed_is_told(tmp_path: Path) -> None:
    """Its part of the events would be missing."""
    path = tmp_path / "a.ndjson"
    path.write_text("\n".join(map(line, range(4_000))))
    command = [sys.executable, "-c", KILLED, str(path), INDEX]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "a worker process ended with -9" in done.stdout


VICTIM = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from ruledeploy.engine import EmbeddedEngine, EngineRule, Files, parallel

parallel._SHARES = {"fork": 1 << 18}
parallel._LESSON = 1 << 16
began = parallel._work

def work(*given):
    print(os.getpid(), flush=True)
    began(*given)

def work_off(run, cuts, index, todo, parent=os.getpid(), work_off=parallel._work_off):
    if os.getpid() == parent:
        os.kill(parent, 9)
    for part in cuts[0]:
        while len(run.found["r"].alerts) < 30_000:
            run.put_part(part, index)
    return work_off(run, cuts, index, todo)

parallel._work, parallel._work_off = work, work_off
path, index = sys.argv[1:]
rule = EngineRule("r", "lucene", "*:*", (index,))
EmbeddedEngine(jobs=2).run([rule], Files((Path(path),), index), None, datetime.now(UTC))
"""


@only_forked
def test_nobody_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    """Not even one whose answer is more than a pipe takes."""
    path = tmp_path / "a.ndjson"
    path.write_text("\n".join(map(line, range(4_000))))
    command = [sys.executable, "-c", VICTIM, str(path), INDEX]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        # Its output ends when the last process that has it does.
        out, _ = process.communicate(timeout=30)
        assert process.returncode == -9
        assert out.strip().isdigit()
    finally:
        process.kill()
        process.wait()


def test_garbage_is_collected_as_before_after_a_run(tmp_path: Path) -> None:
    """Seldom in between, unless never was asked for."""
    before = gc.get_threshold()
    (tmp_path / "a.ndjson").write_text(line(1))
    try:
        for wanted in ((700, 10, 10), (0, 10, 10), (100_000, 10, 10)):
            gc.set_threshold(*wanted)
            found([tmp_path], 1)
            assert gc.get_threshold() == wanted
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("processes", [2, 3, 300])
def test_cuts_are_all_lines_once_and_in_order(tmp_path: Path, processes: int) -> None:
    """However small, and with empty lines and a last line that does not end."""
    texts = ["{" + "x" * (number % 50) + "}" + "\n" * (number % 3 + 1) for number in range(900)]
    (tmp_path / "a.ndjson").write_text("".join(texts) + "{last}")
    (tmp_path / "b.ndjson").write_text("{b}\n" * 500)
    files = parts([tmp_path])
    lesson, cuts = cuts_of(files, processes)
    assert len(cuts) <= 255
    one = [(str(place()), text) for part in files for place, text in part.lines()]
    cut = [
        (str(p()), text) for some in (lesson, *cuts) for part in some for p, text in part.lines()
    ]
    assert cut == one
    assert len(one) == 1_401
