"""`Plan`: every change with its reason and its exact requests, as data.

Frozen, ordered, JSON-serialisable; its checksum covers all of it, so what was reviewed is what
is applied. Renderers read only the JSON form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ruledeploy.deploy.merge import FieldStates
from ruledeploy.deploy.normalise import ChangeClass
from ruledeploy.deploy.objects import Owner, Ref
from ruledeploy.deploy.records import Entry
from ruledeploy.errors import RefusedError
from ruledeploy.kibana import Request
from ruledeploy.model import JsonObject, Provenance, digest

SCHEMA = 2

# `record`: nothing to send, but the record must learn of it (adopted, or gone by itself).
Action = Literal["create", "update", "delete", "disable", "conflict", "record"]
# When a request is due, so that no event alerts that neither the old nor the new state alerts on.
# `hide`: whatever only hides more; `edit`: item edits that a copy of the old item covers;
# `yield`: rules that give up what their successors take; `rule`: the rules; `unhide`:
# whatever may hide less.
Phase = Literal["hide", "edit", "yield", "rule", "unhide"]
# `add` and `remove` are of single values of a value list.
Operation = Literal["create", "update", "delete", "add", "remove"]


@dataclass(frozen=True, slots=True)
class Write:
    """One request of a plan. `expected` is what the object is to be afterwards (None: gone)."""

    ref: Ref
    operation: Operation
    phase: Phase
    request: Request
    expected: JsonObject | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form; `expected` is said only where the body does not say it."""
        return {
            "object": self.ref.key,
            "operation": self.operation,
            "phase": self.phase,
            **self.request.to_json(),
        }

    @staticmethod
    def from_json(value: JsonObject) -> Write:
        """The write whose `to_json` this is."""
        request = Request.from_json(value)
        return Write(
            Ref.parse(value["object"]),
            value["operation"],
            value["phase"],
            request,
            _expected(value["operation"], request),
        )


