"""Refusals that protect a server from its deployer: conflicts, thresholds, stale plans."""

from __future__ import annotations

from ruledeploy.deploy.live import read_objects
from ruledeploy.deploy.normalise import fingerprint
from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.plan import Change, Plan
from ruledeploy.errors import Collector, RefusedError
from ruledeploy.kibana import Kibana

# A change of more than this share of what exists is more often a mistake than a wish.
MAX_SHARE = 0.30
# Below this many objects a share says nothing.
MIN_EXISTING = 10


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
    moved = [
        str(ref)
        for ref in refs
        if fingerprint(ref.kind, live.get(ref)) != plan.fingerprints[ref.key]
    ]
    if moved:
        shown = ", ".join(moved[:5]) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "")  # noqa: PLR2004
        raise RefusedError(
            f"the plan is stale: {shown} changed on the server since it was made",
            hint="make the plan again and review it",
        )
