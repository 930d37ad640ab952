"""What the one who pushes may decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ruledeploy.deploy.merge import Side
from ruledeploy.model import JsonObject


@dataclass(frozen=True, slots=True)
class Options:
    """Decisions for one plan.

    `adopt`: take over objects with our ids that no record knows. `prune`: delete rules that are
    gone from the sources instead of disabling them. `side`: whose value wins where both the
    files and an analyst changed a field. `durable`: the records are where every pusher sees them;
    when they are not, an object without a record may still be ours, so our mark suffices, but
    whatever differs is a conflict. `restored` has what analysts had done to rules that come back,
    by rule_id: an `enabled` that is False, the `actions` of a rule that was deleted.
    """

    adopt: bool = False
    prune: bool = False
    side: Side | None = None
    durable: bool = True
    restored: Mapping[str, JsonObject] = field(default_factory=dict)
