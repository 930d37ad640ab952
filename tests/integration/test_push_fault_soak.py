"""Pushes in bad weather: each ends exact, or says truly what is done and left; the next is exact.

A few hundred in every run; `make soak` does ten thousand. A failure names its chunk, which `-k`
runs alone, and the last seed it printed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.deploy import ApplyOptions, PartlyApplied, Plan, RecordStore, apply
from ruledeploy.deploy.documents import IndexDocuments
from ruledeploy.deploy.normalise import comparable, fingerprint, normalise
from ruledeploy.deploy.objects import Ref, desired_objects
from ruledeploy.deploy.send import unexpected
from ruledeploy.deploy.store import Documents
from ruledeploy.errors import RuledeployError
from ruledeploy.kibana import Connection, Kibana
from ruledeploy.model import Release
from ruledeploy.stack import Running, running_stack
from ruledeploy.stack.config import Faults
from support.deploy_bench import OWNER, Bench, fresh_bench
from support.deploy_faults import FaultyKibana, FaultyPeer, LossyPeer, Weather
from support.deploy_gap import two_releases
from support.deploy_life import let_the_lock_expire, summary
from support.deploy_stores import mostly, stores_of
from support.soak import many

PUSHES = 25  # in a row, each from where the last has left the server


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """One stack for all; it asks for no patience, and has no trouble but what is asked for."""
    folder = tmp_path_factory.mktemp("weather")
    faults = Faults(retry_after_s=0)
    with running_stack(folder / "stack", scheduler=False, faults=faults) as running:
        yield running, folder


def desired_summary(wanted: Release) -> dict[str, Any]:
    """What is on the server when everything is as wanted, in the form of `summary`."""
    found: dict[str, Any] = {}
    for desired in desired_objects(wanted, OWNER):
        fields = normalise(desired.ref.kind, desired.body)
        if desired.ref.kind == "rule":
            fields = {"version": 1, **fields}
        found[desired.ref.key] = {name: comparable(name, value) for name, value in fields.items()}
    return found


def objects(kibana: Kibana) -> dict[Ref, Any]:
    """Everything on the server."""
    lists = {Ref("list", one["list_id"]): one for one in kibana.lists.find().objects}
    items = kibana.items.find([ref.id for ref in lists])
    rules = kibana.rules.find().objects
    return {
        **lists,
        **{Ref("item", one["item_id"]): one for one in items},
        **{Ref("rule", one["rule_id"]): one for one in rules},
    }


def check_report(error: PartlyApplied, plan: Plan, before: Any, after: Any) -> None:
    """`done` is there, `left` is not, and together with `unknown` they are the whole plan."""
    said = [*error.done, *error.unknown, *error.left]
    assert Counter(map(id, said)) == Counter(map(id, plan.writes))
    last_done = {write.ref: write for write in error.done}
    touched = {write.ref for write in (*error.done, *error.unknown)}
    uncertain = {write.ref for write in error.unknown}
    for ref, write in last_done.items():
        if ref not in uncertain:
            there = after.get(ref)
            if write.operation == "delete":
                assert there is None, f"{ref} was to be deleted"
            else:
                assert there is not None, f"{ref} is said to be done"
                assert unexpected(write, there) == (), f"{ref} is said to be done"
    for write in error.left:
        # The items of a list that is deleted go with it; each has a delete of its own before.
        if write.ref not in touched:
            kind = write.ref.kind
            was, now = before.get(write.ref), after.get(write.ref)
            assert fingerprint(kind, was) == fingerprint(kind, now), f"{write.ref} is said left"


def push_in_bad_weather(
    bench: Bench, documents: Documents, wanted: Release, seed: int
) -> RuledeployError | None:
    """One push; its error, having checked that it tells the truth."""
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    before = objects(bench.kibana)
    plan = bench.plan(wanted, prune=True)
    ids = sorted(write.ref.id for write in plan.writes if write.ref.kind in {"rule", "item"})
    cursed = frozenset(draw.sample(ids, 1)) if ids and draw.random() < 0.2 else frozenset()
    connection = replace(bench.kibana.connection, timeout=0.3)
    with FaultyKibana(connection, Weather(seed, cursed)) as kibana:
        options = ApplyOptions(jobs=draw.choice([1, None]), allow_many=True, sleep=lambda _: None)
        error = failure(lambda: apply(plan, kibana, RecordStore(documents, OWNER), options=options))
    now = objects(bench.kibana)
    if isinstance(error, PartlyApplied):
        check_report(error, plan, before, now)
    elif error and error.exit_code != 4:
        for ref in before.keys() | now.keys():
            kind = ref.kind
            assert fingerprint(kind, before.get(ref)) == fingerprint(kind, now.get(ref)), error
    return error


def failure(push: Callable[[], object]) -> RuledeployError | None:
    """The error of a push, if any."""
    try:
        push()
    except RuledeployError as error:
        return error
    return None


@pytest.mark.parametrize(("chunk", "kind"), mostly(("folder", "stack"), many(12, 400), 12))
def test_every_push_under_faults_is_exact_or_says_truly_what_is_left(
    stack: tuple[Running, Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    chunk: int,
    kind: str,
) -> None:
    """Latency, 429, 5xx, resets, answers lost and late after the write, objects that never work."""
    with ExitStack() as closing:
        weather = Weather(chunk)
        stores = closing.enter_context(
            stores_of(kind, request, tmp_path, stack[0].elasticsearch_url)
        )
        bench = fresh_bench(stack, stores)
        closing.enter_context(bench.kibana)
        documents = faulty = bench.store.documents
        if isinstance(documents, IndexDocuments):
            # The store is as bad a peer as Kibana; a real node obeys no wish for faults.
            url = documents.place.rpartition("/")[0]
            line = LossyPeer if kind == "node" else FaultyPeer
            timeout = 5.0 if kind == "node" else 0.3
            peer = line(replace(Connection.at(url), timeout=timeout), weather, sleep=lambda _: None)
            closing.callback(peer.close)
            faulty = IndexDocuments(peer, documents.project, documents.env)
        endings: Counter[int] = Counter()
        for n in range(PUSHES):
            seed = chunk * 1000 + n
            wanted = two_releases(seed // 2, rules=4, lists=4)[n % 2]
            print(f"seed {seed}")  # noqa: T201 - what a failure shows last is where it was
            error = push_in_bad_weather(bench, faulty, wanted, seed)
            endings[error.exit_code if error else 0] += 1
            let_the_lock_expire(documents)
            if error:
                bench.push(wanted, prune=True)
            assert summary(bench.kibana) == desired_summary(wanted), f"seed {seed}"
            assert bench.plan(wanted, prune=True).empty, f"seed {seed}"
        assert len(endings) > 1, "the weather was too good, or too bad, to show anything"
