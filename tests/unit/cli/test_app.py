"""The command group: instant help, one-liners that are true, exit codes of its own."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from ruledeploy.cli.app import COMMANDS
from ruledeploy.cli.boundary import run
from support.content import write_content

HEAVY = ("sigma", "elasticsearch", "elastic_transport", "rich", "starlette", "uvicorn", "yaml")


def test_help_loads_nothing_heavy() -> None:
    """`--help` imports neither pySigma nor the clients, the server or rich."""
    code = (
        "import sys\nfrom ruledeploy.cli.boundary import run\n"
        f"assert run(['--help']) == 0\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_one_liners_are_the_commands_own(name: str) -> None:
    """The table in `app.py` says what the command's help says first."""
    command = typer.main.get_command(importlib.import_module(f"ruledeploy.cli.{name}").app)
    assert (command.help or "").strip().splitlines()[0] == COMMANDS[name]


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--nonsense"], ["env", "list", "x"]])
def test_a_wrong_command_line_exits_64(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Not click's 2, which would read as "changes"."""
    assert run(arguments) == 64
    assert "--help" in capsys.readouterr().err


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` names the program."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ruledeploy ")


def test_a_bug_is_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception exits 70 and asks for a report; nothing is swallowed."""

    def broken(**_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("ruledeploy.cli.boundary.build", lambda: broken)
    assert run([]) == 70
    assert "bug in ruledeploy" in capsys.readouterr().err


def test_a_mistyped_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One letter off names the command that was meant."""
    assert run(["plna"]) == 64
    assert "did you mean 'plan'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["push", "rollback"])
def test_an_optional_argument_is_bracketed_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`[PLAN]`, and not `[[PLAN]]`."""
    assert run([name, "--help"]) == 0
    assert f"{name} [OPTIONS] [PLAN]\n" in capsys.readouterr().out


def test_a_locale_without_unicode_ends_no_command(tmp_path: Path) -> None:
    """In a pipe the output is UTF-8 whatever the locale says; nothing fails to be printed."""
    root = write_content(tmp_path, rule="title: a\n")
    done = subprocess.run(
        [sys.executable, "-m", "ruledeploy", "check", "-C", str(root)],
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    out = done.stdout.decode("utf-8")
    assert "→" in out
