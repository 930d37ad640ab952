"""Evidence: what allowlist items say they suppress and keep, held against a release."""

from __future__ import annotations

from datetime import date

import pytest

from ruledeploy.compile import compile_release, overlays_of
from ruledeploy.engine import EmbeddedEngine
from ruledeploy.errors import OverlayError
from ruledeploy.project import load_project
from ruledeploy.verify.cases import CaseResult
from ruledeploy.verify.evidence import run_evidence
from ruledeploy.verify.running import bench

CONFIG = """
[project]
name = "acme"
[defaults.indices]
"windows/api" = ["logs-endpoint.events.api-*"]
[env.dev]
kibana_url = "embedded:"
exceptions = ["base"]
"""
RULE = """
title: Cross-process write
id: 5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b
status: experimental
logsource: {product: windows, category: api}
detection:
  selection: {process.Ext.api.name: WriteProcessMemory}
  condition: selection
level: high
"""
OVERLAY = r"""
title: Trusted writers
id: 0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10
rules: [5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b]
items:
  - id: edr-sensor
    name: The sensor
    match: {MATCH}
    owner: endpoint-team
    reason: hooks
    expires: EXPIRES
    suppresses: [scenario:benign/edr-hooking]
    keeps: [KEEPS]
"""
EXACT = r"{process.executable: 'C:\Program Files\Example EDR\sensor.exe'}"
BY_NAME = "{process.name: sensor.exe}"


def evidence(
    match: str, keeps: str = "scenario:attack/fake-sensor", expires: str = "2027-03-31"
) -> list[CaseResult]:
    """The results of one item in one environment."""
    text = OVERLAY.replace("{MATCH}", match).replace("KEEPS", keeps).replace("EXPIRES", expires)
    files = {
        "ruledeploy.toml": CONFIG.encode(),
        "rules/write.yml": RULE.encode(),
        "exceptions/base/trusted.yml": text.encode(),
    }
    project = load_project(files)
    env = project.environment("dev")
    release = compile_release(project, env, date(2026, 11, 24))
    return list(run_evidence(overlays_of(project, env), release, bench(EmbeddedEngine(), release)))


def test_true_evidence_passes() -> None:
    """An exact item hides the sensor and keeps the alerts on its imitation."""
    assert [(one.case, one.outcome) for one in evidence(EXACT)] == [
        ("edr-sensor suppresses benign/edr-hooking", "pass"),
        ("edr-sensor keeps attack/fake-sensor", "pass"),
    ]


def test_an_item_that_hides_what_it_should_keep_fails() -> None:
    """By name alone the imitation is hidden too; the item's own line is named."""
    kept = evidence(BY_NAME)[1]
    assert kept.outcome == "fail"
    assert "edr-sensor (exceptions/base/trusted.yml:6) hides" in kept.why
    assert str(kept.location).startswith("exceptions/base/trusted.yml:6")


def test_an_item_that_hides_too_little_fails() -> None:
    """What the item says it suppresses, and does not, is told."""
    other = evidence(r"{process.executable: 'C:\Program Files\Other\sensor.exe'}")[0]
    assert other.outcome == "fail"
    assert "no item hides them" in other.why


def test_an_expired_item_is_not_asked() -> None:
    """It is in force no more, so it neither suppresses nor has to."""
    assert evidence(EXACT, expires="2026-10-31") == []


@pytest.mark.parametrize("wrong", ["scenario:attack/fake-senser", "attack/fake-sensor"])
def test_evidence_that_names_no_scenario_is_an_error(wrong: str) -> None:
    """A misspelt scenario proves nothing, so it is refused, with the nearest one."""
    with pytest.raises(OverlayError, match="did you mean 'scenario:attack/fake-sensor'"):
        evidence(EXACT, keeps=wrong)
