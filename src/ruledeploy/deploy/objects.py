"""What deploy moves about: kinds of objects, their names, and the mark that says they are ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.kibana import ITEMS, LISTS, RULES, VALUE_LISTS, Endpoint
from ruledeploy.model import (
    DetectionRule,
    ExceptionItem,
    ExceptionList,
    JsonObject,
    Provenance,
    Release,
    ValueList,
)

# `prebuilt` is the links of one of Elastic's rules, and nothing else of it.
Kind = Literal["value_list", "list", "item", "rule", "prebuilt"]

ENDPOINTS: dict[Kind, Endpoint] = {
    "value_list": VALUE_LISTS,
    "list": LISTS,
    "item": ITEMS,
    "rule": RULES,
    "prebuilt": RULES,
}


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The stable name of one object on a server: its kind and the id that we chose."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        """Render for a message: `exception item 5a74…`."""
        return f"{_WORDS[self.kind]} {self.id}"

    @property
    def key(self) -> str:
        """The one-string form used as a JSON key."""
        return f"{self.kind}/{self.id}"

    @staticmethod
    def parse(key: str) -> Ref:
        """The reference whose `key` this is."""
        kind, _, id_ = key.partition("/")
        return Ref(kind, id_)  # type: ignore[arg-type]  # our own keys; a wrong one fails at use


_WORDS: dict[Kind, str] = {
    "value_list": "value list",
    "list": "exception list",
    "item": "exception item",
    "rule": "rule",
    "prebuilt": "prebuilt rule",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose objects these are: one project in one environment."""

    project: str
    env: str

    @property
    def mark(self) -> str:
        """The tag on each of our rules, lists and items; `meta.ruledeploy` of value lists."""
        return f"ruledeploy:{self.project}:{self.env}"

    def marks(self, ref: Ref, body: JsonObject) -> bool:
        """True when the object carries our mark, which by itself proves nothing.

        A prebuilt rule bears no mark: the links are ours that a record knows.
        """
        if ref.kind == "prebuilt":
            return True
        if ref.kind == "value_list":
            return (body.get("meta") or {}).get("ruledeploy") == self.mark
        return self.mark in (body.get("tags") or ())

    def marked(self, ref: Ref, body: JsonObject) -> dict[str, Any]:
        """The body with our mark, put there when the compiler left it out."""
        if self.marks(ref, body):
            return dict(body)
        if ref.kind == "value_list":
            return {**body, "meta": {**(body.get("meta") or {}), "ruledeploy": self.mark}}
        return {**body, "tags": [*(body.get("tags") or ()), self.mark]}


@dataclass(frozen=True, slots=True)
class Desired:
    """One object of a release under its name on the server; a value list with its `values`."""

    ref: Ref
    name: str
    body: JsonObject
    provenance: Provenance
    replaces: Ref | None = None


def desired_objects(release: Release, owner: Owner) -> Iterator[Desired]:
    """Every object of a release, marked as ours, in the order of creation."""
    for values in release.value_lists:
        yield _desired(values, "value_list", str(values.body["id"]), owner)
    for list_ in release.lists:
        yield _desired(list_, "list", list_.list_id, owner)
    for item in release.items:
        yield _desired(item, "item", item.item_id, owner)
    for rule in release.rules:
        yield _desired(rule, "rule", rule.rule_id, owner)
    for links in release.prebuilt:
        body = {"rule_id": links.rule_id, "exceptions_list": [link(one) for one in links.list_ids]}
        ref = Ref("prebuilt", links.rule_id)
        yield Desired(ref, links.rule_id, body, links.provenance)


def link(list_id: str) -> dict[str, Any]:
    """A rule's link to a list of ours, before its uuid is known."""
    return {"id": list_id, "list_id": list_id, "type": "detection", "namespace_type": "single"}


def _desired(
    source: ValueList | ExceptionList | ExceptionItem | DetectionRule,
    kind: Kind,
    id_: str,
    owner: Owner,
) -> Desired:
    ref = Ref(kind, id_)
    body = owner.marked(ref, source.body)
    if isinstance(source, ValueList):
        body["values"] = sorted(source.values)
    old = source.replaces if isinstance(source, DetectionRule) else None
    replaces = Ref("rule", old) if old else None
    return Desired(ref, str(body.get("name", id_)), body, source.provenance, replaces)
