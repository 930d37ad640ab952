"""A push against the local stack over real HTTP: what it writes, in which order, and when not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ruledeploy.deploy import preflight
from ruledeploy.errors import NotThere, RefusedError
from ruledeploy.kibana import Connection, Kibana
from support.deploy_bench import (
    MARK,
    Bench,
    exception_list,
    item,
    release,
    rule,
    running_bench,
)

FIRST = release(
    rule("r1", "l1"), rule("r2", "l1", "l2"), exception_list("l1"), exception_list("l2"),
    item("l1", "i1"), item("l1", "i2"), item("l2", "i3"),
)  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench on a stack of its own."""
    with running_bench(tmp_path) as running:
        yield running


def test_a_first_push_makes_everything(bench: Bench) -> None:
    """Rules come enabled with links to lists by the lists' real uuids, items lie in their lists."""
    outcome = bench.push(FIRST)
    assert outcome.writes == 7
    lists = bench.lists()
    assert set(bench.items()) == {"i1", "i2", "i3"}
    r2 = bench.rules()["r2"]
    assert r2["enabled"] is True
    assert {link["list_id"]: link["id"] for link in r2["exceptions_list"]} == {
        name: lists[name]["id"] for name in ("l1", "l2")
    }
    assert MARK in r2["tags"]


def test_lists_then_items_then_rules(bench: Bench) -> None:
    """No rule is written before the last of its items was written and read back."""
    bench.push(FIRST)
    paths = [path for _, path, _ in bench.log.writes()]
    kinds = [path.split("/")[2] + ("/items" if path.endswith("items") else "") for path in paths]
    assert (
        kinds == ["exception_lists"] * 2 + ["exception_lists/items"] * 3 + ["detection_engine"] * 2
    )


def test_a_second_push_reads_only(bench: Bench) -> None:
    """Nothing to do means no write, not even a record."""
    bench.push(FIRST)
    bench.log.lines.clear()
    outcome = bench.push(FIRST)
    assert outcome.record == 0
    assert bench.log.writes() == []
    assert len(bench.log.lines) == 3
    assert bench.store.last() == 1


def test_only_what_changed_is_written(bench: Bench) -> None:
    """One changed rule among two is one PUT."""
    bench.push(FIRST)
    bench.log.lines.clear()
    second = release(
        rule("r1", "l1", query="process.name:y.exe"), *FIRST.rules[1:], *FIRST.lists, *FIRST.items
    )
    bench.push(second)
    assert bench.log.writes() == [("PUT", "/api/detection_engine/rules", 200)]
    assert bench.rules()["r1"]["query"] == "process.name:y.exe"
    assert bench.rules()["r1"]["revision"] == 1


def test_a_changed_item_stands_beside_the_old_one_until_the_rule_is_written(bench: Bench) -> None:
    """New item, then the rule, then the old item goes."""
    bench.push(FIRST)
    bench.log.lines.clear()
    bench.push(
        release(
            rule("r1", "l1", query="process.name:z"), FIRST.rules[1], *FIRST.lists,
            item("l1", "i1b", "other.exe"), *FIRST.items[1:],
        )
    )  # fmt: skip
    assert [method for method, _, _ in bench.log.writes()] == ["POST", "PUT", "DELETE"]
    assert set(bench.items()) == {"i1b", "i2", "i3"}


def test_a_rule_gone_is_disabled_and_unlinked_and_its_lists_go(bench: Bench) -> None:
    """A rule that is gone stays, disabled, without a dangling link; its overlay goes."""
    bench.push(FIRST)
    bench.push(release(rule("r1", "l1"), exception_list("l1"), item("l1", "i1"), item("l1", "i2")))
    r2 = bench.rules()["r2"]
    assert r2["enabled"] is False
    assert [link["list_id"] for link in r2["exceptions_list"]] == ["l1"]
    assert set(bench.lists()) - {"endpoint_list"} == {"l1"}
    assert bench.plan(FIRST).empty is False


def test_a_retired_rule_comes_back_enabled(bench: Bench) -> None:
    """Back in the sources means enabled again, under the same object."""
    bench.push(FIRST)
    uuid = bench.rules()["r2"]["id"]
    without = release(FIRST.rules[0], *FIRST.lists, *FIRST.items)
    bench.push(without)
    assert bench.push(without).record == 0
    bench.push(FIRST)
    assert bench.rules()["r2"]["enabled"] is True
    assert bench.rules()["r2"]["id"] == uuid


