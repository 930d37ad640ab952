"""A local stack with a client and a store, and small releases to push at it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruledeploy.deploy import (
    ApplyOptions,
    Options,
    Outcome,
    Owner,
    Plan,
    RecordStore,
    apply,
    make_plan,
    read_live,
)
from ruledeploy.deploy.documents import FolderDocuments
from ruledeploy.deploy.store import Documents
from ruledeploy.kibana import Connection, Kibana
from ruledeploy.model import (
    DetectionRule,
    ExceptionItem,
    ExceptionList,
    Provenance,
    Release,
    ValueList,
)
from ruledeploy.stack import Running, running_stack

OWNER = Owner("acme", "test")
MARK = OWNER.mark


def rule(rule_id: str, *lists: str, **fields: Any) -> DetectionRule:
    """A query rule on `logs-a` that links the lists."""
    body: dict[str, Any] = {
        "rule_id": rule_id,
        "name": f"Rule {rule_id}",
        "description": "A rule of the tests",
        "type": "query",
        "language": "lucene",
        "query": "process.name:x.exe",
        "index": ["logs-a"],
        "severity": "high",
        "risk_score": 73,
        "enabled": True,
        "tags": [MARK],
        "exceptions_list": [
            {"id": name, "list_id": name, "type": "detection", "namespace_type": "single"}
            for name in lists
        ],
    }
    return DetectionRule({**body, **fields}, "ecs", Provenance("rules/r.yml", 1, rule_id))


def exception_list(list_id: str, **fields: Any) -> ExceptionList:
    """A detection list."""
    body = {
        "list_id": list_id,
        "name": f"List {list_id}",
        "description": "A list of the tests",
        "type": "detection",
        "namespace_type": "single",
        "tags": [MARK],
    }
    return ExceptionList({**body, **fields}, "ecs", Provenance("exceptions/l.yml", 1, list_id))


def item(list_id: str, item_id: str, value: str = "good.exe", **fields: Any) -> ExceptionItem:
    """An item that hides events of one process name."""
    body = {
        "list_id": list_id,
        "item_id": item_id,
        "type": "simple",
        "namespace_type": "single",
        "name": f"Item {item_id}",
        "description": "An item of the tests",
        "entries": [
            {"field": "process.name", "type": "match", "operator": "included", "value": value}
        ],
        "tags": [MARK],
        "os_types": [],
    }
    place = Provenance("exceptions/l.yml", 9, f"{list_id}/{item_id}")
    return ExceptionItem({**body, **fields}, place)


def value_list(name: str, *values: str) -> ValueList:
    """A value list of keywords, with its values."""
    body = {
        "id": name,
        "name": f"Values {name}",
        "description": "A value list of the tests",
        "type": "keyword",
        "meta": {"ruledeploy": MARK},
    }
    return ValueList(body, values, Provenance(f"exceptions/value_lists/{name}.txt", 1, name))


def listed(list_id: str, item_id: str, values: str, **fields: Any) -> ExceptionItem:
    """An item that hides events of every process name in a value list."""
    used = {"id": values, "type": "keyword"}
    entry = {"field": "process.name", "type": "list", "operator": "included", "list": used}
    return item(list_id, item_id, entries=[entry], **fields)


def release(*objects: DetectionRule | ExceptionList | ExceptionItem | ValueList) -> Release:
    """A release of these objects, sorted as the compiler sorts."""
    rules = [one for one in objects if isinstance(one, DetectionRule)]
    lists = [one for one in objects if isinstance(one, ExceptionList)]
    items = [one for one in objects if isinstance(one, ExceptionItem)]
    values = [one for one in objects if isinstance(one, ValueList)]
    return Release(
        env=OWNER.env,
        date="2026-11-24",
        rules=tuple(sorted(rules, key=lambda one: one.rule_id)),
        lists=tuple(sorted(lists, key=lambda one: one.list_id)),
        items=tuple(sorted(items, key=lambda one: one.item_id)),
        value_lists=tuple(sorted(values, key=lambda one: str(one.body["id"]))),
    )


@dataclass(slots=True)
class Log:
    """Requests that a stack answered: `(method, path, status)`; the Kibana side only."""

    lines: list[tuple[str, str, int]] = field(default_factory=list)

    def writes(self) -> list[tuple[str, str, int]]:
        """The requests that were not reads."""
        return [line for line in self.lines if line[0] != "GET"]


@dataclass(slots=True)
class Bench:
    """One space of a stack, one store, and the calls of a push in their order."""

    kibana: Kibana
    store: RecordStore
    log: Log

    def plan(self, wanted: Release, **options: Any) -> Plan:
        """Read and plan."""
        applied = self.store.applied()
        live = read_live(self.kibana, wanted, applied)
        return make_plan(wanted, live, applied, Options(**options))

    def push(self, wanted: Release, *, jobs: int | None = 1, **options: Any) -> Outcome:
        """Read, plan, apply."""
        plan = self.plan(wanted, **options)
        how = ApplyOptions(jobs=jobs, allow_many=True, stop=threading.Event())
        return apply(plan, self.kibana, self.store, options=how)

    def rules(self) -> dict[str, Any]:
        """Live rules by rule_id; a duplicate fails the test."""
        found = self.kibana.rules.find().objects
        by_id = {body["rule_id"]: body for body in found}
        assert len(by_id) == len(found), "duplicate rule_id"
        return by_id

    def lists(self) -> dict[str, Any]:
        """Live lists by list_id."""
        return {body["list_id"]: body for body in self.kibana.lists.find().objects}

    def items(self) -> dict[str, Any]:
        """Live items by item_id, of all lists."""
        return {body["item_id"]: body for body in self.kibana.items.find(sorted(self.lists()))}


def bench_on(
    kibana_url: str,
    folder: Path,
    log: Log,
    space: str = "default",
    documents: Documents | None = None,
) -> Bench:
    """A bench on a server that runs already; `space` is created when it is not there.

    Records are kept in `folder` unless `documents` says where.
    """
    if space != "default":
        with Kibana(Connection(kibana_url)) as admin:
            admin._peer.request("POST", "/api/spaces/space", body={"id": space, "name": space})
    kibana = Kibana(Connection(kibana_url, space=space, timeout=10.0))
    store = RecordStore(documents or FolderDocuments(folder, durable=True), OWNER)
    return Bench(kibana, store, log)


_numbers = itertools.count()


def fresh_bench(
    stack: tuple[Running, Path], stores: Callable[[str], Documents] | None = None
) -> Bench:
    """A bench on a space that nobody used before; `stack` is a server and a folder.

    `stores` gives the documents of an environment of that name.
    """
    running, folder = stack
    name = f"s{next(_numbers)}"
    documents = stores(name) if stores else None
    return bench_on(running.kibana_url, folder / name, Log(), space=name, documents=documents)


@contextmanager
def running_bench(
    folder: Path,
    hook: Callable[[Any, Any], None] | None = None,
    stores: Callable[[str], Documents] | None = None,
    **options: Any,
) -> Iterator[Bench]:
    """A bench on a stack of its own. `hook` sees each call and answer, in the server's thread.

    `stores` gives the documents of an environment of that name; a folder's without.
    """
    log = Log()

    def noted(call: Any, answer: Any) -> None:
        if call.path.startswith(("/api/detection", "/api/exception", "/api/lists")):
            log.lines.append((call.method, call.path, answer.status))
        if hook:
            hook(call, answer)

    with running_stack(folder / "stack", hook=noted, scheduler=False, **options) as running:
        documents = stores("prod") if stores else None
        bench = bench_on(running.kibana_url, folder / "records", log, documents=documents)
        try:
            yield bench
        finally:
            bench.kibana.close()
