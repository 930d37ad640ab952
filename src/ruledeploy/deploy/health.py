"""How changed rules fare: their first run after a push, and whose key they run with."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ruledeploy.deploy.normalise import instant
from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.records import Applied
from ruledeploy.kibana import Kibana
from ruledeploy.model import JsonObject

_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """One rule's last run: `status` as Kibana says it, or `not run yet`."""

    rule_id: str
    name: str
    status: str
    message: str = ""

    @property
    def well(self) -> bool:
        """True unless the run failed or warned."""
        return self.status not in {"failed", "partial failure"}

    def to_json(self) -> dict[str, Any]:
        """Plain form `{rule_id, name, status, message}`."""
        return {
            "rule_id": self.rule_id,
            "name": self.name,
            "status": self.status,
            "message": self.message,
        }


def read_health(
    kibana: Kibana,
    rule_ids: Collection[str],
    since: datetime,
    wait: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Health, ...]:
    """The first run since a push of each enabled rule; waits up to `wait` seconds for runs.

    A rule runs when its interval comes, so without waiting most have not run yet.
    """
    left = wait
    while True:
        rules = {body["rule_id"]: body for body in kibana.rules.find().objects}
        found = tuple(
            _health(rules[rule_id], since)
            for rule_id in sorted(rule_ids)
            if rule_id in rules and rules[rule_id]["enabled"]
        )
        if left <= 0 or all(health.status != "not run yet" for health in found):
            return found
        pause = min(_POLL_SECONDS, left)
        sleep(pause)
        left -= pause


def _health(rule: JsonObject, since: datetime) -> Health:
    last = (rule.get("execution_summary") or {}).get("last_execution") or {}
    if not last or instant(last["date"]) < instant(since.isoformat()):
        return Health(rule["rule_id"], rule["name"], "not run yet")
    return Health(rule["rule_id"], rule["name"], last["status"], last.get("message", ""))


def rekey(kibana: Kibana, applied: Applied) -> tuple[str, ...]:
    """Make every enabled rule of ours run as the caller from now on; the rules' names.

    A rule runs with the key of whoever created or enabled it, and stops when that key ends.
    """
    moved = []
    for body in kibana.rules.find().objects:
        ref = Ref("rule", body["rule_id"])
        if ref in applied.objects and body["enabled"] and applied.owner.marks(ref, body):
            kibana.update_api_key(str(body["id"]))
            moved.append(str(body["name"]))
    return tuple(sorted(moved))
