from __future__ import annotations

from pathlib import Path

import pytest

from ruledeploy.sigma import RuleSource, RuleSources, load_rules, note_text

FIXTURES = Path(__file__).parents[2] / "fixtures" / "sigma"

RULE = """\
title: A rule
id: 5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b
status: experimental
level: high
date: 2025/07/04
tags: [attack.defense_evasion, attack.t1055.002, cve.2024.1]
logsource: {product: windows, category: api}
detection:
  selection: {event.category: api}
  condition: selection
"""


def load(text: str, **more: str) -> RuleSources:
    """What is read from `r.yml` and other files."""
    files = {"r.yml": text} | {f"{name}.yml": each for name, each in more.items()}
    return load_rules({path: each.encode() for path, each in files.items()})


def one(text: str) -> RuleSource:
    """The only rule of a file without errors."""
    loaded = load(text)
    assert not loaded.errors, loaded.errors
    (rule,) = loaded.rules
    return rule


def test_a_rule_is_read() -> None:
    """Old spellings of dates and tags are read in today's."""
    rule = one(RULE)
    assert rule.id == "5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"
    assert (rule.status, rule.level, rule.date) == ("experimental", "high", "2025-07-04")
    assert rule.tags == ("attack.defense-evasion", "attack.t1055.002", "cve.2024.1")
    assert rule.logsource.key == "windows/api"
    assert rule.location.line == 1


def test_a_missing_id_is_made_from_the_path() -> None:
    """The same path gives the same id, and a warning says what to write."""
    text = RULE.replace("id: 5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b\n", "")
    first, second = load(text), load(text)
    assert first.rules[0].id == second.rules[0].id
    assert [found.code for found in first.findings] == ["rule-without-id"]
    assert first.rules[0].id in str(first.findings[0].hint)


def test_two_documents_of_a_file_get_two_ids() -> None:
    """Documents without ids in one file stay apart."""
    text = RULE.replace("id: 5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b\n", "")
    loaded = load(f"{text}---\n{text}")
    assert len({rule.id for rule in loaded.rules}) == 2


def test_status_and_level_in_any_letter_case() -> None:
    """As pySigma reads them."""
    (rule,) = load(RULE.replace("experimental", "Experimental").replace("high", "HIGH")).rules
    assert (rule.status, rule.level) == ("experimental", "high")


def test_a_correlation_that_is_no_mapping_is_one_mistake() -> None:
    """What it would need is not asked of it as well."""
    loaded = load("title: C\ncorrelation: with what\n")
    assert [error.message for error in loaded.errors] == ["correlation: must be a mapping"]


def test_one_bad_file_never_stops_the_others() -> None:
    """Broken YAML, a wrong rule and a good one: two errors, one rule."""
    loaded = load(RULE, a="title: [", b="title: No more")
    assert [rule.path for rule in loaded.rules] == ["r.yml"]
    assert {error.location.path for error in loaded.errors if error.location} == {"a.yml", "b.yml"}


def test_a_repeated_id_names_both_places() -> None:
    """The second rule of an id is an error that says where the first one is."""
    loaded = load(RULE, z=RULE)
    assert [rule.path for rule in loaded.rules] == ["r.yml"]
    assert "r.yml:2" in str(loaded.errors[0])
    assert "z.yml:2" in str(loaded.errors[0])


