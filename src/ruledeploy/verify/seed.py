"""Synthetic events → an Elasticsearch, or the local stack's Elasticsearch side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

from ruledeploy.errors import PartialError
from ruledeploy.model import JsonObject
from ruledeploy.telemetry import Emitted

# Big enough that the bulk call, not its overhead, costs the time.
_CHUNK = 1000


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
    created = known = 0
    refused: list[str] = []
    results = streaming_bulk(
        client, _actions(events), chunk_size=_CHUNK, raise_on_error=False, refresh="wait_for"
    )
    for done, result in results:
        answer = next(iter(result.values()))
        if done:
            created += 1
        elif answer["status"] == 409:  # noqa: PLR2004 - HTTP: the id is there already
            known += 1
        else:
            refused.append(f"{answer.get('_id')}: {answer.get('error')}")
    if refused:
        message = f"{len(refused)} events were refused, {created} created; first {refused[0]}"
        raise PartialError(message)
    return Seeded(created, known)


def _actions(events: Iterable[Emitted]) -> Iterator[dict[str, Any]]:
    for emitted in events:
        yield {
            "_op_type": "create",
            "_index": emitted.index,
            "_id": emitted.label.event_id,
            "_source": emitted.event,
        }
