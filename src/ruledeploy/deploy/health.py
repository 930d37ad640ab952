"""How changed rules fare: their first run after a push."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from ruledeploy.deploy.normalise import instant
from ruledeploy.deploy.plan import Plan
from ruledeploy.kibana import Kibana
from ruledeploy.model import JsonObject

NOT_RUN = "not run yet"
_POLL_SECONDS = 1.0

# What Kibana's words mean, and what to do. The words change between versions, so a message that
# fits none of these is shown as it is.
_REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("maximum alert limit", "max_signals", "max alerts"),
        "max_signals was reached, so noise may hide an attack: narrow the rule, or raise the limit",
    ),
    (
        ("matching indices", "matching index", "index_not_found"),
        "no index fits, so nothing is detected: correct [defaults.indices] or elastic.index",
    ),
    (
        ("timestamp override", "timestamp field", "timestamp_override"),
        "an index lacks the timestamp field: correct elastic.timestamp_override",
    ),
    (
        ("unable to authenticate", "api key", "api_key"),
        "the key that the rule runs with is gone: `ruledeploy rekey`",
    ),
    (
        ("privilege", "security_exception", "unauthorized"),
        "the rule's key may not read its indices: grant `read`, then `ruledeploy rekey`",
    ),
)


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

    @property
    def remedy(self) -> str | None:
        """What to do about it, where the message is one we know."""
        said = self.message.lower()
        fits = (remedy for words, remedy in _REMEDIES if any(word in said for word in words))
        return None if self.well else next(fits, None)

    def to_json(self) -> dict[str, Any]:
        """Plain form `{rule_id, name, status, message, remedy}`."""
        return {
            "rule_id": self.rule_id,
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "remedy": self.remedy,
        }


def changed_rules(plan: Plan) -> tuple[frozenset[str], frozenset[str]]:
    """The rules whose next run a plan changes, and those of them that run at once.

    Kibana runs a rule as soon as it is created or enabled; one that is merely rewritten waits for
    its interval.
    """
    changed, at_once = set(), set()
    for change in plan.changes:
        if change.ref.kind == "rule" and change.action in {"create", "update"}:
            changed.add(change.ref.id)
            if change.action == "create" or (change.after or {}).get("enabled"):
                at_once.add(change.ref.id)
    return frozenset(changed), frozenset(at_once)


def read_health(
    kibana: Kibana,
    rule_ids: Collection[str],
    awaited: Collection[str] = (),
    wait: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Health, ...]:
    """The first run of each enabled rule since it was last written.

    Waits up to `wait` seconds for the runs of `awaited`. Both times are the server's own, so the
    clock of this machine does not matter.
    """
    left = wait
    while True:
        rules = {body["rule_id"]: body for body in kibana.rules.find(ids=rule_ids).objects}
        found = tuple(
            health_of(rules[rule_id])
            for rule_id in sorted(rule_ids)
            if rule_id in rules and rules[rule_id]["enabled"]
        )
        waiting = any(one.status == NOT_RUN and one.rule_id in awaited for one in found)
        if left <= 0 or not waiting:
            return found
        pause = min(_POLL_SECONDS, left)
        sleep(pause)
        left -= pause


def health_of(rule: JsonObject, *, since_written: bool = True) -> Health:
    """How a live rule's last run went; one from before the rule was last written may not count."""
    last = (rule.get("execution_summary") or {}).get("last_execution") or {}
    stale = since_written and last and instant(last["date"]) < instant(rule["updated_at"])
    if not last or stale:
        return Health(rule["rule_id"], rule["name"], NOT_RUN)
    return Health(rule["rule_id"], rule["name"], last["status"], last.get("message", ""))
