"""The middle of the program: (project, environment, date) → `Release`."""

from __future__ import annotations

from ruledeploy.compile.cache import Cache, cache_folder
from ruledeploy.compile.release import PLAIN, Means, compile_release, compile_rules, try_release
from ruledeploy.compile.unit import CompiledRule
from ruledeploy.compile.workers import available_processes

__all__ = [
    "PLAIN",
    "Cache",
    "CompiledRule",
    "Means",
    "available_processes",
    "cache_folder",
    "compile_release",
    "compile_rules",
    "try_release",
]
