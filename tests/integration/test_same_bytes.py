"""Two runs of anything give the same bytes: no order of a set, no clock, no cache shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAY = ["--date", "2026-11-24"]
ENV = ["-e", "demo-dev"]
# Each writes standard output to a file of its name, in one process of its own hash seed.
COMMANDS = {
    "simulate": ["simulate", "attack-day", "benign-day", "--start", "2026-01-05", "--noise", "300",
                 "-o", "out/events.ndjson", "--labels", "out/labels.ndjson"],
    "check": ["check", "--json", *ENV, *DAY],
    "convert": ["convert", *ENV, *DAY],
    "convert-json": ["convert", "--json", *ENV, *DAY],
    "test": ["test", "--json", "--score", *ENV, *DAY],
    "backtest": ["backtest", "--json", "--events", "out/events.ndjson", *ENV, *DAY],
    "tune": ["tune", "--json", "--events", "out/events.ndjson", *ENV, *DAY],
    "promote": ["promote", "demo-dev", "demo-prod", "--json", *DAY],
    "plan": ["plan", "--json", *ENV, *DAY],
    "plan-file": ["plan", "-o", "out/plan.json", *ENV, *DAY],
}  # fmt: skip
DRIVER = """\
import contextlib, json, sys
from pathlib import Path
from ruledeploy.cli.boundary import run
codes = {}
for name, arguments in json.load(sys.stdin).items():
    with Path("out", name + ".txt").open("w", encoding="utf-8") as stream:
        with contextlib.redirect_stdout(stream):
            codes[name] = run(arguments)
print(json.dumps(codes))
"""
Outputs = dict[str, bytes]


@pytest.fixture(scope="module")
def produced(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Outputs]:
    """What the commands print and write, in a fresh copy of this repository's content."""

    def produce(hash_seed: str, cache: str) -> Outputs:
        folder = tmp_path_factory.mktemp("copy")
        for name in ("rules", "exceptions", "tests/detection", "scenarios"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "ruledeploy.toml", folder)
        (folder / "out").mkdir()
        environ = {
            **{name: value for name, value in os.environ.items() if "SEARCH" not in name},
            "PYTHONHASHSEED": hash_seed,
            "RULEDEPLOY_CACHE_DIR": str(tmp_path_factory.getbasetemp() / f"cache-{cache}"),
        }
        done = subprocess.run(
            [sys.executable, "-c", DRIVER], cwd=folder, env=environ, input=json.dumps(COMMANDS),
            capture_output=True, text=True, check=True, timeout=500,
        )  # fmt: skip
        codes = json.loads(done.stdout.splitlines()[-1])
        assert set(codes.values()) == {0}, (codes, done.stderr)
        return {one.name: one.read_bytes() for one in sorted((folder / "out").iterdir())}

    return produce


def test_neither_hash_seed_nor_cache_shows(produced: Callable[[str, str], Outputs]) -> None:
    """Every file the same, byte for byte: no command of these tells when it ran.

    Those that do (a record's `when`, what a server stamps, the days of `simulate` without
    `--start`) are not among them.
    """
    first = produced("1", "a")
    for other in (produced("2", "b"), produced("3", "b")):
        assert {name for name in first if first[name] != other[name]} == set()
    assert {"events.ndjson", "labels.ndjson", "plan.json"} < set(first)
    silent = {"simulate.txt"}
    assert {name for name, data in first.items() if not data} == silent
