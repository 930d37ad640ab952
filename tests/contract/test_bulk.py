"""`_bulk_action`, `_export` and `_import` of rules, with their oddities."""

from __future__ import annotations

from typing import Any

import pytest

from support.uploads import lines_of, upload

RULES = "/api/detection_engine/rules"
BULK = f"{RULES}/_bulk_action"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def rules(kibana: Any, rule: Any, space: str) -> list[Any]:
    """Rules a, b and c in the test's space."""
    return [
        kibana("POST", RULES, rule(rule_id=r, tags=["t"], index=["logs-*"]), space=space).body
        for r in "abc"
    ]


def test_enable_by_query(kibana: Any, rules: list[Any], space: str) -> None:
    """Rules chosen in KQL by rule_id; the answer counts them."""
    assert rules
    query = 'alert.attributes.params.ruleId: ("a" or "b")'
    reply = kibana("POST", BULK, {"action": "enable", "query": query}, space=space)
    assert reply.status == 200
    assert (reply.body["success"], reply.body["rules_count"]) == (True, 2)
    summary = {"failed": 0, "succeeded": 2, "skipped": 0, "total": 2}
    assert reply.body["attributes"]["summary"] == summary
    enabled = [r["enabled"] for r in reply.body["attributes"]["results"]["updated"]]
    assert enabled == [True, True]


def test_an_empty_query_means_every_rule(kibana: Any, rules: list[Any], space: str) -> None:
    """The trap that callers must guard against."""
    assert rules
    reply = kibana("POST", BULK, {"action": "delete", "query": ""}, space=space)
    assert reply.body["rules_count"] == 3
    assert kibana("GET", f"{RULES}/_find", space=space).body["total"] == 0


def test_a_partial_failure_is_http_500(kibana: Any, rules: list[Any], space: str) -> None:
    """What succeeded is done all the same."""
    body = {"action": "delete", "ids": [rules[0]["id"], NOBODY]}
    reply = kibana("POST", BULK, body, space=space)
    assert reply.status == 500
    assert reply.body["message"] == "Bulk edit partially failed"
    (error,) = reply.body["attributes"]["errors"]
    assert (error["message"], error["rules"]) == ("Rule not found", [{"id": NOBODY}])
    assert kibana("GET", f"{RULES}?rule_id=a", space=space).status == 404


@pytest.mark.parametrize(
    ("body", "query", "message"),
    [
        (
            {"action": "enable", "ids": [NOBODY] * 101},
            "",
            "More than 100 ids sent for bulk edit action.",
        ),
        (
            {"action": "enable", "ids": [NOBODY], "query": "x"},
            "",
            "Both query and ids are sent. Define either ids or query in request payload.",
        ),
        ({"action": "export"}, "?dry_run=true", "Export action doesn't support dry_run mode"),
    ],
)
def test_requests_that_make_no_sense(
    kibana: Any, body: dict[str, Any], query: str, message: str
) -> None:
    """400 in the siem envelope."""
    reply = kibana("POST", f"{BULK}{query}", body)
    assert reply.body == {"message": message, "status_code": 400}


def test_edit_counts_the_version_up(kibana: Any, rules: list[Any], space: str) -> None:
    """And skips rules it would not change."""
    ids = [rules[0]["id"]]
    edits = [
        {"type": "add_tags", "value": ["new"]},
        {"type": "set_schedule", "value": {"interval": "10m", "lookback": "2m"}},
        {"type": "add_index_patterns", "value": ["winlogbeat-*"]},
    ]
    reply = kibana("POST", BULK, {"action": "edit", "ids": ids, "edit": edits}, space=space)
    (edited,) = reply.body["attributes"]["results"]["updated"]
    assert (edited["version"], edited["revision"]) == (2, 1)
    assert edited["tags"] == ["t", "new"]
    assert (edited["interval"], edited["from"], edited["meta"]) == (
        "10m",
        "now-720s",
        {"from": "2m"},
    )
    assert edited["index"] == ["logs-*", "winlogbeat-*"]
    again = kibana("POST", BULK, {"action": "edit", "ids": ids, "edit": edits[:1]}, space=space)
    (skipped,) = again.body["attributes"]["results"]["skipped"]
    assert skipped["skip_reason"] == "RULE_NOT_MODIFIED"


