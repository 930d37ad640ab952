"""A small content repository on disk, for tests that run the command line."""

from __future__ import annotations

from pathlib import Path

RULE_ID = "5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"
RULE = f"""\
title: Writers
id: {RULE_ID}
status: experimental
level: high
tags: [attack.defense-evasion, attack.t1055.002]
logsource: {{product: windows, category: api}}
detection:
  selection:
    event.category: api
    process.Ext.api.name: WriteProcessMemory
  condition: selection
tests:
  - name: the attack alerts
    expect: alert
    scenario: attack/prototype
  - name: Windows is trusted
    expect: suppressed
    scenario: benign/windows-core
    item: core
"""
OVERLAY = f"""\
title: Trusted writers
id: 0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10
rules: [{RULE_ID}]
items:
  - id: core
    name: Windows
    match:
      process.name: [svchost.exe, lsass.exe, csrss.exe, wininit.exe, services.exe, smss.exe]
    owner: me
    reason: Windows does
    permanent: true
    review_by: 2027-06-30
"""
SETTINGS = """\
[project]
name = "acme"
[env.local]
kibana_url = "embedded:"
exceptions = ["base"]
"""


def write_content(root: Path, **files: str) -> Path:
    """A repository with one rule, one overlay and one environment; `files` replace or add.

    Names are `rule`, `overlay`, `settings`, or a path with `/` written as `__`.
    """
    texts = {
        "rules/writers.yml": files.pop("rule", RULE),
        "exceptions/base/writers.yml": files.pop("overlay", OVERLAY),
        "ruledeploy.toml": files.pop("settings", SETTINGS),
    }
    texts |= {name.replace("__", "/"): text for name, text in files.items()}
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root
