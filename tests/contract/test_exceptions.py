"""`/api/exception_lists` and its items over real HTTP, held to the contract."""

from __future__ import annotations

import base64
from typing import Any

import pytest

LISTS = "/api/exception_lists"
ITEMS = f"{LISTS}/items"
ENTRY = {"field": "process.name", "operator": "included", "type": "match", "value": "a.exe"}


def list_body(**changes: Any) -> dict[str, Any]:
    """The smallest create request for a list, with changes."""
    return {"list_id": "l", "name": "List", "description": "d", "type": "detection", **changes}


def item_body(**changes: Any) -> dict[str, Any]:
    """The smallest create request for an item, with changes."""
    body = {"list_id": "l", "item_id": "i", "type": "simple", "name": "Item", "description": "d"}
    return {**body, "entries": [ENTRY], **changes}


@pytest.fixture
def listed(kibana: Any, space: str) -> Any:
    """A list `l` in the test's space."""
    return kibana("POST", LISTS, list_body(), space=space).body


def test_a_list_gets_its_defaults(listed: Any) -> None:
    """Version 1, single namespace, not immutable, empty tags."""
    assert (listed["version"], listed["namespace_type"]) == (1, "single")
    assert (listed["immutable"], listed["tags"], listed["os_types"]) == (False, [], [])
    assert base64.b64decode(listed["_version"]).endswith(b",1]")


def test_a_taken_list_id_is_a_conflict(kibana: Any, listed: Any, space: str) -> None:
    """409 in the siem envelope."""
    assert listed
    reply = kibana("POST", LISTS, list_body(), space=space)
    assert reply.body == {"message": 'exception list id: "l" already exists', "status_code": 409}


@pytest.mark.parametrize(
    ("method", "query", "status", "message"),
    [
        ("GET", "?list_id=none", 404, 'exception list list_id: "none" does not exist'),
        ("GET", "?id=none", 404, 'exception list id: "none" does not exist'),
        ("DELETE", "?list_id=none", 404, 'exception list list_id: "none" does not exist'),
        ("DELETE", "", 400, 'Either "list_id" or "id" needs to be defined in the request'),
    ],
)
def test_lists_that_are_not_there(
    kibana: Any, method: str, query: str, status: int, message: str
) -> None:
    """Each way of not finding a list has its own text."""
    reply = kibana(method, f"{LISTS}{query}")
    assert (reply.status, reply.body["message"]) == (status, message)


def test_list_put_keeps_tags_and_ignores_os_types(kibana: Any, space: str) -> None:
    """A PUT writes name, description, type, tags, meta and version; the version counts up."""
    kibana("POST", LISTS, list_body(tags=["t"], meta={"a": 1}), space=space)
    put = kibana("PUT", LISTS, list_body(name="New", os_types=["windows"]), space=space).body
    assert (put["name"], put["version"]) == ("New", 2)
    assert (put["tags"], put["meta"], put["os_types"]) == (["t"], {"a": 1}, [])


def test_put_without_an_id_is_404(kibana: Any) -> None:
    """Not 400, in Kibana's way."""
    body = {"name": "n", "description": "d", "type": "detection"}
    reply = kibana("PUT", LISTS, body)
    assert (reply.status, reply.body["message"]) == (404, "either id or list_id need to be defined")
    item = {"name": "n", "description": "d", "type": "simple", "entries": [ENTRY]}
    reply = kibana("PUT", ITEMS, item)
    assert (reply.status, reply.body["message"]) == (404, "either id or item_id need to be defined")


def test_versions_guard_writes(kibana: Any, listed: Any, space: str) -> None:
    """A stale `_version` is 409, garbage is 400, none is last write wins."""
    stale = listed["_version"]
    assert kibana("PUT", LISTS, list_body(_version=stale), space=space).status == 200
    assert kibana("PUT", LISTS, list_body(_version=stale), space=space).status == 409
    garbage = kibana("PUT", LISTS, list_body(_version="x"), space=space)
    assert (garbage.status, garbage.body["message"]) == (400, "Invalid version [x]")
    assert kibana("PUT", LISTS, list_body(), space=space).status == 200


