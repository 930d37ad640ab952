"""How much the long tests try: a few in every run, all by `make soak`."""

from __future__ import annotations

import os

SOAK = os.environ.get("RULEDEPLOY_SOAK") == "1"


def many(usual: int, soak: int) -> int:
    """A number of tries; RULEDEPLOY_TRIES overrides both."""
    return int(os.environ.get("RULEDEPLOY_TRIES", soak if SOAK else usual))
