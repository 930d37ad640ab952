"""What becomes of one object that a release wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ruledeploy.deploy import values
from ruledeploy.deploy.adopted import unmarked
from ruledeploy.deploy.live import Live
from ruledeploy.deploy.merge import Merged, merge
from ruledeploy.deploy.normalise import (
    change_class,
    differing,
    fingerprint,
    normalise,
    same,
)
from ruledeploy.deploy.objects import ENDPOINTS, Desired, Ref
from ruledeploy.deploy.options import Options
from ruledeploy.deploy.plan import Action, Change, Kept, Write
from ruledeploy.deploy.puts import bridged, put, with_link_ids
from ruledeploy.deploy.records import Applied, Entry
from ruledeploy.deploy.succession import Succession, succession
from ruledeploy.model import JsonObject

# What a rule keeps when it is created anew: analysts' work, and our marks and links.
_CARRIED = ("enabled", "actions", "tags", "exceptions_list")


@dataclass(frozen=True, slots=True)
class Decision:
    """A change, if any; the body the object has afterwards; what analysts changed and keep."""

    change: Change | None
    body: JsonObject
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a decision looks at.

    `commented` finds the live items of ours that analysts commented, by their id in the files
    and their name; `successions` has, by the new rule, the rules that new ones replace.
    """

    live: Live
    applied: Applied
    options: Options
    commented: Mapping[tuple[str, str], JsonObject] = field(default_factory=dict)
    successions: Mapping[Ref, Succession] = field(default_factory=dict)

    @staticmethod
    def of(
        live: Live, applied: Applied, options: Options, wanted: Iterable[Desired] = ()
    ) -> Situation:
        """The situation of a plan for what is wanted."""
        commented = {
            (entries[0].source_id, live.objects[ref]["name"]): live.objects[ref]
            for ref, entries in applied.objects.items()
            if ref.kind == "item" and ref in live.objects and live.objects[ref].get("comments")
        }
        wanted = list(wanted)
        refs = {desired.ref for desired in wanted}
        found = (
            succession(desired.ref, desired.replaces, live, applied)
            for desired in wanted
            if _is_coming(desired.ref, live, applied) and desired.replaces not in refs
        )
        successions = {one.new: one for one in found if one}
        return Situation(live, applied, options, commented, successions)


def _is_coming(ref: Ref, live: Live, applied: Applied) -> bool:
    """True for an object that is not there, or was retired: then it may take another's place."""
    entry = applied.newest(ref)
    base = applied.base(ref, live.objects[ref]) if ref in live.objects else None
    return base is None if entry is None else ref not in live.objects or bool(base and base.retired)


def decide(desired: Desired, situation: Situation) -> Decision:
    """Create, update, replace, record, leave alone, or refuse to choose (conflict)."""
    live = situation.live.get(desired.ref)
    if live is None:
        return _create(desired, situation)
    entry = situation.applied.base(desired.ref, live)
    refusal = _not_ours(desired.ref, live, entry, situation)
    if refusal:
        return _conflict(desired, live, refusal)
    if entry and _untouched(desired, live, entry, situation):
        return Decision(None, live)
    if entry and entry.adopted:
        settled = _as_adopted(desired, live, entry, situation)
        if settled:
            return settled
        entry = replace(entry, body=unmarked(desired.ref.kind, entry.body, situation.applied.owner))
    if desired.ref.kind == "rule" and live["type"] != desired.body["type"]:
        return _replace(desired, live, entry, situation)
    if entry and entry.retired:
        return _back(desired, live, entry, situation)
    merged = merge(
        desired.ref.kind,
        entry.body if entry else None,
        live,
        desired.body,
        situation.options.side,
    )
    return _update(desired, live, merged, entry, situation)


