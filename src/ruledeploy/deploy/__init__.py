"""From a release to a server: plan, stages, apply, records.

A push, as the command line runs it:

    store = open_store(project, env, folder)
    applied = store.applied()
    preflight(kibana)
    live = read_live(kibana, release, applied)
    plan = make_plan(release, live, applied, Options())
    outcome = apply(plan, kibana, store)

`pull` and `doctor` are imported from their own modules: they load the compiler and the engine.
"""

from __future__ import annotations

from ruledeploy.deploy.adopt import refuse_unfinished, write_adoption
from ruledeploy.deploy.apply import apply
from ruledeploy.deploy.drift import Drift, find_drift, read_applied
from ruledeploy.deploy.health import NOT_RUN, Health, changed_rules, read_health
from ruledeploy.deploy.history import (
    Hold,
    history,
    lift_hold,
    of_analysts,
    place_hold,
    read_hold,
    refuse_held,
    restore_hold,
    rollback_release,
    without_lost,
)
from ruledeploy.deploy.live import Live, read_live
from ruledeploy.deploy.objects import Owner, Ref
from ruledeploy.deploy.only import only_overlay
from ruledeploy.deploy.options import Options
from ruledeploy.deploy.outcome import ApplyOptions, Outcome, PartlyApplied, Progress
from ruledeploy.deploy.plan import Change, Plan, Write
from ruledeploy.deploy.planner import make_plan
from ruledeploy.deploy.preflight import Preflight, licence_warnings, preflight
from ruledeploy.deploy.records import Applied, Record
from ruledeploy.deploy.rekey import KeyMove, key_moves, rekey
from ruledeploy.deploy.safety import refuse_conflicts, refuse_stale, refuse_too_much
from ruledeploy.deploy.stages import Stage, stages
from ruledeploy.deploy.store import RecordStore, open_store

__all__ = [
    "NOT_RUN",
    "Applied",
    "ApplyOptions",
    "Change",
    "Drift",
    "Health",
    "Hold",
    "KeyMove",
    "Live",
    "Options",
    "Outcome",
    "Owner",
    "PartlyApplied",
    "Plan",
    "Preflight",
    "Progress",
    "Record",
    "RecordStore",
    "Ref",
    "Stage",
    "Write",
    "apply",
    "changed_rules",
    "find_drift",
    "history",
    "key_moves",
    "licence_warnings",
    "lift_hold",
    "make_plan",
    "of_analysts",
    "only_overlay",
    "open_store",
    "place_hold",
    "preflight",
    "read_applied",
    "read_health",
    "read_hold",
    "read_live",
    "refuse_conflicts",
    "refuse_held",
    "refuse_stale",
    "refuse_too_much",
    "refuse_unfinished",
    "rekey",
    "restore_hold",
    "rollback_release",
    "stages",
    "without_lost",
    "write_adoption",
]
