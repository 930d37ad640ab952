"""The gap promise at scale, by the product's engine, after every request, killed or not.

With A the state before a push and B the state after: at every request an event alerts only if it
alerts under A or under B.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.deploy import ApplyOptions, RecordStore, apply
from ruledeploy.model import Release
from ruledeploy.stack import Running, running_stack
from ruledeploy.stack.http import Answer, Call
from support.deploy_bench import Bench, fresh_bench
from support.deploy_gap import Watch, Watches, gaps, two_releases
from support.deploy_life import Killed, Life, MortalDocuments, MortalKibana, let_the_lock_expire
from support.deploy_life import summary as summary_of
from support.deploy_stores import Stores, folder_stores, mostly, stores_of
from support.deploy_victim import Pusher
from support.soak import SOAK, many

SMALL = {"rules": 7, "lists": 5, "values": 2}


@dataclass(slots=True)
class Killer:
    """A hook that watches, and kills a process after a chosen write of a space."""

    watches: Watches = field(default_factory=Watches)
    pid: int = 0
    space: str = ""
    writes: int = 0

    def __call__(self, call: Call, answer: Answer) -> None:
        """Watch; then count down, and kill before the answer goes out."""
        self.watches(call, answer)
        if self.pid and call.space == self.space and call.method != "GET":
            self.writes -= 1
            if self.writes == 0:
                os.kill(self.pid, signal.SIGKILL)
                self.pid = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """A stack that is watched."""

    running: Running
    folder: Path
    killer: Killer

    def bench(self, stores: Stores) -> tuple[Bench, Watch]:
        """A space of its own, and its watch."""
        bench = fresh_bench((self.running, self.folder), stores)
        return bench, self.killer.watches.spaces[bench.kibana.connection.space]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One stack for all tests; each takes spaces of its own."""
    folder = tmp_path_factory.mktemp("gap")
    killer = Killer()
    with running_stack(folder / "stack", hook=killer, scheduler=False) as running:
        yield Ground(running, folder, killer)


@pytest.fixture
def stores(request: pytest.FixtureRequest, ground: Ground, tmp_path: Path) -> Iterator[Stores]:
    """Records in a folder, in the local stack's index, in a real Elasticsearch."""
    with stores_of(request.param, request, tmp_path, ground.running.elasticsearch_url) as found:
        yield found


@dataclass(frozen=True, slots=True)
class Target:
    """Where a push must end: what is there, and what alerts, after a push onto nothing."""

    release: Release
    summary: dict[str, Any]
    alerts: dict[str, frozenset[str]]


def target(ground: Ground, wanted: Release, tmp_path: Path) -> Target:
    """The end of an undisturbed push onto an empty space."""
    bench, watch = ground.bench(folder_stores(tmp_path / "clean"))
    with bench.kibana:
        bench.push(wanted, jobs=None)
        return Target(wanted, summary_of(bench.kibana), dict(watch.alerts))


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("seed", range(many(1, 10)))
def test_two_hundred_rules_change_without_a_gap(
    ground: Ground, tmp_path: Path, seed: int, *, prune: bool
) -> None:
    """200 rules and 60 lists, several requests in flight: no moment alerts on anything new."""
    before, after = two_releases(seed, values=10)
    bench, watch = ground.bench(folder_stores(tmp_path))
    with bench.kibana:
        bench.push(before, jobs=None)
        a = dict(watch.alerts)
        watch.seen.clear()
        bench.push(after, jobs=None, prune=prune)
        assert gaps(watch.seen, a, watch.alerts) == []
        # The test would be empty if the push moved nothing.
        assert len(gaps(watch.seen, a)) > 10
        assert bench.plan(after, prune=prune).empty
        if prune:
            end = target(ground, after, tmp_path)
            assert summary_of(bench.kibana) == end.summary
            assert nonempty(watch.alerts) == nonempty(end.alerts)


