"""The local stack: Kibana's HTTP contract over SQLite, alerts through the embedded engine.

A stand-in for tests and first steps. `running_stack` serves from a background thread of this
process (what `kibana_url = "embedded:"` uses); `serve` serves in the foreground.
"""

from __future__ import annotations

from ruledeploy.stack.config import (
    PROFILES,
    ApiKey,
    Faults,
    Profile,
    StackConfig,
    User,
    parse_profile,
)
from ruledeploy.stack.server import Running, running_stack, serve

__all__ = [
    "PROFILES",
    "ApiKey",
    "Faults",
    "Profile",
    "Running",
    "StackConfig",
    "User",
    "parse_profile",
    "running_stack",
    "serve",
]
