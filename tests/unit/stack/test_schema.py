"""Request schemas: the contract's request side, and the texts of two versions of zod."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.stack import schema
from ruledeploy.stack.errors import Refusal
from ruledeploy.stack.texts import Zod

CONTRACT = Path(__file__).parents[2] / "fixtures" / "contract" / "kibana.json"
RULE = {"type": "query", "name": "r", "description": "d", "severity": "low", "risk_score": 21}


def test_the_package_holds_the_contracts_request_side() -> None:
    """`requests.json` says nothing else than the contract the tests hold answers to."""
    whole = json.loads(CONTRACT.read_text("utf-8"))
    ours = schema.contract()
    for name, operation in ours["operations"].items():
        expected = {k: v for k, v in whole["operations"][name].items() if k != "responses"}
        assert operation == expected
    for name, found in ours["schemas"].items():
        assert found == whole["schemas"][name]


@pytest.mark.parametrize(
    ("change", "v3", "v4"),
    [
        (
            {"name": 1},
            "name: Expected string, received number",
            "name: Invalid input: expected string, received number",
        ),
        (
            {"name": ""},
            "name: String must contain at least 1 character(s)",
            "name: Too small: expected string to have >=1 characters",
        ),
        (
            {"risk_score": 101},
            "risk_score: Number must be less than or equal to 100",
            "risk_score: Too big: expected number to be <=100",
        ),
        (
            {"max_signals": 0},
            "max_signals: Number must be greater than or equal to 1",
            "max_signals: Too small: expected number to be >=1",
        ),
        (
            {"severity": "x"},
            (
                "severity: Invalid enum value. Expected 'low' | 'medium' | 'high' | 'critical', "
                "received 'x'"
            ),
            'severity: Invalid option: expected one of "low"|"medium"|"high"|"critical"',
        ),
        (
            {"from": "yesterday"},
            "from: Failed to parse date-math expression",
            "from: Failed to parse date-math expression",
        ),
    ],
)
def test_both_versions_of_the_texts(change: dict[str, Any], v3: str, v4: str) -> None:
    """8.19 speaks zod 3, 9.5 speaks zod 4."""
    texts: tuple[tuple[Zod, str], ...] = (("3", v3), ("4", v4))
    for zod, text in texts:
        issues = schema.complaints(schema.named("RuleCreateProps"), RULE | change, zod)
        assert schema.describe(issues) == text


def test_at_most_five_issues_are_told() -> None:
    """The rest is a number."""
    shape = schema.body_shape("POST /api/exception_lists/items")
    bad = {"comments": 1, "description": 1, "entries": 1, "name": 1, "tags": 1, "list_id": 1}
    # Required keys come first, in the contract's order; `type` is missing.
    with pytest.raises(Refusal) as refusal:
        schema.parse_body(shape, bad, "4")
    message = refusal.value.body["message"]
    assert message.startswith("[request body]: list_id: Invalid input: expected string")
    assert message.endswith(", and 2 more")


def test_required_keys_are_told_in_order() -> None:
    """The order of the contract's `required`, base before the type's own."""
    issues = schema.complaints(schema.named("RuleCreateProps"), {"type": "eql"}, "3")
    told = "name: Required, description: Required, risk_score: Required, severity: Required"
    assert schema.describe(issues) == f"{told}, query: Required, and 1 more"


def test_a_union_tells_what_each_member_misses() -> None:
    """After everything else; but a member whose types fit speaks alone."""
    shape = schema.body_shape("POST /api/detection_engine/rules/_bulk_action")
    expected = [f'action: Invalid literal value, expected "{a}"' for a in
                ("delete", "disable", "enable", "export", "duplicate")]  # fmt: skip
    told = schema.describe(schema.complaints(shape, {"action": "x"}, "3"))
    assert told.startswith(", ".join(expected) + ", and ")
    told = schema.describe(schema.complaints(shape, {"action": "enable", "ids": []}, "3"))
    assert told == "ids: Array must contain at least 1 element(s)"


def test_an_unknown_type_has_no_schema() -> None:
    """The discriminator's own texts."""
    for zod, text in (("3", "Invalid discriminator value. Expected 'eql'"), ("4", "Invalid input")):
        issues = schema.complaints(schema.named("RuleCreateProps"), RULE | {"type": "x"}, zod)  # type: ignore[arg-type] # a loop over literals is str
        assert issues[0].path == "type"
        assert issues[0].text.startswith(text)


def test_defaults_are_fresh_each_time() -> None:
    """Two bodies never share a default list."""
    shape = schema.named("RuleCreateProps")
    one, other = (schema.parse_body(shape, RULE, "4") for _ in range(2))
    one["tags"].append("x")
    assert other["tags"] == []


def test_query_parameters_are_read_from_text() -> None:
    """Numbers, booleans and comma lists."""
    find = "GET /api/exception_lists/items/_find"
    query = schema.parse_query(find, {"list_id": "a,b", "page": "2"}, "4")
    assert (query["list_id"], query["page"]) == (["a", "b"], 2)
    assert query["namespace_type"] == ["single"]
    with pytest.raises(Refusal, match=r"\[request query\]: page: Invalid input: expected number"):
        schema.parse_query(find, {"list_id": "a", "page": "x"}, "4")


@pytest.mark.parametrize(
    ("key", "text", "v3", "v4"),
    [
        ("page", "x", "Expected number, received nan",
         "Invalid input: expected number, received NaN"),
        ("page", "", "Number must be greater than or equal to 1",
         "Too small: expected number to be >=1"),
        ("page", "1.5", "Expected integer, received float",
         "Invalid input: expected int, received number"),
    ],
)  # fmt: skip
def test_numbers_in_a_query(key: str, text: str, v3: str, v4: str) -> None:
    """Texts become numbers as in JavaScript, where nothing is 0 and a word is NaN."""
    texts: tuple[tuple[Zod, str], ...] = (("3", v3), ("4", v4))
    for zod, told in texts:
        with pytest.raises(Refusal) as refusal:
            schema.parse_query("GET /api/detection_engine/rules/_find", {key: text}, zod)
        assert refusal.value.body["message"] == f"[request query]: {key}: {told}"


def test_booleans_in_a_query() -> None:
    """Two complaints: about the words, and about the type."""
    operation = "POST /api/detection_engine/rules/_import"
    assert schema.parse_query(operation, {"overwrite": "true"}, "3")["overwrite"] is True
    assert schema.parse_query(operation, {}, "3")["overwrite"] is False
    with pytest.raises(Refusal) as refusal:
        schema.parse_query(operation, {"overwrite": "yes"}, "3")
    assert refusal.value.body["message"] == (
        "[request query]: overwrite: Invalid enum value. Expected 'true' | 'false', received "
        "'yes', overwrite: Expected boolean, received string"
    )
