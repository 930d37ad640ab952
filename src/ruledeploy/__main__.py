"""`python -m ruledeploy` is `ruledeploy`."""

from __future__ import annotations

from ruledeploy.cli import main

main()
