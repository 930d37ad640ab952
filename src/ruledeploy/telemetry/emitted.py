"""One synthetic event on its way out, and its lines of NDJSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from ruledeploy.model import Event, Label
from ruledeploy.telemetry.scene import Prototype

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event, the index it belongs in, and what it truly is.

    Events share the unchanging parts of their `prototype`, so nobody may change one in place.
    """

    index: str
    event: Event
    label: Label
    prototype: Prototype | None = field(default=None, compare=False, repr=False)


def to_ndjson(emitted: Emitted) -> bytes:
    """`{"_id", "_index", "_source"}` and a line feed; `_id` is the event's own id."""
    head = f'{{"_id":"{emitted.label.event_id}","_index":"{emitted.index}","_source":'
    return f"{head}{_source(emitted)}}}\n".encode()


def to_bare_ndjson(emitted: Emitted) -> bytes:
    """The event alone, on one line."""
    return f"{_source(emitted)}\n".encode()


def to_bulk(emitted: Emitted) -> bytes:
    """Two lines of a `_bulk` body; `create`, which is the only action a data stream takes."""
    head = _encode({"create": {"_id": emitted.label.event_id, "_index": emitted.index}})
    return f"{head}\n{_source(emitted)}\n".encode()


def label_line(emitted: Emitted) -> bytes:
    """One line of a label file, which keeps the truth out of the events."""
    return f"{_encode(emitted.label.to_json())}\n".encode()


def _source(emitted: Emitted) -> str:
    """The event's canonical JSON, member by member: most members are the prototype's own."""
    prototype = emitted.prototype
    if prototype is None:
        return _encode(emitted.event)
    members = []
    for name, value in sorted(emitted.event.items(), key=_name):
        if value is prototype.body.get(name):
            text = prototype.texts.get(name)
            if text is None:
                text = prototype.texts[name] = _encode(value)
        else:
            text = _encode(value)
        members.append(f'"{name}":{text}')
    return "{" + ",".join(members) + "}"


def _name(member: tuple[str, object]) -> str:
    return member[0]
