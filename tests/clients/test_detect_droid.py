"""droid: Sigma rules through `droid rules export`, and its integrity check that reads them back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.clients import Install
from support.contract import Client
from support.stack_process import StackProcess

RULES = "/api/detection_engine/rules"
RULE_ID = "11111111-2222-4333-8444-555555555555"
# Its pySigma would download MITRE's file at import; a few objects of it do for the tests.
ATTACK = Path(__file__).parent / "droid_attack.json"
SEED = """
import sys
from sigma.data import mitre_attack
mitre_attack.set_url(sys.argv[1])
assert mitre_attack.mitre_attack_techniques
"""
CONFIG = """\
[base]
sigma_filters_directory = ""

[platforms.elastic]
auth_method = "basic"
kibana_url = "{kibana}"
elastic_hosts = ["{elasticsearch}"]
schedule_interval = "5"
schedule_interval_unit = "m"

[platforms.elastic.pipelines.processes]
pipelines = ["ecs_windows"]
product = "windows"
category = "process_creation"
"""
RULE = """\
title: {title}
id: {rule_id}
status: test
description: A process that should not be there
author: tests
date: 2025-01-01
tags: [attack.t1055.002]
logsource: {{product: windows, category: process_creation}}
detection:
  process: {{Image: '*\\evil.exe'}}
  condition: process
custom: {{{custom}}}
level: high
"""
# How it ends when a search finds something.
FOUND = 66
LOGIN = {"DROID_ELASTIC_USERNAME": "ann", "DROID_ELASTIC_PASSWORD": "secret"}
Droid = Callable[..., str]


@pytest.fixture
def droid(install: Install, stack: StackProcess, tmp_path: Path) -> Droid:
    """`droid("export", "esql", title=…, custom=…)` writes the rule's file and runs droid on it."""
    # droid says 3.11.8; what it depends on is pinned for 3.12.
    program = install("detect-droid", (3, 12))
    seeded = program.run("python", "-c", SEED, str(ATTACK))
    assert seeded.returncode == 0, seeded.stderr
    config = tmp_path / "droid.toml"
    config.write_text(
        CONFIG.format(kibana=stack.kibana_url, elasticsearch=stack.elasticsearch_url), "utf-8"
    )
    file = tmp_path / "rule.yml"

    def run(
        command: str, platform: str, *, title: str = "Droid", custom: str = "", code: int = 0
    ) -> str:
        file.write_text(RULE.format(title=title, rule_id=RULE_ID, custom=custom), "utf-8")
        done = program.run(
            "droid", "rules", command, "-r", str(file), "-c", str(config), "-p", platform,
            env=LOGIN,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize("platform", ["esql", "eql"])
def test_a_rule_lives_and_dies(droid: Droid, kibana: Client, platform: str) -> None:
    """Create, check, update, disable, delete."""
    droid("export", platform)
    made = kibana("GET", f"{RULES}?rule_id={RULE_ID}").body
    assert (made["type"], made["language"], made["enabled"]) == (platform, platform, True)
    assert "evil.exe" in made["query"]
    assert made["threat"][0]["technique"][0]["subtechnique"][0]["id"] == "T1055.002"
    assert made["created_by"] == "ann"
    assert "Integrity check successful" in droid("integrity", platform)

    droid("export", platform, title="Droid, renamed")
    live = kibana("GET", f"{RULES}?rule_id={RULE_ID}").body
    assert (live["id"], live["name"], live["revision"]) == (made["id"], "Droid, renamed", 1)
    droid("export", platform, title="Droid, renamed", custom="disabled: true")
    assert kibana("GET", f"{RULES}?rule_id={RULE_ID}").body["enabled"] is False
    droid("export", platform, custom="removed: true")
    assert kibana("GET", f"{RULES}?rule_id={RULE_ID}").status == 404


def test_another_language_is_another_rule(droid: Droid, kibana: Client) -> None:
    """A type cannot be changed in place: droid deletes the rule and makes it anew."""
    droid("export", "esql")
    made = kibana("GET", f"{RULES}?rule_id={RULE_ID}").body
    droid("export", "eql")
    live = kibana("GET", f"{RULES}?rule_id={RULE_ID}").body
    assert (live["type"], live["id"] == made["id"]) == ("eql", False)
    droid("export", "eql", custom="removed: true")


def test_it_searches_with_the_rule(droid: Droid, kibana: Client) -> None:
    """Its ES|QL search goes to the second port through the official client, and finds an event."""
    process = {"executable": r"C:\evil.exe"}
    event = {"@timestamp": datetime.now(UTC).isoformat(), "process": process}
    url = f"{kibana.elasticsearch_url}/logs-endpoint.events.process-default/_doc"
    made = kibana.pool.request("POST", url, json=event, headers=kibana.credentials)
    assert made.status == 201
    assert "1 hit(s) found" in droid("search", "esql", code=FOUND)
