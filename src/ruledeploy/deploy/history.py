"""What was pushed, going back to it, and the hold that a rollback leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ruledeploy.deploy.lock import who
from ruledeploy.deploy.normalise import instant, same
from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.records import Entry, Record
from ruledeploy.deploy.store import RecordStore
from ruledeploy.errors import RefusedError
from ruledeploy.model import (
    DetectionRule,
    ExceptionItem,
    ExceptionList,
    JsonObject,
    PrebuiltLinks,
    Provenance,
    Release,
    ValueList,
)


def history(store: RecordStore) -> Iterator[dict[str, Any]]:
    """Every record, newest first, as `{n, state, who, when, commit, objects, changes}`.

    `objects` counts what was ours after the push, per kind; `changes` counts actions.
    """
    for n in range(store.last(), 0, -1):
        record = store.record(n)
        if record is None:
            return
        yield {
            "n": n,
            "state": record.state,
            "who": record.who,
            "when": record.when,
            "commit": record.commit,
            "objects": dict(Counter(ref.kind for ref in record.after)),
            "changes": dict(Counter(change["action"] for change in record.plan["changes"])),
        }


def rollback_release(store: RecordStore, n: int, now: datetime) -> tuple[Release, Record]:
    """The release that record `n` left, without items that have expired since; and the record.

    Rules that it held disabled because the files had dropped them are part of it, as they were.
    Raises `RefusedError` when there is no such record, or when that push did not finish.
    """
    record = store.record(n)
    if record is None:
        raise RefusedError(f"there is no record {n}", hint=f"the last is {store.last()}")
    if record.state != "done":
        raise RefusedError(
            f"record {n} is of a push that did not finish ({record.state})",
            hint="choose one that is done: `ruledeploy history`",
        )
    entries = {ref: entry for ref, entry in record.after.items() if not _expired(entry.body, now)}
    release = release_of(entries, store.owner.env, now.date().isoformat(), f"record {n}")
    heirs = {
        entry.replaces: ref.id
        for one in _since(store, n)
        for ref, entry in one.after.items()
        if entry.replaces and ref not in entries
    }
    rules = (replace(rule, replaces=heirs.get(rule.rule_id)) for rule in release.rules)
    return replace(release, rules=tuple(rules)), record


def of_analysts(store: RecordStore, n: int) -> dict[str, JsonObject]:
    """What analysts had done to rules of record `n` that a later push dropped, by rule_id.

    That push says in `before` what it changed: `enabled` is False here for a rule that did not
    run. One that was deleted has the `actions` that the files did not give it.
    """
    record, later = store.record(n), list(_since(store, n))
    found: dict[str, JsonObject] = {}
    for ref, entry in record.after.items() if record else ():
        if ref.kind != "rule" or entry.retired:
            continue
        gone = (one for one in later if ref not in one.after or one.after[ref].retired)
        dropped = next(gone, None)
        deleted = next((one for one in later if ref not in one.after), None)
        done: dict[str, Any] = {}
        if dropped and not dropped.before.get(ref, {}).get("enabled", False):
            done["enabled"] = False
        actions = deleted.before.get(ref, {}).get("actions") if deleted else None
        if actions and not same("actions", actions, entry.body.get("actions", [])):
            done["actions"] = actions
        if done:
            found[ref.id] = done
    return found


def without_lost(
    restored: Mapping[str, JsonObject], connectors: Collection[str]
) -> tuple[dict[str, JsonObject], tuple[str, ...]]:
    """The same without actions whose connector is gone, which Kibana refuses; what to say of it."""
    kept: dict[str, JsonObject] = {}
    said: list[str] = []
    for rule_id, done in restored.items():
        actions = done.get("actions", ())
        lost = sorted({str(one["id"]) for one in actions if one["id"] not in connectors})
        said += [
            f"rule {rule_id} comes back without connector {id_}, which is gone" for id_ in lost
        ]
        known = [one for one in actions if one["id"] in connectors]
        rest = {name: value for name, value in done.items() if name != "actions"}
        kept[rule_id] = {**rest, "actions": known} if known else rest
    return kept, tuple(said)


def _since(store: RecordStore, n: int) -> Iterator[Record]:
    """The records after `n`, oldest first."""
    for number in range(n + 1, store.last() + 1):
        record = store.record(number)
        if record is not None:
            yield record


def _expired(body: JsonObject, now: datetime) -> bool:
    until = body.get("expire_time")
    return until is not None and instant(until) <= instant(now.isoformat())


def release_of(entries: Mapping[Ref, Entry], env: str, date: str, place: str) -> Release:
    """A release made of recorded entries; `place` stands where a file's path would."""

    def of(kind: str) -> Iterator[tuple[JsonObject, Provenance]]:
        for ref in sorted(entries):
            if ref.kind == kind:
                yield entries[ref].body, Provenance(place, 0, entries[ref].source_id)

    values = (
        ValueList(
            {name: value for name, value in body.items() if name != "values"},
            tuple(body["values"]),
            place,
        )
        for body, place in of("value_list")
    )
    return Release(
        env=env,
        date=date,
        value_lists=tuple(values),
        prebuilt=tuple(
            PrebuiltLinks(
                str(body["rule_id"]),
                tuple(one["list_id"] for one in body["exceptions_list"]),
                place,
            )
            for body, place in of("prebuilt")
        ),
        rules=tuple(DetectionRule(body, "", place) for body, place in of("rule")),
        lists=tuple(ExceptionList(body, "", place) for body, place in of("list")),
        items=tuple(ExceptionItem(body, place) for body, place in of("item")),
    )


@dataclass(frozen=True, slots=True)
class Hold:
    """Pushes of `commit` or of an older one are refused: somebody rolled back from it."""

    commit: str | None
    to: int
    who: str
    when: str

    def to_json(self) -> dict[str, Any]:
        """Plain form `{commit, to, who, when}`."""
        return {"commit": self.commit, "to": self.to, "who": self.who, "when": self.when}


_HOLD = "hold"


def place_hold(store: RecordStore, commit: str | None, to: int) -> None:
    """Refuse pushes of `commit` (the one rolled back from) and older until a newer one."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    _write_hold(store, Hold(commit, to, who(), when))


def restore_hold(store: RecordStore, before: Hold | None) -> None:
    """What held before holds again: the rollback wrote nothing."""
    if before is None:
        lift_hold(store)
    else:
        _write_hold(store, before)


def _write_hold(store: RecordStore, hold: Hold) -> None:
    document = hold.to_json()
    found = store.documents.get(_HOLD)
    if found is None:
        store.documents.create(_HOLD, document)
    else:
        store.documents.replace(_HOLD, document, found[1])


def read_hold(store: RecordStore) -> Hold | None:
    """The hold, or None."""
    found = store.documents.get(_HOLD)
    return Hold(**found[0]) if found else None


def lift_hold(store: RecordStore) -> None:
    """Let pushes through again: a newer commit is in, or somebody said `--release`."""
    found = store.documents.get(_HOLD)
    if found:
        store.documents.delete(_HOLD, found[1])


def refuse_held(store: RecordStore, is_newer: Callable[[str], bool]) -> None:
    """Raise `RefusedError` while a hold stands against the commit to push.

    `is_newer(commit)` tells whether what is to be pushed comes after that commit in Git.
    """
    hold = read_hold(store)
    if hold is None or (hold.commit is not None and is_newer(hold.commit)):
        return
    of = f"commit {hold.commit} and older" if hold.commit else "everything"
    raise RefusedError(
        f"{hold.who} rolled back to record {hold.to} at {hold.when}: {of} is held",
        hint="push a newer commit that mends it, or push with --release",
    )
