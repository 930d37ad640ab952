"""Large releases A and B, and a watcher that asks the product's engine after every request.

The watcher is a hook of the local stack: it sees each answer, keeps what the server then holds
and runs the rules that this request may have moved, their queries and exception items as live,
over every event of a small world. Evaluations are remembered by what they depend on, so a state
that comes again costs nothing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import product
from typing import Any

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.engine.embedded import bundled_table
from ruledeploy.model import Release, canonical, digest
from ruledeploy.stack.http import Answer, Call
from support.deploy_bench import exception_list, item, release, rule, value_list

NAMES = tuple(f"p{n}.exe" for n in range(20))
USERS = tuple(f"u{n}" for n in range(4))
NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENTS = tuple(
    Document(
        "logs-a",
        f"{name} {user}",
        {"@timestamp": NOW.isoformat(), "process": {"name": name}, "user": {"name": user}},
    )
    for name, user in product(NAMES, USERS)
)
_ENGINE = EmbeddedEngine(cache(bundled_table))

Alerts = Mapping[str, frozenset[str]]  # by rule_id


# ------------------------------------------------------------------------------------- releases


@dataclass(slots=True)
class _Rule:
    names: list[str]
    lists: list[str]
    kind: str = "lucene"
    title: str = ""
    enabled: bool = True


@dataclass(slots=True)
class _World:
    """The sources of a release, easy to change."""

    rules: dict[str, _Rule]
    items: dict[str, dict[str, Any]]  # by the name of the item in its file
    lists: list[str]
    values: dict[str, list[str]] = field(default_factory=dict)  # value lists

    def release(self) -> Release:
        """Compile, with ids as the compiler makes them: from the list and the entries."""
        objects: list[Any] = [exception_list(one) for one in self.lists]
        objects += [value_list(name, *values) for name, values in self.values.items()]
        made = {}
        for name, one in self.items.items():
            body = {key: value for key, value in one.items() if key != "list"}
            item_id = digest([one["list"], body["entries"]])[:16]
            made[item_id] = item(one["list"], item_id, name=name, **body)
        objects += made.values()
        for rule_id, source in self.rules.items():
            title, links = source.title or f"Rule {rule_id}", sorted(set(source.lists))
            fields = {"name": title, "enabled": source.enabled, **_query(source)}
            objects.append(rule(rule_id, *links, **fields))
        return release(*objects)


def _query(one: _Rule) -> dict[str, Any]:
    quoted = [f'"{name}"' for name in sorted(set(one.names))]
    if one.kind == "lucene":
        return {"query": f"process.name:({' OR '.join(quoted)})"}
    query = f"from logs-a metadata _id | where process.name in ({', '.join(quoted)})"
    return {"type": "esql", "language": "esql", "query": query, "index": None}


def two_releases(
    seed: int, rules: int = 200, lists: int = 60, values: int = 0
) -> tuple[Release, Release]:
    """A and B: items new, changed, moved and gone; rules changed in every way a file can.

    With value lists, a quarter of the items look into one, and their values move too.
    """
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    names = [f"l{n:03}" for n in range(lists)]
    world = _World(
        {f"r{n:03}": _draw_rule(draw, names) for n in range(rules)},
        {f"i{n:04}": _draw_item(draw, names) for n in range(lists * 4)},
        names,
    )
    world.values = {f"v{n}": draw.sample(NAMES, 4) for n in range(values)}
    for one in list(world.items.values())[::4] if values else ():
        one["entries"] = [_into(draw.choice(list(world.values)))]
    before = world.release()
    for name in world.values:
        world.values[name] = draw.sample(NAMES, 4)
    _change_items(draw, world)
    _change_rules(draw, world)
    return before, world.release()


def _draw_rule(draw: random.Random, lists: list[str]) -> _Rule:
    kind = draw.choice(["lucene", "lucene", "lucene", "esql"])
    chosen = draw.sample(lists, k=draw.randint(0, 3))
    return _Rule(draw.sample(NAMES, 3), chosen, kind, enabled=draw.random() < 0.9)


def _draw_item(draw: random.Random, lists: list[str]) -> dict[str, Any]:
    return {"list": draw.choice(lists), "entries": _draw_entries(draw), "description": "one"}


def _into(values: str) -> dict[str, Any]:
    """An entry that looks into a value list."""
    used = {"id": values, "type": "keyword"}
    return {"field": "process.name", "operator": "included", "type": "list", "list": used}


def _draw_entries(draw: random.Random) -> list[dict[str, Any]]:
    names = draw.sample(NAMES, draw.randint(1, 3))
    entries: list[dict[str, Any]] = [
        {"field": "process.name", "operator": "included", "type": "match_any", "value": names}
    ]
    if draw.random() < 0.5:
        operator = draw.choice(["included", "excluded"])
        user = {"field": "user.name", "operator": operator, "type": "match"}
        entries.append({**user, "value": draw.choice(USERS)})
    return entries


def _change_items(draw: random.Random, world: _World) -> None:
    gone, new = world.lists[:3], [f"n{n}" for n in range(3)]
    world.lists = [*world.lists[3:], *new]
    for name, one in list(world.items.items()):
        if one["list"] in gone:
            one["list"] = draw.choice(world.lists)  # moved, since its list goes
            continue
        match draw.choice(["same", "same", "changed", "moved", "text", "gone", "expires", "new"]):
            case "changed":
                one["entries"] = _draw_entries(draw)
            case "moved":
                one["list"] = draw.choice(world.lists)
            case "text":
                one["description"] = "two"
            case "gone":
                del world.items[name]
            case "expires":
                one["expire_time"] = draw.choice(
                    ["2020-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"]
                )
            case "new":
                world.items[f"{name}-new"] = _draw_item(draw, world.lists)
    for source in world.rules.values():
        source.lists = [name for name in source.lists if name not in gone]


def _change_rules(draw: random.Random, world: _World) -> None:
    for rule_id, one in list(world.rules.items()):
        match draw.choice(["same", "query", "title", "type", "toggle", "links", "gone", "both"]):
            case "query":
                one.names = draw.sample(NAMES, 3)
            case "title":
                one.title = f"Renamed {rule_id}"
            case "type":
                one.kind = "esql" if one.kind == "lucene" else "lucene"
            case "toggle":
                one.enabled = not one.enabled
            case "links":
                one.lists = draw.sample(world.lists, k=draw.randint(0, 3))
            case "gone":
                del world.rules[rule_id]
                world.rules[f"{rule_id}-new"] = _draw_rule(draw, world.lists)
            case "both":
                one.names, one.lists = draw.sample(NAMES, 3), draw.sample(world.lists, k=2)
                one.kind = draw.choice(["lucene", "esql"])


# -------------------------------------------------------------------------------------- watching


@dataclass(slots=True)
class Watch:
    """What one space would alert on, after each request; `seen` has every change of it."""

    rules: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # by Kibana's uuid
    items: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)  # by the list's id
    alerts: dict[str, frozenset[str]] = field(default_factory=dict)
    seen: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)
    writes: int = 0

    def note(self, call: Call, answer: Answer) -> None:
        """Keep what the answer says the server holds now, and see what that moves."""
        if call.method == "GET" or answer.status >= 300:
            return
        self.writes += 1
        moved = self._keep(call, answer.body)
        for rule_id in moved:
            alerts = self._alerts_of(rule_id)
            if alerts != self.alerts.get(rule_id, frozenset()):
                self.alerts[rule_id] = alerts
                self.seen.append((f"{self.writes}: {call.method} {call.url}", rule_id, alerts))

    def _keep(self, call: Call, body: Any) -> set[str]:
        """The rules that a write may have moved."""
        gone = call.method == "DELETE"
        match call.path:
            case "/api/detection_engine/rules":
                self.rules.pop(body["id"], None)
                if not gone:
                    self.rules[body["id"]] = body
                return {body["rule_id"]}
            case "/api/exception_lists/items":
                self.items.pop(body["item_id"], None)
                if not gone:
                    self.items[body["item_id"]] = body
                return self._linking({body["list_id"]})
            case "/api/exception_lists" if gone:
                list_id = body["list_id"]
                inside = [key for key, one in self.items.items() if one["list_id"] == list_id]
                for key in inside:
                    del self.items[key]
                return self._linking({list_id})
            case "/api/lists/items":
                return self._keep_value(body if isinstance(body, list) else [body], gone=gone)
            case "/api/lists/items/_import":
                uploaded = call.file()
                assert uploaded
                lines = uploaded[1].decode().splitlines()
                added = [{"list_id": body["id"], "value": line} for line in lines]
                return self._keep_value(added, gone=False)
            case _:
                return set()

    def _keep_value(self, bodies: Iterable[Mapping[str, Any]], *, gone: bool) -> set[str]:
        lists = set()
        for body in bodies:
            lists.add(body["list_id"])
            values = self.values.setdefault(body["list_id"], set())
            (values.discard if gone else values.add)(body["value"])
        using = {
            one["list_id"]
            for one in self.items.values()
            if any(entry.get("list", {}).get("id") in lists for entry in one["entries"])
        }
        return self._linking(using)

    def _linking(self, lists: set[str]) -> set[str]:
        return {
            body["rule_id"]
            for body in self.rules.values()
            if any(link["list_id"] in lists for link in body["exceptions_list"])
        }

    def _alerts_of(self, rule_id: str) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        by_list = defaultdict(list)
        for one in self.items.values():
            by_list[one["list_id"]].append(one)
        for body in self.rules.values():
            if body["rule_id"] == rule_id and body["enabled"]:
                linked = {link["list_id"] for link in body["exceptions_list"]}
                items = [one for name in sorted(linked) for one in by_list[name]]
                found |= self._evaluate(body, items)
        return found

    def _evaluate(self, body: Mapping[str, Any], items: list[Mapping[str, Any]]) -> frozenset[str]:
        entries = [[one["item_id"], one["entries"], one.get("expire_time")] for one in items]
        values = {key: sorted(found) for key, found in self.values.items()}
        key = canonical([body["language"], body["query"], entries, values])
        if key not in _EVALUATED:
            engine_rule = EngineRule(
                "r", body["language"], body["query"], ("logs-a",), tuple(items), value_lists=values
            )
            hits = _ENGINE.run([engine_rule], Memory(EVENTS), None, NOW)["r"]
            _EVALUATED[key] = frozenset(hits.event_ids)
        return _EVALUATED[key]


# One process-wide memory: the engine gives equal answers to equal questions.
_EVALUATED: dict[str, frozenset[str]] = {}


@dataclass(slots=True)
class Watches:
    """The hook: one watch per space."""

    spaces: defaultdict[str, Watch] = field(default_factory=lambda: defaultdict(Watch))

    def __call__(self, call: Call, answer: Answer) -> None:
        """Pass the request on to the watch of its space."""
        self.spaces[call.space].note(call, answer)


def gaps(seen: Iterable[tuple[str, str, frozenset[str]]], *allowed: Alerts) -> list[str]:
    """Every moment at which a rule alerted on what none of the allowed states alerts on."""
    found = []
    for request, rule_id, alerts in seen:
        fine = frozenset().union(*(state.get(rule_id, frozenset()) for state in allowed))
        if not alerts <= fine:
            found.append(f"{request}: {rule_id} alerts on {sorted(alerts - fine)}")
    return found
