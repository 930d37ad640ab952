"""A folder of hostile files: each is refused at its line, and the good rules beside it convert."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from support.hostile import GOOD, harmless, hostile

CASES = hostile()
HARMLESS = harmless()
# Bounds on the machine's patience, not a benchmark: any of the bombs alone would pass them. Each
# process may compute for so long; how long that takes depends on what else the machine does.
SECONDS = 240
WAIT = 4 * SECONDS
MEMORY = 1_500_000_000
REFUSED = "refused: rules/bad/{name}.yml:"


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def _convert(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruledeploy", "convert", "-f", "ndjson", *options]
    return subprocess.run(
        command,
        cwd=root,
        preexec_fn=_limit,
        capture_output=True,
        text=True,
        timeout=WAIT,
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
    for name, content in HARMLESS.items():
        (root / "rules" / f"odd-{name}.yml").write_bytes(content)
    (bad / "new\nline.yml").write_text(GOOD.format(name="Hidden", id=UUID(int=99)))
    (bad / "zero.yml").symlink_to("/dev/zero")
    (root / "rules" / "again").symlink_to(root / "rules")
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
    assert f"{23 + len(HARMLESS)} converted" in ran.stderr
    assert "bug" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_good_rules_convert(ran: subprocess.CompletedProcess[str]) -> None:
    """All of them, the good documents of two bad files (`T`), and nothing else."""
    # Not `splitlines`: some rule has a NEL in its text.
    names = [json.loads(line)["name"] for line in ran.stdout.rstrip().split("\n")]
    good = [f"Good {number}" for number in range(21)]
    assert sorted(names) == sorted([*good, *HARMLESS, "T", "T"])


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
        ("zero", "is no file"),
        (r"new\nline", "characters that cannot be shown"),
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


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """One `check` of the same contents as overlays and as test cases, beside a bad value list."""
    root = tmp_path_factory.mktemp("hostile-overlays")
    folders = [root / "exceptions" / "base", root / "tests" / "detection"]
    for folder in (*folders, root / "rules", root / "exceptions" / "value_lists"):
        folder.mkdir(parents=True)
    (root / "ruledeploy.toml").write_text(
        '[project]\nname = "acme"\n[env.local]\nkibana_url = "embedded:"\n'
    )
    (root / "rules" / "good.yml").write_text(GOOD.format(name="Good", id=UUID(int=1)))
    (root / "exceptions" / "value_lists" / "odd.txt").write_bytes(b"\xff\xfe\x00")
    for folder in folders:
        for name, content in CASES.items():
            (folder / f"{name}.yml").write_bytes(content)
    return subprocess.run(
        [sys.executable, "-m", "ruledeploy", "check"],
        cwd=root,
        preexec_fn=_limit,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )


@pytest.mark.parametrize("folder", ["exceptions/base", "tests/detection"])
def test_overlays_and_cases_are_refused_at_their_lines(
    checked: subprocess.CompletedProcess[str], folder: str
) -> None:
    """Each file of either kind is named with a line, and so is the value list."""
    assert checked.returncode == 1, checked.stderr[-2000:]
    assert "Traceback" not in checked.stderr
    said = checked.stdout.splitlines()
    unnamed = [
        name
        for name in CASES
        if not any(re.match(rf"{folder}/{re.escape(name)}\.yml:\d+", line) for line in said)
    ]
    assert not unnamed
    assert any(line.startswith("exceptions/value_lists/odd.txt:1") for line in said)
