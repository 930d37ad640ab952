"""`/api/detection_engine/rules` over real HTTP, held to the contract."""

from __future__ import annotations

from typing import Any

import pytest

RULES = "/api/detection_engine/rules"


def test_create_fills_in_the_defaults(kibana: Any, rule: Any, space: str) -> None:
    """Thirteen keys or five in: the server adds what was not given, and nothing else."""
    reply = kibana("POST", RULES, rule(rule_id="r"), space=space)
    assert reply.status == 200
    made = reply.body
    assert made["enabled"] is False
    assert (made["interval"], made["from"], made["to"]) == ("5m", "now-6m", "now")
    assert (made["max_signals"], made["version"], made["revision"]) == (100, 1, 0)
    assert (made["language"], made["query"], made["setup"]) == ("kuery", "", "")
    assert made["rule_source"] == {"type": "internal"}
    assert made["immutable"] is False
    for empty in ("actions", "exceptions_list", "tags", "threat", "required_fields"):
        assert made[empty] == []
    for absent in ("index", "note", "license", "filters", "meta", "data_view_id"):
        assert absent not in made


def test_unknown_keys_are_dropped_silently(kibana: Any, rule: Any, space: str) -> None:
    """A key the schema does not know is not an error and not stored."""
    made = kibana("POST", RULES, rule(rule_id="r", nonsense=1, throttle="rule"), space=space).body
    assert "nonsense" not in made
    assert "throttle" not in made


def test_a_taken_rule_id_is_a_conflict(kibana: Any, rule: Any, space: str) -> None:
    """The second create of a rule_id answers 409 in the siem envelope."""
    kibana("POST", RULES, rule(rule_id="r"), space=space)
    reply = kibana("POST", RULES, rule(rule_id="r"), space=space)
    assert reply.status == 409
    assert reply.body == {"message": 'rule_id: "r" already exists', "status_code": 409}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, ['either "id" or "rule_id" must be set']),
        (
            "?rule_id=a&id=00000000-0000-4000-8000-000000000000",
            400,
            ['both "id" and "rule_id" cannot exist, choose one or the other'],
        ),
        ("?rule_id=none", 404, 'rule_id: "none" not found'),
        (
            "?id=00000000-0000-4000-8000-000000000000",
            404,
            'id: "00000000-0000-4000-8000-000000000000" not found',
        ),
    ],
)
def test_a_rule_is_named_by_exactly_one_id(
    kibana: Any, method: str, query: str, status: int, message: Any
) -> None:
    """Neither, both and unknown ids are told apart."""
    reply = kibana(method, f"{RULES}{query}")
    assert reply.status == status
    assert reply.body == {"message": message, "status_code": status}


def test_put_replaces_but_keeps_enabled_and_version(kibana: Any, rule: Any, space: str) -> None:
    """An omitted field falls back to its default; `enabled` and `version` stay as stored."""
    full = rule(rule_id="r", version=7, tags=["a"], note="n", meta={"from": "x"}, enabled=True)
    made = kibana("POST", RULES, full, space=space).body
    put = kibana("PUT", RULES, rule(rule_id="r"), space=space).body
    assert (put["enabled"], put["version"]) == (True, 7)
    assert put["tags"] == []
    assert "note" not in put
    assert "meta" not in put
    assert (put["id"], put["created_at"]) == (made["id"], made["created_at"])
    assert put["revision"] == 1


def test_patch_merges_and_cannot_unset(kibana: Any, rule: Any, space: str) -> None:
    """What a PATCH leaves out stays; arrays are replaced whole."""
    kibana("POST", RULES, rule(rule_id="r", tags=["a", "b"], note="n"), space=space)
    patched = kibana("PATCH", RULES, {"rule_id": "r", "tags": ["c"]}, space=space).body
    assert patched["tags"] == ["c"]
    assert patched["note"] == "n"
    assert patched["revision"] == 1


def test_enabling_leaves_the_revision(kibana: Any, rule: Any, space: str) -> None:
    """`enabled` is no change of the rule itself."""
    kibana("POST", RULES, rule(rule_id="r"), space=space)
    patched = kibana("PATCH", RULES, {"rule_id": "r", "enabled": True}, space=space).body
    assert (patched["enabled"], patched["revision"]) == (True, 0)


def test_a_put_without_a_change_changes_nothing(kibana: Any, rule: Any, space: str) -> None:
    """Since 9.4 such a PUT returns the rule as it is, `updated_at` included."""
    made = kibana("POST", RULES, rule(rule_id="r"), space=space).body
    assert kibana("PUT", RULES, rule(rule_id="r"), space=space).body == made


def test_delete_answers_the_rule_that_is_gone(kibana: Any, rule: Any, space: str) -> None:
    """The body of a DELETE is the deleted rule; a GET afterwards is 404."""
    made = kibana("POST", RULES, rule(rule_id="r"), space=space).body
    gone = kibana("DELETE", f"{RULES}?rule_id=r", space=space)
    assert (gone.status, gone.body["id"]) == (200, made["id"])
    assert kibana("GET", f"{RULES}?rule_id=r", space=space).status == 404


def test_schema_errors_come_in_the_platform_envelope(kibana: Any, rule: Any) -> None:
    """The message names body, path and text; there is no `status_code` in it."""
    reply = kibana("POST", RULES, {**rule(), "name": 1})
    assert reply.status == 400
    assert reply.body["statusCode"] == 400
    assert reply.body["error"] == "Bad Request"
    assert reply.body["message"].startswith("[request body]: name: Invalid input: expected string")


