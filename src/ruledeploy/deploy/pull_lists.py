"""Live exception lists and items → overlays, with ids, texts and entries as Kibana has them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import date, timedelta
from typing import Any

from ruledeploy.allowlist.compile import NAMESPACE
from ruledeploy.deploy.adopted import unmarked
from ruledeploy.deploy.normalise import comparable, normalise, same
from ruledeploy.deploy.objects import Kind, Owner
from ruledeploy.model import JsonObject
from ruledeploy.yamledit import plain

# Nobody has said for how long an item found in Kibana holds; somebody is to look at it again.
REVIEW_DAYS = 90
_LIST_FIELDS = ("name", "description", "tags", "type", "meta")
_ITEM_FIELDS = (
    "name", "description", "tags", "entries", "os_types", "expire_time", "meta",
)  # fmt: skip


def overlay_id(list_id: str) -> str:
    """The id of a pulled overlay: the list's own when that is a UUID, else one made of it."""
    try:
        if str(uuid.UUID(list_id)) == list_id:
            return list_id
    except ValueError:
        pass
    return str(uuid.uuid5(NAMESPACE, f"list/{list_id}"))


def new_overlay(
    live: JsonObject, rules: Sequence[str], prebuilt: Sequence[str], owner: Owner
) -> dict[str, Any]:
    """The document of a list that no file knows, without its items."""
    body = normalise("list", unmarked("list", live, owner))
    kibana: dict[str, Any] = {"list_id": body["list_id"]}
    if body["type"] != "detection":
        kibana["type"] = body["type"]
    kibana |= _exact_name(body)
    kibana["description"] = body["description"]
    kibana |= {name: body[name] for name in ("tags", "meta") if body.get(name)}
    return {
        "title": body["name"],
        "id": overlay_id(str(body["list_id"])),
        **({"rules": list(rules)} if rules else {}),
        **({"prebuilt": list(prebuilt)} if prebuilt else {}),
        "kibana": kibana,
        "items": [],
    }


def new_item(live: JsonObject, taken: Sequence[str], owner: Owner, day: date) -> dict[str, Any]:
    """An item that no file knows. Who made it is its owner until somebody says otherwise."""
    body = normalise("item", unmarked("item", live, owner))
    item: dict[str, Any] = {"id": _item_id(str(body["name"]), taken), "name": body["name"]}
    if body["os_types"]:
        item["os"] = body["os_types"]
    kibana = {"item_id": body["item_id"], **_exact_name(body)}
    kibana["description"] = body["description"]
    kibana["tags"] = body["tags"]  # none at all is said too: otherwise the owner becomes one
    if body.get("meta"):
        kibana["meta"] = body["meta"]
    kibana["entries"] = body["entries"]
    item["kibana"] = kibana
    item["owner"] = live.get("created_by") or "unknown"
    item["reason"] = "As found in Kibana"
    item |= _end(body, day)
    return item


def _exact_name(body: JsonObject) -> dict[str, Any]:
    """The name as it is, where reading a title would trim it."""
    name = str(body["name"])
    return {} if name == name.strip() else {"name": name}


def _end(body: JsonObject, day: date) -> dict[str, Any]:
    if body.get("expire_time"):
        return {"expires": body["expire_time"]}
    return {"permanent": True, "review_by": (day + timedelta(days=REVIEW_DAYS)).isoformat()}


def _item_id(name: str, taken: Sequence[str]) -> str:
    stem = slug(name) or "item"
    candidate, n = stem, 1
    while candidate in taken:
        n += 1
        candidate = f"{stem}-{n}"
    return candidate


def slug(text: str) -> str:
    """A name for a file or an item: `Trusted writers (prod)` → `trusted-writers-prod`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def gaps(kind: Kind, live: JsonObject, compiled: JsonObject, owner: Owner) -> list[str]:
    """Fields in which what the overlay becomes is not what is live, our mark apart."""
    have, want = (normalise(kind, unmarked(kind, body, owner)) for body in (live, compiled))
    fields = _LIST_FIELDS if kind == "list" else _ITEM_FIELDS
    return [
        field
        for field in fields
        if (field in have) != (field in want)
        or (field in have and not same(field, have[field], want[field]))
    ]


def set_list_fields(
    document: MutableMapping[str, Any], live: JsonObject, fields: Sequence[str], owner: Owner
) -> None:
    """Say a list's live fields in its overlay."""
    body = unmarked("list", live, owner)
    for field in fields:
        if field == "name":
            document["title"] = plain(body["name"])
            _set_exact_name(document, body)
        else:
            _kibana(document)[field] = plain(body.get(field))


def set_item_fields(
    item: MutableMapping[str, Any], live: JsonObject, fields: Sequence[str], owner: Owner
) -> None:
    """Say an item's live fields in its entry of the overlay.

    Entries that were changed in Kibana are kept in Kibana's form and under Kibana's id: what they
    mean in Sigma's words is the author's to say.
    """
    body = normalise("item", unmarked("item", live, owner))
    for field in fields:
        match field:
            case "name":
                item["name"] = plain(body["name"])
                _set_exact_name(item, body)
            case "os_types":
                item["os"] = plain(body["os_types"])
            case "expire_time":
                _set_end(item, body)
            case _:
                _kibana(item)[field] = plain(body.get(field))
    if "entries" in fields:
        for key in ("match", "not"):
            item.pop(key, None)
    if "entries" in fields or "os_types" in fields:
        _kibana(item)["item_id"] = plain(body["item_id"])


def _set_exact_name(value: MutableMapping[str, Any], body: JsonObject) -> None:
    exact = _exact_name(body)
    if exact:
        _kibana(value)["name"] = plain(exact["name"])
    elif value.get("kibana"):
        value["kibana"].pop("name", None)


def _set_end(item: MutableMapping[str, Any], body: JsonObject) -> None:
    """The new end; an item that no longer ends is permanent, and to be reviewed when it would."""
    until = body.get("expire_time")
    if until:
        item["expires"] = plain(comparable("expire_time", until))
        item.pop("permanent", None)
        return
    before = str(item.pop("expires", ""))[:10]
    item["permanent"] = True
    if before and not item.get("review_by"):
        item["review_by"] = plain(before)


def _kibana(value: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if value.get("kibana") is None:
        value["kibana"] = plain({})
    block: MutableMapping[str, Any] = value["kibana"]
    return block


def find_item(document: Mapping[str, Any], item_id: str) -> MutableMapping[str, Any] | None:
    """The entry of an overlay document with this id, or None."""
    for item in document.get("items") or ():
        if item.get("id") == item_id:
            found: MutableMapping[str, Any] = item
            return found
    return None
