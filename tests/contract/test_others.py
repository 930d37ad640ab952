"""Value lists, default exceptions, connectors, data views and what else clients ask for."""

from __future__ import annotations

from typing import Any

RULES = "/api/detection_engine/rules"
LISTS = "/api/lists"


def test_value_lists_need_their_index(kibana: Any, space: str) -> None:
    """Once per space."""
    body = {"id": "v", "name": "v", "description": "d", "type": "ip"}
    missing = f"data stream .lists-{space} and data stream .items-{space} does not exist"
    assert kibana("GET", f"{LISTS}/index", space=space).body["message"] == missing
    assert kibana("POST", LISTS, body, space=space).status == 400
    assert kibana("POST", f"{LISTS}/index", space=space).body == {"acknowledged": True}
    assert kibana("POST", f"{LISTS}/index", space=space).status == 200
    assert kibana("POST", LISTS, body, space=space).status == 200
    taken = {"message": 'list id: "v" already exists', "status_code": 409}
    assert kibana("POST", LISTS, body, space=space).body == taken


def test_values_live_and_die(kibana: Any, space: str) -> None:
    """Create, find, read by value, change, delete; lists count their versions."""
    kibana("POST", f"{LISTS}/index", space=space)
    body = {"id": "v", "name": "v", "description": "d", "type": "ip"}
    kibana("POST", LISTS, body, space=space)
    made = kibana("POST", f"{LISTS}/items", {"list_id": "v", "value": "10.0.0.1"}, space=space)
    assert made.body["type"] == "ip"
    found = kibana("GET", f"{LISTS}/items/_find?list_id=v", space=space).body
    assert (found["total"], found["per_page"]) == (1, 20)
    by_value = kibana("GET", f"{LISTS}/items?list_id=v&value=10.0.0.1", space=space).body
    assert by_value[0]["id"] == made.body["id"]
    changed = {"id": made.body["id"], "value": "10.0.0.2"}
    assert kibana("PUT", f"{LISTS}/items", changed, space=space).body["value"] == "10.0.0.2"
    assert kibana("PATCH", LISTS, {"id": "v", "name": "w"}, space=space).body["version"] == 2
    assert kibana("DELETE", f"{LISTS}/items?id={made.body['id']}", space=space).status == 200
    assert kibana("DELETE", f"{LISTS}?id=v", space=space).status == 200
    gone = {"message": 'list id: "v" not found', "status_code": 404}
    assert kibana("GET", f"{LISTS}?id=v", space=space).body == gone


def test_value_files_are_text(kibana: Any, space: str) -> None:
    """One value a line, each once; other extensions are 415."""
    kibana("POST", f"{LISTS}/index", space=space)

    def upload(name: str, query: str) -> Any:
        raw = kibana.pool.request(
            "POST",
            f"{kibana.url}/s/{space}{LISTS}/items/_import{query}",
            fields={"file": (name, "a\nb\na\n", "text/plain")},
            headers={"kbn-xsrf": "x"},
        )
        return kibana.reply("POST", f"{LISTS}/items/_import", raw)

    assert upload("v.exe", "?type=keyword").status == 415
    assert upload("v.txt", "").status == 400
    assert upload("v.txt", "?list_id=none").status == 409
    made = upload("v.txt", "?type=keyword").body
    assert made["id"] == "v.txt"
    assert kibana("GET", f"{LISTS}/items/_find?list_id=v.txt", space=space).body["total"] == 2
    assert kibana("POST", f"{LISTS}/items/_export?list_id=v.txt", space=space).body == b"a\nb\n"


def test_a_list_in_use_is_not_deleted(kibana: Any, space: str) -> None:
    """Unless the caller says what to do with the references."""
    kibana("POST", f"{LISTS}/index", space=space)
    body = {"id": "v", "name": "v", "description": "d", "type": "ip"}
    kibana("POST", LISTS, body, space=space)
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
    kibana("POST", "/api/exception_lists", listed, space=space)
    entry = {
        "field": "source.ip", "type": "list", "operator": "included",
        "list": {"id": "v", "type": "ip"},
    }  # fmt: skip
    item = {"list_id": "l", "type": "simple", "name": "i", "description": "d", "entries": [entry]}
    assert kibana("POST", "/api/exception_lists/items", item, space=space).status == 200
    assert kibana("DELETE", f"{LISTS}?id=v", space=space).status == 409
    assert kibana("DELETE", f"{LISTS}?id=v&ignoreReferences=true", space=space).status == 200