def _expected(operation: Operation, request: Request) -> JsonObject | None:
    """What a request means the object to be; for values, those that it is about."""
    match operation:
        case "delete":
            return None
        case "add" if request.upload is not None:
            return {"values": request.upload.splitlines()}
        case "add":
            return {"values": [(request.body or {})["value"]]}
        case "remove":
            return {"values": [request.query["value"]]}
        case _:
            return request.body


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one object, and why.

    `before` and `after` hold only the fields that differ; for a create or delete the whole body.
    `entry` is what the record will say of the object (None: forgotten).
    """

    ref: Ref
    name: str
    action: Action
    reason: str
    change_class: ChangeClass
    before: JsonObject | None = None
    after: JsonObject | None = None
    requests: tuple[Write, ...] = ()
    fingerprint: str | None = None
    entry: Entry | None = None
    provenance: Provenance | None = None
    conflicts: tuple[FieldStates, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain form; `object` is `{kind, id, name}`."""
        source = self.provenance
        return {
            "object": {"kind": self.ref.kind, "id": self.ref.id, "name": self.name},
            "action": self.action,
            "reason": self.reason,
            "class": self.change_class,
            "before": self.before,
            "after": self.after,
            "requests": [write.to_json() for write in self.requests],
            "fingerprint": self.fingerprint,
            "entry": self.entry.to_json() if self.entry else None,
            "source": {"path": source.path, "line": source.line, "source_id": source.source_id}
            if source
            else None,
            "conflicts": [states.to_json() for states in self.conflicts],
        }

    @staticmethod
    def from_json(value: JsonObject) -> Change:
        """The change whose `to_json` this is."""
        object_, source, entry = value["object"], value["source"], value["entry"]
        return Change(
            ref=Ref(object_["kind"], object_["id"]),
            name=object_["name"],
            action=value["action"],
            reason=value["reason"],
            change_class=value["class"],
            before=value["before"],
            after=value["after"],
            requests=tuple(Write.from_json(write) for write in value["requests"]),
            fingerprint=value["fingerprint"],
            entry=Entry.from_json(entry) if entry else None,
            provenance=Provenance(**source) if source else None,
            conflicts=tuple(FieldStates(**states) for states in value["conflicts"]),
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A field that analysts changed and that stays as they left it."""

    ref: Ref
    name: str
    states: FieldStates

    def to_json(self) -> dict[str, Any]:
        """Plain form `{object, field, applied, live, desired}`."""
        object_ = {"kind": self.ref.kind, "id": self.ref.id, "name": self.name}
        return {"object": object_, **self.states.to_json()}

    @staticmethod
    def from_json(value: JsonObject) -> Kept:
        """The value whose `to_json` this is."""
        object_ = value["object"]
        states = {key: value[key] for key in ("field", "applied", "live", "desired")}
        return Kept(Ref(object_["kind"], object_["id"]), object_["name"], FieldStates(**states))


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one push would do. `fingerprints` covers all of ours, changed or not.

    `surroundings` says what lies in our lists and which rules link them (see `Live`).
    `existing` counts our objects on the server per kind, for the thresholds. `notes` are
    sentences for the reader: what is left alone, and why. `resumes`: the push before did not
    finish, so a record is due even when nothing is left to send.
    """

    owner: Owner
    base_record: int
    changes: tuple[Change, ...]
    kept: tuple[Kept, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprints: Mapping[str, str | None] = field(default_factory=dict)
    surroundings: Mapping[str, str] = field(default_factory=dict)
    existing: Mapping[str, int] = field(default_factory=dict)
    resumes: bool = False

    @property
    def empty(self) -> bool:
        """True when applying would neither send nor record anything."""
        return not self.changes and not self.resumes

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """The changes that someone must decide first."""
        return tuple(change for change in self.changes if change.action == "conflict")

    @property
    def writes(self) -> tuple[Write, ...]:
        """Every request to the server, in no order that matters (see `stages`)."""
        return tuple(write for change in self.changes for write in change.requests)

    @property
    def temporary(self) -> frozenset[Ref]:
        """Objects that this push creates first and deletes last: copies of edited items."""
        created = {w.ref for w in self.writes if w.operation == "create" and w.phase == "hide"}
        deleted = {w.ref for w in self.writes if w.operation == "delete" and w.phase == "unhide"}
        return frozenset(created & deleted)

    @property
    def checksum(self) -> str:
        """SHA-256 of the JSON form without the checksum."""
        return digest(self._content())

    def to_json(self) -> dict[str, Any]:
        """The fixed shape `{schema, env, base_record, changes, checksum}` and what widens it."""
        content = self._content()
        return {**content, "checksum": digest(content)}

    def _content(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "project": self.owner.project,
            "env": self.owner.env,
            "base_record": self.base_record,
            "changes": [change.to_json() for change in self.changes],
            "kept": [kept.to_json() for kept in self.kept],
            "notes": list(self.notes),
            "fingerprints": dict(self.fingerprints),
            "surroundings": dict(self.surroundings),
            "existing": dict(self.existing),
            "resumes": self.resumes,
        }

    @staticmethod
    def from_json(value: JsonObject) -> Plan:
        """The plan whose `to_json` this is; `RefusedError` when edited or of another schema."""
        if value.get("schema") != SCHEMA:
            raise RefusedError(
                f"this plan has schema {value.get('schema')!r}; this version reads {SCHEMA}",
                hint="make the plan again with `ruledeploy plan -o`",
            )
        plan = Plan(
            owner=Owner(value["project"], value["env"]),
            base_record=value["base_record"],
            changes=tuple(Change.from_json(change) for change in value["changes"]),
            kept=tuple(Kept.from_json(kept) for kept in value["kept"]),
            notes=tuple(value["notes"]),
            fingerprints=value["fingerprints"],
            surroundings=value["surroundings"],
            existing=value["existing"],
            resumes=value["resumes"],
        )
        if plan.checksum != value["checksum"]:
            raise RefusedError(
                "the plan's checksum does not fit its content",
                hint="a plan is not edited by hand; make it again with `ruledeploy plan -o`",
            )
        return plan
