"""Crash-safety: killed at any request, the next push ends where an undisturbed one ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ruledeploy.deploy import ApplyOptions, RecordStore, apply
from ruledeploy.deploy.lock import EXPIRY_SECONDS
from ruledeploy.deploy.normalise import comparable, normalise
from ruledeploy.kibana import Kibana, Request
from ruledeploy.stack import Running, running_stack
from support.deploy_bench import OWNER, Bench, exception_list, fresh_bench, item, release, rule
from support.deploy_world import CASES, Case, WatchedKibana, Watcher, act, state


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """One stack for all examples; each gets a space and a folder of its own."""
    folder = tmp_path_factory.mktemp("crash")
    with running_stack(folder / "stack", scheduler=False) as running:
        yield running, folder


class Killed(BaseException):
    """The process is gone: nothing catches this, nothing is tidied up."""


@dataclass(slots=True)
class Life:
    """Counts what a process does to the outside world, and ends it at the chosen deed.

    `after` decides whether the last deed is still carried out.
    """

    deeds: int
    after: bool
    dead: bool = False

    def do(self, deed: Callable[[], Any]) -> Any:
        """Do it, unless dead."""
        if self.dead:
            raise Killed
        self.deeds -= 1
        if self.deeds < 0:
            self.dead = True
            if self.after:
                deed()
            raise Killed
        return deed()


class MortalKibana(WatchedKibana):
    """A client whose process may die at a request."""

    def __init__(self, bench: Bench, watcher: Watcher, life: Life) -> None:
        super().__init__(bench.kibana.connection, watcher)
        self._life = life

    def send(self, request: Request) -> Any:
        """Send, while alive."""
        return self._life.do(lambda: super(MortalKibana, self).send(request))


class MortalDocuments:
    """A store whose process may die at a request."""

    durable = True
    place = "the folder of a mortal"

    def __init__(self, bench: Bench, life: Life) -> None:
        self._documents = bench.store.documents
        self._life = life

    def get(self, id_: str) -> Any:
        """Read, while alive."""
        return self._life.do(lambda: self._documents.get(id_))

    def create(self, id_: str, document: Any) -> Any:
        """Create, while alive."""
        return self._life.do(lambda: self._documents.create(id_, document))

    def replace(self, id_: str, document: Any, version: Any) -> Any:
        """Overwrite, while alive."""
        return self._life.do(lambda: self._documents.replace(id_, document, version))

    def delete(self, id_: str, version: Any) -> None:
        """Delete, while alive."""
        self._life.do(lambda: self._documents.delete(id_, version))


def let_the_lock_expire(bench: Bench) -> None:
    """The dead process was this one, so its lock looks held; make its heartbeat old."""
    found = bench.store.documents.get("lock")
    if found:
        old = {**found[0], "heartbeat": float(found[0]["heartbeat"]) - EXPIRY_SECONDS - 1}
        bench.store.documents.replace("lock", old, found[1])


def summary(kibana: Kibana) -> dict[str, Any]:
    """What is on a server, without anything that differs between two equal servers."""
    seen = state(kibana)
    everything: dict[str, Any] = {}
    for kind, id_field, bodies in (
        ("rule", "rule_id", seen.rules),
        ("item", "item_id", seen.items),
        ("list", "list_id", kibana.lists.find().objects),
    ):
        for body in bodies:
            key = f"{kind}/{body[id_field]}"
            assert key not in everything, f"{key} is there twice"
            fields = normalise(kind, body)  # type: ignore[arg-type]
            everything[key] = {name: comparable(name, value) for name, value in fields.items()}
    return everything


def killed_push(bench: Bench, case: Case, life: Life) -> tuple[bool, Watcher]:
    """Push `case.after` with a process of that length of life; whether it died, what was seen."""
    watcher = Watcher(bench.kibana)
    plan = bench.plan(case.after, **case.options)
    with MortalKibana(bench, watcher, life) as mortal:
        store = RecordStore(MortalDocuments(bench, life), OWNER)
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
        let_the_lock_expire(bench)
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
            let_the_lock_expire(bench)
            killed_push(bench, BUSY, Life(10**6, after=False))
            found = summary(bench.kibana)
            if deeds == 0:
                expected = found
            assert found == expected, f"killed at deed {deeds}"
            assert bench.plan(BUSY.after, **BUSY.options).empty
        deeds += 1
    assert deeds > 30
