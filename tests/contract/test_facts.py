"""Smaller facts of Kibana's behaviour, each with the answer it gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.stack import running_stack
from ruledeploy.stack.store import Saved, Store
from support.contract import Client
from support.uploads import upload

RULES = "/api/detection_engine/rules"
BULK = f"{RULES}/_bulk_action"
LISTS = "/api/exception_lists"
FILTER = "/internal/lists/_create_filter"
INTERNAL = {"x-elastic-internal-origin": "tests", "elastic-api-version": "1"}
VECTORS = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "exceptions" / "filters.json").read_text("utf-8")
)
ENTRY = {"field": "a", "type": "match", "operator": "included", "value": "b"}
DEFAULT_LINK = {"id": "0", "list_id": "own", "type": "rule_default", "namespace_type": "single"}


# ------------------------------------------------------------------------------------- headers


def test_the_servers_own_version_stands_for_the_xsrf_header(kibana: Client, rule: Any) -> None:
    """`kbn-version` of the very server will do."""
    reply = kibana("POST", RULES, rule(), xsrf=False, headers={"kbn-version": "9.5.1"})
    assert reply.status == 200


def test_internal_routes_have_version_1(kibana: Client) -> None:
    """The public version is none of theirs."""
    headers = {**INTERNAL, "elastic-api-version": "2023-10-31"}
    body = {"type": "exception_items", "exceptions": []}
    reply = kibana("POST", FILTER, body, headers=headers)
    assert reply.body["message"] == (
        f'No version "2023-10-31" available for [post] [{FILTER}]. Available versions are: [1]'
    )
    reply = kibana("POST", FILTER, body, headers=INTERNAL)
    assert (reply.status, reply.headers["elastic-api-version"]) == (200, "1")


def test_bodies_may_be_compressed(kibana: Client) -> None:
    """What says gzip and is not is refused."""
    reply = kibana("POST", RULES, {}, headers={"content-encoding": "gzip"})
    assert (reply.status, reply.body["message"]) == (400, "Invalid compressed payload")


# --------------------------------------------------------------------------------------- rules


def test_a_conflict_of_default_lists_names_the_rule_as_the_request_did(
    kibana: Client, rule: Any, space: str
) -> None:
    """A new rule has no name yet; two default lists on one rule are 400."""
    own = {"exceptions_list": [DEFAULT_LINK]}
    holder = kibana("POST", RULES, rule(rule_id="r1", **own), space=space).body["id"]
    new = kibana("POST", RULES, rule(rule_id="r2", **own), space=space)
    message = f"default exception list already exists in rule(s): {holder}"
    assert new.body == {"message": message, "status_code": 409}
    other = kibana("POST", RULES, rule(rule_id="r2"), space=space).body["id"]
    put = kibana("PUT", RULES, rule(rule_id="r2", **own), space=space)
    named = "default exception list for rule: {} already exists in rule(s): " + holder
    assert put.body["message"] == named.format("r2")
    patch = kibana("PATCH", RULES, {"id": other, **own}, space=space)
    assert patch.body["message"] == named.format(other)
    two = rule(exceptions_list=[DEFAULT_LINK, {**DEFAULT_LINK, "list_id": "own2"}])
    reply = kibana("POST", RULES, two, space=space)
    message = "More than one default exception list found on rule"
    assert reply.body == {"message": message, "status_code": 400}


def test_what_was_done_before_a_refusal_stays_done(rule: Any, tmp_path: Path) -> None:
    """A create that fails late has made the `endpoint_list` all the same."""
    with running_stack(tmp_path) as running:
        kibana = Client(running.kibana_url, running.elasticsearch_url)
        assert kibana("POST", RULES, rule(interval="soon")).status == 400
        query = "namespace_type=agnostic&list_id=endpoint_list"
        assert kibana("GET", f"{LISTS}?{query}").status == 200


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (
            {"timeline_id": "x"},
            ['when "timeline_id" exists, "timeline_title" must also exist'],
        ),
        (
            {
                "type": "threshold",
                "threshold": {
                    "field": ["a"], "value": 1, "cardinality": [{"field": "a", "value": 2}],
                },
            },
            ["Cardinality of a field that is being aggregated on is always 1"],
        ),
    ],
)  # fmt: skip
def test_fields_that_do_not_go_together(
    kibana: Client, rule: Any, body: dict[str, Any], messages: list[str]
) -> None:
    """An array of messages, on create, preview and PUT alike."""
    sent = rule(**{"type": "query", "query": "", **body})
    preview = {**sent, "invocationCount": 1, "timeframeEnd": "2026-01-01T00:00:00.000Z"}
    for method, path, asked in (
        ("POST", RULES, sent),
        ("POST", f"{RULES}/preview", preview),
        ("PUT", RULES, {**sent, "rule_id": "none"}),
    ):
        assert kibana(method, path, asked).body == {"message": messages, "status_code": 400}


def test_a_rule_keeps_its_type(kibana: Client, rule: Any, space: str) -> None:
    """A PUT with another one is refused and changes nothing."""
    kibana("POST", RULES, rule(rule_id="r"), space=space)
    other = rule(rule_id="r", type="eql", language="eql", query="any where true")
    assert kibana("PUT", RULES, other, space=space).status == 400
    assert kibana("GET", f"{RULES}?rule_id=r", space=space).body["type"] == "query"


def test_a_link_needs_all_four_keys(kibana: Client, rule: Any) -> None:
    """`id` too, and not an empty one."""
    link = {"list_id": "l", "type": "detection", "namespace_type": "single"}
    assert kibana("POST", RULES, rule(exceptions_list=[link])).status == 400
    assert kibana("POST", RULES, rule(exceptions_list=[{**link, "id": ""}])).status == 400


def test_a_filter_without_its_prefix_is_refused(kibana: Client) -> None:
    """It would find nothing, in silence."""
    reply = kibana("GET", f"{RULES}/_find", query={"filter": "name: x"})
    message = "This key 'name' need to be wrapped by a saved object type like alert"
    assert reply.body == {"message": message, "status_code": 400}
    reply = kibana("GET", f"{LISTS}/_find", query={"filter": "exception-list-agnostic.a: x"})
    message = "This type exception-list-agnostic is not allowed"
    assert reply.body == {"message": message, "status_code": 400}


# -------------------------------------------------------------------------------- bulk actions


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([{"type": "set_tags", "value": ["x"]}], {"tags": ["x"]}),
        ([{"type": "delete_tags", "value": ["t"]}], {"tags": []}),
        ([{"type": "set_index_patterns", "value": ["x-*"]}], {"index": ["x-*"]}),
        (
            [
                {"type": "add_index_patterns", "value": ["x-*"]},
                {"type": "delete_index_patterns", "value": ["logs-*"]},
            ],
            {"index": ["x-*"]},
        ),
        (
            [{"type": "add_investigation_fields", "value": {"field_names": ["a"]}}],
            {"investigation_fields": {"field_names": ["a"]}},
        ),
        (
            [{"type": "set_timeline", "value": {"timeline_id": "i", "timeline_title": "t"}}],
            {"timeline_id": "i", "timeline_title": "t"},
        ),
        (
            [{"type": "set_alert_suppression", "value": {"group_by": ["a"]}}],
            {"alert_suppression": {"group_by": ["a"]}},
        ),
    ],
)
def test_every_kind_of_edit(
    kibana: Client, rule: Any, space: str, edits: list[Any], expected: dict[str, Any]
) -> None:
    """Version and revision count up once."""
    made = kibana("POST", RULES, rule(tags=["t"], index=["logs-*"]), space=space).body
    body = {"action": "edit", "ids": [made["id"]], "edit": edits}
    (edited,) = kibana("POST", BULK, body, space=space).body["attributes"]["results"]["updated"]
    assert {key: edited[key] for key in expected} == expected
    assert (edited["version"], edited["revision"]) == (2, 1)


def test_an_edit_that_a_rule_cannot_take_fails_for_that_rule(
    kibana: Client, rule: Any, space: str
) -> None:
    """A missing connector is no error of the request."""
    made = kibana("POST", RULES, rule(), space=space).body
    action = {"id": "none", "group": "default", "params": {}}
    edit = [{"type": "set_rule_actions", "value": {"actions": [action]}}]
    body = {"action": "edit", "ids": [made["id"]], "edit": edit}
    reply = kibana("POST", BULK, body, space=space)
    assert (reply.status, reply.body["message"]) == (500, "Bulk edit failed")
    (error,) = reply.body["attributes"]["errors"]
    assert error["rules"] == [{"id": made["id"], "name": made["name"]}]


def test_failures_are_grouped_by_message(kibana: Client, space: str) -> None:
    """Two missing rules are one entry."""
    ids = [f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2)]
    reply = kibana("POST", BULK, {"action": "delete", "ids": ids}, space=space)
    (error,) = reply.body["attributes"]["errors"]
    assert [found["id"] for found in error["rules"]] == ids
    assert reply.body["attributes"]["summary"]["failed"] == 2


def test_a_duplicate_has_a_default_list_of_its_own(kibana: Client, rule: Any, space: str) -> None:
    """With the items, but not their comments; other lists are shared."""
    made = kibana("POST", RULES, rule(), space=space).body
    item = {
        "type": "simple", "name": "i", "description": "d", "entries": [ENTRY],
        "comments": [{"comment": "c"}],
    }  # fmt: skip
    kibana("POST", f"{RULES}/{made['id']}/exceptions", {"items": [item]}, space=space)
    body = {
        "action": "duplicate", "ids": [made["id"]],
        "duplicate": {"include_exceptions": True, "include_expired_exceptions": False},
    }  # fmt: skip
    (copy,) = kibana("POST", BULK, body, space=space).body["attributes"]["results"]["created"]
    (link,) = copy["exceptions_list"]
    query = f"list_id={link['list_id']}"
    (found,) = kibana("GET", f"{LISTS}/items/_find?{query}", space=space).body["data"]
    assert (found["name"], found["comments"]) == ("i", [])
    again = kibana("GET", f"{RULES}?id={made['id']}", space=space).body["exceptions_list"]
    assert again[0]["list_id"] != link["list_id"]


# ---------------------------------------------------------------------------------- exceptions


def test_only_lists_of_rules_are_duplicated(kibana: Client, space: str) -> None:
    """405 for lists of other kinds."""
    listed = {"list_id": "e", "name": "e", "description": "d", "type": "endpoint_events"}
    kibana("POST", LISTS, listed, space=space)
    query = "list_id=e&namespace_type=single&include_expired_exceptions=true"
    reply = kibana("POST", f"{LISTS}/_duplicate?{query}", space=space)
    message = "unable to duplicate exception list with list_id: e - action not allowed"
    assert reply.body == {"message": message, "status_code": 405}


def test_a_blank_comment_is_refused(kibana: Client, space: str) -> None:
    """On create."""
    kibana("POST", LISTS, {"list_id": "l", "name": "l", "description": "d", "type": "detection"},
           space=space)  # fmt: skip
    item = {
        "list_id": "l", "type": "simple", "name": "i", "description": "d", "entries": [ENTRY],
        "comments": [{"comment": ""}],
    }  # fmt: skip
    assert kibana("POST", f"{LISTS}/items", item, space=space).status == 400


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["case"])
def test_filters_of_items_over_http(kibana: Client, space: str, case: dict[str, Any]) -> None:
    """Every vector, through the route that a compiler is checked against."""
    kibana("POST", "/api/lists/index", space=space)
    entries = [entry for item in case["items"] for entry in item["entries"]]
    for named in (entry["list"] for entry in entries if entry["type"] == "list"):
        body = {**named, "name": named["id"], "description": "d"}
        assert kibana("POST", "/api/lists", body, space=space).status == 200
        for value in case["value_lists"][named["id"]]:
            sent = {"list_id": named["id"], "value": value}
            assert kibana("POST", "/api/lists/items", sent, space=space).status == 200
    body = {"type": "exception_items", "exceptions": case["items"]}
    reply = kibana("POST", FILTER, body, headers=INTERNAL, space=space)
    assert reply.body.get("filter") == case["filter"]


# -------------------------------------------------------------------------------------- limits


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with 10,001 rules in one space, 2,001 in another, and a list of 10,000 items."""
    data = tmp_path_factory.mktemp("full")
    store = Store(data / "stack.sqlite")
    with store.transaction():
        for space, count in (("default", 10_001), ("fewer", 2_001)):
            for n in range(count):
                store.put(Saved("rule", space, f"i{n}", f"r{n}", _stored(f"r{n}", f"i{n}")))
        for n in range(10_000):
            body = {"item_id": f"i{n}", "list_id": "l", "entries": [ENTRY], "os_types": []}
            store.put(Saved("exception_item", "default", f"i{n}", f"i{n}", body, parent="l"))
    store.close()
    with running_stack(data, scheduler=False) as running:
        yield Client(running.kibana_url, running.elasticsearch_url)


