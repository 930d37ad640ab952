"""`elastic.kibana`: fields of Kibana's rule, laid over what is compiled."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ruledeploy.compile import compile_release
from ruledeploy.errors import Problems, RuledeployError
from ruledeploy.model import DetectionRule, Finding
from ruledeploy.project import load_project, read_folder
from support.content import RULE, write_content

HAND_WRITTEN = """\
title: By hand
id: 22222222-2222-4222-8222-222222222222
level: low
elastic:
  language: {language}
  query: |-
    {query}
  index: {index}
  kibana: {kibana}
"""


def compiled(root: Path, rule: str) -> tuple[DetectionRule, tuple[Finding, ...]]:
    """The rule written by hand, in a project with another one."""
    write_content(root, rule=RULE, rules__hand=rule)
    (root / "rules/hand").rename(root / "rules/hand.yml")
    project = load_project(read_folder(root))
    release = compile_release(project, project.environment("local"), date(2026, 11, 24))
    [rule_] = [one for one in release.rules if one.name == "By hand"]
    return rule_, release.findings


def hand_written(
    query: str = "a:b", language: str = "lucene", kibana: str = "{}", index: str = "[logs-a]"
) -> str:
    """The file of a rule with a query of its own."""
    return HAND_WRITTEN.format(language=language, query=query, kibana=kibana, index=index)


def test_fields_win_and_null_leaves_out(tmp_path: Path) -> None:
    """Whatever is compiled; our mark stays."""
    block = "{rule_id: my-rule, tags: [A b], threat: [], timestamp_override: null, to: now-1m}"
    rule, _ = compiled(tmp_path, hand_written(kibana=block))
    assert rule.rule_id == "my-rule"
    assert rule.body["tags"] == ["A b", "ruledeploy:acme:local"]
    assert rule.body["threat"] == []
    assert "timestamp_override" not in rule.body
    assert rule.body["to"] == "now-1m"


@pytest.mark.parametrize("name", ["query", "exceptions_list", "revision", "enabled"])
def test_what_is_checked_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """The query goes through the parser, links through overlays."""
    with pytest.raises((RuledeployError, Problems), match=f"{name}: not here"):
        compiled(tmp_path, hand_written(kibana=f"{{{name}: x}}"))


def test_a_hand_written_query_may_be_more_than_we_can_try(tmp_path: Path) -> None:
    """Deployed, and said to be untried; what does not parse is refused as ever."""
    query = 'from logs-a | dissect message "%{word} %{rest}" | where word == "x"'
    rule, findings = compiled(tmp_path, hand_written(query, "esql"))
    assert rule.body["query"] == query
    assert "not-evaluated" in {finding.code for finding in findings}
    with pytest.raises(RuledeployError, match="does not parse"):
        compiled(tmp_path, hand_written("a:(b", "lucene"))


def test_a_hand_written_query_may_span_families(tmp_path: Path) -> None:
    """Nothing is translated, so Kibana's default patterns are fine."""
    index = '["logs-endpoint.events.api-*", "winlogbeat-*", "logs-*"]'
    rule, _ = compiled(tmp_path, hand_written(index=index))
    assert rule.family == "ecs"