def _back(desired: Desired, live: JsonObject, entry: Entry, situation: Situation) -> Decision:
    """A retired rule that is wanted again, perhaps in the place of the one that replaced it."""
    heir = situation.successions.get(desired.ref)
    if heir and not heir.ours and not situation.options.adopt:
        return _contested_succession(desired, heir)
    carried = _carried(desired, heir, situation)
    enabled = carried.get("enabled", desired.body.get("enabled", True))
    body = {**desired.body, "enabled": enabled}
    merged = merge("rule", entry.body, live, body, situation.options.side)
    links = merged.body.get("exceptions_list", [])
    own = [
        link
        for link in carried.get("exceptions_list", ())
        if link["type"] == "rule_default" and link not in links
    ]
    if own:
        merged.body["exceptions_list"] = [*links, *own]
    decision = _update(replace(desired, body=body), live, merged, entry, situation)
    if decision.change and decision.change.entry:
        # The files said nothing of what analysts had done.
        kept = replace(_entry(desired), carried=carried or None)
        decision = replace(decision, change=replace(decision.change, entry=kept))
    return decision


def _untouched(desired: Desired, live: JsonObject, entry: Entry, situation: Situation) -> bool:
    """True when files, record and server agree: what nearly every object of a plan is.

    The long way comes to the same; this one spares a large plan most of its time.
    """
    unsure = entry.adopted or entry.retired or len(situation.applied.objects[desired.ref]) > 1
    if unsure or entry.body != desired.body:
        return False
    kind = desired.ref.kind
    have = normalise(kind, live)
    want = normalise(kind, desired.body).items()
    return all(field in have and same(field, have[field], value) for field, value in want)


def _as_adopted(
    desired: Desired, live: JsonObject, entry: Entry, situation: Situation
) -> Decision | None:
    """No write for an adopted object whose file asks for what is there; None otherwise."""
    owner, kind = situation.applied.owner, desired.ref.kind
    was, have, want = (unmarked(kind, one, owner) for one in (entry.body, live, desired.body))
    merged = merge(kind, was, have, want, situation.options.side)
    if merged.conflicts or differing(kind, have, merged.body):
        return None
    kept = tuple(Kept(desired.ref, desired.name, states) for states in merged.kept)
    if not differing(kind, was, want):
        return Decision(None, live, kept)
    change = _record_only(desired, live, situation)
    if change is not None and change.entry is not None:
        change = replace(change, entry=replace(change.entry, adopted=True))
    return Decision(change, live, kept)


def _not_ours(ref: Ref, live: JsonObject, entry: Entry | None, situation: Situation) -> str | None:
    """Why we may not touch a live object; None when we may."""
    if situation.options.adopt:
        return None
    marked = situation.applied.owner.marks(ref, live) or (entry is not None and entry.adopted)
    if entry is None and situation.options.durable:
        return "exists, but no record of ours made it; --adopt takes it over"
    if entry is None and not marked:
        return "exists, and does not carry our mark; --adopt takes it over"
    if not marked:
        return "our mark was removed on the server; --adopt takes it over again"
    return None


def _create(desired: Desired, situation: Situation) -> Decision:
    known = situation.applied.newest(desired.ref)
    body = dict(desired.body)
    carried: dict[str, Any] = {}
    if desired.ref.kind == "rule":
        heir = situation.successions.get(desired.ref)
        if heir and not heir.ours and not situation.options.adopt:
            return _contested_succession(desired, heir)
        carried = _carried(desired, heir, situation)
        body = {"enabled": True, **body, **carried}
    if desired.ref.kind == "item":
        body = _with_comments(body, desired, situation)
    body = with_link_ids(body, situation.live)
    reason = "gone from the server since the last push" if known else "new in the sources"
    if desired.ref in situation.successions:
        heir = situation.successions[desired.ref]
        reason = (
            f"replaces {heir.live['name']}, whose enabled flag and own exceptions it takes over"
        )
    if desired.ref.kind == "value_list":
        change = _change(desired, "create", reason, ("values",))
        requests = values.creation(desired.ref, body)
        return Decision(replace(change, after=body, requests=requests), body)
    write = Write(
        desired.ref,
        "create",
        "rule" if desired.ref.kind == "rule" else "hide",
        ENDPOINTS[desired.ref.kind].create(body),
        body,
    )
    fields = tuple(normalise(desired.ref.kind, body)) if desired.ref.kind != "list" else ()
    change = _change(desired, "create", reason, fields)
    entry = replace(_entry(desired), carried=carried or None)
    return Decision(replace(change, after=body, requests=(write,), entry=entry), body)


