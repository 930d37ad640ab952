"""`ruledeploy schema`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ruledeploy.cli.options import command_app
from ruledeploy.cli.output import print_json
from ruledeploy.model import JsonObject

app = command_app()


class Which(StrEnum):
    """Kinds of files that users write."""

    settings = "settings"
    rule = "rule"
    overlay = "overlay"
    cases = "cases"
    scenario = "scenario"


@app.command()
def schema(
    which: Annotated[Which | None, typer.Argument(help="One file's; all by name if none.")] = None,
) -> None:
    """Print JSON Schemas of the files you write, for editors.

    Settings (ruledeploy.toml), rules, allowlist overlays, files of test cases, scenarios.
    """
    every = schemas()
    print_json(every if which is None else every[which.value])


def schemas() -> dict[str, JsonObject]:
    """Every schema by name."""
    from ruledeploy.allowlist.overlay import OVERLAY_SCHEMA
    from ruledeploy.project.schema import settings_schema
    from ruledeploy.sigma.schema import case_file_schema, rule_schema
    from ruledeploy.telemetry.parsing import SCENARIO_SCHEMA

    return {
        "settings": settings_schema(),
        "rule": rule_schema(),
        "overlay": OVERLAY_SCHEMA,
        "cases": case_file_schema(),
        "scenario": SCENARIO_SCHEMA,
    }