def test_index_edits_fail_on_esql_rules(kibana: Any, rule: Any, space: str) -> None:
    """They have no index patterns."""
    body = rule(rule_id="e", type="esql", language="esql", query="from logs-*")
    made = kibana("POST", RULES, body, space=space).body
    edit = [{"type": "set_index_patterns", "value": ["x-*"]}]
    sent = {"action": "edit", "ids": [made["id"]], "edit": edit}
    reply = kibana("POST", BULK, sent, space=space)
    assert (reply.status, reply.body["message"]) == (500, "Bulk edit failed")
    assert reply.body["attributes"]["errors"][0]["err_code"] == "ESQL_INDEX_PATTERN"


def test_dry_run_changes_nothing(kibana: Any, rules: list[Any], space: str) -> None:
    """It counts, and shows no results."""
    assert rules
    reply = kibana("POST", f"{BULK}?dry_run=true", {"action": "delete"}, space=space)
    assert reply.body["attributes"]["summary"]["succeeded"] == 3
    assert reply.body["attributes"]["results"]["deleted"] == []
    assert kibana("GET", f"{RULES}/_find", space=space).body["total"] == 3


def test_a_duplicate_copies_tags_and_gets_a_new_id(
    kibana: Any, rules: list[Any], space: str
) -> None:
    """So a tag proves nothing about who made a rule."""
    body = {"action": "duplicate", "ids": [rules[0]["id"]]}
    reply = kibana("POST", BULK, body, space=space)
    (copy,) = reply.body["attributes"]["results"]["created"]
    assert copy["name"] == "Anomalous WriteProcessMemory [Duplicate]"
    assert (copy["tags"], copy["enabled"]) == (["t"], False)
    assert copy["rule_id"] != "a"


def test_export_ends_with_a_summary(kibana: Any, rules: list[Any], space: str) -> None:
    """Missing rules are told there, not by the status."""
    assert rules
    objects = {"objects": [{"rule_id": "a"}, {"rule_id": "none"}]}
    reply = kibana("POST", f"{RULES}/_export", objects, space=space)
    assert reply.status == 200
    first, summary = lines_of(reply)
    assert first["rule_id"] == "a"
    assert (summary["exported_count"], summary["missing_rules_count"]) == (1, 1)
    assert summary["missing_rules"] == [{"rule_id": "none"}]
    assert len(summary) == 15
    bare = kibana("POST", f"{RULES}/_export?exclude_export_details=true", space=space)
    assert [line["rule_id"] for line in lines_of(bare)] == ["a", "b", "c"]


def test_what_is_exported_can_be_imported(kibana: Any, rule: Any, space: str) -> None:
    """Rule, list and item arrive in another space; the link gets the new list's id."""
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
    made = kibana("POST", "/api/exception_lists", listed, space=space).body
    entry = {"field": "a", "type": "match", "operator": "included", "value": "b"}
    item = {
        "list_id": "l", "item_id": space, "type": "simple", "name": "i", "description": "d",
        "entries": [entry],
    }  # fmt: skip
    kibana("POST", "/api/exception_lists/items", item, space=space)
    link = {"id": "0", "list_id": "l", "type": "detection", "namespace_type": "single"}
    kibana("POST", RULES, rule(rule_id="r", exceptions_list=[link]), space=space)
    lines = lines_of(kibana("POST", f"{RULES}/_export", space=space))
    assert len(lines) == 4
    other = f"{space}-2"
    done = upload(kibana, f"{RULES}/_import", lines, other).body
    assert (done["success"], done["success_count"], done["exceptions_success_count"]) == (
        True,
        1,
        1,
    )
    copy = kibana("GET", f"{RULES}?rule_id=r", space=other).body
    (link,) = copy["exceptions_list"]
    assert link["list_id"] == "l"
    assert link["id"] not in {"0", made["id"]}


