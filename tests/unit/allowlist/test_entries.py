"""Entries say what the selection says, on the fields as they are indexed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ruledeploy.errors import OverlayError, Problems
from support.overlays import compiled


def entries(match: str, family: str = "endpoint-api") -> list[list[dict[str, Any]]]:
    """The entries of each item that a `match:`/`not:` text becomes."""
    body = "\n".join(f"  {line}" for line in match.splitlines())
    allowlist = compiled(f"- id: x\n{body}", family)
    ordered = sorted(allowlist.items, key=lambda item: str(item.body["name"]))
    return [item.body["entries"] for item in ordered]


def entry(
    field: str, kind: str, value: object = None, operator: str = "included"
) -> dict[str, Any]:
    """One entry, as Kibana takes it."""
    made = {"field": field, "operator": operator, "type": kind}
    return made if value is None else made | {"value": value}


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(
            "match: {process.name: [Svchost.EXE, lsass.exe]}",
            [[entry("process.name.caseless", "match_any", ["svchost.exe", "lsass.exe"])]],
            id="a list becomes match_any on the lower-cased sibling",
        ),
        pytest.param(
            "match: {process.name|cased: Svchost.EXE}",
            [[entry("process.name", "match", "Svchost.EXE")]],
            id="cased keeps field and spelling",
        ),
        pytest.param(
            r"match: {process.executable|startswith: 'C:\Program Files\A*b\'}",
            [[entry("process.executable.caseless", "wildcard", r"c:\\program files\\a*b\\*")]],
            id="wildcards pass, backslashes are escaped",
        ),
        pytest.param(
            "match: {event.category: API}",
            [[entry("event.category", "match", "API")]],
            id="what the producer spells stays exact",
        ),
        pytest.param(
            "match: {process.name: [a.exe, '*b.exe']}",
            [
                [entry("process.name.caseless", "match", "a.exe")],
                [entry("process.name.caseless", "wildcard", "*b.exe")],
            ],
            id="values and patterns fan out into items",
        ),
        pytest.param(
            r"match: {process.command_line|contains|all: [one, two]}",
            [
                [
                    entry("process.command_line.caseless", "wildcard", "*one*"),
                    entry("process.command_line.caseless", "wildcard", "*two*"),
                ]
            ],
            id="all stays in one item",
        ),
        pytest.param(
            "match: {process.pid|exists: true, user.id|exists: false}",
            [[entry("process.pid", "exists"), entry("user.id", "exists", operator="excluded")]],
            id="presence and absence",
        ),
        pytest.param(
            "match: {process.pid: 4}\nnot: {process.name: [a.exe, b.exe], user.name: '*adm*'}",
            [
                [
                    entry("process.pid", "match", "4"),
                    entry("process.name.caseless", "match_any", ["a.exe", "b.exe"], "excluded"),
                    entry("user.name", "wildcard", "*adm*", "excluded"),
                ]
            ],
            id="not becomes excluded entries",
        ),
        pytest.param(
            "match: {host.ip|cidr: 10.0.0.0/8}",
            [[entry("host.ip", "match", "10.0.0.0/8")]],
            id="a network on an ip field",
        ),
        pytest.param(
            "match:\n  process.Ext.code_signature.subject_name: Acme\n"
            "  process.Ext.code_signature.exists: true",
            [
                [
                    {
                        "field": "process.Ext.code_signature",
                        "type": "nested",
                        "entries": [
                            entry("subject_name", "match", "Acme"),
                            entry("exists", "match", "true"),
                        ],
                    }
                ]
            ],
            id="fields of a nested object share one nested entry",
        ),
    ],
)
def test_a_selection_becomes_entries(match: str, expected: list[list[dict[str, Any]]]) -> None:
    """Each form of Sigma's selection syntax has one form as entries."""
    assert entries(match) == expected


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("match: {proces.name: x}", "did you mean 'process.name'"),
        ("match: {process.parent.executable: x}", "no such field"),
        ("match: {process.Ext.memory_region.strings: x}", "not searchable"),
        ("match: {host.ip: 10.0.0.256}", "is no IP address"),
        ("match: {host.ip: '10.*'}", "fails the whole rule"),
        ("match: {process.pid: four}", "is no long"),
        ("match: {process.code_signature.trusted: 'yes'}", "neither true nor false"),
        ("match: {process.name: ''}", "empty value"),
        ("match: {process.name: '*'}", "exists: true"),
        ("match: {process.name|re: '.*'}", "not for allowlists"),
        ("match: {process.pid|gt: 4}", "not for allowlists"),
        ("match: [{process.name: a}, {process.pid: 4}]", "OR across fields"),
        ("match: {}", "at least one field"),
        ("match: {process.pid: 4}\nnot: {process.name|contains|all: [a, b]}", "is an OR"),
        ("match: {process.Ext.code_signature.subject_name: 'Ac*'}", "no wildcards"),
        (f"match: {{process.name: {'a' * 1025}}}", "longer than 1024"),
        (
            f"match: {{process.name|contains: {json.dumps([f'p{n}' for n in range(51)])}}}",
            "needs 51 exception items",
        ),
    ],
)
def test_what_entries_cannot_say_is_refused(match: str, said: str) -> None:
    """A refusal names the file, the line and the way out."""
    with pytest.raises((OverlayError, Problems)) as caught:
        entries(match)
    error = caught.value.errors[0] if isinstance(caught.value, Problems) else caught.value
    assert said in str(error)
    assert error.location is not None
    assert error.location.path == "exceptions/base/o.yml"
    assert error.location.line >= 5


def test_fifty_patterns_are_fifty_numbered_items() -> None:
    """The limit itself is allowed, and each item is numbered."""
    patterns = json.dumps([f"p{n}" for n in range(50)])
    allowlist = compiled(f"- id: x\n  match: {{process.name|contains: {patterns}}}")
    assert len({item.item_id for item in allowlist.items}) == 50
    assert {item.body["name"] for item in allowlist.items} == {f"x #{n}" for n in range(1, 51)}


def test_a_field_without_a_lower_cased_sibling_is_said_to_be_case_sensitive() -> None:
    """Kibana's entries cannot ignore case on a plain keyword, so the author is told."""
    allowlist = compiled("- id: x\n  match: {process.name: A.exe}", "sysmon-integration")
    assert [finding.code for finding in allowlist.findings if finding.code == "case-sensitive"]
    assert allowlist.items[0].body["entries"] == [entry("process.name", "match", "A.exe")]
