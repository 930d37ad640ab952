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