def nonempty(alerts: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The rules that alert on anything."""
    return {rule_id: found for rule_id, found in alerts.items() if found}


def test_the_watch_sees_a_gap(ground: Ground, tmp_path: Path) -> None:
    """The check's own check: the writes of a push in a wrong order are caught."""
    before, after = two_releases(3, **SMALL)
    bench, watch = ground.bench(folder_stores(tmp_path))
    with bench.kibana:
        bench.push(before)
        a = dict(watch.alerts)
        watch.seen.clear()
        plan = bench.plan(after, prune=True)
        for write in [w for w in plan.writes if w.ref.kind == "item" and w.operation == "delete"]:
            bench.kibana.send(write.request)
        assert gaps(watch.seen, a, target(ground, after, tmp_path).alerts)


def killed_push(bench: Bench, wanted: Release, life: Life, jobs: int | None = 1) -> bool:
    """Push with a process of that length of life; whether it died."""
    plan = bench.plan(wanted, prune=True)
    with MortalKibana(bench.kibana.connection, life) as mortal:
        store = RecordStore(MortalDocuments(bench.store.documents, life), bench.store.owner)
        options = ApplyOptions(jobs=jobs, allow_many=True)
        try:
            apply(plan, mortal, store, options=options)
        except Killed:
            let_the_lock_expire(bench.store.documents)
            return True
    return False


def there_and_killed(bench: Bench, watch: Watch, origin: Target, goal: Target, deeds: int) -> bool:
    """From one to the other, dying at that request, and on; whether there was one to die at."""
    died = killed_push(bench, goal.release, Life(deeds, after=deeds % 3 == 0))
    if died:
        bench.push(goal.release, prune=True)
    check_end(bench, watch, goal, origin, f"killed at request {deeds}")
    return died


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The objects that differ, with both of their states."""
    keys = sorted(one.keys() | other.keys())
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def check_end(bench: Bench, watch: Watch, goal: Target, origin: Target, what: str) -> None:
    """No gap on the way, the same end as undisturbed, and nothing left to do."""
    assert gaps(watch.seen, origin.alerts, goal.alerts) == [], what
    assert differences(summary_of(bench.kibana), goal.summary) == {}, what
    assert bench.plan(goal.release, prune=True).empty, what
    assert bench.store.applied().state == "done", what
    watch.seen.clear()


@pytest.mark.parametrize(
    ("part", "stores"),
    [
        pytest.param(0, "folder"),
        pytest.param(1, "stack"),
        pytest.param(2, "node", marks=pytest.mark.node),
    ],
    indirect=["stores"],
)
def test_killed_at_each_request_in_turn_there_is_no_gap(
    ground: Ground, stores: Stores, tmp_path: Path, part: int
) -> None:
    """From A to B and back, each dying at the same request and pushed again; then at the next.

    Every third request is in a part, so the three together die at each. The release is small
    here; `make soak` takes it with 200 rules and 60 lists.
    """
    size = {"rules": 200, "lists": 60, "values": 10} if SOAK else SMALL
    goals = [
        target(ground, wanted, tmp_path / str(n))
        for n, wanted in enumerate(two_releases(7, **size))
    ]
    bench, watch = ground.bench(stores)
    with bench.kibana:
        bench.push(goals[0].release)
        watch.seen.clear()
        for deeds in count(part, 3):
            died = [
                there_and_killed(bench, watch, origin, goal, deeds)
                for origin, goal in (goals, goals[::-1])
            ]
            if not any(died):
                break
        assert deeds > 40


@pytest.mark.parametrize("part", range(many(2, 20)))
def test_a_large_push_killed_somewhere_leaves_no_gap(
    ground: Ground, tmp_path: Path, part: int
) -> None:
    """200 rules and 60 lists, with several requests in flight when the process dies."""
    before, after = two_releases(11 + part, values=10)
    goals = [target(ground, one, tmp_path / str(n)) for n, one in enumerate((before, after))]
    bench, watch = ground.bench(folder_stores(tmp_path / "records"))
    with bench.kibana:
        bench.push(before, jobs=None)
        watch.seen.clear()
        assert killed_push(bench, after, Life(40 + 110 * (part % 4)), jobs=None)
        bench.push(after, jobs=None, prune=True)
        check_end(bench, watch, goals[1], goals[0], f"part {part}")


@pytest.mark.parametrize(("turn", "kind"), mostly(("stack",), many(20, 100), 10))
def test_a_killed_process_leaves_no_gap(
    ground: Ground, tmp_path: Path, request: pytest.FixtureRequest, turn: int, kind: str
) -> None:
    """A real SIGKILL, while several requests are in flight; the next push takes the lock over."""
    before, after = two_releases(turn, **SMALL)
    goals = [target(ground, one, tmp_path / str(n)) for n, one in enumerate((before, after))]
    file = tmp_path / "release.json"
    file.write_text(json.dumps(after.to_json()), "utf-8")
    with ExitStack() as closing:
        stores = closing.enter_context(
            stores_of(kind, request, tmp_path, ground.running.elasticsearch_url)
        )
        bench, watch = ground.bench(stores)
        closing.enter_context(bench.kibana)
        space = bench.kibana.connection.space
        bench.push(before)
        watch.seen.clear()
        with Pusher() as victim:
            victim.prepare(bench, file)
            ground.killer.space, ground.killer.writes = space, 1 + 2 * turn % 37
            ground.killer.pid = victim.process.pid
            victim.go()
            assert victim.process.wait(60) == -signal.SIGKILL
        assert bench.store.applied().state == "applying"
        bench.push(after, prune=True)
        check_end(bench, watch, goals[1], goals[0], f"turn {turn}")
