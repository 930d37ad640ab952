"""Sigma correlations become ES|QL rules that group events."""

from __future__ import annotations

from typing import Any

import pytest

from ruledeploy.errors import RuledeployError
from ruledeploy.model import DetectionRule
from ruledeploy.query.parse import parse_query
from support.correlations import INDEX, query, release

ACCESS = (
    'event.provider : "Microsoft-Windows-Sysmon" and event.code : "10" and '
    r'to_lower(winlog.event_data.TargetImage) like "*\\\\lsass.exe"'
)
THREAD = (
    'event.provider : "Microsoft-Windows-Sysmon" and event.code : "8" and '
    r'to_lower(winlog.event_data.TargetImage) like "*\\\\lsass.exe" and not '
    r'(process.executable is not null and to_lower(process.executable) like "*\\\\ok.exe")'
)


def together(correlation: str, **more: Any) -> DetectionRule:
    """The compiled correlation."""
    (found,) = [rule for rule in release(correlation, **more).rules if rule.name == "Together"]
    return found


@pytest.mark.parametrize(
    ("correlation", "wanted"),
    [
        (
            (
                "{type: event_count, rules: access, group-by: [host.name], timespan: 5m, "
                "condition: {gte: 10}}"
            ),
            (
                f"({ACCESS}) and host.name is not null "
                "| stats event_count = count(*) by host.name | where event_count >= 10"
            ),
        ),
        (
            "{type: event_count, rules: [access, thread], timespan: 1h, condition: {lt: 3}}",
            f"({ACCESS}) or ({THREAD}) | stats event_count = count(*) | where event_count < 3",
        ),
        (
            (
                "{type: value_count, rules: access, group-by: Computer, timespan: 1d, "
                "condition: {field: SourceImage, neq: 4}}"
            ),
            (
                f"({ACCESS}) and winlog.computer_name is not null "
                "| stats value_count = count_distinct(process.executable) by winlog.computer_name "
                "| where value_count != 4"
            ),
        ),
        (
            (
                "{type: value_percentile, rules: access, timespan: 1d, "
                "condition: {field: SourceProcessId, gt: 4, percentile: 95}}"
            ),
            (
                f"{ACCESS} | stats value_percentile = percentile(to_double(process.pid), 95) "
                "| where value_percentile > 4"
            ),
        ),
    ],
)
def test_a_correlation_becomes_this_query(correlation: str, wanted: str) -> None:
    """Conditions of the rules, groups, then the condition on the count."""
    assert query(correlation) == f"from {INDEX} | where {wanted}"
    assert parse_query("esql", query(correlation)).esql


def test_rules_that_occur_together_are_counted_each() -> None:
    """Per group all of them, so many of them, or what an expression says."""
    plain = query("{type: temporal, rules: [access, thread], group-by: [host.name], timespan: 5m}")
    assert plain.endswith("by host.name | where rule_1 > 0 and rule_2 > 0")
    some = "{type: temporal, rules: [access, thread], timespan: 5m, condition: {gte: 1}}"
    assert query(some).endswith("| where case(rule_1 > 0, 1, 0) + case(rule_2 > 0, 1, 0) >= 1")
    words = "{type: temporal, timespan: 5m, condition: access and not thread}"
    assert query(words).endswith("| where (rule_1 > 0 and not (rule_2 > 0))")


def test_aliases_group_by_each_rules_own_field() -> None:
    """A column made of whichever field the event's rule has."""
    text = query(
        "{type: temporal, rules: [access, thread], group-by: [who], timespan: 5m, "
        "aliases: {who: {access: SourceImage, thread: winlog.event_data.NewThreadId}}}"
    )
    assert "| eval who = case(" in text
    assert ", process.executable, " in text
    assert ", winlog.event_data.NewThreadId) | where who is not null | stats" in text


def test_the_rule_looks_back_over_its_time_span() -> None:
    """Once a span, so that every event is counted once; more often if the author says so."""
    text = "{type: event_count, rules: access, timespan: 90s, condition: {gte: 10}}"
    body = together(text).body
    assert (body["type"], body["language"]) == ("esql", "esql")
    assert "index" not in body
    assert (body["interval"], body["from"]) == ("90s", "now-90s")
    assert body["threat"][0]["technique"][0]["id"] == "T1003"
    text += "\nelastic: {interval: 30s}"
    assert together(text).body["interval"] == "30s"


@pytest.mark.parametrize(("generate", "names"), [("false", 1), ("true", 3)])
def test_rules_that_are_only_counted_do_not_alert_by_themselves(generate: str, names: int) -> None:
    """Unless the correlation says that they generate alerts too."""
    found = release(
        "{type: temporal, rules: [access, 00000000-0000-4000-8000-000000000002], "
        f"timespan: 5m, generate: {generate}}}"
    )
    assert len(found.rules) == names


