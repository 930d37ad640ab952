"""The JSON that commands print holds to the schemas that are shipped, whatever a push meets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.cli.embedded import embedded_stack
from ruledeploy.deploy import Plan, find_drift, history, read_applied
from ruledeploy.deploy import stages as stages_of
from ruledeploy.errors import ServerError
from ruledeploy.kibana import Connection, Kibana, Request
from ruledeploy.model import PrebuiltLinks, Provenance, Release
from ruledeploy.report.plan import step_json
from ruledeploy.report.schemas import VERSIONS, output_schema
from support.content import RULE_ID, write_content
from support.deploy_bench import (
    Bench,
    exception_list,
    item,
    listed,
    release,
    rule,
    running_bench,
    value_list,
)

DAY = ["--date", "2026-11-24"]
FULL = release(
    value_list("v", "a", "b"), exception_list("l1"), item("l1", "i1"), listed("l1", "i2", "v"),
    rule("r1", "l1"), rule("r2", "l1"), rule("r3"),
)  # fmt: skip


def hold(name: str, value: object) -> Any:
    """The value as JSON brings it, which the schema must take."""
    plain = json.loads(json.dumps(value))
    jsonschema.Draft202012Validator(output_schema(name)).validate(plain)
    return plain


def checked(plan: Plan) -> Plan:
    """A plan that holds to its schema, with its stages and without."""
    plain = hold("plan", plan.to_json())
    hold("plan", {**plain, "stages": [step_json(one) for one in stages_of(plan)]})
    return plan


def actions(plan: Plan) -> set[str]:
    """What a plan that holds to its schema does to which kind."""
    return {f"{change.action} {change.ref.kind}" for change in checked(plan).changes}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench on a stack of its own."""
    with running_bench(tmp_path) as running:
        yield running


def test_creating_changing_retiring_and_deleting(bench: Bench) -> None:
    """Every action on every kind, as pushes come to them."""
    assert actions(bench.plan(FULL)) == {
        "create value_list", "create list", "create item", "create rule",
    }  # fmt: skip
    bench.push(FULL)
    assert actions(bench.plan(FULL)) == set()
    second = release(
        value_list("v", "b", "c"), exception_list("l1", name="Other"),
        item("l1", "i1", name="Other"), rule("r1", "l1", query="process.name:z"),
    )  # fmt: skip
    assert actions(bench.plan(second)) == {
        "update value_list", "update list", "update item", "delete item", "update rule",
        "disable rule",
    }  # fmt: skip
    assert "delete rule" in actions(bench.plan(second, prune=True))
    bench.push(second)
    assert actions(bench.plan(release(), prune=True)) >= {"delete rule", "delete list"}
    for record in history(bench.store):
        assert record["changes"]
    hold("history", {"schema": 1, "env": "e", "records": list(history(bench.store)), "hold": None})


def test_conflicts_kept_fields_and_drift(bench: Bench) -> None:
    """Changed by analysts, by both, gone from the server, added by hand."""
    bench.push(FULL)
    for name in ("r1", "r2"):
        body = {**bench.rules()[name], "query": "process.name:theirs"}
        bench.kibana.rules.update({k: v for k, v in body.items() if k != "id"})
    bench.kibana.rules.delete("r3")
    bench.kibana.items.create(item("l1", "hand", tags=[]).body)
    rules = (rule("r1", "l1", query="process.name:ours"), *FULL.rules[1:])
    plan = checked(bench.plan(replace(FULL, rules=rules)))
    assert plan.conflicts[0].conflicts
    assert plan.kept
    checked(bench.plan(replace(FULL, rules=rules), side="ours"))
    checked(bench.plan(replace(FULL, rules=rules), side="theirs"))
    applied = bench.store.applied()
    drift = [one.to_json() for one in find_drift(read_applied(bench.kibana, applied), applied)]
    assert {one["what"] for one in drift} == {"changed", "gone", "added"}
    hold("drift", {"schema": 1, "env": "e", "drift": drift})


def test_adoption(bench: Bench) -> None:
    """An unknown object is a conflict; adopted it is a record or an update."""
    bench.kibana.rules.create(rule("r1").body)
    bench.kibana.rules.create(rule("r2", name="Theirs").body)
    wanted = release(rule("r1"), rule("r2"))
    assert actions(bench.plan(wanted)) == {"conflict rule"}
    assert actions(bench.plan(wanted, adopt=True)) == {"record rule", "update rule"}


