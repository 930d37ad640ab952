"""`replaces`: a new rule takes over an old one's enabled flag and its own exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.deploy import of_analysts, rollback_release
from ruledeploy.errors import RefusedError
from ruledeploy.model import DetectionRule, Release
from ruledeploy.stack import Running, running_stack
from support.deploy_bench import Bench, exception_list, fresh_bench, item, release, rule
from support.deploy_gap import NAMES, Watches, gaps
from support.deploy_life import Life, killed
from support.deploy_world import _writable

QUERY = f"process.name:({' OR '.join(NAMES[:6])})"


def heir(**fields: Any) -> DetectionRule:
    """A rule that replaces `old`."""
    return replace(rule("new", "l1", query=QUERY, **fields), replaces="old")


LISTS = exception_list("l1"), item("l1", "i1", NAMES[0])
FIRST = release(rule("old", "l1", query=QUERY), *LISTS)
SECOND = release(heir(), *LISTS)


@pytest.fixture(scope="module")
def watches() -> Watches:
    """What each space alerts on."""
    return Watches()


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, watches: Watches
) -> Iterator[tuple[Running, Path]]:
    """One stack for all."""
    folder = tmp_path_factory.mktemp("replaces")
    with running_stack(folder / "stack", hook=watches, scheduler=False) as running:
        yield running, folder


def with_own_list(bench: Bench, wanted: Release = FIRST, *, enabled: bool = True) -> None:
    """FIRST pushed, and an exception that an analyst made for the old rule alone."""
    bench.push(wanted)
    bench.kibana.lists.create({
        "list_id": "own", "name": "own", "description": "d", "type": "rule_default",
        "namespace_type": "single",
    })  # fmt: skip
    bench.kibana.items.create(item("own", "by-hand", NAMES[1], tags=[]).body)
    old = bench.rules()["old"]
    link = {"list_id": "own", "type": "rule_default", "namespace_type": "single"}
    link["id"] = bench.lists()["own"]["id"]
    links = [*old["exceptions_list"], link]
    body = {**_writable(old), "exceptions_list": links, "enabled": enabled}
    bench.kibana.rules.update(body)


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_flag_and_own_list_go_over(
    stack: tuple[Running, Path], watches: Watches, *, prune: bool, enabled: bool
) -> None:
    """The list has one rule at a time, and not one event is uncovered on the way."""
    bench = fresh_bench(stack)
    watch = watches.spaces[bench.kibana.connection.space]
    with bench.kibana:
        with_own_list(bench, enabled=enabled)
        before = dict(watch.alerts)
        watch.seen.clear()
        bench.push(SECOND, prune=prune)
        new = bench.rules()["new"]
        assert new["enabled"] is enabled
        assert [link["list_id"] for link in new["exceptions_list"]] == ["l1", "own"]
        if prune:
            assert "old" not in bench.rules()
        else:
            assert bench.rules()["old"]["enabled"] is False
            links = bench.rules()["old"]["exceptions_list"]
            assert [link["list_id"] for link in links] == ["l1"]
        assert gaps(watch.seen, before, watch.alerts) == []
        hits = {f"{name} u{n}" for name in NAMES[2:6] for n in range(4)}
        assert watch.alerts.get("new", frozenset()) == (hits if enabled else frozenset())
        assert bench.plan(SECOND, prune=prune).empty


def test_without_a_list_of_its_own_the_old_rule_goes_once_the_new_one_is_there(
    stack: tuple[Running, Path],
) -> None:
    """At no moment is the detection missing."""
    bench = fresh_bench(stack)
    with bench.kibana:
        bench.push(FIRST)
        order = [
            (write.ref.id, write.phase)
            for write in bench.plan(SECOND).writes
            if write.ref.kind == "rule"
        ]
        assert sorted(order) == [("new", "rule"), ("old", "unhide")]
        bench.push(SECOND)
        assert {r: body["enabled"] for r, body in bench.rules().items()} == {
            "old": False, "new": True,
        }  # fmt: skip


@pytest.mark.parametrize(("after", "prune"), [(False, True), (True, False)])
def test_killed_at_each_request_nothing_is_forgotten(
    stack: tuple[Running, Path], watches: Watches, *, after: bool, prune: bool
) -> None:
    """Also twice: what the old rule had is in the records until the new one has it."""
    for deeds in count():
        bench = fresh_bench(stack)
        watch = watches.spaces[bench.kibana.connection.space]
        with bench.kibana:
            with_own_list(bench, enabled=True)
            before = dict(watch.alerts)
            watch.seen.clear()
            died = killed(bench, SECOND, Life(deeds, after), prune=prune)
            killed(bench, SECOND, Life(deeds // 2, after), prune=prune)
            bench.push(SECOND, prune=prune)
            links = bench.rules()["new"]["exceptions_list"]
            assert [link["list_id"] for link in links] == ["l1", "own"], deeds
            assert bench.rules()["new"]["enabled"] is True
            assert gaps(watch.seen, before, watch.alerts) == [], deeds
            assert bench.plan(SECOND, prune=prune).empty
        if not died:
            break
    assert deeds > 15


def test_a_rule_that_nobody_recorded_is_replaced_only_when_told(
    stack: tuple[Running, Path],
) -> None:
    """It may be someone's; --adopt takes it over, and no other field of it changes."""
    bench = fresh_bench(stack)
    with bench.kibana:
        bench.kibana.rules.create(rule("old", tags=[], query=QUERY).body)
        with pytest.raises(RefusedError, match="replaces rule old, which no record"):
            bench.push(SECOND)
        assert set(bench.rules()) == {"old"}
        bench.push(SECOND, adopt=True)
        assert bench.rules()["old"]["enabled"] is False
        assert bench.rules()["old"]["tags"] == []
        assert bench.rules()["new"]["enabled"] is True
        assert bench.plan(SECOND).empty


