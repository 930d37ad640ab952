"""A tiny world to push at: four process names, two users, and which of their events alert.

The evaluator knows just the queries and entries that the strategies below make. It stands beside
the product's engine on purpose: a law about order must not depend on either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Any

from hypothesis import strategies as st

from ruledeploy.errors import NotThere
from ruledeploy.kibana import Connection, Kibana, Request
from ruledeploy.model import ExceptionItem, Release, digest
from support.deploy_bench import Bench, exception_list, item, release, rule

NAMES = ("a", "b", "c", "d")
USERS = ("u", "v")
EVENTS = tuple(product(NAMES, USERS))
Alerts = frozenset[tuple[str, str, str]]

_RULES = ("r1", "r2", "r3")
_LISTS = ("l1", "l2")
PAST, SOON, LATER = "2020-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z", "2199-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class State:
    """What a server holds that decides about alerts."""

    rules: tuple[Mapping[str, Any], ...]
    items: tuple[Mapping[str, Any], ...]

    def alerts(self) -> Alerts:
        """Every (rule_id, name, user) that alerts."""
        now = datetime.now(UTC).isoformat()
        active = [one for one in self.items if (one.get("expire_time") or "9999") > now]
        found = set()
        for body in self.rules:
            linked = {link["list_id"] for link in body["exceptions_list"]}
            hiding = [one["entries"] for one in active if one["list_id"] in linked]
            names = set(re.findall(r'"(\w)"', body["query"]))
            for name, user in EVENTS if body["enabled"] else ():
                event = {"process.name": name, "user.name": user}
                if name in names and not any(_matches(event, entries) for entries in hiding):
                    found.add((body["rule_id"], name, user))
        return frozenset(found)


def _matches(event: Mapping[str, str], entries: Iterable[Mapping[str, Any]]) -> bool:
    for entry in entries:
        values = [entry["value"]] if isinstance(entry["value"], str) else entry["value"]
        if (event[entry["field"]] in values) != (entry["operator"] == "included"):
            return False
    return True


def state(kibana: Kibana) -> State:
    """The server's state, read over HTTP."""
    lists = sorted(body["list_id"] for body in kibana.lists.find().objects)
    return State(kibana.rules.find().objects, kibana.items.find(lists))


@dataclass(slots=True)
class Watcher:
    """What the server would alert on after each write of a push."""

    kibana: Kibana
    seen: list[tuple[Request, Alerts]] = field(default_factory=list)


class WatchedKibana(Kibana):
    """A client that looks at the server's state after each of its writes."""

    def __init__(self, connection: Connection, watcher: Watcher) -> None:
        super().__init__(connection)
        self._watcher = watcher

    def send(self, request: Request) -> Any:
        """Send, then look."""
        try:
            return super().send(request)
        finally:
            if request.method != "GET":
                self._watcher.seen.append((request, state(self._watcher.kibana).alerts()))


def _names(some: Iterable[str]) -> str:
    return " or ".join(f'"{name}"' for name in sorted(some))


