"""What the one who pushes may decide."""

from __future__ import annotations

from dataclasses import dataclass

from ruledeploy.deploy.merge import Side


@dataclass(frozen=True, slots=True)
class Options:
    """Decisions for one plan.

    `adopt`: take over objects with our ids that no record knows. `prune`: delete rules that are
    gone from the sources instead of disabling them. `side`: whose value wins where both the
    files and an analyst changed a field. `durable`: the records are where every pusher sees them;
    when they are not, an object without a record may still be ours, so our mark suffices, but
    whatever differs is a conflict. `disabled` names rules that, when they come back, stay disabled:
    an analyst had disabled them before they went.
    """

    adopt: bool = False
    prune: bool = False
    side: Side | None = None
    durable: bool = True
    disabled: frozenset[str] = frozenset()