def test_default_exceptions_make_and_link_a_list(kibana: Any, rule: Any, space: str) -> None:
    """A second call adds to the same list; an unknown rule is 500, in Kibana's way."""
    made = kibana("POST", RULES, rule(rule_id="r"), space=space).body
    entry = {"field": "a", "type": "match", "operator": "included", "value": "b"}
    items = {"items": [{"type": "simple", "name": "i", "description": "d", "entries": [entry]}]}
    path = f"{RULES}/{made['id']}/exceptions"
    (first,) = kibana("POST", path, items, space=space).body
    (second,) = kibana("POST", path, items, space=space).body
    assert first["list_id"] == second["list_id"]
    (link,) = kibana("GET", f"{RULES}?rule_id=r", space=space).body["exceptions_list"]
    assert (link["list_id"], link["type"]) == (first["list_id"], "rule_default")
    nobody = "00000000-0000-4000-8000-000000000000"
    reply = kibana("POST", f"{RULES}/{nobody}/exceptions", items, space=space)
    message = f'Unable to add exception to rule - rule with id:"{nobody}" not found'
    assert reply.body == {"message": message, "status_code": 500}


def test_tags_are_listed_once(kibana: Any, rule: Any, space: str) -> None:
    """Every tag in use, sorted."""
    kibana("POST", RULES, rule(tags=["b", "a"]), space=space)
    kibana("POST", RULES, rule(tags=["b"]), space=space)
    assert kibana("GET", "/api/detection_engine/tags", space=space).body == ["a", "b"]


def test_there_are_no_prebuilt_rules(kibana: Any, rule: Any, space: str) -> None:
    """Every rule counts as custom."""
    kibana("POST", RULES, rule(), space=space)
    body = kibana("GET", f"{RULES}/prepackaged/_status", space=space).body
    assert (body["rules_custom_installed"], body["rules_installed"]) == (1, 0)
    assert kibana("PUT", f"{RULES}/prepackaged", space=space).status == 200


def test_a_connector_lets_actions_in(kibana: Any, rule: Any, space: str) -> None:
    """The rule's action gets its frequency and a uuid that a PUT keeps."""
    connector = {"name": "c", "connector_type_id": ".slack", "secrets": {"webhookUrl": "x"}}
    made = kibana("POST", "/api/actions/connector/c1", connector, space=space).body
    assert "secrets" not in made
    action = {"id": "c1", "action_type_id": ".slack", "params": {"message": "m"}}
    body = rule(rule_id="r", actions=[action])
    (stored,) = kibana("POST", RULES, body, space=space).body["actions"]
    assert stored["frequency"] == {
        "summary": True,
        "notifyWhen": "onActiveAlert",
        "throttle": None,
    }
    put = kibana("PUT", RULES, body, space=space).body
    assert put["actions"] == [stored]
    assert put["revision"] == 0
    assert [c["id"] for c in kibana("GET", "/api/actions/connectors", space=space).body] == ["c1"]
    assert kibana("DELETE", "/api/actions/connector/c1", space=space).status == 204
    assert kibana("GET", "/api/actions/connector/c1", space=space).status == 404


def test_data_views_live_and_die(kibana: Any, space: str) -> None:
    """Create, list, read, delete."""
    view = {"data_view": {"id": "d", "title": "logs-*"}}
    path = "/api/data_views/data_view"
    assert kibana("POST", path, view, space=space).body["data_view"]["title"] == "logs-*"
    assert kibana("GET", "/api/data_views", space=space).body["data_view"][0]["id"] == "d"
    assert kibana("GET", f"{path}/d", space=space).status == 200
    assert kibana("DELETE", f"{path}/d", space=space).status == 200
    assert kibana("GET", f"{path}/d", space=space).status == 404


def test_a_search_for_alerts_needs_a_body(kibana: Any) -> None:
    """At least one key."""
    path = "/api/detection_engine/signals/search"
    reply = kibana("POST", path, {})
    assert reply.body == {
        "message": '"value" must have at least 1 children',
        "status_code": 400,
    }
    assert kibana("POST", path, {"size": 0}).body["hits"]["total"]["value"] == 0


def test_the_filter_of_exception_items_can_be_asked_for(kibana: Any, space: str) -> None:
    """The route a compiler is checked against: items in, Elasticsearch's filter out."""
    listed = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
    kibana("POST", "/api/exception_lists", listed, space=space)
    entry = {"field": "a", "type": "match", "operator": "included", "value": "b"}
    item = {"list_id": "l", "type": "simple", "name": "i", "description": "d", "entries": [entry]}
    kibana("POST", "/api/exception_lists/items", item, space=space)
    clause = {"bool": {"should": [{"match_phrase": {"a": "b"}}], "minimum_should_match": 1}}
    expected = {
        "meta": {"alias": None, "disabled": False, "negate": True},
        "query": {"bool": {"should": [clause]}},
    }
    headers = {"elastic-api-version": "1", "x-elastic-internal-origin": "tests"}
    lists = [{"exception_list_id": "l", "namespace_type": "single"}]
    for body in (
        {"type": "exception_list_ids", "exception_list_ids": lists},
        {"type": "exception_items", "exceptions": [item]},
    ):
        reply = kibana("POST", "/internal/lists/_create_filter", body, headers=headers, space=space)
        assert reply.body["filter"] == expected
