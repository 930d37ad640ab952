"""The middle of the program: (project, environment, date) → `Release`."""

from __future__ import annotations

from ruledeploy.compile.cache import Cache, cache_folder, code_version
from ruledeploy.compile.means import PLAIN, Means, Task, each_file
from ruledeploy.compile.overlays import overlays_of
from ruledeploy.compile.release import (
    Compiled,
    compile_all,
    compile_release,
    compile_rules,
    try_release,
)
from ruledeploy.compile.unit import CompiledRule, WrittenRule
from ruledeploy.compile.workers import Crew, available_processes

__all__ = [
    "PLAIN",
    "Cache",
    "Compiled",
    "CompiledRule",
    "Crew",
    "Means",
    "Task",
    "WrittenRule",
    "available_processes",
    "cache_folder",
    "code_version",
    "compile_all",
    "compile_release",
    "compile_rules",
    "each_file",
    "overlays_of",
    "try_release",
]