def test_deleting_a_list_deletes_its_items(kibana: Any, listed: Any, space: str) -> None:
    """Whether or not a rule links it."""
    assert listed
    kibana("POST", ITEMS, item_body(), space=space)
    assert kibana("DELETE", f"{LISTS}?list_id=l", space=space).status == 200
    assert kibana("GET", f"{ITEMS}?item_id=i", space=space).status == 404


def test_an_item_needs_its_list(kibana: Any, space: str) -> None:
    """404 naming the list."""
    reply = kibana("POST", ITEMS, item_body(list_id="none"), space=space)
    message = 'exception list id: "none" does not exist'
    assert reply.body == {"message": message, "status_code": 404}


def test_item_ids_are_unique_across_lists(kibana: Any, listed: Any, space: str) -> None:
    """The same item_id in another list of the namespace type is a conflict."""
    assert listed
    kibana("POST", LISTS, list_body(list_id="m"), space=space)
    assert kibana("POST", ITEMS, item_body(), space=space).status == 200
    reply = kibana("POST", ITEMS, item_body(list_id="m"), space=space)
    message = 'exception list item id: "i" already exists'
    assert reply.body == {"message": message, "status_code": 409}


def test_empty_entries_are_accepted(kibana: Any, listed: Any, space: str) -> None:
    """The trap that silences a rule: JSON routes let it through."""
    assert listed
    assert kibana("POST", ITEMS, item_body(entries=[]), space=space).status == 200


@pytest.mark.parametrize(
    "entry",
    [
        {**ENTRY, "value": ""},
        {**ENTRY, "value": 4},
        {**ENTRY, "operator": "includes"},
        {**ENTRY, "type": "match_any", "value": []},
        {"type": "nested", "field": "a", "entries": []},
        {"type": "nested", "field": "a", "entries": [{**ENTRY, "type": "wildcard"}]},
    ],
)
def test_malformed_entries_are_refused(
    kibana: Any, listed: Any, space: str, entry: dict[str, Any]
) -> None:
    """Values are non-empty strings; nested entries hold no wildcard."""
    assert listed
    reply = kibana("POST", ITEMS, item_body(entries=[entry]), space=space)
    assert reply.status == 400
    assert reply.body["message"].startswith("[request body]: entries.0")


def test_item_put_clears_what_is_left_out(kibana: Any, listed: Any, space: str) -> None:
    """Expiry and meta go, os_types and tags become empty; the ids stay."""
    assert listed
    made = kibana(
        "POST", ITEMS,
        item_body(
            expire_time="2030-01-01T00:00:00.000Z", meta={"a": 1}, tags=["t"],
            os_types=["windows"], comments=[{"comment": "why"}],
        ),
        space=space,
    ).body  # fmt: skip
    body = item_body()
    del body["list_id"]
    put = kibana("PUT", ITEMS, body, space=space).body
    assert "expire_time" not in put
    assert "meta" not in put
    assert (put["tags"], put["os_types"]) == ([], [])
    assert (put["id"], put["list_id"]) == (made["id"], "l")
    assert put["comments"] == made["comments"]


def test_comments_are_append_only(kibana: Any, listed: Any, space: str) -> None:
    """Existing comments come first with their id; a new one before them is refused."""
    assert listed
    made = kibana("POST", ITEMS, item_body(comments=[{"comment": "one"}]), space=space).body
    old = {"id": made["comments"][0]["id"], "comment": "one"}
    bad = kibana("PUT", ITEMS, item_body(comments=[{"comment": "two"}, old]), space=space)
    assert bad.body == {"message": ['item "comments" are append only'], "status_code": 400}
    put = kibana("PUT", ITEMS, item_body(comments=[old, {"comment": "two"}]), space=space).body
    assert [c["comment"] for c in put["comments"]] == ["one", "two"]
    assert put["comments"][0] == made["comments"][0]