def _carried(desired: Desired, heir: Succession | None, situation: Situation) -> dict[str, Any]:
    """What a rule that comes has of analysts' doing.

    From the rule whose place it takes, from before it went, and from a push that died while it
    made the rule anew.
    """
    restored = situation.options.restored.get(desired.ref.id, {})
    entries = situation.applied.objects.get(desired.ref, ())
    before = next((entry.carried for entry in entries if entry.carried), {})
    return {**restored, **(heir.carried(desired.body) if heir else {}), **before}


def _contested_succession(desired: Desired, heir: Succession) -> Decision:
    reason = f"replaces {heir.old}, which no record of ours made; --adopt takes it over"
    change = replace(_change(desired, "conflict", reason, ()), change_class="detection", entry=None)
    return Decision(change, desired.body)


def _with_comments(body: dict[str, Any], desired: Desired, situation: Situation) -> dict[str, Any]:
    """A new item with the comments of the one it takes the place of.

    Changed entries make a new id, but to an analyst it is the same item. Kibana signs comments
    with whoever sends them, so the words say whose they were.
    """
    source = desired.provenance.source_id, str(desired.body["name"])
    before = situation.commented.get(source)
    if before is None:
        return body
    said = [
        {"comment": f"{one['comment']} ({one['created_by']}, {one['created_at']})"}
        for one in before["comments"]
    ]
    return {**body, "comments": said}


def _conflict(desired: Desired, live: JsonObject, reason: str) -> Decision:
    fields = differing(desired.ref.kind, live, desired.body)
    change = replace(
        _change(desired, "conflict", reason, fields),
        **_images(fields, live, normalise(desired.ref.kind, desired.body)),
        fingerprint=fingerprint(desired.ref.kind, live),
        entry=None,
    )
    return Decision(change, live)


def _update(
    desired: Desired,
    live: JsonObject,
    merged: Merged,
    entry: Entry | None,
    situation: Situation,
) -> Decision:
    kind = desired.ref.kind
    kept = tuple(Kept(desired.ref, desired.name, states) for states in merged.kept)
    fields = differing(kind, live, merged.body)
    blind = entry is None and not situation.options.durable
    careful = blind and not situation.options.adopt and situation.options.side != "ours"
    if merged.conflicts or (careful and fields):
        return _contested(desired, live, merged, fields)
    if not fields:
        return Decision(_record_only(desired, live, situation), live, kept)
    if kind == "value_list":
        return Decision(_value_change(desired, live, merged.body, entry, fields), merged.body, kept)
    body = with_link_ids(merged.body, situation.live)
    write = put(desired.ref, live, body, fields)
    change = replace(
        _change(desired, "update", _why(desired, entry, fields), fields),
        **_images(fields, live, body),
        requests=bridged(write, live) if write.phase == "edit" else (write,),
        fingerprint=fingerprint(kind, live),
    )
    return Decision(change, body, kept)


def _value_change(
    desired: Desired,
    live: JsonObject,
    body: JsonObject,
    entry: Entry | None,
    fields: tuple[str, ...],
) -> Change:
    """A change of a value list, which shows of its values only those that come and go."""
    images = _images(fields, live, body)
    if "values" in fields:
        going, coming = values.difference(live, body)
        images["before"]["values"], images["after"]["values"] = going, coming
    return replace(
        _change(desired, "update", _why(desired, entry, fields), fields),
        **images,
        requests=values.changes(desired.ref, live, body),
        fingerprint=fingerprint("value_list", live),
    )


