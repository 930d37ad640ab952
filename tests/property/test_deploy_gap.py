"""The gap promise: while a push runs, nothing alerts that alerts neither before nor after it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from ruledeploy.deploy import ApplyOptions, apply
from ruledeploy.errors import RuledeployError
from ruledeploy.stack import Running, running_stack
from support.deploy_bench import exception_list, fresh_bench, item, release, rule
from support.deploy_world import CASES, Case, WatchedKibana, Watcher, act, state


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """One stack for all examples; each gets a space and a folder of its own."""
    folder = tmp_path_factory.mktemp("gap")
    with running_stack(folder / "stack", scheduler=False) as running:
        yield running, folder


@settings(max_examples=30, deadline=None)
@given(CASES)
def test_no_event_alerts_in_between_that_alerts_neither_before_nor_after(
    stack: tuple[Running, Path], case: Case
) -> None:
    """After every single write, each rule's alerts lie within those of before and of after."""
    bench = fresh_bench(stack)
    try:
        bench.push(case.before)
        act(bench, case.acts)
        allowed = state(bench.kibana).alerts()
        plan = bench.plan(case.after, **case.options)
        watcher = Watcher(bench.kibana)
        with WatchedKibana(bench.kibana.connection, watcher) as watched:
            how = ApplyOptions(jobs=1, allow_many=True, stop=threading.Event())
            try:
                apply(plan, watched, bench.store, options=how)
            except RuledeployError:
                # Only a conflict may stop a push on a healthy server, and before any write.
                assert plan.conflicts
                assert watcher.seen == []
                return
        allowed |= state(bench.kibana).alerts()
        for request, alerts in watcher.seen:
            assert alerts <= allowed, f"{request.method} {request.path} {request.body}"
        assert bench.plan(case.after, **case.options).empty
    finally:
        bench.kibana.close()


def test_entries_taken_back_while_the_rule_changes_leave_no_gap(
    stack: tuple[Running, Path],
) -> None:
    """Neither the analyst's entries nor the files' may be missing while the rule is replaced."""
    bench = fresh_bench(stack)
    objects = exception_list("l1"), item("l1", "i", "b")
    bench.push(release(rule("r1", "l1", query='process.name:("a")'), *objects))
    edited = [{**entry, "operator": "excluded"} for entry in item("l1", "i", "b").body["entries"]]
    bench.kibana.items.update(item("l1", "i", entries=edited).body)
    assert state(bench.kibana).alerts() == frozenset()
    wanted = release(rule("r1", "l1", query='process.name:("b")'), *objects)
    plan = bench.plan(wanted, side="ours")
    watcher = Watcher(bench.kibana)
    with WatchedKibana(bench.kibana.connection, watcher) as watched:
        apply(plan, watched, bench.store, options=ApplyOptions(jobs=1))
    assert [alerts for _, alerts in watcher.seen] == [frozenset()] * 4
    assert set(bench.items()) == {"i"}
    assert bench.plan(wanted, side="ours").empty
    bench.kibana.close()


def test_the_watcher_sees_a_gap(stack: tuple[Running, Path]) -> None:
    """The law's own check: deleting an item before its rule changes is caught."""
    bench = fresh_bench(stack)
    query = 'process.name:("a" or "b")'
    bench.push(release(rule("r1", "l1", query=query), exception_list("l1"), item("l1", "i", "a")))
    before = state(bench.kibana).alerts()
    watcher = Watcher(bench.kibana)
    with WatchedKibana(bench.kibana.connection, watcher) as watched:
        watched.items.delete("i")
    assert not watcher.seen[0][1] <= before
    bench.kibana.close()