def back_to_first(bench: Bench) -> Release:
    """What a rollback to the first record wants."""
    return rollback_release(bench.store, 1, datetime.now(UTC))[0]


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_a_rollback_gives_the_old_rule_back_what_was_its(
    stack: tuple[Running, Path], watches: Watches, *, prune: bool, enabled: bool
) -> None:
    """Its own list and its flag, whether it was disabled or deleted; and no event is uncovered."""
    bench = fresh_bench(stack)
    watch = watches.spaces[bench.kibana.connection.space]
    with bench.kibana:
        with_own_list(bench, enabled=enabled)
        first = dict(watch.alerts)
        bench.push(SECOND, prune=prune)
        second = dict(watch.alerts)
        watch.seen.clear()
        bench.push(back_to_first(bench), prune=True)
        assert set(bench.rules()) == {"old"}
        old = bench.rules()["old"]
        assert old["enabled"] is enabled
        assert [link["list_id"] for link in old["exceptions_list"]] == ["l1", "own"]
        assert gaps(watch.seen, first, second) == []
        assert watch.alerts.get("old", frozenset()) == first.get("old", frozenset())
        assert bench.plan(back_to_first(bench), prune=True).empty
        assert bench.plan(FIRST).empty, "the next push of the old files"


def test_a_rollback_that_dies_forgets_nothing_of_the_old_rule(
    stack: tuple[Running, Path],
) -> None:
    """What the successor gave up is in the record until the old rule has it."""
    for deeds in count():
        bench = fresh_bench(stack)
        with bench.kibana:
            with_own_list(bench)
            bench.push(SECOND)
            wanted = back_to_first(bench)
            died = killed(bench, wanted, Life(deeds), prune=True)
            bench.push(wanted, prune=True)
            old = bench.rules()["old"]
            assert [link["list_id"] for link in old["exceptions_list"]] == ["l1", "own"], deeds
            assert old["enabled"] is True, deeds
        if not died:
            break
    assert deeds > 10


def test_a_rollback_leaves_disabled_what_an_analyst_had_disabled(
    stack: tuple[Running, Path],
) -> None:
    """Before the push that dropped the rule it did not run; so it does not afterwards."""
    bench = fresh_bench(stack)
    both = release(*FIRST.rules, rule("loud"), *LISTS)
    with bench.kibana:
        bench.push(both)
        bench.kibana.rules.update({**_writable(bench.rules()["loud"]), "enabled": False})
        bench.push(release(*LISTS))
        done = of_analysts(bench.store, 1)
        assert done == {"loud": {"enabled": False}}
        bench.push(back_to_first(bench), prune=True, restored=done)
        flags = {rule_id: body["enabled"] for rule_id, body in bench.rules().items()}
        assert flags == {"old": True, "loud": False}
        assert bench.plan(both).empty