def test_prune_deletes_a_rule(bench: Bench) -> None:
    """With prune a rule that is gone is deleted, also one that was only disabled before."""
    bench.push(FIRST)
    without = release(FIRST.rules[0], *FIRST.lists, *FIRST.items)
    bench.push(without)
    bench.push(without, prune=True)
    assert set(bench.rules()) == {"r1"}


def test_an_object_nobody_recorded_is_a_conflict_until_adopted(bench: Bench) -> None:
    """A live rule with an id we need is not ours for carrying our tag."""
    bench.kibana.rules.create(rule("r1", query="process.name:theirs", enabled=False).body)
    wanted = release(rule("r1"))
    with pytest.raises(RefusedError, match="--adopt"):
        bench.push(wanted)
    assert bench.log.writes() == [("POST", "/api/detection_engine/rules", 200)]
    bench.push(wanted, adopt=True)
    live = bench.rules()["r1"]
    assert live["query"] == "process.name:x.exe"
    assert live["enabled"] is False, "whoever disabled it before had a reason"
    assert bench.push(wanted).record == 0


def test_a_copy_made_in_kibana_is_reported_and_left_alone(bench: Bench) -> None:
    """Duplicate copies tags; the copy's id is in no record."""
    bench.push(FIRST)
    bench.kibana.rules.create(rule("copy").body)
    plan = bench.plan(FIRST)
    assert plan.empty
    assert "copy" in plan.notes[0]
    bench.push(release(), prune=True)
    assert set(bench.rules()) == {"copy"}


def test_a_list_that_a_foreign_rule_links_stays(bench: Bench) -> None:
    """The plan names the foreign rule; the list is deleted once the link is gone."""
    bench.push(FIRST)
    bench.kibana.rules.create(rule("foreign", "l1", tags=[]).body)
    bench.push(release())
    assert "l1" in bench.lists()
    assert "foreign" in bench.plan(release()).notes[0]
    bench.kibana.rules.delete("foreign")
    bench.push(release())
    assert "l1" not in bench.lists()


def test_a_list_with_an_item_made_by_hand_stays(bench: Bench) -> None:
    """Deleting a list would delete an analyst's item."""
    bench.push(FIRST)
    bench.kibana.items.create(item("l1", "by-hand", tags=[]).body)
    bench.push(release())
    assert set(bench.items()) == {"by-hand"}


def test_a_type_change_is_delete_and_create(bench: Bench) -> None:
    """The reason says so, and the enabled flag survives."""
    bench.push(FIRST)
    bench.kibana.rules.update({**rule("r1", "l1").body, "enabled": False})
    eql = rule("r1", "l1", type="eql", language="eql", query="process where true")
    wanted = release(eql, FIRST.rules[1], *FIRST.lists, *FIRST.items)
    [change] = bench.plan(wanted).changes
    assert "delete and create" in change.reason
    bench.push(wanted)
    live = bench.rules()["r1"]
    assert (live["type"], live["enabled"]) == ("eql", False)
    assert bench.push(wanted).record == 0


def test_comments_of_analysts_survive_a_put(bench: Bench) -> None:
    """An item's PUT carries the comments that are there."""
    bench.push(FIRST)
    live = bench.items()["i1"]
    bench.kibana.items.update({**item("l1", "i1").body, "comments": [{"comment": "seen it"}]})
    bench.push(
        release(*FIRST.rules, *FIRST.lists, item("l1", "i1", description="new"), *FIRST.items[1:])
    )
    after = bench.items()["i1"]
    assert after["id"] == live["id"]
    assert after["description"] == "new"
    assert [comment["comment"] for comment in after["comments"]] == ["seen it"]


def test_preflight_names_a_space_that_is_not_there(bench: Bench) -> None:
    """Kibana would take writes to such a space and show them to nobody."""
    assert preflight(bench.kibana).version
    url = bench.kibana.connection.url
    with Kibana(Connection(url, space="socc")) as lost, pytest.raises(NotThere, match="'socc'"):
        preflight(lost)
