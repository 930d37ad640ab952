"""`check`: one set of findings in every form a reviewer's tools read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from ruledeploy.cli.boundary import run
from support.content import OVERLAY, RULE, write_content
from support.junit_schema import violations

BROKEN = RULE.replace("event.category: api", "event.category|nosuch: api")
LOOSE = RULE.replace("condition: selection", "other: {process.name: a}\n  condition: selection")

SCHEMAS = Path(__file__).parents[2] / "fixtures" / "schemas"
SARIF: dict[str, Any] = json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text("utf-8"))


def validate(log: object) -> None:
    """Raise unless it is SARIF by its own schema."""
    jsonschema.Draft4Validator(SARIF).validate(log)


def said(root: Path, capsys: pytest.CaptureFixture[str], *options: str, code: int = 1) -> str:
    """What `check` prints on stdout."""
    assert run(["check", "-C", str(root), *options]) == code
    return capsys.readouterr().out


def test_sarif_is_sarif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Driver, results and places hold to the schema; a result points at its driver's rule."""
    root = write_content(tmp_path, rule=BROKEN, **{"rules__ä b.yml": "title: ["})
    log = json.loads(said(root, capsys, "--format", "sarif"))
    validate(log)
    (one,) = log["runs"]
    rules = [rule["id"] for rule in one["tool"]["driver"]["rules"]]
    assert all(rules[each["ruleIndex"]] == each["ruleId"] for each in one["results"])
    places = {
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for each in one["results"]
    }
    assert "rules/%C3%A4%20b.yml" in places
    assert all(re.fullmatch(r"[A-Za-z0-9._~/%-]+", uri) for uri in places)
    assert {each["level"] for each in one["results"]} >= {"error"}


def test_what_is_no_sarif_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema does look: at keys, at lines from 1, at levels."""
    root = write_content(tmp_path, rule=BROKEN)
    text = said(root, capsys, "--format", "sarif")
    for good, bad in (
        ('"startLine": ', '"startLine": -'),
        ('"ruleIndex"', '"ruleIndx"'),
        ('"level": "error"', '"level": "fatal"'),
    ):
        assert good in text
        with pytest.raises(jsonschema.ValidationError):
            validate(json.loads(text.replace(good, bad)))


def test_a_clean_project_is_an_empty_sarif(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A code host then closes what it had open."""
    log = json.loads(said(write_content(tmp_path), capsys, "--format", "sarif", code=0))
    validate(log)


def test_junit_is_xml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each code of a file is a case, and an error fails it with its line."""
    root = write_content(tmp_path, rule=BROKEN)
    tree = ET.fromstring(said(root, capsys, "--format", "junit").encode())  # noqa: S314 - our own
    failed = [case for case in tree.iter("testcase") if case.find("failure") is not None]
    assert [case.get("file") for case in failed] == ["rules/writers.yml"]
    assert "nosuch" in (failed[0].find("failure").text or "")  # type: ignore[union-attr]
    assert tree.get("failures") == str(len(failed))
    assert violations(tree) == []


def test_github_annotations_stay_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A workflow command is one line, with file and line as properties."""
    root = write_content(tmp_path, rule=BROKEN)
    lines = said(root, capsys, "--format", "github").splitlines()
    assert any(re.match(r"::error file=rules/writers\.yml,line=\d+,title=", line) for line in lines)
    assert all(line.startswith("::") for line in lines)


def test_pysigmas_validators_speak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A selection that no condition names, at its line."""
    root = write_content(tmp_path, rule=LOOSE)
    found = json.loads(said(root, capsys, "--json", code=0))["findings"]
    (dangling,) = [each for each in found if each["code"] == "sigma-dangling-detection"]
    line = LOOSE.splitlines().index("  other: {process.name: a}") + 1
    assert (dangling["severity"], dangling["line"]) == ("warning", line)
    assert "other" in dangling["message"]


def git(root: Path, *arguments: str) -> None:
    """Run git in a repository, as nobody in particular."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A committed project whose rule has a selection that nothing uses."""
    root = write_content(tmp_path, rule=LOOSE)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    return root


def codes(root: Path, capsys: pytest.CaptureFixture[str], code: int) -> set[tuple[str, str]]:
    """(path, code) of what changed since the commit."""
    out = said(root, capsys, "--json", "--changed", "HEAD", code=code)
    return {(each["path"], each["code"]) for each in json.loads(out)["findings"]}


def test_nothing_changed_nothing_said(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Old findings are not this change's."""
    assert codes(repository, capsys, 0) == set()


def test_a_changed_file_says_all_it_has(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever touches a file sees what is wrong with it."""
    path = repository / "rules" / "writers.yml"
    path.write_text(f"# moved\n{LOOSE}")
    found = codes(repository, capsys, 0)
    assert ("rules/writers.yml", "sigma-dangling-detection") in found


def test_what_depends_on_a_change_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule is removed, and the untouched overlay that names it breaks."""
    (repository / "rules" / "writers.yml").unlink()
    (repository / "rules" / "other.yml").write_text(
        RULE.replace("5a74d2c8", "6a74d2c8").replace("Writers", "Other")
    )
    assert ("exceptions/base/writers.yml", "overlay-error") in codes(repository, capsys, 1)


def test_an_old_finding_in_what_depends_on_a_change_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule is edited, and its untouched overlay hides an attack from it, as it did before."""
    overlay = OVERLAY.replace("[svchost.exe,", "[prototype.exe,")
    root = write_content(tmp_path, overlay=overlay)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    assert codes(root, capsys, 0) == set()
    (root / "rules/writers.yml").write_text(f"# edited\n{RULE}")
    assert ("exceptions/base/writers.yml", "hides-attack") in codes(root, capsys, 0)


def test_a_base_that_does_not_load_makes_everything_new(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken settings file in the base commit is no reason to stop."""
    good = (repository / "ruledeploy.toml").read_text()
    (repository / "ruledeploy.toml").write_text("broken = [")
    git(repository, "commit", "-qam", "broken")
    (repository / "ruledeploy.toml").write_text(good)
    assert ("rules/writers.yml", "sigma-dangling-detection") in codes(repository, capsys, 0)


def test_an_unknown_base_is_a_usage_error(repository: Path) -> None:
    """Git's own words, exit 64."""
    assert run(["check", "-C", str(repository), "--changed", "nosuch"]) == 64


def test_overlays_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in an allowlist is an error like one in a rule."""
    root = write_content(tmp_path, overlay=OVERLAY.replace("process.name:", "process.nme:"))
    assert "exceptions/base/writers.yml:8" in said(root, capsys)


def test_a_broken_scenario_hides_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule's error and the scenario's, in one run."""
    root = write_content(tmp_path, rule=BROKEN)
    (root / "scenarios").mkdir()
    (root / "scenarios" / "mine.yml").write_text("id: attack/mine\nsteps: x\n")
    assert run(["check", "-C", str(root)]) == 1
    said = capsys.readouterr().out
    assert "rules/writers.yml:" in said
    assert "scenarios/mine.yml:" in said
    assert "[scenario-error]" in said


def test_a_linked_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not followed, and the rules in it must not pass for deleted."""
    root = write_content(tmp_path)
    (root / "elsewhere").mkdir()
    (root / "rules" / "more").symlink_to(root / "elsewhere")
    (root / "rules" / ".hidden").symlink_to(root)
    assert run(["check", "-C", str(root)]) == 1
    said = capsys.readouterr().out
    assert "rules/more: error [config-error] is a link to a folder, which is not followed" in said
    assert ".hidden" not in said
