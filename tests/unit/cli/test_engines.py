"""Which engine a command asks: whose field tables it has, and whose credentials."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.cli.test import _at as at
from ruledeploy.project import load_project
from ruledeploy.project.lock import lock_text
from support.content import RULE, write_content

SETTINGS = f"""\
[project]
name = "acme"
[env.prod]
kibana_url = "https://kibana.invalid"
elasticsearch_url = "https://es.invalid:9200"
api_key = "${{KEY}}"
username = "u"
password = "${{PASSWORD}}"
ca_certs = "ca.pem"
ca_fingerprint = "{"ab" * 32}"
client_cert = "client.pem"
client_key = "client.key"
"""
# What is for one cluster alone.
OWN = {"api_key", "username", "password", "ca_fingerprint", "client_cert", "client_key"}


def test_another_cluster_gets_nothing_that_is_for_the_environments() -> None:
    """No key, no certificate, no fingerprint; the CAs to trust and all else stay."""
    project = load_project({"ruledeploy.toml": SETTINGS.encode()})
    written, asked = project.environment("prod"), at(project, "prod", "http://localhost:9200")
    changed = {
        one.name
        for one in fields(written)
        if getattr(written, one.name) != getattr(asked, one.name)
    }
    assert changed == {*OWN, "elasticsearch_url"}
    assert [getattr(asked, name) for name in OWN] == [None] * len(OWN)


# A field of ours that a pipeline adds, in lower case: only the indices of this environment have it.
TABLE = {
    "family": "endpoint-api",
    "index": "logs-endpoint.events.api-*",
    "fields": {"acme.tier": {"type": "keyword", "normalizer": "lowercase"}},
}
TIERS = f"""\
{RULE.partition("detection:")[0]}detection:
  selection: {{acme.tier: gold}}
  condition: selection
tests:
  - name: gold alerts
    expect: alert
    events: [{{acme: {{tier: GOLD}}}}]
"""
EVENT = {"@timestamp": "2026-01-05T09:00:00Z", "event": {"id": "e1"}, "acme": {"tier": "Gold"}}


def locked(folder: Path, rule: str) -> Path:
    """A repository of one rule whose environment has that table."""
    root = write_content(folder, rule=rule)
    (root / "exceptions/base/writers.yml").unlink()
    lock = root / "ruledeploy.lock/local.json"
    lock.parent.mkdir()
    lock.write_text(lock_text("local", "9.2.0", {"endpoint-api": TABLE}))
    return root


def test_pulled_field_tables_decide_what_matches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of `fields pull`: in test cases, and in events gone by."""
    root = locked(tmp_path, TIERS)
    (root / "events.ndjson").write_text(json.dumps(EVENT))
    assert run(["test", "-C", str(root)]) == 0
    where = ["-e", "local", "-C", str(root), "--events", str(root / "events.ndjson"), "--json"]
    capsys.readouterr()
    assert run(["backtest", *where]) == 0
    assert json.loads(capsys.readouterr().out)["rules"][0]["after"]["alerts"] == 1
    assert run(["tune", *where]) == 0
    assert json.loads(capsys.readouterr().out)["rules"][0]["alerts"] == 1


def test_a_case_that_fails_is_explained_by_the_pulled_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field that only this environment has is not called unmapped."""
    root = locked(tmp_path, TIERS.replace("GOLD", "silver"))
    assert run(["test", "-C", str(root)]) == 1
    assert "acme.tier is 'silver', the query asks for 'gold'" in capsys.readouterr().out