def _stored(rule_id: str, object_id: str) -> dict[str, Any]:
    return {"id": object_id, "rule_id": rule_id, "name": "n", "enabled": False, "type": "query",
            "tags": [], "exceptions_list": [], "actions": [], "version": 1}  # fmt: skip


def test_too_many_rules_for_an_export(full: Client) -> None:
    """Even for an export of one of them."""
    too_many = {"message": "Can't export more than 10000 rules", "status_code": 400}
    assert full("POST", f"{RULES}/_export").body == too_many
    one = {"objects": [{"rule_id": "r1"}]}
    assert full("POST", f"{RULES}/_export", one).body == too_many
    assert full("POST", f"{RULES}/_export", one, space="fewer").status == 200


def test_too_many_rules_for_a_bulk_action(full: Client) -> None:
    """10,000 by query, 2,000 to edit."""
    message = "More than {} rules matched the filter query. Try to narrow it down."
    edit = {"action": "edit", "query": "", "edit": [{"type": "add_tags", "value": ["x"]}]}
    for body, space, limit in (
        ({"action": "enable", "query": ""}, "default", 10_000),
        (edit, "fewer", 2_000),
    ):
        reply = full("POST", BULK, body, space=space)
        assert reply.body == {"message": message.format(limit), "status_code": 400}


