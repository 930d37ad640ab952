"""This stack's own routes, which Kibana does not have: its clock, its trouble, its emptying."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from ruledeploy.stack.alerts.executor import run_due, started_over
from ruledeploy.stack.clock import parse_time
from ruledeploy.stack.config import Faults
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import platform
from ruledeploy.stack.http import Answer, Call, Endpoint

CLOCK = "/internal/ruledeploy/clock"
FAULTS = "/internal/ruledeploy/faults"
RESET = "/internal/ruledeploy/reset"


def read_clock(stack: Stack, call: Call) -> Answer:
    """`GET` the stack's time, and whether it stands still."""
    del call
    return Answer({"now": stack.clock.text(), "simulated": stack.clock.simulated})


def set_clock(stack: Stack, call: Call) -> Answer:
    """`POST {"now": ISO | null, "run": bool, "since": ISO}`: not Kibana's, this stack's own.

    Sets the time (null: back to the real clock). With `run`, every enabled rule runs for each
    tick due since it last ran; `since` makes them all start over at that time.
    """
    sent = _object(call)
    try:
        now = parse_time(sent["now"]) if sent.get("now") else None
        since = parse_time(sent["since"]) if sent.get("since") else None
    except (TypeError, ValueError) as error:
        raise platform(400, f"[request body]: {error}") from error
    with stack.clock.restored_on_error():
        if "now" in sent:
            stack.clock.set(now)
        if since is not None:
            _start_over(stack, since)
        tally = run_due(stack) if sent.get("run") else None
    return Answer(
        {
            "now": stack.clock.text(),
            "simulated": stack.clock.simulated,
            "runs": tally.runs if tally else 0,
            "alerts": tally.alerts if tally else 0,
        }
    )


def _start_over(stack: Stack, since: datetime) -> None:
    for rule in stack.store.all("rule", None):
        stack.store.set_state(rule, started_over(rule.state, since))


def read_faults(stack: Stack, call: Call) -> Answer:
    """`GET` the trouble that requests meet."""
    del call
    return Answer(asdict(stack.trouble.faults))


def set_faults(stack: Stack, call: Call) -> Answer:
    """`POST` fields of `Faults`: the trouble from now on, drawn anew by its seed; `{}` is none."""
    sent = _object(call)
    unknown = sorted(set(sent) - {entry.name for entry in fields(Faults)})
    if unknown:
        raise platform(400, f"[request body]: no such fault: {', '.join(unknown)}")
    try:
        faults = Faults(**sent)
    except ValueError as error:
        raise platform(400, f"[request body]: {error}") from error
    stack.trouble.set(faults)
    return read_faults(stack, call)


def _object(call: Call) -> dict[str, Any]:
    sent = call.json() or {}
    if not isinstance(sent, dict):
        raise platform(400, "[request body]: expected an object")
    return sent


def reset(stack: Stack, call: Call) -> Answer:
    """`POST`: nothing is stored any more, the time is real, the trouble as it was at the start.

    What lies in a node is not the stack's to delete.
    """
    stack.store.clear()
    stack.due.clear()
    stack.clock.set(None)
    stack.trouble.set(stack.config.faults)
    return read_clock(stack, call)


ROUTES = (
    Endpoint("GET", CLOCK, read_clock),
    Endpoint("POST", CLOCK, set_clock, "write"),
    Endpoint("GET", FAULTS, read_faults),
    Endpoint("POST", FAULTS, set_faults, "write"),
    Endpoint("POST", RESET, reset, "write"),
)
