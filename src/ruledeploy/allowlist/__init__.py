"""Allowlist overlays: from YAML in folders to exception lists and items of one environment."""

from __future__ import annotations

from ruledeploy.allowlist.compile import Allowlist, compile_overlays
from ruledeploy.allowlist.inherit import effective_overlays
from ruledeploy.allowlist.overlay import Overlay, OverlayItem, parse_overlays
from ruledeploy.allowlist.targets import KnownRule
from ruledeploy.allowlist.values import ValueFile, parse_value_files

__all__ = [
    "Allowlist",
    "KnownRule",
    "Overlay",
    "OverlayItem",
    "ValueFile",
    "compile_overlays",
    "effective_overlays",
    "parse_overlays",
    "parse_value_files",
]
