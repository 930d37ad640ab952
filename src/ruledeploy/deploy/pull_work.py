"""What `pull` works on: the question, and the files while they are being edited."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from ruledeploy.compile import PLAIN, Means, try_release
from ruledeploy.deploy.live import Live
from ruledeploy.deploy.objects import Kind, Ref
from ruledeploy.deploy.pull_lists import slug
from ruledeploy.deploy.records import Applied
from ruledeploy.errors import Collector
from ruledeploy.model import Environment, JsonObject, Release
from ruledeploy.project import Project
from ruledeploy.yamldoc import load_all
from ruledeploy.yamledit import YamlEdit, cut_item


@dataclass(frozen=True, slots=True)
class Left:
    """A live object that is not in the files, and why."""

    ref: Ref
    name: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """Plain form `{object, why}`."""
        return {
            "object": {"kind": self.ref.kind, "id": self.ref.id, "name": self.name},
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Question:
    """What to pull: an environment's live state, all of it or the objects named in `only`."""

    project: Project
    env: Environment
    day: date
    live: Live
    applied: Applied
    only: Collection[Ref] | None = None
    means: Means = PLAIN

    def wants(self, ref: Ref) -> bool:
        """Whether this object is asked for."""
        return self.only is None or ref in self.only


@dataclass(slots=True)
class Work:
    """The files being edited. `left` gathers what could not be said."""

    question: Question
    files: dict[str, bytes]
    left: list[Left] = field(default_factory=list)
    _open: dict[str, YamlEdit] = field(default_factory=dict)
    _unsaved: set[str] = field(default_factory=set)

    def edit(self, path: str) -> YamlEdit:
        """The file at `path`, open for edits."""
        if path not in self._open:
            self._open[path] = YamlEdit(self.files[path], path)
        self._unsaved.add(path)
        return self._open[path]

    def add(self, path: str, document: Mapping[str, Any]) -> None:
        """A new file; its bytes come with `save`."""
        self.files[path] = b""
        self._open[path] = YamlEdit.of(document)
        self._unsaved.add(path)

    def save(self) -> None:
        """Put every edit into `files`."""
        for path in self._unsaved:
            self.files[path] = self._open[path].to_bytes()
        self._unsaved.clear()

    def cut(self, path: str, overlay_id: str, item_id: str) -> None:
        """Take an item out of an overlay's file; comments of other items stay."""
        self.save()
        self._open.pop(path, None)
        for doc in load_all(self.files[path], path):
            items = doc.value.get("items") or []
            ids = [item.get("id") for item in items]
            if str(doc.value.get("id", "")).lower() == overlay_id and item_id in ids:
                node = next(value for key, value in doc.node.value if key.value == "items")
                self.files[path] = cut_item(self.files[path], node, ids.index(item_id))
                return

    def revert(self, path: str) -> None:
        """The file as it was, or no file."""
        self._open.pop(path, None)
        self._unsaved.discard(path)
        before = self.question.project.files.get(path)
        if before is None:
            self.files.pop(path, None)
        else:
            self.files[path] = before

    def leave(self, ref: Ref, why: str) -> None:
        """Name an object that stays out of the files."""
        body = self.question.live.get(ref) or {}
        self.left.append(Left(ref, str(body.get("name", ref.id)), why))

    def compile(self) -> tuple[Release, dict[str, str]]:
        """The release of the files as they are now, and the first error of each path."""
        self.save()
        collector = Collector()
        asked = self.question
        project = replace(asked.project, files=self.files)
        release = try_release(project, asked.env, asked.day, collector, asked.means)
        errors: dict[str, str] = {}
        for error in collector.errors:
            errors.setdefault(error.location.path if error.location else "", error.message)
        return release, errors

    def free_path(self, folder: str, name: str) -> str:
        """A path for a new file that nothing has."""
        stem = slug(name) or "unnamed"
        path, n = f"{folder}/{stem}.yml", 1
        while path in self.files:
            n += 1
            path = f"{folder}/{stem}-{n}.yml"
        return path


def in_order(live: Live, kind: Kind) -> list[tuple[Ref, JsonObject]]:
    """Objects of a kind in the order of their creation, so that names are given out alike."""
    found = [(ref, body) for ref, body in live.objects.items() if ref.kind == kind]
    return sorted(found, key=lambda pair: (str(pair[1].get("created_at")), pair[0].id))


def gone(asked: Question, kind: Kind) -> Iterator[Ref]:
    """Recorded objects of a kind that are no longer on the server."""
    for ref in sorted(asked.applied.objects):
        if ref.kind == kind and asked.live.get(ref) is None and asked.wants(ref):
            yield ref


def is_prebuilt(rule: JsonObject) -> bool:
    """Whether a live rule is one of Elastic's."""
    source = (rule.get("rule_source") or {}).get("type")
    return bool(rule.get("immutable")) or source == "external"
