"""The middle of the program: (project, environment, date) → `Release`."""

from __future__ import annotations

from ruledeploy.compile.release import compile_release

__all__ = ["compile_release"]
