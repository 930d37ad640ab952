"""Synthetic events → an Elasticsearch, or the local stack's Elasticsearch side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from elasticsearch import Elasticsearch

from ruledeploy.errors import PartialError
from ruledeploy.model import JsonObject
from ruledeploy.telemetry import Emitted, to_bulk

# Big enough that the bulk call, not its overhead, costs the time.
_CHUNK = 1000
_CREATED = 201
_THERE_ALREADY = 409


@dataclass(frozen=True, slots=True)
class Seeded:
    """What became of the events: `known` were there before, from the same seed."""

    created: int
    known: int

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {"created": self.created, "known": self.known}


def seed_events(
    client: Elasticsearch, events: Iterable[Emitted], templates: dict[str, JsonObject]
) -> Seeded:
    """Create the index templates, then every event under its own id.

    Loading the same events again changes nothing. Raises `PartialError` naming the first refusal
    when Elasticsearch refuses documents.
    """
    for name, body in templates.items():
        client.indices.put_index_template(name=name, **body)
    statuses: Counter[int] = Counter()
    refused: list[str] = []
    indices: set[str] = set()
    for result in _results(client, events, indices):
        statuses[result["status"]] += 1
        if result["status"] not in (_CREATED, _THERE_ALREADY):
            refused.append(f"{result.get('_id')}: {result.get('error')}")
    if indices:
        # Once, at the end: waiting for each chunk would cost a second apiece.
        client.indices.refresh(index=",".join(sorted(indices)))
    created = statuses[_CREATED]
    if refused:
        message = f"{len(refused)} events were refused, {created} created; first {refused[0]}"
        raise PartialError(message)
    return Seeded(created, statuses[_THERE_ALREADY])


def _results(
    client: Elasticsearch, events: Iterable[Emitted], indices: set[str]
) -> Iterator[dict[str, Any]]:
    """What became of each event; while one chunk is on its way, the next is made."""
    with ThreadPoolExecutor(max_workers=1) as sender:
        sent: Future[Any] | None = None
        for chunk in _batched(events, _CHUNK):
            indices.update(emitted.index for emitted in chunk)
            # Lines that are JSON already: the client would write the same bytes more slowly.
            lines: list[Any] = [to_bulk(emitted) for emitted in chunk]
            if sent is not None:
                yield from _items(sent.result())
            sent = sender.submit(client.bulk, operations=lines)
        if sent is not None:
            yield from _items(sent.result())


def _items(answer: Any) -> Iterator[dict[str, Any]]:
    return (next(iter(item.values())) for item in answer["items"])


def _batched(events: Iterable[Emitted], size: int) -> Iterator[list[Emitted]]:
    """Lists of up to `size`, as they come."""
    iterator = iter(events)
    while chunk := list(islice(iterator, size)):
        yield chunk
