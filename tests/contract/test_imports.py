"""Imports of rules with all that a bundle may hold: HTTP 200, and the truth in the body."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.stack import PROFILES, running_stack
from support.contract import Client
from support.uploads import lines_of, upload

RULES = "/api/detection_engine/rules"
LISTS = "/api/exception_lists"
ENTRY = {"field": "a", "type": "match", "operator": "included", "value": "b"}
LIST = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
CONNECTOR = {
    "id": "c", "attributes": {"name": "first", "actionTypeId": ".slack", "config": {}},
}  # fmt: skip


def item(item_id: str, **changes: Any) -> dict[str, Any]:
    """An item of the list `l`."""
    return {
        "list_id": "l", "item_id": item_id, "type": "simple", "name": "i", "description": "d",
        "entries": [ENTRY], **changes,
    }  # fmt: skip


def test_the_server_owns_some_keys_of_a_line(kibana: Client, rule: Any, space: str) -> None:
    """Ids, dates, revision and source of an exported rule are not taken over."""
    line = rule(
        rule_id="r", id="11111111-1111-4111-8111-111111111111", created_by="eve", revision=9,
        immutable=True, rule_source={"type": "external"}, created_at="2020-01-01T00:00:00.000Z",
        execution_summary={"x": 1}, version=4,
    )  # fmt: skip
    assert upload(kibana, f"{RULES}/_import", [line], space).body["success"] is True
    made = kibana("GET", f"{RULES}?rule_id=r", space=space).body
    assert made["id"] != line["id"]
    assert (made["created_by"], made["revision"], made["version"]) == ("elastic", 0, 4)
    assert (made["immutable"], made["rule_source"]) == (False, {"type": "internal"})
    assert "execution_summary" not in made


def test_lines_that_are_no_rule(kibana: Client, rule: Any, space: str) -> None:
    """Base fields, type and rule_id are told in this order; summaries do not count."""
    lines = ["", {}, rule(), {"exported_count": 1, "exported_rules_count": 1}]
    done = upload(kibana, f"{RULES}/_import", lines, space).body
    assert (done["rules_count"], done["success_count"], done["success"]) == (2, 0, False)
    assert [e["rule_id"] for e in done["errors"]] == ["(unknown id)"] * 2
    told = [e["error"]["message"] for e in done["errors"]]
    assert told[0].startswith("name: Invalid input: expected string, received undefined, descr")
    assert told[0].endswith("and 1 more")
    assert told[1] == "rule_id: Invalid input: expected string, received undefined"
    empty = upload(kibana, f"{RULES}/_import", [], space).body
    assert (empty["success"], empty["rules_count"]) == (True, 0)


def test_exceptions_of_a_bundle_fail_apart_from_its_rules(
    kibana: Client, rule: Any, space: str
) -> None:
    """An existing list is 409, and so is each item in it; the rules are a success."""
    lines = [rule(rule_id="r"), LIST, item("i1")]
    first = upload(kibana, f"{RULES}/_import", lines, space).body
    assert (first["exceptions_success"], first["exceptions_success_count"]) == (True, 1)
    lines = [rule(rule_id="r2"), LIST, item("i1"), item("i2")]
    done = upload(kibana, f"{RULES}/_import", lines, space).body
    assert (done["success"], done["success_count"]) == (True, 1)
    assert (done["exceptions_success"], done["exceptions_success_count"]) == (False, 1)
    found = {e.get("item_id", e["list_id"]): e["error"] for e in done["exceptions_errors"]}
    assert found["l"]["message"] == (
        'Found that list_id: "l" already exists. Import of list_id: "l" skipped.'
    )
    assert found["i1"]["status_code"] == 409
    query = "?overwrite=true&overwrite_exceptions=true"
    again = upload(kibana, f"{RULES}/_import{query}", lines, space).body
    assert (again["success"], again["exceptions_success"]) == (True, True)


def test_a_link_needs_list_id_namespace_and_type(kibana: Client, rule: Any, space: str) -> None:
    """A list of another type is a missing list to an import."""
    kibana("POST", LISTS, LIST, space=space)
    link = {"id": "0", "list_id": "l", "type": "rule_default", "namespace_type": "single"}
    lines = [rule(rule_id="r", exceptions_list=[link])]
    done = upload(kibana, f"{RULES}/_import", lines, space).body
    assert "references a non existent exception list" in done["errors"][0]["error"]["message"]
    lines = [rule(rule_id="r2", exceptions_list=[{**link, "type": "detection"}])]
    assert upload(kibana, f"{RULES}/_import", lines, space).body["success"] is True


def test_overwriting_replaces_links_even_with_exceptions_kept(
    kibana: Client, rule: Any, space: str
) -> None:
    """What the file does not link is unlinked."""
    kibana("POST", LISTS, LIST, space=space)
    link = {"id": "0", "list_id": "l", "type": "detection", "namespace_type": "single"}
    kibana("POST", RULES, rule(rule_id="r", exceptions_list=[link]), space=space)
    query = "?overwrite=true&overwrite_exceptions=false"
    upload(kibana, f"{RULES}/_import{query}", [rule(rule_id="r")], space)
    assert kibana("GET", f"{RULES}?rule_id=r", space=space).body["exceptions_list"] == []


def test_connectors_come_before_rules(kibana: Client, rule: Any, space: str) -> None:
    """So a rule may use one of the same file; one that exists is overwritten only on demand."""
    action = {"id": "c", "action_type_id": ".slack", "params": {"message": "m"}, "group": "default"}
    lines = [rule(rule_id="r", actions=[action]), CONNECTOR]
    done = upload(kibana, f"{RULES}/_import", lines, space).body
    assert (done["success"], done["action_connectors_success_count"]) == (True, 1)
    renamed = {**CONNECTOR, "attributes": {**CONNECTOR["attributes"], "name": "second"}}  # type: ignore[dict-item] # a nested mapping
    path = "/api/actions/connector/c"
    upload(kibana, f"{RULES}/_import", [renamed], space)
    assert kibana("GET", path, space=space).body["name"] == "first"
    upload(kibana, f"{RULES}/_import?overwrite_action_connectors=true", [renamed], space)
    assert kibana("GET", path, space=space).body["name"] == "second"
    assert kibana("GET", path, space=space).body["is_missing_secrets"] is True


def test_a_missing_connector_is_told_apart(kibana: Client, rule: Any, space: str) -> None:
    """Under `action_connectors_errors`; the rule is not there."""
    action = {"id": "none", "action_type_id": ".slack", "params": {}, "group": "default"}
    done = upload(kibana, f"{RULES}/_import", [rule(rule_id="r", actions=[action])], space).body
    assert (done["success"], done["action_connectors_success"]) == (False, False)
    assert done["action_connectors_errors"][0]["rule_id"] == "r"
    assert kibana("GET", f"{RULES}?rule_id=r", space=space).status == 404


def test_lists_can_come_in_as_new_ones(kibana: Client, space: str) -> None:
    """Under new ids, with their items."""
    assert upload(kibana, f"{LISTS}/_import", [LIST, item("i")], space).body["success"]
    lines = [LIST, item("i")]
    done = upload(kibana, f"{LISTS}/_import?as_new_list=true", lines, space).body
    assert (done["success"], done["success_count_exception_list_items"]) == (True, 1)
    assert kibana("GET", f"{LISTS}/_find", space=space).body["total"] == 2


def test_exports_can_be_put_together(kibana: Client, space: str) -> None:
    """Summary lines between them are passed over; an item twice is told and the last one wins."""
    lines = [LIST, item("i"), {"exported_exception_list_count": 1}, item("i", name="last")]
    done = upload(kibana, f"{LISTS}/_import", lines, space).body
    (error,) = done["errors"]
    assert error["error"] == {
        "status_code": 400,
        "message": 'More than one exception list item with item_id: "i" found in imports. The '
        "last item will be used.",
    }
    assert kibana("GET", f"{LISTS}/items?item_id=i", space=space).body["name"] == "last"
    orphan = [{**item("j"), "list_id": "none"}]
    done = upload(kibana, f"{LISTS}/_import", orphan, space).body
    assert done["errors"][0]["error"] == {
        "status_code": 409,
        "message": 'Exception list with list_id: "none", not found for exception list item with '
        'item_id: "j"',
    }


def test_an_overwriting_import_leaves_the_version(kibana: Client, space: str) -> None:
    """Of the list, as seen in 9.5.1: an export after it is the export before it."""
    kibana("POST", LISTS, LIST, space=space)
    before = kibana("GET", f"{LISTS}?list_id=l", space=space).body
    done = upload(kibana, f"{LISTS}/_import?overwrite=true", [LIST], space).body
    assert done["success"] is True
    after = kibana("GET", f"{LISTS}?list_id=l", space=space).body
    assert (before["version"], after["version"]) == (1, 1)


def test_an_overwriting_import_leaves_the_expiry(kibana: Client, space: str) -> None:
    """And an item whose id another list has is left alone, with nobody told."""
    first, later = "2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z"
    upload(kibana, f"{LISTS}/_import", [LIST, item("i", expire_time=first)], space)
    other = {**LIST, "list_id": "m"}
    lines = [LIST, item("i", expire_time=later, name="new")]
    assert upload(kibana, f"{LISTS}/_import?overwrite=true", lines, space).body["success"]
    found = kibana("GET", f"{LISTS}/items?item_id=i", space=space).body
    assert (found["name"], found["expire_time"]) == ("new", first)
    lines = [other, {**item("i", name="stolen"), "list_id": "m"}]
    assert upload(kibana, f"{LISTS}/_import?overwrite=true", lines, space).body["success"]
    found = kibana("GET", f"{LISTS}/items?item_id=i", space=space).body
    assert (found["name"], found["list_id"]) == ("new", "l")


@pytest.mark.parametrize(
    ("path", "count", "message"),
    [
        (f"{RULES}/_import", 10_001, "Can't import more than 10000 rules"),
        (f"{LISTS}/_import", 10_000, "Can't import more than 10000 exceptions"),
    ],
)
def test_too_many_lines_are_http_500(
    kibana: Client, space: str, path: str, count: int, message: str
) -> None:
    """Rules above the limit, exceptions from the limit on."""
    reply = upload(kibana, path, ["{}"] * count, space)
    assert reply.body == {"message": message, "status_code": 500}
    assert upload(kibana, path, ["{}"] * (count - 1), space).status == 200


def test_doubtful_behaviours_can_be_switched(tmp_path: Path, rule: Any) -> None:
    """The status of too large a file, and whether unchanged rules are counted and left alone."""
    profile = replace(PROFILES["9.5"], too_large=400, unchanged_count=True, put_no_op=False)
    with running_stack(tmp_path, profile=profile) as running:
        kibana = Client(running.kibana_url, running.elasticsearch_url)
        made = kibana("POST", RULES, rule(rule_id="r")).body
        kibana("POST", RULES, rule(rule_id="off", enabled=True))
        lines = [rule(rule_id="r"), rule(rule_id="new"), rule(rule_id="off", enabled=False)]
        done = upload(kibana, f"{RULES}/_import?overwrite=true", lines, "default").body
        assert (done["unchanged_count"], done["success_count"]) == (1, 3)
        assert kibana("GET", f"{RULES}?rule_id=r").body == made
        assert kibana("GET", f"{RULES}?rule_id=off").body["enabled"] is False
        large = upload(kibana, f"{RULES}/_import", ["x" * 10_485_760], "default")
        message = "Payload content length greater than maximum allowed: 10485760"
        assert (large.status, large.body["message"]) == (400, message)
        large = upload(kibana, f"{LISTS}/_import", ["x" * 9_000_000], "default")
        assert large.status == 400


def test_doubtful_leniency_can_be_switched_off(tmp_path: Path) -> None:
    """Spaces that nobody made, and items without entries."""
    strict = "9.5,ghost_spaces=false,empty_entries=false"
    with running_stack(tmp_path, profile=strict) as running:
        kibana = Client(running.kibana_url, running.elasticsearch_url)
        assert kibana("GET", f"{RULES}/_find", space="soc").status == 404
        kibana("POST", "/api/spaces/space", {"id": "soc", "name": "SOC"})
        assert kibana("GET", f"{RULES}/_find", space="soc").status == 200
        kibana("POST", LISTS, LIST)
        reply = kibana("POST", f"{LISTS}/items", item("i", entries=[]))
        assert reply.body["message"] == (
            "[request body]: entries: Too small: expected array to have >=1 items"
        )
        assert kibana("POST", f"{LISTS}/items", item("i")).status == 200


def test_an_export_goes_by_the_lists_id(kibana: Client, space: str) -> None:
    """Expired items are in it or not, as asked; an id that is not there is 400."""
    made = kibana("POST", LISTS, LIST, space=space).body
    kibana(
        "POST", f"{LISTS}/items", item("old", expire_time="2020-01-01T00:00:00.000Z"), space=space
    )
    query = {"id": made["id"], "list_id": "l", "namespace_type": "single"}
    for wanted, count in (("true", 3), ("false", 2)):
        asked = {**query, "include_expired_exceptions": wanted}
        assert len(lines_of(kibana("POST", f"{LISTS}/_export", query=asked, space=space))) == count
    asked = {**query, "id": "none", "include_expired_exceptions": "true"}
    reply = kibana("POST", f"{LISTS}/_export", query=asked, space=space)
    message = "exception list with list_id: l or id: none does not exist"
    assert reply.body == {"message": message, "status_code": 400}
    del asked["id"]
    reply = kibana("POST", f"{LISTS}/_export", query=asked, space=space)
    assert reply.body["message"] == (
        "[request query]: id: Invalid input: expected string, received undefined"
    )


@pytest.mark.parametrize("path", [f"{RULES}/_import", f"{LISTS}/_import"])
def test_the_part_must_be_called_file(kibana: Client, path: str) -> None:
    """And have a file name; anything else is no file, which is a 500."""
    for fields in ({"upload": ("x.ndjson", "{}")}, {"file": "{}"}):
        raw = kibana.pool.request(
            "POST", kibana.url + path, fields=fields, headers={"kbn-xsrf": "x"}
        )
        assert kibana.reply("POST", path, raw).status == 500
    raw = kibana.pool.request(
        "POST", kibana.url + path, fields={"file": ("X.NDJSON", "")}, headers={"kbn-xsrf": "x"}
    )
    assert kibana.reply("POST", path, raw).status == 200
