"""Records, rollback, hold, drift, one overlay alone, and what analysts see afterwards."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from ruledeploy.deploy import (
    ApplyOptions,
    Options,
    apply,
    find_drift,
    history,
    key_moves,
    lift_hold,
    make_plan,
    only_overlay,
    place_hold,
    read_applied,
    read_health,
    read_live,
    refuse_held,
    rekey,
    rollback_release,
)
from ruledeploy.errors import RefusedError, UsageError
from support.deploy_bench import Bench, exception_list, item, release, rule, running_bench
from support.deploy_stores import FOLDER_AND_NODE, stores_of

NOW = datetime(2026, 11, 24, tzinfo=UTC)
FIRST = release(
    rule("r1", "l1"), rule("r2", "l1"), exception_list("l1"),
    item("l1", "i1"), item("l1", "soon", "s", expire_time="2026-11-20T00:00:00.000Z"),
)  # fmt: skip
SECOND = release(
    rule("r1", "l1", query="process.name:second"), exception_list("l1"), item("l1", "i2", "two")
)


@pytest.fixture(params=FOLDER_AND_NODE)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A bench on a stack of its own; records in a folder, and in a real Elasticsearch."""
    with (
        stores_of(request.param, request, tmp_path / "records") as stores,
        running_bench(tmp_path, stores=stores) as running,
    ):
        yield running


def test_history_says_who_pushed_what(bench: Bench) -> None:
    """Newest first, with counts; a push without changes leaves no line."""
    bench.push(FIRST)
    bench.push(FIRST)
    bench.push(SECOND)
    second, first = history(bench.store)
    assert (second["n"], first["n"]) == (2, 1)
    assert first["changes"] == {"create": 5}
    assert second["changes"] == {"create": 1, "update": 1, "disable": 1, "delete": 2}
    assert second["objects"] == {"rule": 2, "list": 1, "item": 1}
    assert "process" in second["who"]


def test_a_rollback_is_a_plan_that_never_revives_what_expired(bench: Bench) -> None:
    """Rules, items and enabled flags of record 1 are back; the item that expired since is not."""
    bench.push(FIRST)
    bench.push(SECOND)
    applied = bench.store.applied()
    wanted, record = rollback_release(bench.store, 1, NOW)
    live = read_live(bench.kibana, wanted, applied)
    plan = make_plan(wanted, live, applied, Options())
    options = ApplyOptions(jobs=1, commit=record.commit, allow_many=True)
    apply(plan, bench.kibana, bench.store, options=options)
    rules = bench.rules()
    assert rules["r1"]["query"] == "process.name:x.exe"
    assert rules["r2"]["enabled"] is True
    assert set(bench.items()) == {"i1"}
    with pytest.raises(RefusedError, match="no record 9"):
        rollback_release(bench.store, 9, NOW)


def test_a_hold_refuses_the_commit_that_was_rolled_back_and_older_ones(bench: Bench) -> None:
    """A newer commit passes, and so does everything once the hold is lifted."""
    place_hold(bench.store, "b", 1)
    for pushed in ("a", "b"):
        with pytest.raises(RefusedError, match="commit b and older") as caught:
            refuse_held(bench.store, partial(operator.gt, pushed))
        assert caught.value.exit_code == 3
    refuse_held(bench.store, partial(operator.gt, "c"))
    lift_hold(bench.store)
    refuse_held(bench.store, partial(operator.gt, "a"))


def test_drift_is_what_others_changed(bench: Bench) -> None:
    """Changed, gone, unmarked and made by hand, each told apart; nothing else."""
    bench.push(FIRST)
    applied = bench.store.applied()
    assert find_drift(read_applied(bench.kibana, applied), applied) == ()
    bench.kibana.rules.update(rule("r1", "l1", note="hello", enabled=False).body)
    bench.kibana.rules.update(rule("r2", "l1", tags=[]).body)
    bench.kibana.items.delete("i1")
    bench.kibana.items.create(item("l1", "by-hand", tags=[]).body)
    found = {
        (one.ref.id, one.what): {states.field for states in one.fields}
        for one in find_drift(read_applied(bench.kibana, applied), applied)
    }
    assert found == {
        ("r1", "changed"): {"enabled", "note"},
        ("r2", "unmarked"): set(),
        ("r2", "changed"): {"tags"},
        ("i1", "gone"): set(),
        ("by-hand", "added"): set(),
    }


def test_one_overlay_alone(bench: Bench) -> None:
    """Its items and links go in; the other edits of the branch stay out."""
    bench.push(FIRST)
    wanted = release(
        rule("r1", "l1", "l9", query="process.name:unfinished"),
        rule("r3", "l9"),
        exception_list("l1", description="unfinished"), exception_list("l9"),
        item("l9", "nine", "n"),
    )  # fmt: skip
    applied = bench.store.applied()
    bench.push(only_overlay(wanted, applied, "l9"))
    r1 = bench.rules()["r1"]
    assert r1["query"] == "process.name:x.exe"
    assert [link["list_id"] for link in r1["exceptions_list"]] == ["l1", "l9"]
    assert set(bench.items()) == {"i1", "soon", "nine"}
    assert set(bench.rules()) == {"r1", "r2"}
    assert bench.lists()["l1"]["description"] == "A list of the tests"
    with pytest.raises(UsageError, match="no overlay"):
        only_overlay(wanted, applied, "unknown")


def test_comments_follow_an_item_to_its_new_id(bench: Bench) -> None:
    """Changed entries make a new item; what analysts said about the old one is not lost."""
    bench.push(FIRST)
    bench.kibana.items.update({**item("l1", "i1").body, "comments": [{"comment": "seen it"}]})
    new = item("l1", "i1-new", "other")
    same_source = item("l1", "i1").provenance
    renewed = type(new)({**new.body, "name": "Item i1"}, same_source)
    bench.push(release(*FIRST.rules, *FIRST.lists, renewed))
    [comment] = bench.items()["i1-new"]["comments"]
    assert comment["comment"].startswith("seen it (")


def test_rekey_moves_enabled_rules_of_ours(bench: Bench) -> None:
    """Disabled and foreign rules keep their key."""
    bench.push(release(rule("r1"), rule("r2", enabled=False)))
    bench.kibana.rules.create(rule("foreign", tags=[]).body)
    moves = key_moves(bench.kibana, bench.store.applied())
    assert [move.rule_id for move in moves] == ["r1"]
    assert rekey(bench.kibana, moves) == 1


def test_health_after_a_push(bench: Bench) -> None:
    """The first run since the push: its status and words, or that it has not come yet."""
    bench.push(release(rule("r1"), rule("r2", enabled=False)))
    [health] = read_health(bench.kibana, ["r1", "r2"])
    assert (health.rule_id, health.status, health.well) == ("r1", "partial failure", False)
    assert "matching indices" in health.message
    assert "no index fits" in (health.remedy or "")
    bench.push(release(rule("r1", note="newer"), rule("r2", enabled=False)))
    waits: list[float] = []
    [health] = read_health(bench.kibana, ["r1"], ["r1"], wait=1.5, sleep=waits.append)
    assert (health.status, health.well) == ("not run yet", True)
    assert waits == [1.0, 0.5]
    assert read_health(bench.kibana, ["r1"], [], wait=60.0)[0] == health
