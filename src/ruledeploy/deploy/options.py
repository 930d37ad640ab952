"""What the one who pushes may decide."""

from __future__ import annotations

from dataclasses import dataclass

from ruledeploy.deploy.merge import Side


@dataclass(frozen=True, slots=True)
class Options:
    """Decisions for one plan.

    `adopt`: take over objects with our ids that no record knows. `prune`: delete rules that are
    gone from the sources instead of disabling them. `side`: whose value wins where both the
    files and an analyst changed a field. `durable`: records survive this machine; without them
    the plan keeps whatever it cannot judge.
    """

    adopt: bool = False
    prune: bool = False
    side: Side | None = None
    durable: bool = True