OTHER = """
---
title: Other
id: 00000000-0000-4000-8000-000000000004
name: other
logsource: {product: windows, category: process_access}
"""
DETECTION = "detection: {s: {TargetImage: a}, condition: s}\n"
COUNTED = "{type: event_count, rules: [access, other], timespan: 5m, condition: {gte: 2}}"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("elastic: {query: 'a:b'}\n", "its query is written by hand"),
        (f"{DETECTION}elastic: {{query: 'a:b'}}\n", "its query is written by hand"),
        (f"{DETECTION}elastic: {{type: threshold, threshold: {{value: 9}}}}\n", "type threshold"),
        (f"{DETECTION}elastic: {{kibana: {{type: threshold}}}}\n", "type threshold"),
        (f"{DETECTION}elastic: {{type: new_terms, new_terms_fields: [a]}}\n", "type new_terms"),
    ],
)
def test_a_rule_that_is_more_than_its_detection_is_not_counted(rule: str, said: str) -> None:
    """Its detection alone would be another rule, so the reference is refused."""
    with pytest.raises(RuledeployError, match=f"'other' cannot be counted: .*{said}") as raised:
        release(COUNTED, more=OTHER + rule)
    assert str(raised.value).startswith("rules/all.yml:21:")


def test_a_rule_is_counted_that_converts_to_another_language() -> None:
    """Its detection is all there is to it."""
    rule = f"{OTHER}{DETECTION}elastic: {{type: eql, language: eql}}\n"
    assert together(COUNTED, more=rule).body["type"] == "esql"


@pytest.mark.parametrize("head", ["status: deprecated\n", "elastic: {environments: [prod]}\n"])
def test_a_rule_that_is_not_deployed_is_counted_and_said(head: str) -> None:
    """Whoever retires a rule hears what still rests on it."""
    found = release(
        COUNTED, more=OTHER + DETECTION + head, settings="[env.prod]\nkibana_url = 'http://k'\n"
    )
    (finding,) = (each for each in found.findings if each.code == "counts-undeployed")
    assert (finding.severity, finding.location.line) == ("warning", 21)
    assert "'other', which is not deployed in local" in finding.message


def test_a_name_of_two_rules_is_no_reference() -> None:
    """The last of them was counted in silence."""
    with pytest.raises(RuledeployError, match="'access' is the name of 2 rules") as raised:
        release(COUNTED, more=OTHER.replace("name: other", "name: access") + DETECTION)
    assert str(raised.value).startswith("rules/all.yml:21:")


@pytest.mark.parametrize("again", ["access", "00000000-0000-4000-8000-000000000001"])
def test_a_rule_does_not_occur_together_with_itself(again: str) -> None:
    """Two names of one rule, or one name twice."""
    with pytest.raises(RuledeployError, match="is named twice"):
        release(f"{{type: temporal, rules: [access, {again}], timespan: 5m}}")


def test_a_broken_rule_is_told_once() -> None:
    """Not again by each correlation that counts it."""
    broken = f"{OTHER}{DETECTION.replace('TargetImage', 'TargetImage|nosuch')}"
    with pytest.raises(RuledeployError) as raised:
        release(COUNTED, more=broken)
    assert str(raised.value).count("nosuch") == str(raised.value).splitlines()[0].count("nosuch")
    environments = "{type: event_count, rules: access, timespan: 5m, condition: {gte: 2}}\n"
    with pytest.raises(RuledeployError) as raised:
        release(f"{environments}elastic: {{environments: [locl]}}")
    assert len(str(raised.value).splitlines()) == 1


def test_a_filter_narrows_what_is_counted() -> None:
    """As it narrows the rule itself."""
    narrowed = together(
        "{type: event_count, rules: access, timespan: 5m, condition: {gte: 2}}",
        more=(
            "\n---\ntitle: F\nid: 00000000-0000-4000-8000-000000000009\n"
            "logsource: {product: windows, category: process_access}\n"
            "filter: {rules: [access], ok: {SourceImage|endswith: '\\good.exe'}, "
            "condition: not ok}\n"
        ),
    )
    assert "good.exe" in narrowed.body["query"]


@pytest.mark.parametrize(
    ("correlation", "said"),
    [
        ("{type: temporal_ordered, rules: [access, thread], timespan: 5m}", "order of events"),
        ("{type: event_count, rules: acess, timespan: 5m, condition: {gte: 1}}", "'access'"),
        ("{type: event_count, rules: access, timespan: 5 min, condition: {gte: 1}}", "time span"),
        ("{type: event_count, rules: access, timespan: 5m}", "condition"),
        ("{type: event_count, rules: access, timespan: 5m, condition: {gte: a}}", "whole number"),
        ("{type: event_count, rules: access, timespan: 5m, condition: {ge: 1}}", "gte"),
        ("{type: value_count, rules: access, timespan: 5m, condition: {gte: 1}}", "a field"),
        ("{type: event_cuont, rules: access, timespan: 5m, condition: {gte: 1}}", "event_count"),
        ("{type: event_count, timespan: 5m, condition: {gte: 1}}", "which rules"),
        ("{type: temporal, rules: [access], timespan: 5m, condition: access or x}", "differ in x"),
        (
            (
                "{type: event_count, rules: access, group-by: nothing.such, timespan: 5m, "
                "condition: {gte: 1}}"
            ),
            "no nothing.such",
        ),
        (
            (
                "{type: event_count, rules: 00000000-0000-4000-8000-000000000003, timespan: 5m, "
                "condition: {gte: 1}}"
            ),
            "only rules can be correlated",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_at_its_line(correlation: str, said: str) -> None:
    """By name, with the file and the line."""
    with pytest.raises(RuledeployError, match=said) as raised:
        release(correlation)
    assert "rules/all.yml:21" in str(raised.value)
