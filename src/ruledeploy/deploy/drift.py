"""What changed on the server since the last push, by whoever else works there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ruledeploy.deploy.adopted import unmarked
from ruledeploy.deploy.live import Live, read_objects
from ruledeploy.deploy.merge import FieldStates
from ruledeploy.deploy.normalise import instant, normalise, same
from ruledeploy.deploy.objects import Kind, Ref
from ruledeploy.deploy.records import Applied, Entry
from ruledeploy.kibana import Kibana
from ruledeploy.model import JsonObject

# `added`: an item made by hand in one of our lists.
What = Literal["changed", "gone", "unmarked", "added"]

# Fields that analysts may add to a rule or an item. What else a server adds on its own (a newer
# Kibana's defaults) is no drift.
_OPTIONAL: dict[Kind, frozenset[str]] = {
    "rule": frozenset(
        {
            "note",
            "license",
            "data_view_id",
            "filters",
            "index",
            "saved_id",
            "timestamp_override",
            "timestamp_override_fallback_disabled",
            "building_block_type",
            "alert_suppression",
            "investigation_fields",
            "rule_name_override",
            "timeline_id",
            "timeline_title",
            "response_actions",
            "event_category_override",
            "tiebreaker_field",
            "timestamp_field",
        }
    ),
    "item": frozenset({"expire_time", "meta"}),
    "list": frozenset({"meta"}),
    "value_list": frozenset(),
    "prebuilt": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Drift:
    """One object that is not as we left it."""

    ref: Ref
    name: str
    what: What
    fields: tuple[FieldStates, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain form `{object, what, fields}`."""
        return {
            "object": {"kind": self.ref.kind, "id": self.ref.id, "name": self.name},
            "what": self.what,
            "fields": [
                {"field": states.field, "applied": states.applied, "live": states.live}
                for states in self.fields
            ],
        }


def read_applied(kibana: Kibana, applied: Applied) -> Live:
    """The live state of everything that the records say is ours."""
    return read_objects(kibana, applied.objects.keys())


def find_drift(live: Live, applied: Applied, now: datetime | None = None) -> tuple[Drift, ...]:
    """Every object of ours that is not as the last push left it, and items made by hand.

    Items by hand that have expired by `now` hide nothing any more, so they are none.
    """
    found: list[Drift] = []
    for ref in sorted(applied.objects):
        body, entry = live.get(ref), applied.newest(ref)
        assert entry is not None  # noqa: S101  # every key of `objects` has an entry
        name = str(entry.body.get("name", ref.id))
        if body is None:
            found.append(Drift(ref, name, "gone"))
            continue
        if not applied.owns(ref, body):
            found.append(Drift(ref, name, "unmarked"))
        told = _told_apart(ref, entry, _without_others(ref, body, entry, live), applied)
        fields = _differences(ref.kind, *told)
        if fields:
            found.append(Drift(ref, name, "changed", fields))
        if ref.kind == "list":
            found.extend(_by_hand(ref, live, applied, now or datetime.now(UTC)))
    return tuple(found)


def _without_others(ref: Ref, body: JsonObject, entry: Entry, live: Live) -> JsonObject:
    """A rule without links that no file could say: to lists of all spaces, to lists that are gone.

    Kibana itself links Elastic Defend's list to rules.
    """
    if ref.kind != "rule":
        return body
    asked = {link["list_id"] for link in entry.body.get("exceptions_list", ())}
    links = [
        link
        for link in body.get("exceptions_list", ())
        if link["list_id"] in asked
        or (link["namespace_type"] == "single" and live.get(Ref("list", link["list_id"])))
    ]
    return {**body, "exceptions_list": links}


def _told_apart(
    ref: Ref, entry: Entry, live: JsonObject, applied: Applied
) -> tuple[JsonObject, JsonObject]:
    """What was left and what is live; both without our marks where nothing was written."""
    if not entry.adopted:
        return entry.body, live
    asked, there = (unmarked(ref.kind, body, applied.owner) for body in (entry.body, live))
    return asked, there


def _differences(kind: Kind, asked: JsonObject, live: JsonObject) -> tuple[FieldStates, ...]:
    ours, theirs = normalise(kind, asked), normalise(kind, live)
    found = []
    for field in sorted(ours.keys() | (theirs.keys() & _OPTIONAL[kind])):
        was, now = ours.get(field), theirs.get(field)
        missing = was is None or now is None
        if was != now and (missing or not same(field, was, now)):
            found.append(FieldStates(field, was, now, was))
    return tuple(found)


def _by_hand(list_: Ref, live: Live, applied: Applied, now: datetime) -> list[Drift]:
    return [
        Drift(ref, str(live.objects[ref].get("name", ref.id)), "added")
        for ref in live.items_of(list_.id)
        if ref not in applied.objects and not _is_over(live.objects[ref], now)
    ]


def _is_over(item: JsonObject, now: datetime) -> bool:
    until = item.get("expire_time")
    return bool(until) and instant(str(until)) <= instant(now.isoformat())
