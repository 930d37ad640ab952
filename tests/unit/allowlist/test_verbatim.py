"""`kibana:` in overlays: ids, texts and entries in Kibana's own form."""

from __future__ import annotations

from textwrap import indent

import pytest

from ruledeploy.allowlist import compile_overlays, effective_overlays, parse_overlays
from ruledeploy.errors import OverlayError, Problems
from support.overlays import OVERLAY, RULE, compiled, known, overlays, scope

WILDCARD = "{field: b, type: wildcard, operator: included, value: c}"
ENTRIES = """\
- id: made-by-hand
  name: Made by hand
  permanent: true
  review_by: 2027-06-30
  os: [windows]
  kibana:
    item_id: 9d0f
    description: An analyst's words
    tags: [vip]
    entries:
      - {field: a, type: match, operator: included, value: 'C:\\X'}
      - {field: b, type: match_any, operator: excluded, value: ['1', '2']}
      - {field: c, type: exists, operator: excluded}
      - {field: d, type: wildcard, operator: included, value: 'x*'}
      - field: e
        type: nested
        entries: [{field: f, type: match, operator: included, value: g}]
"""


def test_entries_ids_and_texts_are_kept() -> None:
    """Nothing is translated or lower-cased; our mark is added."""
    [item] = compiled(ENTRIES).items
    assert item.item_id == "9d0f"
    assert item.body["description"] == "An analyst's words"
    assert item.body["tags"] == ["ruledeploy:acme:prod", "vip"]
    assert [entry["type"] for entry in item.body["entries"]] == [
        "match", "match_any", "exists", "wildcard", "nested",
    ]  # fmt: skip
    assert item.body["entries"][0]["value"] == "C:\\X"


def test_a_list_of_kibanas_own() -> None:
    """One list for both families of its rules, with its own id, type and text."""
    text = (
        f"title: Default\nid: {OVERLAY}\nrules: [{RULE}]\n"
        "kibana: {list_id: their-list, type: rule_default, description: Theirs, tags: [x]}\n"
        f"items:\n{indent(ENTRIES, '  ')}"
    )
    rules = known()
    rules = [type(rules[0])(RULE, "W", frozenset(), (("r1", "endpoint-api"), ("r2", "winlogbeat")))]
    effective = effective_overlays([parse_overlays({"o.yml": text.encode()})])
    made = compile_overlays(effective, rules, scope())
    [list_] = made.lists
    assert (list_.list_id, list_.body["type"]) == ("their-list", "rule_default")
    assert list_.body["tags"] == ["x", "ruledeploy:acme:prod"]
    assert made.links == {"r1": ("their-list",), "r2": ("their-list",)}
    assert len(made.items) == 1


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{field: a, type: match, operator: included}", "no entry of type 'match'"),
        ("{field: a, type: match, operator: included, value: ''}", "no entry of type 'match'"),
        ("{field: a, type: match, operator: includes, value: b}", "the operator is one of"),
        ("{field: a, type: match_any, operator: included, value: []}", "of type 'match_any'"),
        ("{field: a, type: regexp, operator: included, value: b}", "of type 'regexp'"),
        ("{field: a, type: list, operator: included, value: b}", "of type 'list'"),
        ("{field: a, type: nested, entries: []}", "a nested entry needs entries"),
        (
            f"{{field: a, type: nested, entries: [{WILDCARD}]}}",
            "of type 'wildcard'",
        ),
        ("{type: match, operator: included, value: b}", "an entry is a mapping with field"),
    ],
)
def test_entries_that_kibana_would_refuse(entry: str, said: str) -> None:
    """Said with the place, before any server is asked."""
    with pytest.raises((OverlayError, Problems), match=said):
        overlays(f"- id: a\n  kibana:\n    entries: [{entry}]")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("- id: a\n  kibana: {entries: []}", "at least one entry"),
        ("- id: a\n  kibana: {entires: []}", "did you mean 'entries'"),
        ("- id: a\n  kibana: yes", "must be a mapping"),
        (
            f"- id: a\n  match: {{x: y}}\n  kibana: {{entries: [{WILDCARD}]}}",
            "entries are written twice",
        ),
    ],
)
def test_mistakes_in_the_block(item: str, said: str) -> None:
    """Unknown keys, entries that would hide everything, entries written twice."""
    with pytest.raises((OverlayError, Problems), match=said):
        overlays(item)


def test_one_id_for_several_items_is_refused() -> None:
    """A list of patterns becomes several items; one `item_id` cannot name them."""
    with pytest.raises(OverlayError, match=r"kibana\.item_id is one"):
        compiled("- id: a\n  match: {process.name: ['a*', 'b*']}\n  kibana: {item_id: x}")


def test_a_value_that_could_silence_the_rule_is_warned_about() -> None:
    """Kibana stores a malformed address; the rule then gives neither alerts nor errors."""
    made = compiled(
        "- id: a\n  kibana:\n    entries:\n"
        "      - {field: process.pid, type: match, operator: included, value: many}"
    )
    assert [finding.code for finding in made.findings if finding.code == "bad-entry"]
