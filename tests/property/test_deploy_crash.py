"""Crash-safety: killed at any request, the next push ends where an undisturbed one ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ruledeploy.deploy import ApplyOptions, RecordStore, apply
from ruledeploy.kibana import Request
from ruledeploy.stack import Running, running_stack
from support.deploy_bench import OWNER, Bench, exception_list, fresh_bench, item, release, rule
from support.deploy_life import Killed, Life, MortalDocuments, let_the_lock_expire, summary
from support.deploy_world import CASES, Case, WatchedKibana, Watcher, act, state


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """One stack for all examples; each gets a space and a folder of its own."""
    folder = tmp_path_factory.mktemp("crash")
    with running_stack(folder / "stack", scheduler=False) as running:
        yield running, folder


class WatchedMortal(WatchedKibana):
    """A watched client whose process may die at a request."""

    def __init__(self, bench: Bench, watcher: Watcher, life: Life) -> None:
        super().__init__(bench.kibana.connection, watcher)
        self._life = life

    def send(self, request: Request) -> Any:
        """Send, while alive."""
        return self._life.do(lambda: super(WatchedMortal, self).send(request))


def killed_push(bench: Bench, case: Case, life: Life) -> tuple[bool, Watcher]:
    """Push `case.after` with a process of that length of life; whether it died, what was seen."""
    watcher = Watcher(bench.kibana)
    plan = bench.plan(case.after, **case.options)
    with WatchedMortal(bench, watcher, life) as mortal:
        store = RecordStore(MortalDocuments(bench.store.documents, life), OWNER)
        try:
            apply(plan, mortal, store, options=ApplyOptions(jobs=1, allow_many=True))
        except Killed:
            return True, watcher
    return False, watcher


@settings(max_examples=20, deadline=None)
@given(CASES, st.integers(0, 40), st.booleans())
def test_killed_anywhere_the_next_push_converges_without_a_gap(
    stack: tuple[Running, Path],
    case: Case,
    deeds: int,
    after: bool,  # hypothesis passes by position
) -> None:
    """Same end as undisturbed, no duplicate, no orphan, no gap, and then nothing left to do."""
    calm, bench = fresh_bench(stack), fresh_bench(stack)
    with calm.kibana, bench.kibana:
        for each in (calm, bench):
            each.push(case.before)
            act(each, case.acts)
        assume(not calm.plan(case.after, **case.options).conflicts)
        allowed = state(bench.kibana).alerts()
        calm.push(case.after, **case.options)
        allowed |= state(calm.kibana).alerts()
        died, watcher = killed_push(bench, case, Life(deeds, after))
        let_the_lock_expire(bench.store.documents)
        _, second = killed_push(bench, case, Life(10**6, after=False))
        assert summary(bench.kibana) == summary(calm.kibana)
        assert all(alerts <= allowed for _, alerts in watcher.seen + second.seen), died
        bench.log.lines.clear()
        assert bench.plan(case.after, **case.options).empty


BUSY = Case(
    before=release(
        rule("r1", "l1", query='process.name:("a" or "b")'),
        rule("r2", "l1", "l2", query='process.name:("c")'),
        exception_list("l1"), exception_list("l2"),
        item("l1", "old", "a"), item("l2", "gone", "c"), item("l1", "text", "d"),
    ),
    acts=[("toggle", 0), ("edit", 2)],
    after=release(
        rule("r1", "l1", type="eql", language="eql", query='process where "a" or "d"'),
        rule("r3", "l1", query='process.name:("c")'),
        exception_list("l1", name="renamed"),
        item("l1", "new", "d"), item("l1", "text", "d", description="two"),
    ),
    options={"side": "ours", "adopt": True, "prune": False},
)  # fmt: skip


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_single_deed(stack: tuple[Running, Path], *, after: bool) -> None:
    """One push with creates, edits, a replaced rule and removals, killed at each of its deeds."""
    deeds, died = 0, True
    while died:
        bench = fresh_bench(stack)
        with bench.kibana:
            bench.push(BUSY.before)
            act(bench, BUSY.acts)
            died, _ = killed_push(bench, BUSY, Life(deeds, after))
            let_the_lock_expire(bench.store.documents)
            killed_push(bench, BUSY, Life(10**6, after=False))
            found = summary(bench.kibana)
            if deeds == 0:
                expected = found
            assert found == expected, f"killed at deed {deeds}"
            assert bench.plan(BUSY.after, **BUSY.options).empty
        deeds += 1
    assert deeds > 30
