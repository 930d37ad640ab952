"""From a release to a server: plan, stages, apply, records.

A push, as the command line runs it:

    store = open_store(project, env, folder)
    applied = store.applied()
    preflight(kibana)
    live = read_live(kibana, release, applied)
    plan = make_plan(release, live, applied, Options())
    outcome = apply(plan, kibana, store)
"""

from __future__ import annotations

from ruledeploy.deploy.adopt import refuse_unfinished, write_adoption
from ruledeploy.deploy.apply import apply
from ruledeploy.deploy.doctor import examine
from ruledeploy.deploy.doctor_lines import Check, Subject
from ruledeploy.deploy.doctor_role import minimal_role
from ruledeploy.deploy.drift import Drift, find_drift, read_applied
from ruledeploy.deploy.health import NOT_RUN, Health, changed_rules, read_health
from ruledeploy.deploy.history import (
    Hold,
    history,
    lift_hold,
    place_hold,
    read_hold,
    refuse_held,
    restore_hold,
    rollback_release,
)
from ruledeploy.deploy.live import Live, read_live
from ruledeploy.deploy.objects import Owner, Ref
from ruledeploy.deploy.only import only_overlay
from ruledeploy.deploy.options import Options
from ruledeploy.deploy.outcome import ApplyOptions, Outcome, PartlyApplied, Progress
from ruledeploy.deploy.plan import Change, Plan, Write
from ruledeploy.deploy.planner import make_plan
from ruledeploy.deploy.preflight import Preflight, preflight
from ruledeploy.deploy.pull import Pulled, pull, read_space
from ruledeploy.deploy.pull_work import Left, Question
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
    "Check",
    "Drift",
    "Health",
    "Hold",
    "KeyMove",
    "Left",
    "Live",
    "Options",
    "Outcome",
    "Owner",
    "PartlyApplied",
    "Plan",
    "Preflight",
    "Progress",
    "Pulled",
    "Question",
    "Record",
    "RecordStore",
    "Ref",
    "Stage",
    "Subject",
    "Write",
    "apply",
    "changed_rules",
    "examine",
    "find_drift",
    "history",
    "key_moves",
    "lift_hold",
    "make_plan",
    "minimal_role",
    "only_overlay",
    "open_store",
    "place_hold",
    "preflight",
    "pull",
    "read_applied",
    "read_health",
    "read_hold",
    "read_live",
    "read_space",
    "refuse_conflicts",
    "refuse_held",
    "refuse_stale",
    "refuse_too_much",
    "refuse_unfinished",
    "rekey",
    "restore_hold",
    "rollback_release",
    "stages",
    "write_adoption",
]