def _contested(
    desired: Desired, live: JsonObject, merged: Merged, fields: tuple[str, ...]
) -> Decision:
    names = ", ".join(states.field for states in merged.conflicts) or ", ".join(fields)
    if merged.conflicts:
        reason = f"changed in the sources and on the server: {names}; --ours or --theirs decides"
    else:
        reason = (
            f"differs from the server, and no durable record says who is right: {names}; --ours"
        )
    change = replace(
        _change(desired, "conflict", reason, fields),
        **_images(fields, live, merged.body),
        fingerprint=fingerprint(desired.ref.kind, live),
        conflicts=merged.conflicts,
        entry=None,
    )
    return Decision(change, live)


def _record_only(desired: Desired, live: JsonObject, situation: Situation) -> Change | None:
    """A change that only the record needs, when the record says something else."""
    newest = situation.applied.newest(desired.ref)
    known = newest is not None and not newest.retired
    if newest and known and not differing(desired.ref.kind, newest.body, desired.body):
        return None
    reason = "adopted: already as wanted" if newest is None else "already as wanted"
    change = _change(desired, "record", reason, ())
    return replace(change, fingerprint=fingerprint(desired.ref.kind, live))


def _replace(
    desired: Desired, live: JsonObject, entry: Entry | None, situation: Situation
) -> Decision:
    """A rule whose type changed: Kibana cannot change it, so delete and create."""
    if entry is None and not situation.options.durable:
        reason = "the rule type differs, and without a record of ours no rule is deleted"
        return _conflict(desired, live, reason)
    base, side = entry.body if entry else None, situation.options.side or "theirs"
    merged = merge("rule", base, live, desired.body, side).body
    carried = {name: merged[name] for name in _CARRIED if name in merged}
    body: dict[str, Any] = {**desired.body, **carried}
    body = with_link_ids(body, situation.live)
    endpoint = ENDPOINTS["rule"]
    reason = (
        f"the rule type changes from {live['type']} to {desired.body['type']}, "
        "which Kibana allows only by delete and create; its past alerts stay"
    )
    fields = differing("rule", live, body)
    change = replace(
        _change(desired, "update", reason, fields),
        **_images(fields, live, body),
        requests=(
            Write(desired.ref, "delete", "rule", endpoint.delete(desired.ref.id)),
            Write(desired.ref, "create", "rule", endpoint.create(body), body),
        ),
        fingerprint=fingerprint("rule", live),
        entry=replace(_entry(desired), carried=carried),
    )
    return Decision(change, body)


def _change(desired: Desired, action: Action, reason: str, fields: tuple[str, ...]) -> Change:
    return Change(
        ref=desired.ref,
        name=desired.name,
        action=action,
        reason=reason,
        change_class=change_class(desired.ref.kind, fields),
        entry=_entry(desired),
        provenance=desired.provenance,
    )


def _entry(desired: Desired) -> Entry:
    replaces = desired.replaces.id if desired.replaces else None
    return Entry(desired.body, desired.provenance.source_id, replaces=replaces)


def _images(fields: tuple[str, ...], before: JsonObject, after: JsonObject) -> dict[str, Any]:
    """`before` and `after` cut down to the fields that differ."""
    return {
        "before": {name: before[name] for name in fields if name in before},
        "after": {name: after[name] for name in fields if name in after},
    }


def _why(desired: Desired, entry: Entry | None, fields: tuple[str, ...]) -> str:
    names = ", ".join(fields)
    if entry is None:
        return f"adopted; differs in {names}"
    if entry.retired:
        return "back in the sources"
    if differing(desired.ref.kind, entry.body, desired.body):
        return f"changed in the sources: {names}"
    return f"changed on the server, put back: {names}"
