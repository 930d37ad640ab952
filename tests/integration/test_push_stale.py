"""A plan that was reviewed is pushed as it was, or not at all: any live change is exit 3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ruledeploy.deploy import ApplyOptions, Plan, apply, refuse_stale
from ruledeploy.errors import RefusedError
from support.deploy_bench import (
    MARK,
    Bench,
    exception_list,
    item,
    release,
    rule,
    running_bench,
)
from support.deploy_stores import FOLDER_AND_NODE, stores_of
from support.deploy_world import _writable

OTHER_ACTION = {
    "id": "c1", "action_type_id": ".slack", "group": "default", "params": {"message": "x"},
}  # fmt: skip
# Every field of a rule that somebody may set, with another value than the release's.
RULE_FIELDS: dict[str, Any] = {
    "name": "another", "description": "another", "query": "process.name:other", "enabled": False,
    "severity": "low", "risk_score": 1, "interval": "1h", "from": "now-2h", "to": "now-1m",
    "max_signals": 7, "index": ["logs-b"], "tags": [MARK, "more"], "note": "another",
    "setup": "another", "license": "another", "author": ["another"], "version": 9,
    "references": ["https://example.org"], "false_positives": ["another"],
    "meta": {"another": "value"}, "filters": [{"meta": {}, "query": {"match_all": {}}}],
    "timestamp_override": "event.ingested", "timestamp_override_fallback_disabled": True,
    "building_block_type": "default", "rule_name_override": "process.name",
    "language": "kuery",
    "investigation_fields": {"field_names": ["user.name"]},
    "alert_suppression": {"group_by": ["user.name"]},
    "severity_mapping": [
        {"field": "a", "operator": "equals", "severity": "low", "value": "b"}
    ],
    "risk_score_mapping": [{"field": "a", "operator": "equals", "value": "b"}],
    "threat": [{"framework": "MITRE ATT&CK", "tactic": {
        "id": "TA0001", "name": "Initial Access", "reference": "https://attack.mitre.org/"}}],
    "related_integrations": [{"package": "endpoint", "version": "1.0.0"}],
    "required_fields": [{"name": "user.name", "type": "keyword"}],
    "output_index": "another", "actions": [OTHER_ACTION],
    "exceptions_list": [],
}  # fmt: skip
ITEM_FIELDS: dict[str, Any] = {
    "name": "another", "description": "another", "tags": [MARK, "more"], "os_types": ["linux"],
    "entries": [{"field": "user.name", "type": "match", "operator": "included", "value": "x"}],
    "expire_time": "2099-01-01T00:00:00.000Z", "meta": {"another": "value"},
    "comments": [{"comment": "seen"}],
}  # fmt: skip
LIST_FIELDS: dict[str, Any] = {
    "name": "another", "description": "another", "tags": [MARK, "more"], "meta": {"a": "value"},
}  # fmt: skip

FIRST = release(
    rule("r1", "l1"), rule("r2", "l1"), exception_list("l1"), exception_list("l2"),
    item("l1", "i1"), item("l2", "i2"),
)  # fmt: skip
# The plan deletes list l2 with its item and changes r2; r1 and i1 it leaves as they are.
WANTED = release(
    rule("r1", "l1"), rule("r2", "l1", note="new"), exception_list("l1"), item("l1", "i1")
)


@pytest.fixture(scope="module", params=FOLDER_AND_NODE)
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """A bench with a connector, and FIRST pushed once for all tests of a kind of store."""
    folder = tmp_path_factory.mktemp("stale")
    with (
        stores_of(request.param, request, folder / "records") as stores,
        running_bench(folder, stores=stores) as running,
    ):
        connector = {
            "name": "c1",
            "connector_type_id": ".slack",
            "secrets": {"webhookUrl": "https://example.org"},
        }
        running.kibana._peer.request("POST", "/api/actions/connector/c1", body=connector)
        running.push(FIRST)
        yield running


def refused(bench: Bench, change: Any) -> None:
    """Plan, change something, push the plan: refused, and nothing written; then undo all."""
    plan = Plan.from_json(json.loads(json.dumps(bench.plan(WANTED).to_json())))
    refuse_stale(plan, bench.kibana)
    change()
    bench.log.lines.clear()
    with pytest.raises(RefusedError, match="stale") as caught:
        refuse_stale(plan, bench.kibana)
    assert caught.value.exit_code == 3
    assert bench.log.writes() == []


def undo(bench: Bench) -> None:
    """As FIRST had it, whatever happened."""
    for kind, ids in (("rules", bench.rules()), ("items", bench.items()), ("lists", bench.lists())):
        for id_ in ids:
            getattr(bench.kibana, kind).delete(id_)
    bench.push(FIRST)


@pytest.mark.parametrize("field", RULE_FIELDS)
def test_any_field_of_a_rule(bench: Bench, field: str) -> None:
    """Also of a rule that the plan does not change."""
    body = _writable(bench.rules()["r1"])
    assert body.get(field) != RULE_FIELDS[field]
    change = {**body, field: RULE_FIELDS[field]}
    refused(bench, lambda: bench.kibana.rules.update(change))
    bench.kibana.rules.update(body)


def test_no_field_of_a_rule_is_forgotten(bench: Bench) -> None:
    """What a rule has, but for what cannot change in place."""
    assert _writable(bench.rules()["r1"]).keys() - {"rule_id", "type"} <= RULE_FIELDS.keys()
    assert _writable(bench.items()["i1"]).keys() - ITEM_FIELDS.keys() <= {
        "item_id", "list_id", "type", "namespace_type",
    }  # fmt: skip


def test_a_timeline(bench: Bench) -> None:
    """Its two fields, which Kibana takes only together."""
    body = _writable(bench.rules()["r1"])
    change = {**body, "timeline_id": "t", "timeline_title": "another"}
    refused(bench, lambda: bench.kibana.rules.update(change))
    bench.kibana.rules.update(body)


@pytest.mark.parametrize("field", ITEM_FIELDS)
def test_any_field_of_an_item(bench: Bench, field: str) -> None:
    """Comments too: a reviewer should know what analysts said."""
    body = _writable(bench.items()["i1"])
    refused(bench, lambda: bench.kibana.items.update({**body, field: ITEM_FIELDS[field]}))
    undo(bench)


@pytest.mark.parametrize("field", LIST_FIELDS)
def test_any_field_of_a_list(bench: Bench, field: str) -> None:
    """Its name, text, tags and meta."""
    body = _writable(bench.lists()["l1"])
    refused(bench, lambda: bench.kibana.lists.update({**body, field: LIST_FIELDS[field]}))
    undo(bench)


@pytest.mark.parametrize(
    "change",
    [
        lambda kibana: kibana.rules.delete("r1"),
        lambda kibana: kibana.items.delete("i1"),
        lambda kibana: kibana.lists.delete("l2"),
        lambda kibana: kibana.items.create(item("l2", "by-hand", tags=[]).body),
        lambda kibana: kibana.rules.create(rule("foreign", "l2", tags=[]).body),
        lambda kibana: kibana.items.update(item("l2", "i2", "edited").body),
    ],
    ids=["rule gone", "item gone", "list gone", "item by hand", "foreign link", "doomed item"],
)
def test_whatever_comes_or_goes(bench: Bench, change: Any) -> None:
    """Above all what would be deleted with a list."""
    refused(bench, lambda: change(bench.kibana))
    if "foreign" in bench.rules():
        bench.kibana.rules.delete("foreign")
    undo(bench)


def test_a_new_object_with_an_id_that_the_plan_creates(bench: Bench) -> None:
    """Whoever made it: the plan meant to create it."""
    wanted = release(*WANTED.rules, rule("r9"), *WANTED.lists, *WANTED.items)
    plan = bench.plan(wanted)
    bench.kibana.rules.create(rule("r9", tags=[]).body)
    with pytest.raises(RefusedError, match="stale: rule r9"):
        refuse_stale(plan, bench.kibana)
    bench.log.lines.clear()
    with pytest.raises(RefusedError, match="stale: rule r9"):
        apply(plan, bench.kibana, bench.store, options=ApplyOptions(allow_many=True))
    assert bench.log.writes() == []
    bench.kibana.rules.delete("r9")


def test_a_push_looks_once_more_before_it_writes(bench: Bench) -> None:
    """A person may have been asked meanwhile; what is written over must be as planned."""
    plan = bench.plan(WANTED)
    before = bench.store.last()
    body = _writable(bench.rules()["r2"])
    bench.kibana.rules.update({**body, "note": "just now"})
    bench.log.lines.clear()
    with pytest.raises(RefusedError, match="stale: rule r2"):
        apply(plan, bench.kibana, bench.store, options=ApplyOptions(allow_many=True))
    assert bench.log.writes() == []
    assert bench.store.last() == before
    bench.kibana.rules.update(body)


def test_an_item_put_into_a_list_at_the_last_moment_is_not_deleted_with_it(bench: Bench) -> None:
    """The list stays, the push says so, and the next plan knows."""
    plan = bench.plan(WANTED)

    def meanwhile(progress: Any) -> None:
        if progress.write.ref.key == "item/i2":
            bench.kibana.items.create(item("l2", "by-hand", tags=[]).body)

    with pytest.raises(Exception, match="items were put into it meanwhile"):
        apply(plan, bench.kibana, bench.store, meanwhile, ApplyOptions(jobs=1, allow_many=True))
    assert "by-hand" in bench.items()
    assert any("list l2 stays" in note for note in bench.plan(WANTED).notes)
    bench.push(WANTED)
    assert bench.plan(WANTED).empty
    undo(bench)
