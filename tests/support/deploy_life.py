"""A pusher's process that dies: at a chosen deed, with nothing tidied up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.deploy import ApplyOptions, RecordStore, apply
from ruledeploy.deploy.lock import SURE_SECONDS
from ruledeploy.deploy.normalise import comparable, normalise
from ruledeploy.deploy.objects import Kind
from ruledeploy.deploy.store import Documents
from ruledeploy.kibana import Connection, Kibana, Request
from ruledeploy.model import Release
from support.deploy_bench import Bench


class Killed(BaseException):
    """The process is gone: nothing catches this, nothing is tidied up."""


@dataclass(slots=True)
class Life:
    """Counts what a process does to the outside world, and ends it at the chosen deed.

    `after` decides whether the last deed is still carried out.
    """

    deeds: int
    after: bool = False
    dead: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def do(self, deed: Callable[[], Any]) -> Any:
        """Do it, unless dead."""
        with self._guard:
            if self.dead:
                raise Killed
            self.deeds -= 1
            self.dead = dies = self.deeds < 0
        if dies:
            if self.after:
                deed()
            raise Killed
        return deed()


class MortalKibana(Kibana):
    """A client whose process may die at a request."""

    def __init__(self, connection: Connection, life: Life) -> None:
        super().__init__(connection)
        self._life = life

    def send(self, request: Request) -> Any:
        """Send, while alive."""
        return self._life.do(lambda: super(MortalKibana, self).send(request))


class MortalDocuments:
    """A store whose process may die at a request."""

    durable = True
    place = "the documents of a mortal"

    def __init__(self, documents: Documents, life: Life) -> None:
        self._documents = documents
        self._life = life

    def get(self, id_: str) -> Any:
        """Read, while alive."""
        return self._life.do(lambda: self._documents.get(id_))

    def create(self, id_: str, document: Any) -> Any:
        """Create, while alive."""
        return self._life.do(lambda: self._documents.create(id_, document))

    def replace(self, id_: str, document: Any, version: Any) -> Any:
        """Overwrite, while alive."""
        return self._life.do(lambda: self._documents.replace(id_, document, version))

    def delete(self, id_: str, version: Any) -> None:
        """Delete, while alive."""
        self._life.do(lambda: self._documents.delete(id_, version))


def killed(bench: Bench, wanted: Release, life: Life, *, prune: bool = False) -> bool:
    """Push, one request at a time, with a process of that length of life; whether it died."""
    plan = bench.plan(wanted, prune=prune)
    with MortalKibana(bench.kibana.connection, life) as mortal:
        store = RecordStore(MortalDocuments(bench.store.documents, life), bench.store.owner)
        try:
            apply(plan, mortal, store, options=ApplyOptions(jobs=1))
        except Killed:
            let_the_lock_expire(bench.store.documents)
            return True
    return False


def let_the_lock_expire(documents: Documents) -> None:
    """The dead process was this one, so its lock looks held; make its heartbeat old."""
    found = documents.get("lock")
    if found:
        old = {**found[0], "heartbeat": float(found[0]["heartbeat"]) - SURE_SECONDS - 1}
        documents.replace("lock", old, found[1])


def summary(kibana: Kibana) -> dict[str, Any]:
    """What is on a server, without anything that differs between two equal servers."""
    everything: dict[str, Any] = {}
    lists = kibana.lists.find().objects
    bodies: dict[Kind, tuple[str, Any]] = {
        "rule": ("rule_id", kibana.rules.find().objects),
        "list": ("list_id", lists),
        "item": ("item_id", kibana.items.find(sorted(one["list_id"] for one in lists))),
    }
    for kind, (id_field, found) in bodies.items():
        for body in found:
            key = f"{kind}/{body[id_field]}"
            assert key not in everything, f"{key} is there twice"
            fields = normalise(kind, body)
            everything[key] = {name: comparable(name, value) for name, value in fields.items()}
    return everything
