"""Analysts' work in Kibana survives a push that changes everything beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.deploy import (
    ApplyOptions,
    PartlyApplied,
    Progress,
    apply,
    of_analysts,
    rollback_release,
    without_lost,
)
from ruledeploy.errors import RefusedError
from ruledeploy.stack import Running, running_stack
from support.deploy_bench import (
    MARK,
    Bench,
    exception_list,
    fresh_bench,
    item,
    release,
    rule,
    running_bench,
)
from support.deploy_stores import KINDS, Stores, stores_of
from support.deploy_world import _comments, _writable

FIRST = release(
    rule("r1", "l1", note="by us"), rule("r2", "l1"), exception_list("l1"),
    item("l1", "i1"), item("l1", "i2", "other.exe"),
)  # fmt: skip
# Every object changes in a field that analysts left alone.
SECOND = release(
    rule("r1", "l1", note="by us", severity="low"), rule("r2", "l1", query="process.name:new"),
    exception_list("l1", description="another"),
    item("l1", "i1", description="new"), item("l1", "i2", "other.exe", description="new"),
)  # fmt: skip
ACTION = {"id": "c1", "action_type_id": ".slack", "group": "default", "params": {"message": "!"}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """One stack for all."""
    folder = tmp_path_factory.mktemp("analysts")
    with running_stack(folder / "stack", scheduler=False) as running:
        yield running, folder


@pytest.fixture(params=KINDS)
def stores(
    request: pytest.FixtureRequest, stack: tuple[Running, Path], tmp_path: Path
) -> Iterator[Stores]:
    """Records in a folder, in the local stack's index, in a real Elasticsearch."""
    with stores_of(
        request.param, request, tmp_path / "records", stack[0].elasticsearch_url
    ) as found:
        yield found


@pytest.fixture
def bench(stack: tuple[Running, Path], stores: Stores) -> Iterator[Bench]:
    """A space with FIRST pushed and a connector in it."""
    found = fresh_bench(stack, stores)
    with found.kibana:
        secrets = {"webhookUrl": "https://example.org"}
        connector = {"name": "c1", "connector_type_id": ".slack", "secrets": secrets}
        space = found.kibana.connection.space
        found.kibana._peer.request("POST", f"/s/{space}/api/actions/connector/c1", body=connector)
        found.push(FIRST)
        yield found


def edit(bench: Bench, rule_id: str, **fields: Any) -> None:
    """An analyst edits a rule."""
    bench.kibana.rules.update({**_writable(bench.rules()[rule_id]), **fields})


def test_everything_that_analysts_do_survives(bench: Bench) -> None:
    """Disabled, tagged, annotated, connected; own items, comments, default lists, duplicates."""
    kibana = bench.kibana
    kibana.lists.create({
        "list_id": "default-1", "name": "d", "description": "d", "type": "rule_default",
        "namespace_type": "single",
    })  # fmt: skip
    kibana.items.create(item("default-1", "in-default", tags=[]).body)
    default = {"list_id": "default-1", "type": "rule_default", "namespace_type": "single"}
    default["id"] = bench.lists()["default-1"]["id"]
    links = bench.rules()["r1"]["exceptions_list"]
    edit(
        bench, "r1",
        enabled=False, note="ask Bob", tags=[MARK, "triage"], actions=[ACTION],
        exceptions_list=[*links, default], investigation_fields={"field_names": ["user.name"]},
    )  # fmt: skip
    kibana.items.create(item("l1", "by-hand", "tool.exe", tags=[]).body)
    i1 = bench.items()["i1"]
    seen = [*_comments(i1), {"comment": "seen on host 7"}]
    kibana.items.update({**_writable(i1), "comments": seen, "tags": [MARK, "reviewed"]})
    # Kibana's Duplicate copies everything but the rule_id.
    copy = {**_writable(bench.rules()["r2"]), "rule_id": "copy", "name": "r2 [Duplicate]"}
    kibana.rules.create(copy)
    by_hand, duplicate = bench.items()["by-hand"], bench.rules()["copy"]

    plan = bench.plan(SECOND, prune=True)
    assert {kept.states.field for kept in plan.kept} == {"actions", "enabled", "note"}
    assert any("rule copy" in note and "left alone" in note for note in plan.notes)
    bench.push(SECOND, prune=True)

    r1 = bench.rules()["r1"]
    assert (r1["severity"], r1["enabled"], r1["note"]) == ("low", False, "ask Bob")
    assert set(r1["tags"]) == {MARK, "triage"}
    assert [one["id"] for one in r1["actions"]] == ["c1"]
    assert [one["list_id"] for one in r1["exceptions_list"]] == ["l1", "default-1"]
    assert r1["investigation_fields"] == {"field_names": ["user.name"]}
    assert bench.items()["by-hand"] == by_hand
    assert bench.rules()["copy"] == duplicate
    assert bench.rules()["r2"]["query"] == "process.name:new"
    i1 = bench.items()["i1"]
    assert i1["description"] == "new"
    assert [one["comment"] for one in i1["comments"]] == ["seen on host 7"]
    assert set(i1["tags"]) == {MARK, "reviewed"}
    assert "in-default" in bench.items()
    assert bench.plan(SECOND, prune=True).empty

    bench.push(release(), prune=True)
    assert set(bench.rules()) == {"copy"}
    assert {"by-hand", "in-default"} <= bench.items().keys()  # and so its list is kept too
    assert bench.plan(release(), prune=True).empty


def _fields(side: str) -> dict[str, Any]:
    return {
        "name": side, "note": side, "query": f"process.name:{side}", "risk_score": len(side),
        "interval": f"{len(side)}m", "author": [side], "index": [f"logs-{side}"],
    }  # fmt: skip


