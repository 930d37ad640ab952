"""A project's cases: those in the rules, those beside them, and what is wrong told first."""

from __future__ import annotations

from datetime import date

import pytest

from ruledeploy.engine import EmbeddedEngine
from ruledeploy.errors import RuledeployError
from ruledeploy.project import load_project
from ruledeploy.telemetry import load_scenarios
from ruledeploy.verify.suite import Suite, Wanted, run_suite
from support.content import OVERLAY, RULE, RULE_ID

BESIDE = f"""\
rule: {RULE_ID}
tests:
  - name: a program that only reads
    expect: no_alert
    events: [{{event: {{category: [api]}}, process: {{name: reader.exe}}}}]
"""
SETTINGS = """\
[project]
name = "acme"
[env.one]
kibana_url = "embedded:"
exceptions = ["base"]
[env.two]
kibana_url = "http://two.invalid"
exceptions = []
"""


def suite(*envs: str, rule: str = RULE, only: str = "") -> Suite:
    """The suite of a small project in some of its environments."""
    files = {
        "ruledeploy.toml": SETTINGS,
        "rules/writers.yml": rule,
        "exceptions/base/writers.yml": OVERLAY,
        "tests/detection/writers.yml": BESIDE,
    }
    project = load_project({path: text.encode() for path, text in files.items()})
    engines = {name: EmbeddedEngine() for name in envs}
    return run_suite(project, Wanted(engines, date(2026, 11, 24), load_scenarios(), only))


def test_each_environment_runs_every_case() -> None:
    """Those of the rule and those beside it, in the order of the environments."""
    ran = [(one.env, one.case, one.outcome) for one in suite("two", "one").results]
    cases = ["the attack alerts", "Windows is trusted", "a program that only reads"]
    assert ran == [
        *(("two", case, "fail" if "trusted" in case else "pass") for case in cases),
        *(("one", case, "pass") for case in cases),
    ]


def test_cases_are_chosen_by_their_name_or_their_rules() -> None:
    """In any case of letters."""
    assert [one.case for one in suite("one", only="READS").results] == ["a program that only reads"]
    assert len(suite("one", only="writers").results) == 3


def test_a_broken_rule_is_the_error_and_not_the_cases_that_name_it() -> None:
    """The way out is in the rule: that nothing is called so any more only follows from it."""
    with pytest.raises(RuledeployError) as caught:
        suite("one", rule=RULE.replace("title:", "titel:"))
    assert "rules/writers.yml" in str(caught.value)
    assert "tests/detection" not in str(caught.value)
