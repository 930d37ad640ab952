"""One synthetic event on its way out, and its lines of NDJSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ruledeploy.model import Event, Label

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event, the index it belongs in, and what it truly is.

    Events share their unchanging parts, so nobody may change one in place.
    """

    index: str
    event: Event
    label: Label


def to_ndjson(emitted: Emitted) -> bytes:
    """`{"_id", "_index", "_source"}` and a line feed; `_id` is the event's own id."""
    head = _encode({"_id": emitted.label.event_id, "_index": emitted.index})
    return f'{head[:-1]},"_source":{_encode(emitted.event)}}}\n'.encode()


def to_bare_ndjson(emitted: Emitted) -> bytes:
    """The event alone, on one line."""
    return f"{_encode(emitted.event)}\n".encode()


def to_bulk(emitted: Emitted) -> bytes:
    """Two lines of a `_bulk` body; `create`, which is the only action a data stream takes."""
    head = _encode({"create": {"_id": emitted.label.event_id, "_index": emitted.index}})
    return f"{head}\n{_encode(emitted.event)}\n".encode()


def label_line(emitted: Emitted) -> bytes:
    """One line of a label file, which keeps the truth out of the events."""
    return f"{_encode(emitted.label.to_json())}\n".encode()