def test_find_items_of_several_lists(kibana: Any, space: str) -> None:
    """`list_id` and `namespace_type` are comma lists of one length, under `per_page`."""
    agnostic = f"{space}-agnostic"
    kibana("POST", LISTS, list_body(), space=space)
    kibana("POST", LISTS, list_body(list_id=agnostic, namespace_type="agnostic"), space=space)
    kibana("POST", ITEMS, item_body(), space=space)
    other = item_body(list_id=agnostic, item_id=f"{space}-2", namespace_type="agnostic")
    kibana("POST", ITEMS, other, space=space)
    path = f"{ITEMS}/_find?list_id=l,{agnostic}&namespace_type=single,agnostic"
    found = kibana("GET", path, space=space).body
    assert (found["total"], found["page"], found["per_page"]) == (2, 1, 20)
    assert {i["list_id"] for i in found["data"]} == {"l", agnostic}
    assert kibana("GET", f"{ITEMS}/_find?list_id=l,{agnostic}", space=space).status == 400
    assert kibana("GET", f"{ITEMS}/_find?list_id=none", space=space).status == 404


def test_filters_name_the_type_that_is_searched(kibana: Any, space: str) -> None:
    """`exception-list.attributes.*` for single; the other prefix is refused."""
    for list_id in ("a", "b"):
        kibana("POST", LISTS, list_body(list_id=list_id, name=f"List {list_id}"), space=space)
    path = f"{LISTS}/_find?filter=exception-list.attributes.name:%20%22List%20a%22"
    assert [x["list_id"] for x in kibana("GET", path, space=space).body["data"]] == ["a"]
    path = f"{LISTS}/_find?filter=exception-list.attributes.name:*ist*"
    assert kibana("GET", path, space=space).body["total"] == 2
    wrong = kibana("GET", f"{LISTS}/_find?filter=exception-list-agnostic.attributes.name:a")
    assert (wrong.status, wrong.body["message"]) == (
        400,
        "This type exception-list-agnostic is not allowed",
    )


@pytest.mark.parametrize("path", [LISTS, ITEMS])
def test_a_filter_on_an_attribute_that_is_not_there_is_refused(
    kibana: Any, space: str, path: str
) -> None:
    """It would find nothing, which a client takes for an answer; times of the object are its."""
    kibana("POST", LISTS, list_body(list_id="a"), space=space)
    kibana("POST", ITEMS, item_body(list_id="a", item_id="i"), space=space)
    asked = f"{path}/_find?list_id=a&filter=exception-list."
    wrong = kibana("GET", f"{asked}attributes.listId:a", space=space)
    message = "This key 'exception-list.attributes.listId' does NOT exist in exception-list"
    assert (wrong.status, wrong.body["message"][: len(message)]) == (400, message)
    assert kibana("GET", f"{asked}created_at>2020", space=space).body["total"] == 1


def test_agnostic_lists_are_seen_from_every_space(kibana: Any, space: str) -> None:
    """One object per deployment."""
    kibana("POST", LISTS, list_body(list_id=space, namespace_type="agnostic"), space=space)
    path = f"{LISTS}?list_id={space}&namespace_type=agnostic"
    assert kibana("GET", path, space=f"{space}-2").status == 200
    assert kibana("GET", f"{LISTS}?list_id={space}", space=space).status == 404


def test_summary_counts_operating_systems(kibana: Any, listed: Any, space: str) -> None:
    """Items without os_types are in no bucket."""
    assert listed
    kibana("POST", ITEMS, item_body(os_types=["windows", "linux"]), space=space)
    kibana("POST", ITEMS, item_body(item_id="j"), space=space)
    found = kibana("GET", f"{LISTS}/summary?list_id=l", space=space).body
    assert found == {"windows": 1, "linux": 1, "macos": 0, "total": 2}


def test_creating_a_rule_makes_the_endpoint_list(kibana: Any, rule: Any, space: str) -> None:
    """An agnostic side effect of every rule create."""
    kibana("POST", "/api/detection_engine/rules", rule(), space=space)
    path = f"{LISTS}?list_id=endpoint_list&namespace_type=agnostic"
    assert kibana("GET", path).body["type"] == "endpoint"
