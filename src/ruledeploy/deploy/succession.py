"""`replaces`: a rule that takes the place of another, and what it takes from it.

An analyst who disabled the old rule, or made exceptions for it alone (its `rule_default` list),
meant the detection, not the id. Kibana lets one rule link such a list, so the old rule is disabled
and unlinked first and the new one created with the link next: meanwhile neither alerts, and
nothing alerts that did not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruledeploy.deploy.live import Live
from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.records import Applied
from ruledeploy.model import JsonObject


@dataclass(frozen=True, slots=True)
class Succession:
    """One rule replaced by another that is about to be created.

    `own_lists` are its links to lists of its own; `ours` says that a record of ours made it.
    """

    old: Ref
    new: Ref
    live: JsonObject
    ours: bool
    disabled_by_analyst: bool

    @property
    def own_lists(self) -> list[JsonObject]:
        """Links that only one rule may have."""
        links = self.live.get("exceptions_list", ())
        return [link for link in links if link["type"] == "rule_default"]

    def carried(self, body: JsonObject) -> dict[str, Any]:
        """The fields of the new rule's body that the old one decides.

        The flag is always among them: a push that dies leaves the old rule disabled, and what the
        record carries must say that this was no analyst.
        """
        enabled = body.get("enabled", True) and not self.disabled_by_analyst
        found: dict[str, Any] = {"enabled": enabled}
        if self.own_lists:
            found["exceptions_list"] = [*body.get("exceptions_list", ()), *self.own_lists]
        return found


def succession(new: Ref, old: Ref | None, live: Live, applied: Applied) -> Succession | None:
    """What `new` takes over from `old`; None when there is no old rule on the server."""
    body = live.get(old) if old else None
    if old is None or body is None:
        return None
    entry = applied.base(old, body)
    retired = entry is not None and entry.retired  # then it was us who disabled it
    ours = entry is not None and applied.owns(old, body)
    return Succession(old, new, body, ours, not body["enabled"] and not retired)
