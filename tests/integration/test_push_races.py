"""Two pushes at once, and locks of the dead: one pushes, the other waits or exits 3."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.deploy.lock import EXPIRY_SECONDS, SURE_SECONDS
from ruledeploy.errors import RefusedError
from ruledeploy.model import Release
from ruledeploy.stack import Running, running_stack
from support.deploy_bench import Bench, exception_list, fresh_bench, item, release, rule
from support.deploy_gap import two_releases
from support.deploy_life import summary
from support.deploy_stores import KINDS, Stores, stores_of
from support.deploy_victim import Pusher
from support.soak import many

RACES = many(50, 500)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """One stack for all."""
    folder = tmp_path_factory.mktemp("races")
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


@dataclass(frozen=True, slots=True)
class Goal:
    """A release in a file, and what the server holds after it."""

    release: Release
    file: Path
    summary: dict[str, Any]


def goal(stack: tuple[Running, Path], folder: Path, name: str, wanted: Release) -> Goal:
    """What an undisturbed push onto nothing gives."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(wanted.to_json()), "utf-8")
    calm = fresh_bench(stack)
    with calm.kibana:
        calm.push(wanted)
        return Goal(wanted, file, summary(calm.kibana))


def test_of_two_pushes_at_once_one_wins_and_nothing_is_mixed(
    stack: tuple[Running, Path], stores: Stores, tmp_path: Path
) -> None:
    """Both have planned when both begin: one ends with 0, one with 3, perhaps later."""
    goals = [
        goal(stack, tmp_path, f"{seed}{side}", wanted)
        for seed in (1, 2)
        for side, wanted in enumerate(two_releases(seed, rules=4, lists=3))
    ]
    bench = fresh_bench(stack, stores)
    refused = waited = 0
    with bench.kibana, Pusher() as one, Pusher() as other:
        for race in range(RACES):
            chosen = goals[race % 4], goals[(race + 1 + race % 3) % 4]
            wait = 20.0 if race % 2 else 0.0
            for pusher, each in zip((one, other), chosen, strict=True):
                pusher.prepare(bench, each.file, wait)
            for pusher in (one, other) if race % 4 < 2 else (other, one):
                pusher.go()
            codes = one.code(), other.code()
            assert sorted(codes) in ([0, 3], [0, 0]), codes
            found = summary(bench.kibana)
            if codes == (0, 0):
                # One had nothing to do: what it wants is what was there.
                assert found in [each.summary for each in chosen]
                continue
            refused += 1
            waited += race % 2
            winner = chosen[codes.index(0)]
            assert found == winner.summary, f"race {race}"
            assert bench.store.applied().state == "done"
            assert bench.plan(winner.release, prune=True).empty
        assert refused > RACES // 2
        assert waited


SMALL = release(rule("r1", "l1"), exception_list("l1"), item("l1", "i1"))


def held(bench: Bench, *, silent: float) -> None:
    """A lock of another machine's process, not heard of for so many seconds."""
    bench.store.documents.create("lock", {
        "token": "t", "who": "bob@build-9, process 12", "host": "build-9", "pid": 12,
        "heartbeat": time.time() - silent,
    })  # fmt: skip


def test_a_lock_whose_owner_died_is_taken_over_after_its_expiry(
    stack: tuple[Running, Path], stores: Stores
) -> None:
    """Until then it is respected: nobody can look up a process on another machine."""
    bench = fresh_bench(stack, stores)
    with bench.kibana:
        held(bench, silent=EXPIRY_SECONDS - 20)
        with pytest.raises(RefusedError, match="bob@build-9, process 12 is pushing"):
            bench.push(SMALL)
        assert bench.rules() == {}
        found = bench.store.documents.get("lock")
        assert found
        bench.store.documents.delete("lock", found[1])
        held(bench, silent=SURE_SECONDS + 1)
        bench.push(SMALL)
        assert bench.plan(SMALL).empty
        assert bench.store.documents.get("lock") is None
