"""Refusals that protect a server from its deployer: conflicts, thresholds, stale plans."""

from __future__ import annotations

from collections.abc import Sequence

from ruledeploy.deploy.live import read_objects
from ruledeploy.deploy.normalise import fingerprint
from ruledeploy.deploy.objects import ENDPOINTS, Ref
from ruledeploy.deploy.plan import Change, Plan
from ruledeploy.errors import Collector, NotThere, RefusedError
from ruledeploy.kibana import Kibana
from ruledeploy.model import JsonObject

# A change of more than this share of what exists is more often a mistake than a wish.
MAX_SHARE = 0.30
# Below this many objects a share says nothing.
MIN_EXISTING = 10
# Up to this many objects are read one by one; beyond, in one search.
READ_SINGLY = 20
# So many names stand in a refusal.
SHOWN = 5


def refuse_conflicts(plan: Plan) -> None:
    """Raise one `RefusedError` per conflict; return when there is none."""
    collector = Collector()
    for change in plan.conflicts:
        collector.add(RefusedError(f"{change.ref} ({change.name}): {change.reason}"))
    collector.raise_if_any()


def refuse_too_much(plan: Plan) -> None:
    """Raise `RefusedError` when the plan rewrites or removes too large a share of a kind."""
    collector = Collector()
    for kind, existing in plan.existing.items():
        touched = sum(1 for change in plan.changes if change.ref.kind == kind and _risky(change))
        if existing > MIN_EXISTING and touched > existing * MAX_SHARE:
            collector.add(
                RefusedError(
                    f"the plan changes or removes {touched} of {existing} of our {kind}s on the "
                    f"server, more than {MAX_SHARE:.0%}",
                    hint="read the plan; --allow-mass-change pushes it",
                )
            )
    collector.raise_if_any()


def _risky(change: Change) -> bool:
    detecting = change.change_class == "detection"
    return detecting and change.action in {"update", "delete", "disable"}


def refuse_stale(plan: Plan, kibana: Kibana) -> None:
    """Read everything again; raise `RefusedError` when any object moved since the plan was made."""
    refs = [Ref.parse(key) for key in plan.fingerprints]
    live = read_objects(kibana, refs)
    found, around = live.fingerprints(refs), live.surroundings(plan.surroundings)
    moved = [key for key, was in plan.fingerprints.items() if found[key] != was]
    moved += [f"list/{id_}" for id_, was in plan.surroundings.items() if around[id_] != was]
    _refuse(moved)


def refuse_moved(plan: Plan, kibana: Kibana) -> None:
    """The same for what the plan changes, with the lock held: the last look before writing."""
    writing = [change for change in plan.changes if change.requests]
    refs = dict.fromkeys(change.ref for change in writing)
    if len(refs) <= READ_SINGLY and all(ref.kind in {"rule", "item"} for ref in refs):
        found = {ref.key: fingerprint(ref.kind, _read(kibana, ref)) for ref in refs}
    else:
        lists = (Ref("list", list_id) for list_id in map(_list_of, writing) if list_id)
        found = read_objects(kibana, [*refs, *lists]).fingerprints(refs)
    _refuse([key for key, now in found.items() if now != plan.fingerprints[key]])


def _list_of(change: Change) -> str | None:
    """The list in which a changed item lies."""
    body = change.entry.body if change.entry else change.before
    return body.get("list_id") if body and change.ref.kind == "item" else None


def _read(kibana: Kibana, ref: Ref) -> JsonObject | None:
    try:
        found: JsonObject = kibana.send(ENDPOINTS[ref.kind].get(ref.id))
    except NotThere:
        return None
    return found


def _refuse(moved: Sequence[str]) -> None:
    if not moved:
        return
    names = list(dict.fromkeys(str(Ref.parse(key)) for key in moved))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    raise RefusedError(
        f"the plan is stale: {', '.join(names[:SHOWN])}{more} changed on the server since it "
        "was made",
        hint="make the plan again and review it",
    )
