"""PUTs of merged bodies: guarded, complete, and in the phase that leaves no gap."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ruledeploy.deploy.live import Live
from ruledeploy.deploy.normalise import instant, normalise
from ruledeploy.deploy.objects import ENDPOINTS, Ref
from ruledeploy.deploy.plan import Phase, Write
from ruledeploy.model import JsonObject, digest

_BRIDGES = uuid.UUID("5b0f0f4e-6a0e-4f0a-9c58-0d6d6b3f7d11")


def put(ref: Ref, live: JsonObject, body: JsonObject, fields: tuple[str, ...]) -> Write:
    """The PUT of a merged body, guarded by `_version` where Kibana has one."""
    sent = dict(body)
    if ref.kind in {"item", "list"} and "_version" in live:
        sent["_version"] = live["_version"]
    if ref.kind == "item":
        # Append-only: what is there must come back, by id.
        sent["comments"] = [
            {"id": comment["id"], "comment": comment["comment"]}
            for comment in live.get("comments", ())
        ]
    phase = _item_phase(live, body, fields) if ref.kind == "item" else "hide"
    return Write(
        ref,
        "update",
        "rule" if ref.kind == "rule" else phase,
        ENDPOINTS[ref.kind].update(sent),
        body,
    )


def _item_phase(live: JsonObject, body: JsonObject, fields: tuple[str, ...]) -> Phase:
    """When an edit of an item is due, by whether it may stop hiding what it hides now."""
    if "entries" in fields or "os_types" in fields:
        return "edit"
    if "expire_time" not in fields or not body.get("expire_time"):
        return "hide"
    until = live.get("expire_time")
    sooner = not until or instant(body["expire_time"]) < instant(until)
    return "unhide" if sooner else "hide"


def bridged(write: Write, live: JsonObject) -> tuple[Write, ...]:
    """An edit of entries in place, with a copy of the old entries standing by until rules are in.

    Compiled items never need this: changed entries make a new id. It is for entries that
    somebody changed in Kibana and that the files take back.
    """
    copy_id = str(uuid.uuid5(_BRIDGES, f"{write.ref.id} {digest(live['entries'])}"))
    name = f"{live['name']} (as changed in Kibana, until this push is done)"
    body = {**normalise("item", live), "item_id": copy_id, "name": name}
    ref, endpoint = Ref("item", copy_id), ENDPOINTS["item"]
    return (
        Write(ref, "create", "hide", endpoint.create(body), body),
        write,
        Write(ref, "delete", "unhide", endpoint.delete(copy_id)),
    )


def with_link_ids(body: Mapping[str, Any], live: Live) -> dict[str, Any]:
    """The body with the uuid of every linked list that is on the server.

    A link to a list that this push creates keeps its `list_id` there until the uuid is known.
    """
    if "exceptions_list" not in body:
        return dict(body)
    links = []
    for link in body["exceptions_list"]:
        list_ = live.get(Ref("list", link["list_id"]))
        ours = list_ is not None and link["namespace_type"] == "single"
        links.append({**link, "id": list_["id"]} if list_ and ours else dict(link))
    return {**body, "exceptions_list": links}
