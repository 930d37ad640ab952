"""Loading synthetic events, against the client's own bulk helper on ready documents.

`ELASTICSEARCH_URL=… python benchmarks/bench_bulk.py [N]`; without the variable, the local stack's
Elasticsearch side takes them. Both load the same events into plain indices of their own, in turns.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

from ruledeploy.stack import running_stack
from ruledeploy.telemetry import Emitted, Simulation, generate
from ruledeploy.verify.seed import seed_events

START = datetime(2026, 11, 23, tzinfo=UTC)
ROUNDS = 3


def events(count: int, index: str) -> Iterator[Emitted]:
    """Background events, all into one index."""
    sim = Simulation(1, START, noise=count)
    return (replace(one, index=index) for one in generate(sim))


def ready(count: int, index: str) -> list[dict[str, Any]]:
    """The same events as the helper takes them, made beforehand."""
    return [
        {"_op_type": "create", "_index": index, "_id": e.label.event_id, "_source": e.event}
        for e in events(count, index)
    ]


def helper(client: Elasticsearch, actions: Iterable[dict[str, Any]]) -> None:
    """The client's own helper, with the chunks that we use."""
    for done, result in streaming_bulk(client, actions, chunk_size=1000):
        if not done:
            raise RuntimeError(result)
    client.indices.refresh(index="ruledeploy-bench")


@contextmanager
def fresh(client: Elasticsearch, name: str) -> Iterator[str]:
    """An index that is not mapped beforehand, so that both sides do the same work on the server."""
    client.options(ignore_status=404).indices.delete(index=name)
    client.indices.create(index=name, mappings={"dynamic": False})
    yield name
    client.indices.delete(index=name)


def measure(client: Elasticsearch, count: int) -> None:
    """Best of some rounds, in turns, and the ratio."""
    best: dict[str, float] = {}
    for name in ("bulk helper, ready documents", "simulate, events made on the way") * ROUNDS:
        with fresh(client, "ruledeploy-bench") as index:
            actions = ready(count, index) if name.startswith("bulk") else []
            began = time.perf_counter()
            if actions:
                helper(client, actions)
            else:
                seed_events(client, events(count, index), {})
            best[name] = max(best.get(name, 0), count / (time.perf_counter() - began))
    for name, rate in best.items():
        print(f"{name:34} {rate:10,.0f} events/s")
    theirs, ours = best.values()
    print(f"{'ratio (goal 0.90)':34} {ours / theirs:10.2f}")


def main() -> None:
    """On the node that the environment names, or on the local stack."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    if url := os.environ.get("ELASTICSEARCH_URL"):
        with Elasticsearch(url, request_timeout=120) as client:
            measure(client, count)
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder)) as stack,
        Elasticsearch(stack.elasticsearch_url, request_timeout=120) as client,
    ):
        measure(client, count)


if __name__ == "__main__":
    main()