def test_import_reports_per_line_with_http_200(kibana: Any, rule: Any, space: str) -> None:
    """A taken rule_id, broken JSON and a bad rule are entries; the good rule is there."""
    kibana("POST", RULES, rule(rule_id="taken"), space=space)
    lines = [
        rule(rule_id="taken"),
        "{not json",
        {**rule(rule_id="bad"), "severity": "huge"},
        rule(rule_id="good"),
    ]
    reply = upload(kibana, f"{RULES}/_import", lines, space)
    assert reply.status == 200
    done = reply.body
    assert (done["success"], done["success_count"], done["rules_count"]) == (False, 1, 4)
    found = {e["rule_id"]: e["error"] for e in done["errors"]}
    message = "Rule with this rule_id already exists"
    assert found["taken"] == {"status_code": 409, "message": message}
    assert found["bad"]["status_code"] == 400
    assert kibana("GET", f"{RULES}?rule_id=good", space=space).status == 200


def test_the_last_of_two_lines_wins(kibana: Any, rule: Any, space: str) -> None:
    """And the file is told to hold a rule twice."""
    lines = [rule(rule_id="r", name="first"), rule(rule_id="r", name="last")]
    done = upload(kibana, f"{RULES}/_import", lines, space).body
    (error,) = done["errors"]
    assert error["error"]["message"] == 'More than one rule with rule-id: "r" found'
    assert kibana("GET", f"{RULES}?rule_id=r", space=space).body["name"] == "last"


def test_import_drops_links_to_missing_lists(kibana: Any, rule: Any, space: str) -> None:
    """It reports an error and imports the rule all the same."""
    link = {"id": "0", "list_id": "none", "type": "detection", "namespace_type": "single"}
    lines = [rule(rule_id="r", exceptions_list=[link])]
    done = upload(kibana, f"{RULES}/_import", lines, space).body
    assert (done["success"], done["success_count"]) == (False, 1)
    assert done["errors"][0]["error"]["message"] == (
        'Rule with rule_id: "r" references a non existent exception list of list_id: "none". '
        "Reference has been removed."
    )
    assert kibana("GET", f"{RULES}?rule_id=r", space=space).body["exceptions_list"] == []


def test_overwriting_is_a_put(kibana: Any, rule: Any, space: str) -> None:
    """Omitted fields are reset, `enabled` is kept."""
    kibana("POST", RULES, rule(rule_id="r", tags=["t"], enabled=True), space=space)
    done = upload(kibana, f"{RULES}/_import?overwrite=true", [rule(rule_id="r")], space).body
    assert done["success"] is True
    found = kibana("GET", f"{RULES}?rule_id=r", space=space).body
    assert (found["tags"], found["enabled"]) == ([], True)


def test_only_ndjson_is_imported(kibana: Any, rule: Any, space: str) -> None:
    """Another extension is 400, no file is 500."""
    reply = upload(kibana, f"{RULES}/_import", [rule(rule_id="r")], space, "rules.json")
    assert reply.body == {"message": "Invalid file extension .json", "status_code": 400}
    assert kibana("POST", f"{RULES}/_import", space=space).status == 500


def test_exceptions_import_and_export(kibana: Any, space: str) -> None:
    """An export needs the volatile id; an import into the same space conflicts line by line."""
    lists = "/api/exception_lists"
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
    made = kibana("POST", lists, listed, space=space).body
    entry = {"field": "a", "type": "match", "operator": "included", "value": "b"}
    item = {
        "list_id": "l", "item_id": "i", "type": "simple", "name": "i", "description": "d",
        "entries": [entry],
    }  # fmt: skip
    kibana("POST", f"{lists}/items", item, space=space)
    query = f"list_id=l&namespace_type=single&id={made['id']}&include_expired_exceptions=true"
    lines = lines_of(kibana("POST", f"{lists}/_export?{query}", space=space))
    assert [line.get("item_id") for line in lines] == [None, "i", None]
    assert lines[2]["exported_exception_list_item_count"] == 1
    done = upload(kibana, f"{lists}/_import", lines, space).body
    messages = [e["error"]["message"] for e in done["errors"]]
    assert messages == [
        'Found that list_id: "l" already exists. Import of list_id: "l" skipped.',
        'Found that item_id: "i" already exists. Import of item_id: "i" skipped.',
    ]
    assert done["success"] is False
    fresh = upload(kibana, f"{lists}/_import", lines, f"{space}-2").body
    assert (fresh["success"], fresh["success_count"]) == (True, 2)
    missing = kibana("POST", f"{lists}/_export?list_id=l&namespace_type=single", space=space)
    assert missing.body["message"].startswith("[request query]: id: Invalid input: expected string")


