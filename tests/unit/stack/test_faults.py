"""Trouble on purpose, by header or by seed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ruledeploy.stack import Faults, running_stack
from ruledeploy.stack.http import Answer, Call

RULES = "/api/detection_engine/rules"
RULE = {"type": "query", "name": "r", "description": "d", "severity": "low", "risk_score": 21}


def create(url: str, rule_id: str, fault: str | None = None) -> int:
    """Create a rule; the status of the answer."""
    headers = {"kbn-xsrf": "x"} | ({"x-ruledeploy-fault": fault} if fault else {})
    body = {**RULE, "rule_id": rule_id}
    reply = urllib3.request("POST", url + RULES, json=body, headers=headers, retries=False)
    return reply.status


def exists(url: str, rule_id: str) -> bool:
    """Whether the rule is there."""
    reply = urllib3.request("GET", f"{url}{RULES}?rule_id={rule_id}", retries=False)
    return reply.status == 200


def test_a_refused_request_does_nothing(tmp_path: Path) -> None:
    """429 comes with Retry-After, in the platform's envelope."""
    with running_stack(tmp_path) as running:
        url = running.kibana_url
        headers = {"kbn-xsrf": "x", "x-ruledeploy-fault": "429"}
        reply = urllib3.request("POST", url + RULES, json=RULE, headers=headers, retries=False)
        assert (reply.status, reply.headers["retry-after"]) == (429, "1")
        assert reply.json()["statusCode"] == 429
        assert create(url, "r", "503") == 503
        assert not exists(url, "r")


def test_a_reset_comes_before_the_work(tmp_path: Path) -> None:
    """The connection breaks and nothing was done."""
    with running_stack(tmp_path) as running:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            create(running.kibana_url, "r", "reset")
        assert not exists(running.kibana_url, "r")


def test_a_lost_answer_comes_after_the_work(tmp_path: Path) -> None:
    """The connection breaks and the rule is there."""
    with running_stack(tmp_path) as running:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            create(running.kibana_url, "r", "lost")
        assert exists(running.kibana_url, "r")


def test_silence_comes_after_the_work(tmp_path: Path) -> None:
    """The client's time-out strikes; the rule is there; stopping the stack does not wait."""
    started = time.monotonic()
    with running_stack(tmp_path) as running:
        url, headers = running.kibana_url, {"kbn-xsrf": "x", "x-ruledeploy-fault": "hang=60"}
        with pytest.raises(urllib3.exceptions.TimeoutError):
            urllib3.request(
                "POST",
                url + RULES,
                json={**RULE, "rule_id": "r"},
                headers=headers,
                timeout=0.3,
                retries=False,
            )
        assert exists(url, "r")
    assert time.monotonic() - started < 5


def test_a_bulk_action_fails_for_every_second_rule(tmp_path: Path) -> None:
    """HTTP 500 while half of the work is done."""
    with running_stack(tmp_path) as running:
        url = running.kibana_url
        for n in range(4):
            create(url, f"r{n}")
        headers = {"kbn-xsrf": "x", "x-ruledeploy-fault": "partial"}
        path = f"{url}{RULES}/_bulk_action"
        reply = urllib3.request("POST", path, json={"action": "delete"}, headers=headers)
        assert reply.status == 500
        summary = {"failed": 2, "succeeded": 2, "skipped": 0, "total": 4}
        assert reply.json()["attributes"]["summary"] == summary
        assert [exists(url, f"r{n}") for n in range(4)] == [False, True, False, True]


def test_a_latency_delays(tmp_path: Path) -> None:
    """By kind of call, or for one request."""
    with running_stack(tmp_path, faults=Faults(latency_ms={"rules": 120})) as running:
        started = time.monotonic()
        create(running.kibana_url, "r")
        assert time.monotonic() - started >= 0.12


def outcomes(data: Path, seed: int) -> list[int | str]:
    """What happens to forty creates under a seed."""
    faults = Faults(seed=seed, too_many=0.2, server_error=0.1, lost=0.1)
    found: list[int | str] = []
    with running_stack(data, faults=faults) as running:
        for n in range(40):
            try:
                found.append(create(running.kibana_url, f"r{n}"))
            except urllib3.exceptions.ProtocolError:
                found.append("lost")
    return found


def test_a_seed_repeats_the_same_trouble(tmp_path: Path) -> None:
    """The same requests under the same seed meet the same fate, another seed another."""
    one = outcomes(tmp_path / "a", 1)
    assert {200, 429, 503, "lost"} == set(one)
    assert outcomes(tmp_path / "b", 1) == one
    assert outcomes(tmp_path / "c", 2) != one


def test_every_request_is_logged_and_shown_to_the_hook(tmp_path: Path) -> None:
    """The log is NDJSON; the hook gets call and answer."""
    log, seen = tmp_path / "requests.ndjson", []

    def hook(call: Call, answer: Answer) -> None:
        seen.append((call.method, answer.status))

    with running_stack(tmp_path / "data", request_log=log, hook=hook) as running:
        create(running.kibana_url, "r")
        exists(running.kibana_url, "none")
    lines: list[Any] = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(line["method"], line["status"]) for line in lines] == [("POST", 200), ("GET", 404)]
    assert lines[1]["url"] == f"{RULES}?rule_id=none"
    assert seen == [("POST", 200), ("GET", 404)]


def test_an_older_server_speaks_otherwise(tmp_path: Path) -> None:
    """Profile 8.19: its version, zod 3 texts, and a PUT that always touches the rule."""
    with running_stack(tmp_path, profile="8.19") as running:
        url = running.kibana_url
        status = urllib3.request("GET", f"{url}/api/status").json()
        assert status["version"]["number"].startswith("8.19.")
        headers = {"kbn-xsrf": "x"}
        bad = urllib3.request("POST", url + RULES, json={"type": "query"}, headers=headers)
        assert "name: Required" in bad.json()["message"]
