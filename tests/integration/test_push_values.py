"""Value lists: filled before an item looks into them, emptied last, never pruned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.deploy import (
    ApplyOptions,
    PartlyApplied,
    Plan,
    apply,
    rollback_release,
)
from ruledeploy.deploy.stages import WriteItems, stages
from ruledeploy.errors import RefusedError, RuledeployError
from ruledeploy.kibana import Connection, Request
from ruledeploy.stack import Running, running_stack
from support.deploy_bench import (
    Bench,
    exception_list,
    fresh_bench,
    listed,
    release,
    rule,
    value_list,
)
from support.deploy_faults import FaultyKibana, Weather
from support.deploy_gap import NAMES, Watches, gaps
from support.deploy_life import Life, killed, let_the_lock_expire

QUERY_A, QUERY_B = (f"process.name:({' OR '.join(names)})" for names in (NAMES[:6], NAMES[4:10]))
# The query moves, and with it the values that hide what is known: all but one name of each.
A = release(
    rule("r1", "l1", query=QUERY_A), exception_list("l1"), listed("l1", "i1", "tools"),
    value_list("tools", *NAMES[:5]),
)  # fmt: skip
B = release(
    rule("r1", "l1", query=QUERY_B), exception_list("l1"), listed("l1", "i1", "tools"),
    value_list("tools", *NAMES[4:9]),
)  # fmt: skip


@pytest.fixture(scope="module")
def watches() -> Watches:
    """What each space alerts on."""
    return Watches()


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, watches: Watches
) -> Iterator[tuple[Running, Path]]:
    """One stack for all."""
    folder = tmp_path_factory.mktemp("values")
    with running_stack(folder / "stack", hook=watches, scheduler=False) as running:
        yield running, folder


@pytest.fixture
def bench(stack: tuple[Running, Path]) -> Iterator[Bench]:
    """A space of its own."""
    found = fresh_bench(stack)
    with found.kibana:
        yield found


def values(bench: Bench, list_id: str = "tools") -> list[str]:
    """The values of a list; one that is there twice fails the test."""
    found = [one["value"] for one in bench.kibana.value_lists.values(list_id)]
    assert len(found) == len(set(found))
    return sorted(found)


def test_a_list_is_created_with_its_values_before_the_item(bench: Bench) -> None:
    """The space's data streams are made when they are missing; pushed again, nothing is written."""
    plan = bench.plan(A)
    assert Plan.from_json(plan.to_json()) == plan
    names = [type(stage).__name__ for stage in stages(plan)]
    assert names[:3] == ["WriteValueLists", "ReadValuesBack", "WriteLists"]
    bench.push(A)
    assert values(bench) == sorted(NAMES[:5])
    assert bench.kibana.value_lists.get("tools")["meta"] == A.value_lists[0].body["meta"]
    assert bench.plan(A).empty


def test_values_move_with_the_rule_without_a_gap(bench: Bench, watches: Watches) -> None:
    """New values come before the rule's new query, old ones go after."""
    watch = watches.spaces[bench.kibana.connection.space]
    bench.push(A)
    a = dict(watch.alerts)
    assert a["r1"] == {f"{NAMES[5]} u{n}" for n in range(4)}
    watch.seen.clear()
    plan = bench.plan(B)
    [change] = [one for one in plan.changes if one.ref.kind == "value_list"]
    assert change.before == {"values": sorted(NAMES[:4])}
    assert change.after == {"values": sorted(NAMES[5:9])}
    bench.push(B, jobs=None)
    assert gaps(watch.seen, a, watch.alerts) == []
    assert watch.alerts["r1"] == {f"{NAMES[9]} u{n}" for n in range(4)}
    assert values(bench) == sorted(NAMES[4:9])
    assert bench.plan(B).empty


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_request_no_value_is_missing_and_none_is_left(
    stack: tuple[Running, Path], watches: Watches, *, after: bool
) -> None:
    """From A to B, dying one request later each time."""
    for deeds in count():
        bench = fresh_bench(stack)
        watch = watches.spaces[bench.kibana.connection.space]
        with bench.kibana:
            bench.push(A)
            a = dict(watch.alerts)
            watch.seen.clear()
            died = killed(bench, B, Life(deeds, after))
            bench.push(B)
            assert gaps(watch.seen, a, watch.alerts) == [], deeds
            assert values(bench) == sorted(NAMES[4:9])
            assert bench.plan(B).empty
        if not died:
            break
    assert deeds > 20


