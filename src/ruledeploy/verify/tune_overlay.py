"""Proposals as overlays: the file that holds a rule's overlay, and that file with more items.

An item that is there stays as it is; what is proposed stands beside it under an id of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from ruledeploy.allowlist.overlay import parse_overlays
from ruledeploy.errors import RuledeployError
from ruledeploy.model import DetectionRule, Environment
from ruledeploy.project import Project
from ruledeploy.yamledit import YamlEdit, new_document


@dataclass(frozen=True, slots=True)
class Proposal:
    """One item, what it would hide, and why it is not proposed, if it is not.

    `match` is a Sigma selection: field to value, `*` and `?` being wildcards.
    """

    item_id: str
    match: Mapping[str, str]
    events: int
    hosts: int
    first: str
    last: str
    example: str
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "item_id": self.item_id,
            "match": dict(self.match),
            "events": self.events,
            "hosts": self.hosts,
            "first": self.first,
            "last": self.last,
            "example": self.example,
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True)
class Home:
    """A rule's overlay for proposals: its id, the file that holds it or will, items it has.

    `taken` are the ids of items in any folder of the environment: one more of the same id would
    take the other's place.
    """

    overlay_id: str
    path: str
    taken: frozenset[str] = frozenset()


def usual_path(project: Project, env: Environment) -> str:
    """Where an overlay goes that no file holds yet, unless a file is named.

    Raises `RuledeployError` for an environment without overlays.
    """
    if not env.overlays:
        raise RuledeployError(
            f"env.{env.name} reads no folder of overlays", hint='name one: exceptions = ["base"]'
        )
    return PurePosixPath(project.exceptions_folder, env.overlays[-1], "tuned.yml").as_posix()


def home_of(project: Project, env: Environment, rule: DetectionRule, path: str) -> Home:
    """The rule's overlay as the files have it; in `path` when no file of that folder does."""
    name = f"ruledeploy:{project.name}:tuned:{rule.provenance.source_id}"
    overlay_id, holder, taken = str(uuid5(NAMESPACE_URL, name)), path, set[str]()
    for folder in env.overlays:
        for overlay in parse_overlays(project.overlay_files(folder)):
            if overlay.id != overlay_id:
                continue
            taken.update(item.id for item in overlay.items)
            if PurePosixPath(path).is_relative_to(f"{project.exceptions_folder}/{folder}"):
                holder = overlay.location.path
    return Home(overlay_id, holder, frozenset(taken))


def overlay_text(
    home: Home, rule: DetectionRule, env: Environment, until: date, proposals: Sequence[Proposal]
) -> str:
    """The proposals alone; owner, reason and ticket are left to the person who takes them over."""
    overlay = {
        "title": f"Habits seen by {rule.name}",
        "id": home.overlay_id,
        "rules": [rule.provenance.source_id],
        "items": [_item(one, until, env) for one in proposals],
    }
    return new_document(overlay).decode()


def _item(one: Proposal, until: date, env: Environment) -> dict[str, Any]:
    seen = f"{one.events} alerts on {one.hosts} hosts from {one.first} to {one.last}"
    item: dict[str, Any] = {
        "id": one.item_id,
        "name": f"{one.item_id} as seen in {env.name}",
        "match": dict(one.match),
        "owner": "TODO",
        "reason": f"TODO say why this is harmless. Seen: {seen}, such as {one.example}",
    }
    if "ticket" in env.policy.require:
        item["ticket"] = "TODO"
    return {**item, "expires": until}


def taken_over(data: bytes, home: Home, overlay: str) -> bytes:
    """The file with the overlay's items at the end of the same overlay, or with one overlay more.

    The rest of the file stays as its author wrote it.
    """
    if not data.strip():
        return overlay.encode()
    (new,) = YamlEdit(overlay.encode(), home.path).documents
    file = YamlEdit(data, home.path)
    found = [one for one in file.documents if _id(one) == home.overlay_id]
    if not found:
        file.documents.append(new)
    elif found[0].get("items"):
        found[0]["items"].extend(new["items"])
    else:
        found[0]["items"] = new["items"]
    return file.to_bytes()


def _id(document: object) -> str:
    return str(document.get("id")).lower() if isinstance(document, Mapping) else ""
