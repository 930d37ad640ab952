"""`init`: a new repository that passes everything at once, with the network cut as well."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from ruledeploy.cli.boundary import run

DAY = ("--date", "2027-01-01")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository that `init` has just made."""
    root = tmp_path / "My Detections"
    assert run(["init", str(root), *DAY]) == 0
    return root


def test_check_has_nothing_to_say(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No error, no warning, not even with --strict."""
    capsys.readouterr()
    assert run(["check", "-C", str(root), "--strict", "--json", *DAY]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_its_tests_pass(root: Path) -> None:
    """Each environment."""
    for env in ("local", "prod"):
        assert run(["test", "-C", str(root), "--env", env, *DAY]) == 0


def test_plan_works_on_the_local_stack(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One rule, one list, one item to create."""
    capsys.readouterr()
    assert run(["plan", "-C", str(root), "--env", "local", "--json", *DAY]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert {change["action"] for change in changes} == {"create"}
    assert len(changes) == 3


def test_nothing_is_overwritten(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time is refused before anything is written."""
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert run(["init", str(root)]) == 3
    assert "ruledeploy.toml" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_its_workflow_and_hook_are_yaml_that_names_our_commands(root: Path) -> None:
    """What CI runs is there to be run."""
    workflow = yaml.safe_load((root / ".github/workflows/detections.yml").read_text())
    runs = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert [words.split()[1] for words in runs] == ["install", "check", "test", "review"]
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())
    assert hooks["repos"][0]["hooks"][0]["entry"].startswith("ruledeploy check")
    assert (root / "CODEOWNERS").is_file()


def unshared() -> list[str]:
    """A command that cuts the network off, where this machine allows one; else empty."""
    command = ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") is None:
        return []
    return command if subprocess.run([*command, "true"], check=False).returncode == 0 else []


CUT = unshared()
# Without the kernel's help, a name server and a proxy that lead nowhere come nearest.
NOWHERE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def said(root: Path, cut: Sequence[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command, with the network or without, and no cache."""
    environ = dict(os.environ) | ({} if not cut and CUT else NOWHERE)
    command = [*cut, sys.executable, "-m", "ruledeploy", *arguments, "-C", str(root), *DAY]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--json", "--no-cache"),
        ("convert", "-f", "ndjson", "--no-cache"),
        ("convert", "-f", "ndjson", "--language", "esql", "--no-cache"),
        ("explain", "Certutil Downloads a File", "--env", "prod", "--no-cache"),
        ("test", "--env", "local"),
    ],
    ids=" ".join,
)
def test_the_network_makes_no_difference(root: Path, arguments: tuple[str, ...]) -> None:
    """Cut off from everything, even loopback, each command says the same."""
    assert said(root, CUT, *arguments) == said(root, [], *arguments)
    assert said(root, CUT, *arguments)[0] == 0
