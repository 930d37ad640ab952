"""The exit codes that are answers, each by a run that gives it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ruledeploy.cli import boundary
from ruledeploy.cli.app import COMMANDS
from ruledeploy.cli.boundary import run
from ruledeploy.cli.exits import ALWAYS, EXITS
from ruledeploy.errors import PartialError, Problems, RefusedError, RuledeployError, UsageError
from support.content import RULE, SETTINGS, write_content
from support.exits import Surprise

TWO = SETTINGS + '[env.other]\nkibana_url = "http://other.invalid"\nexceptions = []\n'
BAD_CASE = RULE.replace("scenario: attack/prototype", "scenario: benign/jit")


def test_every_command_has_its_codes() -> None:
    """In the order of the help; never a code of every command under another meaning."""
    assert list(EXITS) == list(COMMANDS)
    own = [(name, code) for name, codes in EXITS.items() for code in codes]
    assert {code for _, code in own} == {1, 2, 3, 4, 5}
    assert {code for _, code in own if code in ALWAYS} == {1}


def test_errors_exit_with_codes_of_the_table() -> None:
    """Every kind of error, and the two of the boundary."""
    kinds = (RuledeployError, RefusedError, PartialError, UsageError)
    assert [kind.exit_code for kind in kinds] == [1, 3, 4, 64]
    assert Problems([RefusedError("a"), RuledeployError("b")]).worst_exit_code == 3
    assert {1, 64, boundary.BUG, boundary.INTERRUPTED} < ALWAYS


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check"], 0),
        (["check", "--strict"], 1),
        (["convert"], 1),
        (["convert", "--skip-refused"], 0),
        (["test"], 1),
        (["plan", "-e", "local"], 0),
        (["plan", "-e", "local", "--detailed-exitcode"], 2),
        (["promote", "local", "other"], 0),
        (["promote", "local", "other", "--detailed-exitcode"], 2),
        (["rollback", "-e", "local", "--to", "7"], 3),
        (["stack", "status"], 1),
        (["doctor", "-e", "other"], 1),
        (["drift"], 64),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_answers_are_exit_codes(tmp_path: Path, arguments: list[str], code: int) -> None:
    """Of a repository with an untested rule, a case that fails, two environments, no push yet."""
    stable = BAD_CASE.replace("status: experimental", "status: stable")
    broken = {}
    if arguments[0] == "convert":
        broken["rules__broken__yml"] = "title: x\n"
    root = write_content(tmp_path, rule=stable, settings=TWO, **broken)
    if broken:
        (root / "rules/broken/yml").rename(root / "rules/broken.yml")
    assert run([*arguments, "-C", str(root)]) == code


def test_init_refuses_a_folder_with_files(tmp_path: Path) -> None:
    """Exit 3, and the files stay."""
    root = write_content(tmp_path)
    assert run(["init", str(root)]) == 3


def test_a_review_that_hides_an_attack_exits_5(tmp_path: Path) -> None:
    """An overlay that trusts the attack's program."""
    root = write_content(tmp_path)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *author, *command], cwd=root, check=True)
    path = root / "exceptions/base/writers.yml"
    lines = path.read_text().splitlines()
    wider = ["      process.name: prototype.exe" if "svchost" in line else line for line in lines]
    path.write_text("\n".join(wider))
    assert run(["review", "HEAD", "-C", str(root)]) == 5


def test_a_code_that_nobody_told_is_a_surprise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These very tests notice it: `promote` never exits 3."""
    root = write_content(tmp_path, settings=TWO)

    def refuse(*_: object) -> None:
        raise RefusedError("no")

    monkeypatch.setattr("ruledeploy.deploy.promote.differences", refuse)
    with pytest.raises(Surprise, match="promote exits 3"):
        run(["promote", "local", "other", "-C", str(root)])


def test_running_out_of_memory_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and the way out, exit 1."""

    def starve() -> None:
        raise MemoryError

    monkeypatch.setattr(boundary, "build", starve)
    assert boundary.run(["env", "list"]) == 1
    assert capsys.readouterr().err.startswith("error: out of memory\n  → ")
