"""OpenTide: a rule's life through `opentide deploy`, and its live validation by preview."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.clients import Install
from support.contract import Client
from support.stack_process import API_KEY, StackProcess

RULES = "/api/detection_engine/rules"
RULE_ID = "22222222-2222-4333-8444-555555555555"
SPACE = "tide"
TENANT = """\
[platform]
enabled = true
identifier = "elastic"
name = "Elastic Security"
subschema = "Elastic Security"
description = "Elastic Security"
flags = []

[[tenants]]
name = "stack"
description = "the local stack"
strategies = ["PREVIEW", "RELEASE"]
[tenants.setup]
ssl = false
url = "{kibana}"
elasticsearch_url = "{elasticsearch}"
space = "{space}"
api_key = "$STACK_API_KEY"
index = ["tide-*"]
"""
RULE = """\
name: {name}
references: {{}}
metadata:
  uuid: {uuid}
  schema: rule::1.0
  version: 1
  created: 2025-01-01
  modified: 2025-01-01
  tlp: clear
  author: tests@example.com
description: A process that should not be there
response:
  alert_severity: High
configurations:
  elastic:
    schema: platform::elastic::1.0
    status: {status}
    type: {kind}
    query: '{query}'
"""
OpenTide = Callable[..., str]


@pytest.fixture
def opentide(install: Install, stack: StackProcess, tmp_path: Path) -> OpenTide:
    """Runs `opentide …` in a repository of its own and returns what it prints."""
    program = install("opentide", (3, 11))

    def run(*arguments: str) -> str:
        done = program.run(
            "opentide", "--no-color", *arguments,
            cwd=tmp_path, env={"OPENTIDE_REPO_ROOT": str(tmp_path), "STACK_API_KEY": API_KEY},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("setup", "-C", ".", "--platform", "elastic", "--ci", "none", "--yes")
    settings = tmp_path / ".opentide" / "configurations" / "platforms" / "elastic.toml"
    tenant = TENANT.format(
        kibana=stack.kibana_url, elasticsearch=stack.elasticsearch_url, space=SPACE
    )
    settings.write_text(tenant, "utf-8")
    return run


def author(
    folder: Path,
    status: str = "PRODUCTION",
    name: str = "Tide",
    kind: str = "query",
    query: str = 'process.name: "evil.exe"',
) -> None:
    """Write the rule's file."""
    text = RULE.format(name=name, uuid=RULE_ID, status=status, kind=kind, query=query)
    (folder / "objects" / "rules" / "rule.yaml").write_text(text, "utf-8")


def deploy(opentide: OpenTide) -> None:
    """Deploy every rule, those to be switched off or removed too."""
    arguments = ("--platform", "elastic", "--strategy", "RELEASE", "--all", "--keep-deprecated")
    assert "Deployment completed" in opentide("deploy", *arguments)


def test_a_rule_lives_and_dies(opentide: OpenTide, kibana: Client, tmp_path: Path) -> None:
    """Create, update, change of type, disable, delete; what others wrote is carried over."""
    author(tmp_path)
    deploy(opentide)
    made = kibana("GET", f"{RULES}?rule_id={RULE_ID}", space=SPACE).body
    assert (made["name"], made["enabled"], made["severity"]) == ("Tide", True, "high")
    assert made["index"] == ["tide-*"]

    link = {"id": "0", "list_id": "l", "type": "detection", "namespace_type": "single"}
    patch = {"rule_id": RULE_ID, "exceptions_list": [link]}
    kibana("PATCH", RULES, patch, space=SPACE)
    author(tmp_path, name="Tide, renamed")
    deploy(opentide)
    live = kibana("GET", f"{RULES}?rule_id={RULE_ID}", space=SPACE).body
    assert (live["id"], live["name"]) == (made["id"], "Tide, renamed")
    assert live["exceptions_list"] == [link]

    author(tmp_path, kind="eql", query='process where process.name : "evil.exe"')
    deploy(opentide)
    live = kibana("GET", f"{RULES}?rule_id={RULE_ID}", space=SPACE).body
    assert live["type"] == "eql"
    assert live["id"] != made["id"]

    author(tmp_path, status="DISABLED", kind="eql", query="any where true")
    deploy(opentide)
    assert kibana("GET", f"{RULES}?rule_id={RULE_ID}", space=SPACE).body["enabled"] is False
    author(tmp_path, status="REMOVED")
    deploy(opentide)
    assert kibana("GET", f"{RULES}?rule_id={RULE_ID}", space=SPACE).status == 404


def test_live_validation_previews_the_rule(
    opentide: OpenTide, kibana: Client, tmp_path: Path
) -> None:
    """The preview's warning of a missing index is shown; with an index it is gone."""
    author(tmp_path)
    live = ("validate", "query", "--platform", "elastic", "--live")
    assert "Unable to find matching indices" in opentide(*live)
    url = f"{kibana.elasticsearch_url}/tide-events/_doc/1"
    event = {"@timestamp": "2026-01-01T00:00:00Z", "process": {"name": "good.exe"}}
    kibana.pool.request("PUT", url, json=event, headers=kibana.credentials)
    passed = opentide(*live)
    assert "validation passed" in passed
    assert "Unable to find matching indices" not in passed
    assert kibana("GET", f"{RULES}?rule_id={RULE_ID}", space=SPACE).status == 404
