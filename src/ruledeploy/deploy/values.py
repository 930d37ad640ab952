"""The writes of a value list: the list itself, values that come, values that go.

Values are added before any item that looks for them is written, and go after the rules are in: a
list in use only ever hides more until then. An import adds to what is there, so no value is
missing while it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.plan import Write
from ruledeploy.kibana import VALUE_LISTS, VALUES, Request
from ruledeploy.model import JsonObject

# Up to this many values are sent one by one; more are uploaded as a text file …
SINGLY = 20
# … of at most so many characters: Kibana takes 9,000,000 bytes, but a proxy often 1 MB.
UPLOAD_CHARACTERS = 240_000
# Kibana answers once a search would find the value, so that it can be read back.
_VISIBLE = {"refresh": "wait_for"}


def creation(ref: Ref, body: JsonObject) -> tuple[Write, ...]:
    """Create a list with its values."""
    bare = _bare(body)
    create = Write(ref, "create", "hide", VALUE_LISTS.create(bare), bare)
    return (create, *_additions(ref, body["values"]))


def changes(ref: Ref, live: JsonObject, body: JsonObject) -> tuple[Write, ...]:
    """Bring a list to a body: its texts, values that come first, values that go last."""
    writes: list[Write] = []
    texts = {name: value for name, value in _bare(body).items() if name != "type"}
    if any(live.get(name) != value for name, value in texts.items()):
        sent = {**texts, "_version": live["_version"]} if "_version" in live else texts
        writes.append(Write(ref, "update", "hide", VALUE_LISTS.update(sent), texts))
    have, want = set(live["values"]), set(body["values"])
    writes += _additions(ref, sorted(want - have))
    writes += (_removal(ref, value) for value in sorted(have - want))
    return tuple(writes)


def difference(live: JsonObject, body: JsonObject) -> tuple[list[str], list[str]]:
    """The values that go, and those that come."""
    have, want = set(live.get("values", ())), set(body["values"])
    return sorted(have - want), sorted(want - have)


def _bare(body: JsonObject) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "values"}


def _additions(ref: Ref, values: Sequence[str]) -> list[Write]:
    if len(values) <= SINGLY:
        return [_addition(ref, value) for value in values]
    path, query = f"{VALUES.path}/_import", {"list_id": ref.id, **_VISIBLE}
    return [
        Write(
            ref,
            "add",
            "hide",
            Request("POST", path, query, upload="".join(f"{value}\n" for value in chunk)),
            {"values": chunk},
        )
        for chunk in _chunks(values)
    ]


def _addition(ref: Ref, value: str) -> Write:
    body = {"list_id": ref.id, "value": value, **_VISIBLE}
    return Write(ref, "add", "hide", VALUES.create(body), {"values": [value]})


def _removal(ref: Ref, value: str) -> Write:
    query = {"list_id": ref.id, "value": value, **_VISIBLE}
    request = Request("DELETE", VALUES.path, query)
    return Write(ref, "remove", "unhide", request, {"values": [value]})


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for value in values:
        if chunk and size + len(value) > UPLOAD_CHARACTERS:
            yield chunk
            chunk, size = [], 0
        chunk.append(value)
        size += len(value) + 1
    if chunk:
        yield chunk
