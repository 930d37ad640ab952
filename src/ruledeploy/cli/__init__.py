"""The command line: `main` is the console script and the one error boundary."""

from __future__ import annotations

from ruledeploy.cli.boundary import main

__all__ = ["main"]