def test_a_large_list_is_uploaded_whole_and_grows_without_a_gap(bench: Bench) -> None:
    """Some requests for tens of thousands of values, and not one of them missing meanwhile."""
    many = [f"value {n:05}" for n in range(2_000)]
    sent: list[Request] = []
    wanted = release(*A.rules, *A.lists, *A.items, value_list("tools", *many))
    bench.push(wanted)
    assert values(bench) == many
    more = release(
        *A.rules, *A.lists, *A.items, value_list("tools", *many, *(f"x {m}" for m in many))
    )
    plan = bench.plan(more)
    sent = [write.request for write in plan.writes]
    assert [request.path for request in sent] == ["/api/lists/items/_import"]
    assert len((sent[0].upload or "").splitlines()) == 2_000
    bench.push(more)
    assert len(values(bench)) == 4_000
    assert bench.plan(more).empty


def test_what_analysts_add_stays_and_what_they_take_comes_back(bench: Bench) -> None:
    """A value list is a set: theirs beside ours. A missing value of ours is put back."""
    bench.push(A)
    bench.kibana.send(
        Request("POST", "/api/lists/items", body={"list_id": "tools", "value": "theirs"})
    )
    query = {"list_id": "tools", "value": NAMES[0]}
    bench.kibana.send(Request("DELETE", "/api/lists/items", query))
    bench.push(A)
    assert values(bench) == sorted([*NAMES[:5], "theirs"])
    bench.push(B)
    assert values(bench) == sorted([*NAMES[4:9], "theirs"])
    assert bench.plan(B).empty


def test_a_list_is_never_pruned(bench: Bench) -> None:
    """Gone from the files it stays as it was, and is still ours when it comes back."""
    bench.push(A)
    bench.push(release(rule("r1")), prune=True)
    assert values(bench) == sorted(NAMES[:5])
    assert bench.plan(release(rule("r1")), prune=True).empty
    bench.push(B)
    assert values(bench) == sorted(NAMES[4:9])


def test_a_list_that_nobody_recorded_is_a_conflict(bench: Bench) -> None:
    """Also one with our mark: marks are copied."""
    bench.kibana.value_lists.create_index()
    bench.kibana.value_lists.create(A.value_lists[0].body)
    with pytest.raises(RefusedError, match="no record of ours made it"):
        bench.push(A)
    bench.push(A, adopt=True)
    assert values(bench) == sorted(NAMES[:5])


def test_a_value_that_came_meanwhile_makes_a_plan_stale(bench: Bench) -> None:
    """The plan would not know whether to keep it."""
    bench.push(A)
    plan = bench.plan(B)
    bench.kibana.send(
        Request("POST", "/api/lists/items", body={"list_id": "tools", "value": "new"})
    )
    with pytest.raises(RefusedError, match="stale: value list tools"):
        apply(plan, bench.kibana, bench.store)


@pytest.mark.parametrize("seed", range(8))
def test_under_faults_every_value_is_there_once(bench: Bench, seed: int) -> None:
    """Lost answers are read back: no value twice, none missing, no item before its values."""
    small = Connection(bench.kibana.connection.url, bench.kibana.connection.space, timeout=0.3)
    for wanted in (A, B):
        with FaultyKibana(small, Weather(seed)) as faulty:
            plan = bench.plan(wanted)
            options = ApplyOptions(jobs=1, sleep=lambda _: None)
            done: set[int] = set()
            with suppress(RuledeployError):
                try:
                    apply(plan, faulty, bench.store, options=options)
                except PartlyApplied as error:
                    done = {id(write) for write in error.done}
        for stage in stages(plan):
            if isinstance(stage, WriteItems) and done & set(map(id, stage.writes)):
                assert set(values(bench)) >= set(wanted.value_lists[0].values)
        let_the_lock_expire(bench.store.documents)
        bench.push(wanted)
        assert values(bench) == sorted(wanted.value_lists[0].values)


def test_a_rollback_brings_values_back(bench: Bench) -> None:
    """Records hold the values as they were."""
    bench.push(A)
    bench.push(B)
    old, _ = rollback_release(bench.store, 1, datetime.now(UTC))
    bench.push(old)
    assert values(bench) == sorted(NAMES[:5])
    found: dict[str, Any] = bench.rules()["r1"]
    assert found["query"] == QUERY_A
