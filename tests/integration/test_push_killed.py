"""A push that is really killed: its process gets SIGKILL in the middle of its writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.deploy_bench import exception_list, item, release, rule, running_bench

WANTED = release(
    *(rule(f"r{n}", "l1") for n in range(4)), exception_list("l1"),
    *(item("l1", f"i{n}", f"n{n}") for n in range(4)),
)  # fmt: skip

VICTIM = """
import os, signal, sys
from pathlib import Path
from ruledeploy.deploy import ApplyOptions, apply
from support.deploy_bench import Log, bench_on
from integration.test_push_killed import WANTED

url, folder, writes = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
bench = bench_on(url, folder, Log())

def die(progress):
    if progress.done == writes:
        os.kill(os.getpid(), signal.SIGKILL)

apply(bench.plan(WANTED), bench.kibana, bench.store, die, ApplyOptions(jobs=2))
"""


@pytest.mark.parametrize("writes", [1, 3, 7])
def test_after_a_kill_the_next_push_finishes_at_once(tmp_path: Path, writes: int) -> None:
    """The dead process's lock does not stand in the way, and nothing is there twice."""
    tests = Path(__file__).parents[1]
    with running_bench(tmp_path) as bench:
        url, folder = bench.kibana.connection.url, str(tmp_path / "records")
        command = [sys.executable, "-c", VICTIM, url, folder, str(writes)]
        environ = {**os.environ, "PYTHONPATH": f"{tests.parent / 'src'}{os.pathsep}{tests}"}
        killed = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert bench.store.applied().state == "applying"
        assert bench.store.documents.get("lock") is not None
        bench.push(WANTED)
        assert len(bench.rules()) == 4
        assert set(bench.items()) == {f"i{n}" for n in range(4)}
        assert bench.plan(WANTED).empty
        assert bench.store.applied().state == "done"
