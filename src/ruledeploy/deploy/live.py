"""The server's state as one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ruledeploy.deploy.normalise import fingerprint
from ruledeploy.deploy.objects import Ref, desired_objects
from ruledeploy.deploy.records import Applied
from ruledeploy.errors import NotThere
from ruledeploy.kibana import Kibana
from ruledeploy.model import JsonObject, Release, digest


@dataclass(frozen=True, slots=True)
class Live:
    """All rules and lists of a space, the items of our lists, and our value lists with `values`.

    `duplicates` holds the younger rules that share a `rule_id`. `complete` is False when the
    space holds more rules than Kibana shows: then links of unseen rules are unknown.
    """

    objects: Mapping[Ref, JsonObject]
    duplicates: Mapping[Ref, tuple[JsonObject, ...]] = field(default_factory=dict)
    complete: bool = True

    def get(self, ref: Ref) -> JsonObject | None:
        """The live object, or None."""
        return self.objects.get(ref)

    def linking(self, list_id: str) -> tuple[Ref, ...]:
        """Every rule that links this list."""
        return tuple(
            ref
            for ref, body in self.objects.items()
            if ref.kind == "rule"
            and any(link["list_id"] == list_id for link in body.get("exceptions_list", ()))
        )

    def items_of(self, list_id: str) -> tuple[Ref, ...]:
        """Every item in this list, ours or not."""
        return tuple(
            ref
            for ref, body in self.objects.items()
            if ref.kind == "item" and body["list_id"] == list_id
        )

    def fingerprints(self, refs: Iterable[Ref]) -> dict[str, str | None]:
        """What identifies each object as read, by its key."""
        return {ref.key: fingerprint(ref.kind, self.get(ref)) for ref in refs}

    def surroundings(self, lists: Iterable[str]) -> dict[str, str]:
        """What identifies all that lies in each list and every rule that links it, by list_id.

        A list is deleted with whatever is in it, so a plan must know when that changes.
        """
        around: dict[str, list[str]] = {list_id: [] for list_id in lists}
        for ref, body in self.objects.items():
            if ref.kind == "item" and body["list_id"] in around:
                around[body["list_id"]].append(f"{ref.key} {body.get('_version')}")
            for link in body.get("exceptions_list", ()) if ref.kind == "rule" else ():
                if link["list_id"] in around:
                    around[link["list_id"]].append(ref.key)
        return {list_id: digest(sorted(found)) for list_id, found in sorted(around.items())}


def read_live(kibana: Kibana, release: Release, applied: Applied) -> Live:
    """Read what a plan for `release` must know, in a handful of requests whatever its size."""
    wanted = {desired.ref for desired in desired_objects(release, applied.owner)}
    return read_objects(kibana, wanted | applied.objects.keys())


def read_objects(kibana: Kibana, wanted: Iterable[Ref]) -> Live:
    """Read every rule and list, the items of the wanted lists, and the wanted value lists."""
    wanted = set(wanted)
    objects: dict[Ref, JsonObject] = {}
    rules, duplicates, complete = _read_rules(kibana, wanted)
    objects.update(rules)
    named = [ref.id for ref in wanted if ref.kind == "list"]
    for list_ in kibana.lists.find(ids=named).objects:
        objects[Ref("list", list_["list_id"])] = list_
    ours = sorted(list_id for list_id in named if Ref("list", list_id) in objects)
    for item in kibana.items.find(ours, ids=[ref.id for ref in wanted if ref.kind == "item"]):
        objects[Ref("item", item["item_id"])] = item
    for ref in sorted(wanted):
        if ref.kind == "value_list":
            with suppress(NotThere):
                objects[ref] = read_value_list(kibana, ref.id)
        elif ref.kind == "prebuilt":
            body = objects.get(Ref("rule", ref.id))
            if body:
                objects[ref] = links_of(body)
    return Live(objects, duplicates, complete)


def links_of(rule: JsonObject) -> JsonObject:
    """All of a prebuilt rule that is any of our business."""
    known = ("rule_id", "name", "immutable")
    return {**{name: rule[name] for name in known}, "exceptions_list": rule["exceptions_list"]}


def _read_rules(
    kibana: Kibana, wanted: set[Ref]
) -> tuple[dict[Ref, JsonObject], dict[Ref, tuple[JsonObject, ...]], bool]:
    ours = (ref.id for ref in wanted if ref.kind in {"rule", "prebuilt"})
    found = kibana.rules.find(ids=ours)
    rules: dict[Ref, list[JsonObject]] = {}
    for rule in found.objects:
        rules.setdefault(Ref("rule", rule["rule_id"]), []).append(rule)
    oldest: dict[Ref, JsonObject] = {}
    duplicates: dict[Ref, tuple[JsonObject, ...]] = {}
    for ref, copies in rules.items():
        oldest[ref], *rest = sorted(copies, key=lambda body: (body["created_at"], body["id"]))
        if rest:
            duplicates[ref] = tuple(rest)
    return oldest, duplicates, found.complete


def read_value_list(kibana: Kibana, list_id: str) -> JsonObject:
    """A value list with its `values`, sorted; `NotThere` when there is none."""
    body = kibana.value_lists.get(list_id)
    values = sorted({str(item["value"]) for item in kibana.value_lists.values(list_id)})
    return {**body, "values": values}