@pytest.mark.parametrize("field", _fields(""))
def test_the_same_field_changed_on_both_sides_is_a_conflict(bench: Bench, field: str) -> None:
    """It is shown with its three values, and nothing is written until someone decides."""
    edit(bench, "r1", **{field: _fields("theirs")[field]})
    wanted = release(
        rule("r1", "l1", **{"note": "by us", field: _fields("ours-it-is")[field]}),
        rule("r2", "l1", severity="low"), *FIRST.lists, *FIRST.items,
    )  # fmt: skip
    before = bench.rules()
    [conflict] = bench.plan(wanted).conflicts
    [states] = conflict.conflicts
    assert (states.field, states.live, states.desired) == (
        field, _fields("theirs")[field], _fields("ours-it-is")[field],
    )  # fmt: skip
    with pytest.raises(RefusedError, match="--ours or --theirs"):
        bench.push(wanted)
    assert bench.rules() == before
    bench.push(wanted, side="theirs")
    assert bench.rules()["r1"][field] == _fields("theirs")[field]
    assert bench.rules()["r2"]["severity"] == "low"
    assert bench.plan(wanted).empty
    bench.push(wanted, side="ours")
    assert bench.rules()["r1"][field] == _fields("ours-it-is")[field]


def test_an_item_changed_on_both_sides_is_a_conflict(bench: Bench) -> None:
    """Entries that an analyst narrowed are not overwritten unasked."""
    bench.kibana.items.update({**_writable(bench.items()["i1"]), "description": "theirs"})
    wanted = release(
        *FIRST.rules, *FIRST.lists, item("l1", "i1", description="ours"), FIRST.items[1]
    )
    [conflict] = bench.plan(wanted).conflicts
    assert [states.live for states in conflict.conflicts] == ["theirs"]
    with pytest.raises(RefusedError):
        bench.push(wanted)
    assert bench.items()["i1"]["description"] == "theirs"


def test_an_edited_item_that_goes_from_the_files_keeps_its_list(bench: Bench) -> None:
    """With --theirs the item stays, so the list that Kibana would delete with it stays too."""
    bench.kibana.items.update({**_writable(bench.items()["i1"]), "description": "theirs"})
    wanted = release(rule("r1"), rule("r2"))
    with pytest.raises(RefusedError, match="changed in Kibana"):
        bench.push(wanted, side=None)
    bench.push(wanted, side="theirs")
    assert set(bench.items()) == {"i1"}
    assert "l1" in bench.lists()


def test_what_analysts_change_during_a_long_push_is_not_written_over(tmp_path: Path) -> None:
    """A rule is looked at once more before its PUT or its end; then the push stops there."""
    with running_bench(tmp_path) as bench:
        bench.push(release(rule("r1"), rule("r2"), rule("r3")))
        wanted = release(*(rule(name, query="process.name:new.exe") for name in ("r1", "r2")))

        def analyst(progress: Progress) -> None:
            if progress.done == 1:
                for name in ("r2", "r3"):
                    live = bench.rules()[name]
                    bench.kibana.rules.update({**_writable(live), "note": "by hand"})

        plan = bench.plan(wanted, prune=True)
        options = ApplyOptions(jobs=1, allow_many=True, look_again=0.0)
        with pytest.raises(PartlyApplied, match="rule r2 was changed on the server during"):
            apply(plan, bench.kibana, bench.store, analyst, options)
        assert bench.rules()["r2"]["note"] == "by hand"
        assert "r3" in bench.rules()
        bench.push(wanted)
        assert bench.rules()["r2"]["note"] == "by hand"
        assert bench.rules()["r2"]["query"] == "process.name:new.exe"
        assert bench.plan(wanted).empty


def test_a_rollback_gives_a_deleted_rule_its_connectors_again(bench: Bench) -> None:
    """What an analyst had added before it was deleted is there again, and stays."""
    edit(bench, "r2", enabled=False, actions=[ACTION])
    dropped = release(rule("r1", "l1", note="by us"), exception_list("l1"))
    bench.push(dropped, prune=True)
    assert set(bench.rules()) == {"r1"}
    wanted, _ = rollback_release(bench.store, 1, datetime(2026, 11, 24, tzinfo=UTC))
    done = of_analysts(bench.store, 1)
    kept, said = without_lost(done, bench.kibana.connectors())
    assert (kept, said) == (done, ())
    bench.push(wanted, prune=True, restored=kept)
    r2 = bench.rules()["r2"]
    assert (r2["enabled"], [one["id"] for one in r2["actions"]]) == (False, ["c1"])
    assert bench.plan(FIRST, prune=True).empty


def test_a_rollback_tells_of_a_connector_that_is_gone(bench: Bench) -> None:
    """Kibana refuses a rule with such an action, so the rule comes back without it."""
    edit(bench, "r2", actions=[ACTION])
    bench.push(release(rule("r1", "l1"), exception_list("l1")), prune=True)
    space = bench.kibana.connection.space
    bench.kibana._peer.request("DELETE", f"/s/{space}/api/actions/connector/c1")
    kept, said = without_lost(of_analysts(bench.store, 1), bench.kibana.connectors())
    assert kept == {"r2": {}}
    assert said == ("rule r2 comes back without connector c1, which is gone",)
    wanted, _ = rollback_release(bench.store, 1, datetime(2026, 11, 24, tzinfo=UTC))
    bench.push(wanted, prune=True, restored=kept)
    assert bench.rules()["r2"]["actions"] == []
