"""What becomes of our objects that a release no longer wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ruledeploy.deploy.decide import Decision, Situation
from ruledeploy.deploy.normalise import differing, fingerprint, normalise
from ruledeploy.deploy.objects import ENDPOINTS, Ref
from ruledeploy.deploy.plan import Action, Change, Phase, Write
from ruledeploy.deploy.prebuilt import unlink
from ruledeploy.deploy.records import Entry
from ruledeploy.model import JsonObject


def retire(
    situation: Situation, decisions: Mapping[Ref, Decision]
) -> tuple[list[Change], list[str]]:
    """Changes for recorded objects outside the release, and sentences on what is left alone."""
    changes: list[Change] = []
    notes: list[str] = []
    heirs = {heir.old: heir for heir in situation.successions.values()}
    taken = {old for old, heir in heirs.items() if heir.ours or situation.options.adopt}
    known = situation.applied.objects.keys()
    unwanted = sorted(ref for ref in known | taken if ref not in decisions)
    items = {
        ref: _retire_item(ref, live, situation)
        for ref in unwanted
        if ref.kind == "item" and (live := situation.live.get(ref))
        if situation.applied.owns(ref, live)
    }
    going = {ref for ref, change in items.items() if change.action == "delete"}
    doomed, kept = _doomed_lists(unwanted, going, situation, decisions)
    notes.extend(kept)
    for ref in unwanted:
        live, entry = situation.live.get(ref), situation.applied.newest(ref)
        if entry is None:
            # A rule that nobody recorded, taken over to be replaced.
            entry = Entry(normalise("rule", heirs[ref].live), ref.id, adopted=True)
        if live is None:
            changes.append(_change(ref, entry, "record", "gone from the sources and the server"))
        elif ref not in taken and not situation.applied.owns(ref, live):
            notes.append(f"{ref} lost our mark on the server and is left alone")
        elif ref.kind == "prebuilt":
            changes.append(unlink(ref, live, entry, situation))
        elif ref.kind == "item":
            changes.append(items[ref])
        elif ref.kind == "rule":
            changes.extend(_retire_rule(ref, live, entry, situation, doomed))
        elif ref in doomed:
            changes.append(_delete(ref, live, entry, "gone from the sources"))
    return changes, notes


def _doomed_lists(
    unwanted: list[Ref], going: set[Ref], situation: Situation, decisions: Mapping[Ref, Decision]
) -> tuple[set[Ref], list[str]]:
    """Unwanted lists that may be deleted, and why the others may not.

    `going` are the items that this plan deletes.
    """
    doomed: set[Ref] = set()
    notes: list[str] = []
    for ref in unwanted:
        live = situation.live.get(ref)
        if ref.kind != "list" or live is None:
            continue
        foreign = _foreign_links(ref.id, situation, decisions)
        staying = [item for item in situation.live.items_of(ref.id) if item not in going]
        if not situation.live.complete:
            notes.append(f"{ref} stays: this space holds more rules than Kibana shows")
        elif foreign:
            names = ", ".join(f"{rule.id}" for rule in foreign)
            notes.append(f"{ref} stays: rules that are not ours link it ({names})")
        elif staying:
            notes.append(
                f"{ref} stays: it holds {len(staying)} item(s) that are not ours to delete"
            )
        else:
            doomed.add(ref)
    return doomed, notes


def _foreign_links(
    list_id: str, situation: Situation, decisions: Mapping[Ref, Decision]
) -> list[Ref]:
    """Rules that will still link a list after this plan, and that we do not unlink."""
    remaining = []
    for rule in situation.live.linking(list_id):
        links_of_ours = Ref("prebuilt", rule.id)
        if links_of_ours in decisions:
            rule = links_of_ours  # noqa: PLW2901  # what becomes of its links is decided there
        elif links_of_ours in situation.applied.objects:
            continue
        if rule in decisions:
            links = decisions[rule].body.get("exceptions_list", ())
            if any(link["list_id"] == list_id for link in links):
                remaining.append(rule)
        elif not situation.applied.owns(rule, situation.live.objects[rule]):
            remaining.append(rule)
    return remaining


def _retire_item(ref: Ref, live: JsonObject, situation: Situation) -> Change:
    """Delete, unless an analyst changed it since: then someone must choose."""
    entry, base = situation.applied.newest(ref), situation.applied.base(ref, live)
    assert entry  # noqa: S101  # a recorded item
    assert base  # noqa: S101
    edited = [
        field
        for field in differing("item", {**live, **base.body}, live)
        if field not in {"tags", "meta"}
    ]
    side = situation.options.side
    if edited and side == "theirs":
        change = _change(ref, entry, "record", "gone from the sources; kept as changed in Kibana")
        return replace(change, fingerprint=fingerprint("item", live))
    if edited and side is None:
        names = ", ".join(edited)
        reason = f"gone from the sources, but changed in Kibana: {names}; --ours deletes it"
        change = _change(ref, entry, "conflict", reason)
        return replace(change, fingerprint=fingerprint("item", live), before=live)
    return _delete(ref, live, entry, "gone from the sources, or expired")


def _retire_rule(
    ref: Ref, live: JsonObject, entry: Entry, situation: Situation, doomed: set[Ref]
) -> list[Change]:
    """Disable and unlink, or delete when pruning; nothing when that is already so.

    What its heir takes over, it gives up before the heir is created; without such a list it goes
    once the heir is there.
    """
    heir = next((one for one in situation.successions.values() if one.old == ref), None)
    body = normalise("rule", live)
    body["enabled"] = False
    body["exceptions_list"] = [
        link
        for link in body["exceptions_list"]
        if Ref("list", link["list_id"]) not in doomed and not (heir and link in heir.own_lists)
    ]
    phase: Phase = ("yield" if heir.own_lists else "unhide") if heir else "rule"
    write = Write(ref, "update", phase, ENDPOINTS["rule"].update(body), body)
    if situation.options.prune:
        change = _delete(ref, live, entry, "gone from the sources (--prune)")
        return (
            [replace(change, requests=(write, *change.requests))] if phase == "yield" else [change]
        )
    fields = differing("rule", live, body)
    reason = f"replaced by {heir.new}" if heir else "gone from the sources; --prune deletes it"
    said = {"enabled": False, "exceptions_list": body["exceptions_list"]}
    retired = replace(entry, body={**entry.body, **said}, retired=True)
    if not fields:
        if entry.retired:
            return []
        change = _change(ref, entry, "record", reason)
        return [replace(change, entry=retired, fingerprint=fingerprint("rule", live))]
    return [
        replace(
            _change(ref, entry, "disable", reason),
            before={name: live[name] for name in fields},
            after={name: body[name] for name in fields},
            requests=(write,),
            fingerprint=fingerprint("rule", live),
            entry=retired,
        )
    ]


def delete_duplicate(ref: Ref, copy: JsonObject) -> Change:
    """Delete a rule that shares its rule_id with an older one; two creates must have raced."""
    request = ENDPOINTS["rule"].delete_by_uuid(str(copy["id"]))
    return Change(
        ref=ref,
        name=str(copy["name"]),
        action="delete",
        reason="shares its rule_id with an older rule: two creates raced",
        change_class="detection",
        before=copy,
        requests=(Write(ref, "delete", "hide", request),),
        fingerprint=fingerprint("rule", copy),
    )


def _delete(ref: Ref, live: JsonObject, entry: Entry, reason: str) -> Change:
    write = Write(ref, "delete", "unhide", ENDPOINTS[ref.kind].delete(ref.id))
    return replace(
        _change(ref, entry, "delete", reason),
        before=live,
        requests=(write,),
        fingerprint=fingerprint(ref.kind, live),
    )


def _change(ref: Ref, entry: Entry, action: Action, reason: str) -> Change:
    name: Any = entry.body.get("name", ref.id)
    quiet = ref.kind == "list" or action == "record"
    return Change(ref, str(name), action, reason, "cosmetic" if quiet else "detection")
