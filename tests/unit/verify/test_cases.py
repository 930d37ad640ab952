"""Test cases of rules against a release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ruledeploy.engine import EmbeddedEngine
from ruledeploy.errors import Location, ScenarioError
from ruledeploy.model import DetectionRule, ExceptionItem, Release, TestCase
from ruledeploy.verify.cases import CaseResult, run_cases
from ruledeploy.verify.running import Bench

RULE = "5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"
BENCH = Bench(EmbeddedEngine(), datetime(2026, 11, 24, tzinfo=UTC))
WRITE = {
    "process.executable": r"C:\Temp\a.exe",
    "process.Ext.api.name": "WriteProcessMemory",
    "process.Ext.api.behaviors": ["cross-process"],
}
SENSOR = {
    **WRITE,
    "process.executable": r"C:\Program Files\Example EDR\sensor.exe",
    "process.code_signature.subject_name": "Example EDR Ltd",
    "process.code_signature.trusted": True,
}
QUIET = {"process.Ext.api.name": "VirtualProtect", "process.name": "quiet.exe"}

ReleaseMaker = Callable[..., Release]


def case(expect: Any, **given: Any) -> TestCase:
    """A case at line 30 of the rule."""
    return TestCase("a case", expect, Location("rules/write.yml", 30), **given)


def run(release: Release, one: TestCase) -> CaseResult:
    """The result of one case."""
    (result,) = run_cases(release, {RULE: [one]}, BENCH)
    return result


@pytest.mark.parametrize(
    "given",
    [
        case("alert", events=(WRITE, WRITE)),
        case("alert", scenario="attack/prototype"),
        case("alert", scenario="attack/prototype", count=3),
        case("alert", events=(WRITE, QUIET), count=1),
        case("no_alert", events=(QUIET,)),
        case("no_alert", events=(SENSOR,)),
        case("no_alert", scenario="benign/jit"),
        case("suppressed", events=(SENSOR,)),
        case("suppressed", scenario="benign/edr-hooking", item="edr-sensor"),
        case("suppressed", scenario="benign/edr-hooking", item="trusted/edr-sensor"),
        case("alert", scenario="attack/fake-sensor", env="dev"),
    ],
)
def test_a_case_that_holds_passes(
    given: TestCase, make_release: ReleaseMaker, sensor: ExceptionItem
) -> None:
    """Each expectation passes where it is true, and says nothing more."""
    result = run(make_release(sensor), given)
    assert (result.outcome, result.why) == ("pass", "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            case("alert", events=(WRITE, SENSOR)),
            "1 of 2 events do not alert; trusted/edr-sensor (exceptions/base/trusted.yml:12) hides",
        ),
        (case("alert", events=(QUIET,)), "the query does not match 'quiet.exe'"),
        (case("alert", scenario="benign/jit"), "do not alert; the query does not match"),
        (case("alert", scenario="benign/edr-hooking"), "trusted/edr-sensor"),
        (case("alert", events=(WRITE,), count=2), "expected 2 alerting events, got 1"),
        (case("no_alert", events=(WRITE,)), r"alerts on 1 events: 'C:\Temp\a.exe'"),
        (case("no_alert", scenario="attack/apc"), "WriteProcessMemory( svchost.exe"),
        (
            case("suppressed", events=(WRITE,)),
            (
                r"no item hides them: 'C:\Temp\a.exe'; trusted/edr-sensor"
                r" (exceptions/base/trusted.yml:12) does not: process.executable.caseless is"
            ),
        ),
        (
            case(
                "suppressed",
                events=({**SENSOR, "process.code_signature.trusted": False},),
                item="edr-sensor",
            ),
            ("trusted.yml:12) does not: process.code_signature.trusted is false, it asks for true"),
        ),
        (
            case("suppressed", events=(WRITE,), item="nosuch"),
            "; no item nosuch is in force for the rule",
        ),
        (case("suppressed", events=(SENSOR, QUIET)), "does not match 1 events"),
        (case("suppressed", events=(QUIET,)), "no item hides anything"),
        (
            case("suppressed", events=(SENSOR,), item="trusted/debugger"),
            "trusted/edr-sensor (exceptions/base/trusted.yml:12), not by trusted/debugger",
        ),
    ],
)
def test_a_case_that_does_not_hold_says_why(
    given: TestCase, said: str, make_release: ReleaseMaker, sensor: ExceptionItem
) -> None:
    """A failure names the events that alert or do not, and the item that hides them."""
    result = run(make_release(sensor), given)
    assert result.outcome == "fail"
    assert said in result.why


def test_a_case_of_another_environment_is_not_run(make_release: ReleaseMaker) -> None:
    """A case with `env` runs there alone."""
    assert run_cases(make_release(), {RULE: [case("alert", env="prod")]}, BENCH) == ()


def test_a_rule_that_is_not_deployed_fails_only_where_it_is_asked_for(
    make_release: ReleaseMaker,
) -> None:
    """Without `env` the case belongs to the environments that have the rule."""
    release = make_release(rules=())
    assert run_cases(release, {RULE: [case("alert", events=(WRITE,))]}, BENCH) == ()
    result = run(release, case("alert", events=(WRITE,), env="dev"))
    assert result.why == "the rule is not deployed here"


def test_variants_are_tried_together(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule]
) -> None:
    """An event alerts when one variant of the rule alerts on it, as each shipper sends it."""
    query = "event.code:8 AND winlog.event_data.TargetImage:*notepad.exe"
    sysmon, beats = (
        make_rule(f"variant-{family}", family=family, query=query, index=[index])
        for family, index in (
            ("sysmon-integration", "logs-windows.sysmon_operational-*"),
            ("winlogbeat", "winlogbeat-*"),
        )
    )
    one = case("alert", scenario="attack/prototype", count=4)
    assert run(make_release(rules=[make_rule(), sysmon]), one).why == ""
    one = case("alert", scenario="attack/prototype", count=1)
    assert run(make_release(rules=[beats]), one).why == ""


def test_a_rule_that_cannot_be_tried_fails_its_cases(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule]
) -> None:
    """A threshold counts events together, so one event proves nothing: no pass by default."""
    release = make_release(rules=[make_rule(type="threshold")])
    result = run(release, case("no_alert", events=(QUIET,)))
    assert "a rule of type threshold does not decide event by event" in result.why


def test_an_unknown_scenario_is_an_error(make_release: ReleaseMaker) -> None:
    """A misspelt scenario is no failed case but a mistake in the file."""
    with pytest.raises(ScenarioError, match="did you mean 'attack/prototype'"):
        run(make_release(), case("alert", scenario="attack/protoype"))


def test_a_result_in_plain_form(make_release: ReleaseMaker) -> None:
    """Rule, case, environment, outcome, reason and place are what renderers read."""
    assert run(make_release(), case("alert", events=(WRITE,))).to_json() == {
        "rule": "Anomalous WriteProcessMemory",
        "case": "a case",
        "env": "dev",
        "outcome": "pass",
        "why": "",
        "path": "rules/write.yml",
        "line": 30,
    }
