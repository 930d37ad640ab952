"""Files of test cases beside the rules."""

from __future__ import annotations

import pytest

from ruledeploy.errors import Problems
from ruledeploy.sigma import load_cases, load_rules

RULE = b"""title: Writes
id: 5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b
status: test
logsource: {product: windows, category: api}
detection: {one: {process.name: a.exe}, condition: one}
"""
RULES = load_rules({"rules/write.yml": RULE}).rules


@pytest.mark.parametrize("name", ["Writes", "5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"])
def test_a_rule_is_named_by_title_or_id(name: str) -> None:
    """Its cases come in the order of files and documents, each with its own place."""
    one = f"rule: {name}\ntests:\n- {{name: a, expect: alert, events: {{process.name: a.exe}}}}\n"
    two = f"{one}---\nrule: {name}\ntests: [{{name: b, expect: no_alert, scenario: benign/jit}}]\n"
    cases = load_cases({"t/2.yml": two.encode(), "t/1.yml": one.encode()}, RULES)
    (found,) = cases.values()
    assert [(case.name, str(case.location)) for case in found] == [
        ("a", "t/1.yml:3:3"),
        ("a", "t/2.yml:3:3"),
        ("b", "t/2.yml:6:9"),
    ]
    assert list(cases) == [RULES[0].id]


def test_all_that_is_wrong_is_told_at_once() -> None:
    """An unknown rule (with the nearest), an unknown key, a file that is no mapping."""
    files = {
        "t/1.yml": b"rule: Wrties\ntests: []\n",
        "t/2.yml": b"rule: Writes\ntest: []\n",
        "t/3.yml": b"- a\n",
        "t/4.yml": b"tests: []\n",
    }
    with pytest.raises(Problems) as caught:
        load_cases(files, RULES)
    assert [f"{one.location}: {one.message}" for one in caught.value.errors] == [
        "t/1.yml:1:1: rule: no rule has the id or title 'Wrties'",
        "t/2.yml:2:1: test: unknown key",
        "t/3.yml:1:1: test cases are a mapping",
        "t/4.yml:1:1: rule: missing: whose cases are these?",
    ]
    assert caught.value.errors[0].hint == "did you mean `Writes`?"
