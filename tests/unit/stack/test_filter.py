"""KQL over saved objects, as clients send it in `filter` and `query`."""

from __future__ import annotations

import pytest

from ruledeploy.stack.filter import FilterError, attributes_of_rule, parse_filter
from ruledeploy.stack.filterkeys import ScopeError

RULE = {
    "id": "1",
    "rule_id": "a-b",
    "name": "Anomalous WriteProcessMemory call",
    "enabled": True,
    "immutable": False,
    "risk_score": 73,
    "tags": ["Domain: Endpoint", "x"],
    "updated_at": "2026-11-23T00:00:00.000Z",
    "rule_source": {"type": "internal"},
    "threat": [{"technique": [{"id": "T1055"}]}],
    "exceptions_list": [{"list_id": "l1"}, {"list_id": "l2"}],
}
P = "alert.attributes.params"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{P}.ruleId: "a-b"', True),
        (f"{P}.ruleId: a-b", True),
        (f"{P}.ruleId: (x or a-b)", True),
        (f"{P}.ruleId: (x OR y)", False),
        (f"{P}.exceptionsList.listId: (l1 and l2)", True),
        (f"{P}.exceptionsList.listId: (l1 and l3)", False),
        (f'{P}.threat.technique.id: "T1055"', True),
        (f"{P}.threat.technique.id: T10*", True),
        (f'{P}.threat.technique.id: "T10*"', False),
        ('alert.attributes.tags: "Domain: Endpoint"', True),
        (r"alert.attributes.tags: Domain\: Endpoint", True),
        ('alert.attributes.tags: "domain: endpoint"', False),
        ("alert.attributes.enabled: true", True),
        ("NOT alert.attributes.enabled: true", False),
        (f"alert.attributes.enabled: true AND {P}.immutable: false", True),
        (f"{P}.immutable: true or alert.attributes.enabled: false and x: y", False),
        (f"({P}.immutable: false or x: y) and alert.attributes.enabled: true", True),
        ('alert.attributes.name: "anomalous writeprocessmemory"', True),
        ('alert.attributes.name: "writeprocessmemory anomalous"', False),
        ("alert.attributes.name: call", True),
        ("alert.attributes.name: write*", True),
        (f"{P}.exceptionsList.listId: (l3 or l1 and l2)", True),
        (f"{P}.exceptionsList.listId: (l1 or l2 and l3)", True),
        (f"{P}.exceptionsList.listId: ((l1 or l2) and l3)", False),
        (f"{P}.exceptionsList.listId: ((l3 or l1) and not (l4 or l5))", True),
        (f"{P}.exceptionsList.listId: (not l1 or not l2)", False),
        (f"{P}.riskScore >= 70", True),
        (f'{P}.riskScore >= "70"', True),
        ('alert.attributes.updatedAt < "2030-01-01"', True),
        ('alert.attributes.updatedAt >= "2030-01-01"', False),
        (f"{P}.riskScore < 70", False),
        (f"{P}.note: *", False),
        (f"{P}.ruleId: *", True),
        (f"{P}.ruleSource.type: internal", True),
        ('alert.id: "alert:1"', True),
    ],
)
def test_filters(text: str, *, expected: bool) -> None:
    """One rule, many questions."""
    assert parse_filter(text)(attributes_of_rule(RULE)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alert.attributes.alertTypeId: siem.queryRule", True),
        ('alert.attributes.name.keyword: "Anomalous WriteProcessMemory call"', True),
        ("alert.attributes.schedule.interval: 5m and alert.attributes.consumer: siem", True),
        ("alert.attributes.alertTypeId: siem.eqlRule", False),
    ],
)
def test_alertings_own_attributes(text: str, *, expected: bool) -> None:
    """What the saved object has beside the rule's parameters."""
    body = {**RULE, "type": "query", "interval": "5m"}
    assert parse_filter(text, ["alert"])(attributes_of_rule(body)) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "This key 'name' need to be wrapped by a saved object type like alert"),
        ("x", "The key is empty and needs to be wrapped by a saved object type like alert"),
        ('alert.attributes.name: x or "y z"', "The key is empty and needs"),
        ("action.attributes.name: x", "This type action is not allowed"),
        ("exception-list.attributes.a < 1", "This type exception-list is not allowed"),
    ],
)
def test_a_key_names_its_saved_object(text: str, message: str) -> None:
    """Other keys are refused, so that a forgotten prefix does not find nothing in silence."""
    with pytest.raises(ScopeError, match=message):
        parse_filter(text, ["alert"])


@pytest.mark.parametrize(
    ("types", "key", "message"),
    [
        ("alert", "alert.attributes.rule_id", "does NOT exist in alert saved object"),
        ("alert", "alert.attributes.risk", "does NOT exist in alert saved object"),
        ("alert", "alert.attributes.apiKeyOwner", "does NOT exist in alert saved object"),
        ("alert", "alert.foo", "does NOT exist in alert saved object"),
        ("alert", "alert.name", "does NOT match the filter proposition"),
        ("alert", "alert.params.ruleId", "does NOT match the filter proposition"),
        ("exception-list", "exception-list.attributes.updated_at", "does NOT exist in"),
        ("exception-list", "exception-list.attributes.entries.values", "does NOT exist in"),
        ("exception-list", "exception-list.list_id", "does NOT match the filter"),
    ],
)
def test_an_attribute_that_no_object_has_is_refused(types: str, key: str, message: str) -> None:
    """It would find nothing, and a client would take that for an answer."""
    with pytest.raises(ScopeError, match=message):
        parse_filter(f"{key}: x", [types])


@pytest.mark.parametrize(
    ("types", "key"),
    [
        ("alert", "alert.attributes.params.anything.at.all"),
        ("alert", "alert.attributes.executionStatus.status"),
        ("alert", "alert.updated_at"),
        ("alert", "alert.id"),
        ("exception-list", "exception-list.attributes.entries.value"),
        ("exception-list-agnostic", "exception-list-agnostic.attributes.comments.comment"),
        ("exception-list", "exception-list.created_at"),
    ],
)
def test_an_attribute_that_objects_have_is_taken(types: str, key: str) -> None:
    """Whatever stands below `params`, and what the mappings name."""
    parse_filter(f"{key}: x", [types])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a:",
        "a: (b",
        "a b: c",
        "a: b)",
        ": b",
        '"x',
        "a: {b: c}",
        "a: ()",
        "a: (b (c))",
        "a: (b or)",
        "a < )",
        "a >= (b)",
        "(" * 100_000,
        "not " * 100_000,
    ],
)
def test_syntax_errors(text: str) -> None:
    """Refused, never guessed."""
    with pytest.raises(FilterError):
        parse_filter(text)
