"""Where records, journals and locks live: behind one small interface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ruledeploy.deploy.documents import FolderDocuments, IndexDocuments
from ruledeploy.deploy.objects import Owner
from ruledeploy.deploy.records import Applied, Record, applied_from
from ruledeploy.kibana import Connection, Peer
from ruledeploy.model import Environment, JsonObject


class Documents(Protocol):
    """JSON documents of one environment, with create-only and compare-and-set writes.

    What an Elasticsearch index is to us, and what a folder can be too. A `version` is opaque.
    """

    durable: bool  # outlives this machine
    place: str  # for messages

    def get(self, id_: str) -> tuple[JsonObject, Any] | None:
        """The document and its version; None when there is none."""

    def create(self, id_: str, document: JsonObject) -> Any:
        """Write a document that must not exist yet; its version. `AlreadyThere` otherwise."""

    def replace(self, id_: str, document: JsonObject, version: Any) -> Any:
        """Overwrite the version read, giving the new one; `AlreadyThere` when it moved since."""

    def delete(self, id_: str, version: Any) -> None:
        """Delete the version read; `AlreadyThere` when it moved since."""


class RecordStore:
    """The records of one (project, environment), numbered from 1 without gaps."""

    def __init__(self, documents: Documents, owner: Owner) -> None:
        self.documents = documents
        self.owner = owner
        self._versions: dict[int, Any] = {}

    @property
    def durable(self) -> bool:
        """True when the records outlive this machine."""
        return self.documents.durable

    def record(self, n: int) -> Record | None:
        """Record number `n`, or None."""
        found = self.documents.get(self._id(n))
        if found is None:
            return None
        self._versions[n] = found[1]
        return Record.from_json(found[0])

    def last(self) -> int:
        """The number of the newest record; 0 when there is none."""
        head = self.documents.get("head")
        n = int(head[0]["n"]) if head else 0
        # The head is a hint, written after the record; a crash in between leaves it behind.
        while self.documents.get(self._id(n + 1)) is not None:
            n += 1
        return n

    def applied(self) -> Applied:
        """What the last finished record and every unfinished one after it say is ours."""
        records: list[Record] = []
        for n in range(self.last(), 0, -1):
            record = self.record(n)
            if record is None:
                break
            records.append(record)
            if record.state == "done":
                break
        return applied_from(self.owner, records)

    def begin(self, record: Record) -> None:
        """Write a new record; `AlreadyThere` when another push took its number."""
        self._versions[record.n] = self.documents.create(self._id(record.n), record.to_json())
        self._move_head(record.n)

    def finish(self, record: Record) -> None:
        """Rewrite a record that this store began or read."""
        version = self._versions[record.n]
        id_ = self._id(record.n)
        self._versions[record.n] = self.documents.replace(id_, record.to_json(), version)

    def write_journal(self, n: int, lines: list[JsonObject]) -> None:
        """Keep what was sent and how it ended: diagnostic, never read for decisions."""
        id_ = f"{self._id(n)}-journal"
        found = self.documents.get(id_)
        document = {"lines": [dict(line) for line in lines]}
        if found is None:
            self.documents.create(id_, document)
        else:
            self.documents.replace(id_, document, found[1])

    def _move_head(self, n: int) -> None:
        found = self.documents.get("head")
        if found is None:
            self.documents.create("head", {"n": n})
        else:
            self.documents.replace("head", {"n": n}, found[1])

    @staticmethod
    def _id(n: int) -> str:
        return f"{n:04d}"


def open_store(
    project: str, env: Environment, folder: Path, elasticsearch_url: str | None = None
) -> RecordStore:
    """The records of an environment: in its Elasticsearch when it has one, else under `folder`.

    `folder` is the content repository; records go to `.ruledeploy/records/<env>/` below it.
    `elasticsearch_url` overrides the environment's (the local stack chooses its own port).
    """
    owner = Owner(project, env.name)
    url = elasticsearch_url or env.elasticsearch_url
    if url is None:
        place = folder / ".ruledeploy" / "records" / env.name
        # The local stack lives in the same folder, so its records live as long as it does.
        return RecordStore(FolderDocuments(place, durable=env.embedded), owner)
    connection = replace(Connection.of(env, url=url), space="default")
    return RecordStore(IndexDocuments(Peer(connection), project, env.name), owner)