@st.composite
def entries(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One or two entries on the name and the user, included or excluded, one value or many."""
    made = []
    for name, values in (("process.name", NAMES), ("user.name", USERS)):
        some = draw(st.sets(st.sampled_from(values), max_size=2))
        if some:
            many = len(some) > 1
            made.append(
                {
                    "field": name,
                    "operator": draw(st.sampled_from(["included", "included", "excluded"])),
                    "type": "match_any" if many else "match",
                    "value": sorted(some) if many else next(iter(some)),
                }
            )
    return made or [{"field": "user.name", "operator": "included", "type": "match", "value": "u"}]


@st.composite
def items(draw: st.DrawFn, list_id: str) -> ExceptionItem:
    """An item whose id follows from list and entries, as the compiler's do."""
    body: dict[str, Any] = {"entries": draw(entries())}
    item_id = digest([list_id, body["entries"]])[:12]
    body["description"] = draw(st.sampled_from(["one", "two"]))
    expires = draw(st.sampled_from([None, None, SOON, LATER]))
    if expires:
        body["expire_time"] = expires
    return item(list_id, item_id, **body)


@st.composite
def releases(draw: st.DrawFn) -> Release:
    """Up to three rules, two lists, three items in each."""
    lists = sorted(draw(st.sets(st.sampled_from(_LISTS))))
    objects: list[Any] = [exception_list(one) for one in lists]
    for list_id in lists:
        some = draw(st.lists(items(list_id), max_size=3))
        objects += {one.item_id: one for one in some}.values()
    for rule_id in sorted(draw(st.sets(st.sampled_from(_RULES)))):
        names = draw(st.sets(st.sampled_from(NAMES), min_size=1))
        links = draw(st.sets(st.sampled_from(lists))) if lists else ()
        fields: dict[str, Any] = {"query": f"process.name:({_names(names)})"}
        if draw(st.integers(0, 4)) == 0:
            fields = {"type": "eql", "language": "eql", "query": f"process where {_names(names)}"}
        fields["enabled"] = draw(st.sampled_from([True, True, True, False]))
        fields["note"] = draw(st.sampled_from(["", "read me"]))
        objects.append(rule(rule_id, *sorted(links), **fields))
    return release(*objects)


Act = tuple[str, int]
_EDITS = ("edit", "edit", "expire", "comment", "delete item")
_OTHERS = ("toggle", "unlink", "foreign", "by-hand", "delete list", "delete rule")
ACTS = st.lists(st.tuples(st.sampled_from(_EDITS + _OTHERS), st.integers(0, 5)), max_size=3)


def act(bench: Bench, acts: Iterable[Act]) -> None:
    """What analysts do in Kibana between two pushes."""
    for number, (what, which) in enumerate(acts):
        _act(bench, what, which, f"{what}-{number}".replace(" ", "-"))


def _act(bench: Bench, what: str, which: int, fresh: str) -> None:
    rules, all_items = bench.rules(), bench.items()
    lists = sorted(bench.lists().keys() & set(_LISTS))
    one_rule = _pick(rules, which)
    one_item = _pick(all_items, which)
    match what:
        case "toggle" if one_rule:
            bench.kibana.rules.update({**_writable(one_rule), "enabled": not one_rule["enabled"]})
        case "unlink" if one_rule:
            bench.kibana.rules.update({**_writable(one_rule), "exceptions_list": []})
        case "delete rule" if one_rule:
            bench.kibana.rules.delete(one_rule["rule_id"])
        case "foreign" if lists:
            body = rule(
                fresh, lists[which % len(lists)], tags=[], query='process.name:("a" or "b")'
            )
            bench.kibana.rules.create(body.body)
        case "by-hand" if lists:
            bench.kibana.items.create(item(lists[which % len(lists)], fresh, "d", tags=[]).body)
        case "edit" if one_item:
            edited = [{**entry, "operator": "excluded"} for entry in one_item["entries"]]
            bench.kibana.items.update({**_writable(one_item), "entries": edited})
        case "comment" if one_item:
            comments = [*_comments(one_item), {"comment": "seen"}]
            bench.kibana.items.update({**_writable(one_item), "comments": comments})
        case "expire" if one_item:
            bench.kibana.items.update({**_writable(one_item), "expire_time": PAST})
        case "delete item" if one_item:
            bench.kibana.items.delete(one_item["item_id"])
        case "delete list" if lists:
            try:
                bench.kibana.lists.delete(lists[which % len(lists)])
            except NotThere:
                return


def _pick(objects: Mapping[str, Any], which: int) -> Any:
    ids = sorted(objects)
    return objects[ids[which % len(ids)]] if ids else None


def _comments(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"id": one["id"], "comment": one["comment"]} for one in body.get("comments", ())]


def _writable(body: Mapping[str, Any]) -> dict[str, Any]:
    """A live body as Kibana's own pages send it back."""
    owned = {"id", "_version", "created_at", "created_by", "updated_at", "updated_by", "comments"}
    owned |= {"tie_breaker_id", "immutable", "rule_source", "revision", "execution_summary"}
    result = {name: value for name, value in body.items() if name not in owned}
    if "item_id" in body:
        result["comments"] = _comments(body)
    return result


@dataclass(frozen=True, slots=True)
class Case:
    """A release pushed, what analysts did then, and the next push."""

    before: Release
    acts: list[Act]
    after: Release
    options: dict[str, Any]


CASES = st.builds(
    Case,
    releases(),
    ACTS,
    releases(),
    st.fixed_dictionaries(
        {
            "prune": st.booleans(),
            "side": st.sampled_from([None, "ours", "ours", "theirs"]),
            "adopt": st.just(value=True),
        }
    ),
)