def test_a_full_list_takes_no_more(full: Client) -> None:
    """10,000 items; what is refused is not there."""
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
    full("POST", LISTS, listed)
    item = {"list_id": "l", "type": "simple", "name": "i", "description": "d", "entries": [ENTRY]}
    reply = full("POST", f"{LISTS}/items", {**item, "item_id": "more"})
    message = "Failed to add exception item, exception list would exceed max size of 10000"
    assert reply.body == {"message": message, "status_code": 400}
    assert full("GET", f"{LISTS}/items?item_id=more").status == 404


def test_value_files_have_a_limit(kibana: Client, space: str) -> None:
    """Nine million bytes."""
    kibana("POST", "/api/lists/index", space=space)
    path = "/api/lists/items/_import"
    reply = upload(kibana, f"{path}?type=keyword", ["x" * 9_000_000], space, "v.txt")
    assert reply.status == 413


@pytest.mark.parametrize("depth", [50, 700, 990, 100_000])
def test_a_body_nested_too_deeply_is_refused(kibana: Client, rule: Any, depth: int) -> None:
    """However deep, it is stored or it is 400."""
    text = json.dumps(rule(meta={})).replace("{}", '{"a":' * depth + "1" + "}" * depth)
    raw = kibana.pool.request("POST", kibana.url + RULES, body=text, headers={"kbn-xsrf": "x"})
    assert raw.status in ({200} if depth == 50 else {200, 400})
    assert kibana("GET", f"{RULES}/_find").status == 200
