"""`ruledeploy.lock/<env>.json`: read strictly, and everything compiled depends on it."""

from __future__ import annotations

from datetime import date

import pytest

from ruledeploy.compile import compile_release
from ruledeploy.errors import ConfigError
from ruledeploy.project import load_project
from ruledeploy.project.lock import lock_text, locked_tables

SETTINGS = b'[project]\nname = "acme"\n[env.local]\nkibana_url = "embedded:"\n'
RULE = b"""\
title: Images
id: 11111111-1111-4111-8111-111111111111
logsource: {product: windows, category: process_creation}
detection: {selection: {Image: 'C:\\A.exe'}, condition: selection}
"""
TABLE = {
    "family": "sysmon-integration",
    "index": "logs-windows.sysmon_operational-*",
    "fields": {"process.executable": {"type": "keyword", "normalizer": "lowercase"}},
}


def query(**files: bytes) -> str:
    """The rule's query under a lock."""
    named = {f"ruledeploy.lock/{name}.json": data for name, data in files.items()}
    project = load_project({"ruledeploy.toml": SETTINGS, "rules/r.yml": RULE, **named})
    release = compile_release(project, project.environment("local"), date(2027, 1, 1))
    return str(release.rules[0].body["query"])


def test_a_lock_replaces_the_bundled_table() -> None:
    """Of its families, in its environment alone."""
    lock = lock_text("local", "9.2.0", {"sysmon-integration": TABLE}).encode()
    assert 'process.executable:"c:\\\\a.exe"' in query(local=lock)
    assert query(other=lock) == query()
    assert query(local=lock_text("local", "9.2.0", {}).encode()) == query()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"not JSON",
        b"\xff",
        b"{}",
        b'{"schema": 2, "families": {}}',
        b'{"schema": 1, "families": []}',
        b'{"schema": 1, "families": {"nosuch": {}}}',
        b'{"schema": 1, "families": {"ecs": {"family": "ecs", "index": "x"}}}',
        b'{"schema": 1, "families": {"ecs": {"family": "winlogbeat", "index": "x", "fields": {}}}}',
        b'{"schema": 1, "families": {"ecs": {"family": "ecs", "index": "x", "fields": {"a": 1}}}}',
    ],
)
def test_what_is_no_lock_is_an_error(content: bytes) -> None:
    """Compiling against a half-read table would be worse than none."""
    with pytest.raises(ConfigError, match=r"ruledeploy.lock/local.json:1: not a lock.*fields pull"):
        locked_tables({"ruledeploy.lock/local.json": content}, "local")
