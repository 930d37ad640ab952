"""`make_plan`: release, live and applied in; a plan out. Nothing is sent."""

from __future__ import annotations

from collections import Counter

from ruledeploy.deploy.decide import Decision, Situation, decide
from ruledeploy.deploy.live import Live
from ruledeploy.deploy.objects import Ref, desired_objects
from ruledeploy.deploy.options import Options
from ruledeploy.deploy.plan import Change, Plan
from ruledeploy.deploy.prebuilt import decide_links
from ruledeploy.deploy.records import Applied
from ruledeploy.deploy.retire import delete_duplicate, retire
from ruledeploy.model import Release

_NOT_DURABLE = (
    "records are kept on this machine only: what others pushed is unknown, and marked objects "
    "outside the sources are left alone; set elasticsearch_url to share the records"
)
_KINDS = {"rule": 0, "prebuilt": 0, "item": 1, "value_list": 2, "list": 3}


def make_plan(
    release: Release, live: Live, applied: Applied, options: Options | None = None
) -> Plan:
    """What a push would do to bring `live` to `release`, given what we applied before."""
    wanted = list(desired_objects(release, applied.owner))
    situation = Situation.of(live, applied, options or Options(), wanted)
    decisions: dict[Ref, Decision] = {}
    absent: list[str] = []
    for desired in wanted:
        if desired.ref.kind == "prebuilt":
            decisions[desired.ref], said = decide_links(desired, situation)
            absent += [said] if said else []
        else:
            decisions[desired.ref] = decide(desired, situation)
    changes = [decision.change for decision in decisions.values() if decision.change]
    retired, notes = retire(situation, decisions)
    notes.extend(absent)
    changes.extend(retired)
    changes.extend(_duplicates(situation, decisions))
    if situation.options.durable:
        notes.extend(_strangers(situation, decisions))
    else:
        notes.append(_NOT_DURABLE)
    replaced = {heir.old for heir in situation.successions.values()}
    ours = decisions.keys() | applied.objects.keys() | replaced
    return Plan(
        owner=applied.owner,
        base_record=applied.n,
        changes=tuple(sorted(changes, key=_order)),
        kept=tuple(kept for decision in decisions.values() for kept in decision.kept),
        notes=tuple(notes),
        fingerprints=live.fingerprints(sorted(ours)),
        surroundings=live.surroundings(
            ref.id for ref in ours if ref.kind == "list" and live.get(ref)
        ),
        existing=dict(Counter(ref.kind for ref in applied.objects if live.get(ref))),
        resumes=applied.state != "done",
    )


def _order(change: Change) -> tuple[bool, bool, int, str, str]:
    """Conflicts first, then what moves alerts, then the rest; by name within."""
    return (
        change.action != "conflict",
        change.change_class != "detection",
        _KINDS[change.ref.kind],
        change.name,
        change.ref.id,
    )


def _duplicates(situation: Situation, decisions: dict[Ref, Decision]) -> list[Change]:
    """Deletions of the younger copies of our rules; copies without our mark are left alone."""
    ours = decisions.keys() | situation.applied.objects.keys()
    return [
        delete_duplicate(ref, copy)
        for ref, copies in situation.live.duplicates.items()
        if ref in ours
        for copy in copies
        if situation.applied.owner.marks(ref, copy)
    ]


def _strangers(situation: Situation, decisions: dict[Ref, Decision]) -> list[str]:
    """Objects that carry our mark but that no record knows: Kibana's Duplicate copies tags."""
    applied = situation.applied
    return [
        f"{ref} ({body.get('name')}) carries our mark, but no record of ours made it: left alone"
        for ref, body in sorted(situation.live.objects.items())
        if ref not in applied.objects and ref not in decisions and applied.owner.marks(ref, body)
    ]
