"""How an apply ended, as JSON."""

from __future__ import annotations

from ruledeploy.deploy import PartlyApplied, Ref, Write
from ruledeploy.errors import RuledeployError
from ruledeploy.kibana import LISTS


def test_a_partly_applied_push_is_told_in_json() -> None:
    """What is done, unknown and left, and why, as the message says it."""
    done, unknown, left = (
        Write(Ref("list", name), "create", "hide", LISTS.create({"list_id": name}))
        for name in ("a", "b", "c")
    )
    error = PartlyApplied(RuledeployError("no more"), [done], [unknown], [left])
    assert error.to_json() == {
        "state": "partial",
        "error": "no more",
        "writes": 1,
        "done": [{"object": "list/a", "operation": "create"}],
        "unknown": [{"object": "list/b", "operation": "create"}],
        "left": [{"object": "list/c", "operation": "create"}],
    }
