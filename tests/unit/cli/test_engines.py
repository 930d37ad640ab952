"""Which cluster `test` asks, and with whose credentials."""

from __future__ import annotations

from dataclasses import fields

from ruledeploy.cli.test import _at as at
from ruledeploy.project import load_project

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
