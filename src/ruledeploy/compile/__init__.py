"""The middle of the program: (project, environment, date) → `Release`."""

from __future__ import annotations

from ruledeploy.compile.release import CompiledRule, compile_release, compile_rules, try_release

__all__ = ["CompiledRule", "compile_release", "compile_rules", "try_release"]
