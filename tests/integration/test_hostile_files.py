"""A folder of hostile files: each is refused at its line, and the good rules beside it convert."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from support.hostile import GOOD, hostile

CASES = hostile()
# Bounds on the machine's patience, not a benchmark: any of the bombs alone would pass them.
SECONDS = 240
MEMORY = 1_500_000_000
REFUSED = "refused: rules/bad/{name}.yml:"


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _convert(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruledeploy", "convert", "-f", "ndjson", *options]
    return subprocess.run(
        command,
        cwd=root,
        preexec_fn=_limit,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of hostile files and a few good ones, some of each kind on the file system."""
    root = tmp_path_factory.mktemp("hostile")
    bad = root / "rules" / "bad"
    bad.mkdir(parents=True)
    (root / "ruledeploy.toml").write_text(
        '[project]\nname = "acme"\n[env.local]\nkibana_url = "embedded:"\n'
    )
    for name, content in CASES.items():
        (bad / f"{name}.yml").write_bytes(content)
    for number in range(20):
        text = GOOD.format(name=f"Good {number}", id=UUID(int=number + 1))
        (root / "rules" / f"good{number:02}.yml").write_text(text)
    for name in ("same-id", "same-id-first"):
        (bad / f"{name}.yml").write_text(GOOD.format(name="Good 20", id=UUID(int=21)))
    (bad / "loop.yml").symlink_to("loop.yml")
    (bad / "nowhere.yml").symlink_to("not-there")
    (bad / "folder.yml").mkdir()
    os.mkfifo(bad / "pipe.yml")
    return root


@pytest.fixture(scope="module")
def ran(root: Path) -> subprocess.CompletedProcess[str]:
    """One run over all of it."""
    return _convert(root)


def test_there_are_many() -> None:
    """Two hundred and more."""
    assert len(CASES) >= 200


def test_the_run_ends_in_time_and_says_so(ran: subprocess.CompletedProcess[str]) -> None:
    """Exit 1, the count, and no word of a bug."""
    assert ran.returncode == 1, ran.stderr[-2000:]
    assert "23 converted" in ran.stderr
    assert "bug" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_good_rules_convert(ran: subprocess.CompletedProcess[str]) -> None:
    """All of them, the good documents of two bad files (`T`), and nothing else."""
    names = [json.loads(line)["name"] for line in ran.stdout.splitlines()]
    assert sorted(names) == sorted([*(f"Good {number}" for number in range(21)), "T", "T"])


@pytest.mark.parametrize("name", CASES)
def test_each_is_refused_at_a_line(ran: subprocess.CompletedProcess[str], name: str) -> None:
    """Path and line, in one message of bearable length."""
    start = REFUSED.format(name=name)
    said = [line for line in ran.stderr.splitlines() if line.startswith(start)]
    assert said
    assert said[0].removeprefix(start)[0].isdigit()
    assert len(said[0]) < 1000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loop", "cannot be read"),
        ("nowhere", "cannot be read"),
        ("folder", "is no file"),
        ("pipe", "is no file"),
        ("same-id", "is taken by"),
    ],
)
def test_what_is_no_readable_file_is_refused(
    ran: subprocess.CompletedProcess[str], name: str, said: str
) -> None:
    """Links in a loop or to nowhere, folders and pipes named like rules, ids taken twice."""
    start = REFUSED.format(name=name)
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith(start))
    assert said in line


def test_again_from_the_cache_is_the_same(
    root: Path, ran: subprocess.CompletedProcess[str]
) -> None:
    """Refusals are kept like results: the second run says exactly what the first did, sooner."""
    began = time.monotonic()
    again = _convert(root)
    assert time.monotonic() - began < SECONDS / 4
    assert (again.stdout, again.stderr) == (ran.stdout, ran.stderr)


def test_a_single_bad_file_by_path(root: Path) -> None:
    """Named on the command line it is refused just the same."""
    for name in ("laughs", "nul", "loop"):
        done = _convert(root, f"rules/bad/{name}.yml")
        assert done.returncode == 1
        assert f"refused: rules/bad/{name}.yml" in done.stderr