def test_another_type_and_a_successor(bench: Bench) -> None:
    """Delete and create in one change; and a rule that takes another's place."""
    bench.push(release(rule("r1"), rule("old")))
    text = 'process where process.name == "x.exe"'
    turned = rule("r1", type="eql", language="eql", query=text)
    heir = replace(rule("new"), replaces="old")
    plan = checked(bench.plan(release(turned, heir)))
    [change] = [one for one in plan.changes if one.ref.id == "r1"]
    assert [write.operation for write in change.requests] == ["delete", "create"]
    assert any(one.entry and one.entry.replaces == "old" for one in plan.changes)


def test_links_of_a_prebuilt_rule(bench: Bench, tmp_path: Path) -> None:
    """Only its links are in the plan."""
    bench.kibana.rules.create(rule("elastic-1", tags=["Elastic"]).body)
    with sqlite3.connect(tmp_path / "stack" / "stack.sqlite") as database:
        database.execute(
            "UPDATE objects SET body = json_set(body, '$.immutable', json('true'))"
            " WHERE kind = 'rule'"
        )
    database.close()
    links = PrebuiltLinks("elastic-1", ("l1",), Provenance("exceptions/base/o.yml", 4, "overlay"))
    wanted: Release = replace(release(exception_list("l1"), item("l1", "i1")), prebuilt=(links,))
    assert "update prebuilt" in actions(bench.plan(wanted))


def printed(capsys: pytest.CaptureFixture[str], code: int, *command: str) -> Any:
    """What a command prints as JSON, and that it exits so."""
    capsys.readouterr()
    assert run([*command, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_what_the_commands_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plan in a file and with stages, push, doctor, history, drift, rollback, on one stack."""
    root = write_content(tmp_path)
    where = ["--env", "local", "-C", str(root)]
    kept = tmp_path / "plan.json"
    hold("plan", printed(capsys, 0, "plan", *where, *DAY, "--stages", "-o", str(kept)))
    hold("plan", json.loads(kept.read_text()))
    hold("push", printed(capsys, 0, "push", *where, *DAY))
    hold("push", printed(capsys, 0, "push", *where, *DAY))
    hold("doctor", printed(capsys, 0, "doctor", *where, *DAY))
    data = root / ".ruledeploy" / "stack"
    with embedded_stack(data, []) as up, Kibana(Connection(up.kibana_url)) as kibana:
        body = {k: v for k, v in kibana.rules.get(RULE_ID).items() if k != "id"}
        kibana.rules.update({**body, "note": "looked at", "severity": "low"})
    hold("drift", printed(capsys, 2, "drift", *where))
    hold("drift", printed(capsys, 0, "drift", *where, *DAY, "--adopt"))
    hold("push", printed(capsys, 0, "rollback", *where, "--to", "1", "--yes", "--ours"))
    assert hold("history", printed(capsys, 0, "history", *where))["hold"]


def test_a_push_that_is_partly_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is done and what is left, in the form that the schema gives."""
    root = write_content(tmp_path)
    send = Kibana.send

    def sending(self: Kibana, request: Request) -> Any:
        if request.method == "POST" and request.path == "/api/detection_engine/rules":
            raise ServerError("it will not", url=self.connection.url, status=500)
        return send(self, request)

    monkeypatch.setattr(Kibana, "send", sending)
    found = hold("push", printed(capsys, 4, "push", "--env", "local", "-C", str(root), *DAY))
    outcome = found["outcome"]
    assert outcome["state"] == "partial"
    assert outcome["done"]
    assert outcome["left"] or outcome["unknown"]


@pytest.mark.parametrize("name", list(VERSIONS))
def test_other_keys_and_versions_are_none(name: str) -> None:
    """A schema that takes anything would say nothing."""
    validator = jsonschema.Draft202012Validator(output_schema(name))
    assert not validator.is_valid({"schema": VERSIONS[name] + 1})
    messages = [one.message for one in validator.iter_errors({"schema": VERSIONS[name], "x": 1})]
    assert any("'x' was unexpected" in one for one in messages)
