"""A project of three Sysmon rules and one correlation, and its compiled rules."""

from __future__ import annotations

from datetime import date

from ruledeploy.compile import compile_release
from ruledeploy.model import Release
from ruledeploy.project import load_project

SETTINGS = """
[project]
name = "acme"
rules = ["rules"]
[defaults.indices]
"windows/process_access" = ["{index}"]
"windows/create_remote_thread" = ["{index}"]
[env.local]
kibana_url = "embedded:"
"""
RULES = """
title: Access
id: 00000000-0000-4000-8000-000000000001
name: access
logsource: {product: windows, category: process_access}
detection: {s: {TargetImage|endswith: '\\lsass.exe'}, condition: s}
---
title: Thread
id: 00000000-0000-4000-8000-000000000002
name: thread
logsource: {product: windows, category: create_remote_thread}
detection:
  s: {TargetImage|endswith: '\\lsass.exe'}
  f: {SourceImage|endswith: '\\ok.exe'}
  condition: s and not f
---
title: Together
id: 00000000-0000-4000-8000-000000000003
level: high
tags: [attack.t1003.001, attack.credential-access]
correlation: CORRELATION
"""
INDEX = "logs-windows.sysmon_operational-*"


def release(correlation: str, index: str = INDEX, more: str = "", settings: str = "") -> Release:
    """The release of the project with this `correlation:`, in YAML's flow style."""
    text = RULES.replace("CORRELATION", correlation) + more
    files = {
        "ruledeploy.toml": (SETTINGS.format(index=index) + settings).encode(),
        "rules/all.yml": text.encode(),
    }
    project = load_project(files)
    return compile_release(project, project.environment("local"), date(2026, 11, 24))


def query(correlation: str, index: str = INDEX) -> str:
    """The correlation's query."""
    (found,) = [rule for rule in release(correlation, index).rules if rule.name == "Together"]
    return str(found.body["query"])
