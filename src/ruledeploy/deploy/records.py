"""Records of pushes, and what they say about who put what there.

A record is written before the first write of its push, with every body the push intends. So an
id on the server that is ours is always in a record, even after `kill -9`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ruledeploy.deploy.merge import blend
from ruledeploy.deploy.objects import Owner, Ref
from ruledeploy.model import JsonObject

SCHEMA = 1
State = Literal["applying", "done", "partial"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as a record knows it: the body the files asked for, and its id in the files.

    `retired`: no longer wanted, but still on the server (a rule disabled and not pruned).
    `carried`: what a rule is to keep that is being deleted and created anew, in case the push
    dies in between; None otherwise. `adopted`: taken over as it was, without a write, so our marks
    on it are missing or of another file until something about it changes. `replaces`: the rule_id
    whose place a rule took, for the way back.
    """

    body: JsonObject
    source_id: str
    retired: bool = False
    carried: JsonObject | None = None
    adopted: bool = False
    replaces: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form `{body, source_id, retired, carried, adopted, replaces}`."""
        return {
            "body": dict(self.body),
            "source_id": self.source_id,
            "retired": self.retired,
            "carried": self.carried,
            "adopted": self.adopted,
            "replaces": self.replaces,
        }

    @staticmethod
    def from_json(value: JsonObject) -> Entry:
        """The entry whose `to_json` this is."""
        return Entry(
            value["body"],
            value["source_id"],
            value["retired"],
            value["carried"],
            value.get("adopted", False),
            value.get("replaces"),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One push: `before` holds the live bodies it changed, `after` all that is ours once done."""

    n: int
    state: State
    who: str
    when: str
    commit: str | None
    plan: JsonObject
    before: Mapping[Ref, JsonObject]
    after: Mapping[Ref, Entry]

    def to_json(self) -> dict[str, Any]:
        """The fixed shape `{schema, n, state, who, when, commit, plan, before, after}`."""
        return {
            "schema": SCHEMA,
            "n": self.n,
            "state": self.state,
            "who": self.who,
            "when": self.when,
            "commit": self.commit,
            "plan": dict(self.plan),
            "before": {ref.key: dict(body) for ref, body in self.before.items()},
            "after": {ref.key: entry.to_json() for ref, entry in self.after.items()},
        }

    @staticmethod
    def from_json(value: JsonObject) -> Record:
        """The record whose `to_json` this is."""
        return Record(
            n=value["n"],
            state=value["state"],
            who=value["who"],
            when=value["when"],
            commit=value["commit"],
            plan=value["plan"],
            before={Ref.parse(key): body for key, body in value["before"].items()},
            after={Ref.parse(key): Entry.from_json(e) for key, e in value["after"].items()},
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """What the records say is ours: for each object the bodies it may have, newest first.

    After a finished push that is one body each. After an unfinished one, an object may still be
    as the push before left it.
    """

    owner: Owner
    n: int = 0
    state: State = "done"
    commit: str | None = None
    objects: Mapping[Ref, tuple[Entry, ...]] = field(default_factory=dict)

    def newest(self, ref: Ref) -> Entry | None:
        """What the last push wanted of this object; None when no record knows it."""
        entries = self.objects.get(ref)
        return entries[0] if entries else None

    def owns(self, ref: Ref, live: JsonObject) -> bool:
        """True when a record knows the object and it carries our mark, or was adopted without."""
        newest = self.newest(ref)
        return newest is not None and (newest.adopted or self.owner.marks(ref, live))

    def base(self, ref: Ref, live: JsonObject) -> Entry | None:
        """What to compare a live object against; None when no record knows it.

        After an unfinished push it is put together from every body the object may have.
        """
        entries = self.objects.get(ref)
        if not entries or len(entries) == 1:
            return entries[0] if entries else None
        body = blend(ref.kind, [entry.body for entry in entries], live)
        retired = any(entry.retired for entry in entries)
        return replace(entries[0], body=body, retired=retired)


def applied_from(owner: Owner, records: Sequence[Record]) -> Applied:
    """What records, newest first and ending with the last that is done, say is applied."""
    if not records:
        return Applied(owner)
    objects: dict[Ref, list[Entry]] = {}
    for record in records:
        for ref, entry in record.after.items():
            objects.setdefault(ref, []).append(entry)
    newest = records[0]
    return Applied(
        owner,
        newest.n,
        newest.state,
        newest.commit,
        {ref: tuple(entries) for ref, entries in objects.items()},
    )
