"""Two places for documents: a folder, and an Elasticsearch index."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from ruledeploy.errors import AlreadyThere, AnswerLost, NotThere, ServerError
from ruledeploy.kibana import Peer, Query
from ruledeploy.model import JsonObject, digest


class FolderDocuments:
    """`<folder>/<id>.json`, each file written whole or not at all.

    Processes on one machine exclude one another; a version is the content's digest.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.durable = durable
        self.place = str(folder)

    def get(self, id_: str) -> tuple[JsonObject, str] | None:
        """The document and its version; None when there is none."""
        path = self._path(id_)
        try:
            with _told(path):
                document = msgspec.json.decode(path.read_bytes())
        except NotThere:
            return None
        except msgspec.MsgspecError as error:
            raise ServerError(
                f"this is no document of ours: {error}",
                url=str(path),
                hint="bring it back from a backup; it says what earlier pushes made",
            ) from error
        return document, digest(document)

    def create(self, id_: str, document: JsonObject) -> str:
        """Write a document that must not exist yet."""
        with self._exclusive():
            path = self._path(id_)
            if path.exists():
                raise AlreadyThere("the document exists", url=str(path))
            self._write(path, document)
        return digest(document)

    def replace(self, id_: str, document: JsonObject, version: str) -> str:
        """Overwrite the version read."""
        with self._exclusive():
            self._check(id_, version)
            self._write(self._path(id_), document)
        return digest(document)

    def delete(self, id_: str, version: str) -> None:
        """Delete the version read."""
        with self._exclusive():
            self._check(id_, version)
            with _told(self._path(id_)):
                self._path(id_).unlink()

    def _path(self, id_: str) -> Path:
        return self.folder / f"{id_}.json"

    def _check(self, id_: str, version: str) -> None:
        found = self.get(id_)
        if found is None or found[1] != version:
            raise AlreadyThere("the document moved since it was read", url=str(self._path(id_)))

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with _told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / ".exclusive").open("w")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, path: Path, document: JsonObject) -> None:
        """Write beside, flush to disk, then rename: a crash leaves the old file or the new."""
        text = json.dumps(document, ensure_ascii=False)  # `dump` is ten times slower
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with _told(path), beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What a disk refuses, as the error of any store: a push must end as it does with a server."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotThere("there is no such document", url=str(path)) from error
    except OSError as error:
        raise ServerError(
            f"the record cannot be kept: {error.strerror}",
            url=str(path),
            hint="make room or correct the rights, then push again",
        ) from error


class IndexDocuments:
    """Index `ruledeploy-<project>`, ids `<env>-<id>`, through the document API.

    The mapping is not dynamic: bodies of rules are kept, never indexed.
    """

    durable = True

    def __init__(self, peer: Peer, project: str, env: str) -> None:
        self._peer = peer
        self.project = project
        self.env = env
        self._index = quote(f"ruledeploy-{project.lower()}", safe="")
        self.place = f"{peer.connection.url}/{self._index}"

    def get(self, id_: str) -> tuple[JsonObject, tuple[int, int]] | None:
        """The document and its (seq_no, primary term); None when there is none."""
        try:
            answer = self._peer.request("GET", self._path("_doc", id_))
        except NotThere:
            return None
        return answer["_source"], (answer["_seq_no"], answer["_primary_term"])

    def create(self, id_: str, document: JsonObject) -> tuple[int, int]:
        """Write a document that must not exist yet."""
        self._create_index()
        return self._put("_create", id_, document)

    def replace(self, id_: str, document: JsonObject, version: tuple[int, int]) -> tuple[int, int]:
        """Overwrite the version read."""
        return self._put("_doc", id_, document, _guard(version))

    def delete(self, id_: str, version: tuple[int, int]) -> None:
        """Delete the version read."""
        try:
            self._peer.request("DELETE", self._path("_doc", id_), query=_guard(version))
        except AnswerLost:
            if self.get(id_) is not None:
                raise

    def _put(
        self, api: str, id_: str, document: JsonObject, guard: Query | None = None
    ) -> tuple[int, int]:
        """Write; when the answer is lost, what is there decides."""
        try:
            answer = self._peer.request("PUT", self._path(api, id_), query=guard, body=document)
        except AnswerLost:
            found = self.get(id_)
            if found is None or found[0] != document:
                raise
            return found[1]
        return answer["_seq_no"], answer["_primary_term"]

    def _path(self, api: str, id_: str) -> str:
        return f"/{self._index}/{api}/{quote(f'{self.env}-{id_}', safe='')}"

    def _create_index(self) -> None:
        """Create the index when it is not there; whoever comes second is told 400."""
        try:
            self._peer.request("GET", f"/{self._index}")
        except NotThere:
            try:
                body: dict[str, Any] = {"mappings": {"dynamic": False}}
                self._peer.request("PUT", f"/{self._index}", body=body)
            except ServerError as error:
                if "already_exists" not in error.message:
                    raise


def _guard(version: tuple[int, int]) -> Query:
    return {"if_seq_no": version[0], "if_primary_term": version[1]}
