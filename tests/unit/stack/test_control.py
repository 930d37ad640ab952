"""The stack's own routes: trouble set while it runs, and emptying it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from ruledeploy.stack import Faults, running_stack
from support.stack_lab import RULES, Lab

FAULTS = "/internal/ruledeploy/faults"
RESET = "/internal/ruledeploy/reset"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A stack that delays Elasticsearch's calls a little from its start."""
    with running_stack(tmp_path, faults=Faults(latency_ms={"elasticsearch": 1.0})) as running:
        yield Lab(running)


def statuses(lab: Lab) -> list[int]:
    """What twenty requests meet."""
    url = f"{lab.running.kibana_url}{RULES}/_find"
    return [urllib3.request("GET", url, retries=False).status for _ in range(20)]


def test_faults_are_set_and_drawn_anew(lab: Lab) -> None:
    """The same seed gives the same fate; our own routes meet none; `{}` ends it."""
    some = {"seed": 3, "too_many": 0.3, "server_error": 0.2}
    assert lab.send("POST", FAULTS, some)["too_many"] == 0.3
    first = statuses(lab)
    lab.send("POST", FAULTS, some)
    assert statuses(lab) == first
    assert {200, 429, 503} == set(first)
    assert lab.send("GET", FAULTS)["seed"] == 3
    lab.send("POST", FAULTS, {})
    assert set(statuses(lab)) == {200}


def test_an_unknown_fault_is_refused(lab: Lab) -> None:
    """By name; what was set stays."""
    url = f"{lab.running.kibana_url}{FAULTS}"
    reply = urllib3.request("POST", url, json={"to_many": 1})
    assert reply.status == 400
    assert "no such fault: to_many" in reply.json()["message"]
    assert lab.send("GET", FAULTS)["latency_ms"] == {"elasticsearch": 1.0}


def test_a_reset_leaves_nothing_but_the_faults_of_the_start(lab: Lab) -> None:
    """Rules, events, alerts, time; sequence numbers go on, so no `_version` comes twice."""
    lab.clock(0, run=False)
    lab.rule()
    lab.events(1)
    lab.clock(5)
    lab.send("POST", FAULTS, {"seed": 9})
    made = lab.send("POST", "/api/exception_lists", _a_list())
    assert lab.send("POST", RESET)["simulated"] is False
    assert lab.send("GET", f"{RULES}/_find")["total"] == 0
    assert lab.alerts() == []
    assert lab.send("GET", FAULTS)["latency_ms"] == {"elasticsearch": 1.0}
    again = lab.send("POST", "/api/exception_lists", _a_list())
    assert again["_version"] != made["_version"]


def _a_list() -> dict[str, str]:
    return {"list_id": "l", "name": "l", "description": "d", "type": "detection"}


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"too_many": "0.5"}, "too_many is a number from 0 to 1, not '0.5'"),
        ({"lost": 1.5}, "lost is a number from 0 to 1"),
        ({"partial": True}, "partial is a number"),
        ({"hang_s": -1}, "hang_s is a number from 0"),
        ({"retry_after_s": 0.5}, "retry_after_s is a whole number"),
        ({"seed": None}, "seed is a whole number"),
        ({"latency_ms": {"rule": 1}}, "latency_ms maps rules"),
        ({"latency_ms": {"rules": "x"}}, "latency_ms.rules is a number"),
        ({"latency_ms": [5]}, "latency_ms maps rules"),
    ],
)
def test_a_value_that_makes_no_fault_is_refused(
    lab: Lab, fault: dict[str, object], named: str
) -> None:
    """Before any request could stumble over it."""
    reply = urllib3.request("POST", f"{lab.running.kibana_url}{FAULTS}", json=fault)
    assert reply.status == 400
    assert named in reply.json()["message"]
    assert set(statuses(lab)) == {200}


def test_an_order_of_too_many_runs_is_refused(lab: Lab) -> None:
    """By the rule's name; the time is what it was, and a smaller step goes on from there."""
    lab.clock(0, run=False)
    lab.rule(interval="1s")
    url = f"{lab.running.kibana_url}/internal/ruledeploy/clock"
    reply = urllib3.request("POST", url, json={"now": "2027-11-23T00:00:00Z", "run": True})
    assert reply.status == 400
    assert "rule wpm would have to run 31536" in reply.json()["message"]
    assert lab.send("GET", "/internal/ruledeploy/clock")["now"] == "2026-11-23T00:00:00.000Z"
    assert lab.clock(1)["runs"] == 60


@pytest.mark.parametrize("body", [[1], "now", 3])
def test_an_order_to_the_clock_is_an_object(lab: Lab, body: object) -> None:
    """Everything else is refused."""
    url = f"{lab.running.kibana_url}/internal/ruledeploy/clock"
    assert urllib3.request("POST", url, json=body).status == 400
