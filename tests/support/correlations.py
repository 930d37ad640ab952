"""A project of three Sysmon rules and one correlation, and its compiled rules."""

from __future__ import annotations

from datetime import date
from random import Random

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


def generated(random: Random) -> str:
    """Some correlation of the first two rules, in YAML's flow style."""
    kind = random.choice(
        ("event_count", "value_count", "value_sum", "value_avg", "value_median",
         "value_percentile", "temporal", "temporal")
    )  # fmt: skip
    rules = random.choice((["access"], ["thread"], ["access", "thread"]))
    parts = [f"type: {kind}", "timespan: 1h"]
    condition = f"{random.choice(('gt', 'gte', 'lt', 'lte', 'eq', 'neq'))}: {random.randint(0, 9)}"
    match kind:
        case "value_count":
            fields = ("SourceImage", "TargetImage", "SourceProcessId", "[SourceImage, TargetImage]")
            condition += f", field: {random.choice(fields)}"
        case "value_percentile":
            condition += f", field: SourceProcessId, percentile: {random.choice((0, 5, 50, 99))}"
        case "temporal" if random.random() < 0.5:
            rules = []
            condition = random.choice(
                ("access and thread", "access or not thread", "not (access and thread)", "thread")
            )
        case "event_count" | "temporal":
            pass
        case _:
            condition += ", field: SourceProcessId"
    groups = random.sample(["host.name", "SourceImage", "TargetImage"], random.randint(0, 2))
    if len(rules) > 1 and random.random() < 0.4:
        groups.append("who")
        parts.append("aliases: {who: {access: SourceImage, thread: TargetImage}}")
    if rules:
        parts.append(f"rules: [{', '.join(rules)}]")
    if groups:
        parts.append(f"group-by: [{', '.join(groups)}]")
    parts.append(f"condition: {condition}" if not rules else f"condition: {{{condition}}}")
    return f"{{{', '.join(parts)}}}"