@pytest.mark.parametrize(
    ("before", "after", "message", "line"),
    [
        ("title: A rule", "titel: A rule", "a rule needs a title", 1),
        ("id: 5a74", "id: zzzz", "is not a UUID", 2),
        ("level: high", "level: hihg", "did you mean `high`", 4),
        ("status: experimental", "status: experimntal", "did you mean `experimental`", 3),
        ("2025/07/04", "2025/13/04", "is not a date", 5),
        ("detection:", "detecton:", "did you mean `detecton`", 1),
        ("  condition: selection\n", "", "a detection needs a condition", 8),
        ("logsource: {product: windows, category: api}\n", "", "a rule needs a logsource", 1),
        ("title: A rule", "action: swap\ntitle: A rule", "is unknown", 1),
        ("title: A rule", "title: A rule\nelastic: {langage: eql}", "did you mean `language`", 2),
        ("title: A rule", "title: A rule\nelastic: {interval: 5}", "is not a duration", 2),
        ("title: A rule", "title: A rule\nelastic: {risk_score: 101}", "from 0 to 100", 2),
        ("title: A rule", "title: A rule\nelastic: {enabled: 'yes'}", "true or false", 2),
        ("title: A rule", "title: A rule\nelastic: {type: threshold}", "needs `threshold`", 2),
        ("title: A rule", "title: A rule\nelastic: {variants: 3}", "a list of names", 2),
        ("title: A rule", "title: A rule\ntests: [{expect: alert}]", "either `events` or", 2),
        ("title: A rule", "title: A rule\ntests: [{scenario: a/b}]", "expect: missing", 2),
        (
            "title: A rule",
            "title: A rule\ntests: [{scenario: a, expect: alert, item: x}]",
            "only a case that expects `suppressed`",
            2,
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(before: str, after: str, message: str, line: int) -> None:
    """What is wrong, where, and the nearest right word."""
    loaded = load(RULE.replace(before, after, 1))
    assert not loaded.rules
    (error,) = loaded.errors
    assert message in str(error)
    assert error.location is not None
    assert error.location.line == line


def test_a_hand_written_query_needs_no_detection() -> None:
    """`elastic.query` replaces the conversion, so logsource and detection may be absent."""
    rule = one("title: T\nid: 5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b\nelastic: {query: 'a:b'}\n")
    assert rule.elastic.query == "a:b"
    assert rule.logsource.key == ""


def test_the_elastic_block_is_typed() -> None:
    """Variants are names or names with settings; lists may be written as one text."""
    block = """
elastic:
  index: logs-*
  interval: 10m
  building_block: true
  variants: {defend: {index: [logs-endpoint.events.library-*]}, beats: null}
  alert_suppression: {group_by: [host.id]}
"""
    elastic = one(RULE + block).elastic
    assert elastic.index == ("logs-*",)
    assert elastic.interval == "10m"
    assert elastic.building_block
    assert [variant.name for variant in elastic.variants] == ["defend", "beats"]
    assert elastic.variants[0].index == ("logs-endpoint.events.library-*",)
    assert elastic.variants[0].location.line == 16
    assert elastic.enabled is None
    assert [each.name for each in one(RULE + "elastic: {variants: [a]}").elastic.variants] == ["a"]


def test_test_cases_are_read_with_dotted_events_unfolded() -> None:
    """An event may be written nested or dotted; a case is named after its scenario."""
    tests = """
tests:
  - name: hit
    expect: alert
    events: [{event.category: api, event: {code: 1}, process: {name: a}}]
    count: 1
  - scenario: attack/prototype
    expect: alert
"""
    first, second = one(RULE + tests).tests
    assert first.events == ({"event": {"category": "api", "code": 1}, "process": {"name": "a"}},)
    assert first.count == 1
    assert first.location.line == 13
    assert (second.name, second.scenario) == ("attack/prototype", "attack/prototype")


def test_kinds_are_told_apart() -> None:
    """Correlations and filters load beside rules."""
    correlation = (
        "title: C\ncorrelation: {type: event_count, rules: a, timespan: 5m, condition: {gte: 1}}\n"
    )
    filter_ = "title: F\nlogsource: {product: x}\nfilter: {rules: any, s: {a: b}, condition: not s}"
    loaded = load(correlation, f=filter_)
    assert not loaded.errors
    assert {rule.title: rule.kind for rule in loaded.rules} == {"C": "correlation", "F": "filter"}


def test_a_note_may_lie_in_its_own_file() -> None:
    """`note_file` is relative to the rule's folder."""
    rule = RULE + "elastic: {note_file: notes/a.md}\n"
    files = {"rules/r.yml": rule.encode(), "rules/notes/a.md": b"# Look"}
    (loaded,) = load_rules(files).rules
    assert note_text(loaded, files) == "# Look"


def test_the_original_rule_loads() -> None:
    """The one rule that the allowlists replace, with its 23 trusted processes."""
    path = FIXTURES / "original_single_rule.yml"
    (rule,) = load_rules({path.name: path.read_bytes()}).rules
    assert len(rule.raw["detection"]["filter"]["process.name"]) == 23