def test_an_overwriting_import_drops_what_is_not_in_the_file(kibana: Any, space: str) -> None:
    """The list then holds what the file holds."""
    lists = "/api/exception_lists"
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
    kibana("POST", lists, listed, space=space)
    entry = {"field": "a", "type": "match", "operator": "included", "value": "b"}
    base = {"list_id": "l", "type": "simple", "name": "i", "description": "d", "entries": [entry]}
    kibana("POST", f"{lists}/items", {**base, "item_id": "old"}, space=space)
    lines = [listed, {**base, "item_id": "new"}]
    done = upload(kibana, f"{lists}/_import?overwrite=true", lines, space).body
    assert done["success"] is True
    found = kibana("GET", f"{lists}/items/_find?list_id=l", space=space).body["data"]
    assert [i["item_id"] for i in found] == ["new"]


def test_import_lines_of_exceptions_are_exact(kibana: Any, space: str) -> None:
    """Unknown keys and empty entries, which JSON routes let through, fail here."""
    lists = "/api/exception_lists"
    item = {
        "list_id": "l", "item_id": "i", "type": "simple", "name": "i", "description": "d",
        "entries": [],
    }  # fmt: skip
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection", "odd": 1}
    done = upload(kibana, f"{lists}/_import", [listed, item], space).body
    assert [e["error"]["status_code"] for e in done["errors"]] == [400, 400]


def test_duplicating_a_list_copies_its_items(kibana: Any, space: str) -> None:
    """Under new ids; expired ones only when asked for."""
    lists = "/api/exception_lists"
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
    kibana("POST", lists, listed, space=space)
    entry = {"field": "a", "type": "match", "operator": "included", "value": "b"}
    base = {"list_id": "l", "type": "simple", "name": "i", "description": "d", "entries": [entry]}
    kibana("POST", f"{lists}/items", base, space=space)
    expired = {**base, "expire_time": "2020-01-01T00:00:00.000Z"}
    kibana("POST", f"{lists}/items", expired, space=space)
    query = "list_id=l&namespace_type=single&include_expired_exceptions=false"
    copy = kibana("POST", f"{lists}/_duplicate?{query}", space=space).body
    assert copy["name"] == "l [Duplicate]"
    path = f"{lists}/items/_find?list_id={copy['list_id']}"
    assert kibana("GET", path, space=space).body["total"] == 1


def test_older_servers_have_bulk_routes(old_kibana: Any, rule: Any, space: str) -> None:
    """HTTP 200 with one entry a rule; a server of 9.x answers 404."""
    create, update, delete = (f"{RULES}/_bulk_{x}" for x in ("create", "update", "delete"))
    sent = [rule(rule_id="a"), rule(rule_id="b"), rule(rule_id="b"), rule(timeline_id="x")]
    done = old_kibana("POST", create, sent, space=space)
    assert done.status == 200
    made, crossed, twice = done.body
    assert made["rule_id"] == "a"
    assert crossed["rule_id"] == "(unknown id)"
    assert twice == {
        "rule_id": "b",
        "error": {"status_code": 409, "message": 'rule_id: "b" already exists'},
    }
    put = [rule(rule_id="a", tags=["t"]), rule(rule_id="none")]
    changed, missing = old_kibana("PUT", update, put, space=space).body
    assert changed["tags"] == ["t"]
    assert missing["error"] == {"status_code": 404, "message": 'rule_id: "none" not found'}
    patch = [{"id": made["id"], "name": "new"}]
    (patched,) = old_kibana("PATCH", update, patch, space=space).body
    assert (patched["name"], patched["tags"]) == ("new", ["t"])
    gone, missing, nothing = old_kibana(
        "DELETE", delete, [{"rule_id": "a"}, {"id": made["id"]}, {}], space=space
    ).body
    assert gone["id"] == made["id"]
    assert missing["error"]["message"] == f'id: "{made["id"]}" not found'
    assert nothing["error"]["message"] == 'either "id" or "rule_id" must be set'
    assert old_kibana("POST", delete, [], space=space).body == []


def test_newer_servers_have_them_not(kibana: Any, rule: Any) -> None:
    """They are gone in 9.x."""
    assert kibana("POST", f"{RULES}/_bulk_create", [rule()]).status == 404