def test_find_pages_with_perpage(kibana: Any, rule: Any, space: str) -> None:
    """The envelope is `{page, perPage, total, data}`, twenty to a page unless asked."""
    for n in range(23):
        kibana("POST", RULES, rule(rule_id=f"r{n:02}"), space=space)
    first = kibana("GET", f"{RULES}/_find", space=space).body
    assert (first["page"], first["perPage"], first["total"]) == (1, 20, 23)
    assert len(first["data"]) == 20
    last = kibana("GET", f"{RULES}/_find?page=2&per_page=20", space=space).body
    assert [r["rule_id"] for r in last["data"]] == ["r20", "r21", "r22"]


def test_find_filters_in_kql(kibana: Any, rule: Any, space: str) -> None:
    """Saved-object attributes, lists, negation and booleans work in `filter`."""
    kibana("POST", RULES, rule(rule_id="a", tags=["x", "y z"]), space=space)
    kibana("POST", RULES, rule(rule_id="b", tags=["x"], enabled=True), space=space)
    kibana("POST", RULES, rule(rule_id="c", severity="low", name="Other"), space=space)

    def found(text: str) -> list[str]:
        reply = kibana("GET", f"{RULES}/_find", query={"filter": text}, space=space)
        return [r["rule_id"] for r in reply.body["data"]]

    assert found('alert.attributes.params.ruleId: "a"') == ["a"]
    assert found('alert.attributes.params.ruleId: ("a" or "c")') == ["a", "c"]
    assert found('alert.attributes.tags: "y z"') == ["a"]
    assert found("alert.attributes.tags: x and not alert.attributes.enabled: true") == ["a"]
    assert found("alert.attributes.params.severity: low OR alert.attributes.enabled: true") == [
        "b",
        "c",
    ]
    assert found('alert.attributes.name: "writeprocessmemory"') == ["a", "b"]
    assert found("alert.attributes.params.immutable: true") == []


def test_an_empty_filter_is_refused(kibana: Any) -> None:
    """`filter=` is a KQL syntax error, not "everything"."""
    reply = kibana("GET", f"{RULES}/_find?filter=")
    assert reply.status == 400
    assert reply.body["message"].startswith(
        'KQLSyntaxError: Expected "(", NOT, field name, value, whitespace but ")" found.'
    )


def test_a_filter_on_an_attribute_that_is_not_there_is_refused(kibana: Any) -> None:
    """`ruleId` is a parameter; without `params` it would find nothing in silence."""
    text = "alert.attributes.ruleId: a"
    message = "This key 'alert.attributes.ruleId' does NOT exist in alert saved object index"
    reply = kibana("GET", f"{RULES}/_find?filter={text}")
    assert (reply.status, reply.body["message"][: len(message)]) == (400, message)
    reply = kibana("POST", f"{RULES}/_bulk_action", {"action": "disable", "query": text})
    assert (reply.status, reply.body["message"][: len(message)]) == (400, message)


def test_find_sorts(kibana: Any, rule: Any, space: str) -> None:
    """`sort_field` needs `sort_order`."""
    for name in ("b", "c", "a"):
        kibana("POST", RULES, rule(rule_id=name, name=name), space=space)
    path = f"{RULES}/_find?sort_field=name&sort_order=desc"
    assert [r["name"] for r in kibana("GET", path, space=space).body["data"]] == ["c", "b", "a"]
    assert kibana("GET", f"{RULES}/_find?sort_field=name").status == 400


def test_no_page_beyond_the_result_window(kibana: Any) -> None:
    """Page * per_page is at most 10,000."""
    assert kibana("GET", f"{RULES}/_find?page=1&per_page=10000").status == 200
    assert kibana("GET", f"{RULES}/_find?page=2&per_page=10000").status == 400


def test_spaces_keep_rules_apart(kibana: Any, rule: Any, space: str) -> None:
    """The same rule_id lives in two spaces; a space need not exist for an API call."""
    kibana("POST", RULES, rule(rule_id="r"), space=space)
    assert kibana("GET", f"{RULES}?rule_id=r", space=f"{space}-2").status == 404
    assert kibana("POST", RULES, rule(rule_id="r"), space=f"{space}-2").status == 200


def test_links_are_stored_unchecked(kibana: Any, rule: Any, space: str) -> None:
    """A link to a list that does not exist, with any id, is accepted."""
    link = {"id": "0", "list_id": "none", "type": "detection", "namespace_type": "single"}
    made = kibana("POST", RULES, rule(rule_id="r", exceptions_list=[link]), space=space).body
    assert made["exceptions_list"] == [link]
    del link["id"]
    assert kibana("POST", RULES, rule(rule_id="s", exceptions_list=[link])).status == 400


def test_a_rule_default_list_has_one_owner(kibana: Any, rule: Any, space: str) -> None:
    """Two such lists on a rule are 400; a second rule with the same list is 409."""
    link = {"id": "x", "list_id": "d", "type": "rule_default", "namespace_type": "single"}
    twice = rule(rule_id="r", exceptions_list=[link, {**link, "list_id": "e"}])
    assert kibana("POST", RULES, twice, space=space).status == 400
    assert kibana("POST", RULES, rule(exceptions_list=[link]), space=space).status == 200
    assert kibana("POST", RULES, rule(exceptions_list=[link]), space=space).status == 409


def test_an_action_needs_its_connector(kibana: Any, rule: Any, space: str) -> None:
    """Alerting refuses an action whose connector does not exist."""
    action = {"id": "none", "action_type_id": ".slack", "group": "default", "params": {}}
    assert kibana("POST", RULES, rule(actions=[action]), space=space).status == 400


def test_a_bad_interval_passes_the_schema_and_fails_in_alerting(kibana: Any, rule: Any) -> None:
    """The message comes from alerting, in the siem envelope."""
    reply = kibana("POST", RULES, rule(interval="often"))
    assert reply.status == 400
    assert reply.body["message"].startswith("Error validating create data - [schedule.interval]: ")
