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
    """Kinds of files that users write, and of output that programs read."""

    settings = "settings"
    rule = "rule"
    overlay = "overlay"
    cases = "cases"
    scenario = "scenario"
    plan = "plan"
    push = "push"
    doctor = "doctor"
    history = "history"
    drift = "drift"


@app.command()
def schema(
    which: Annotated[Which | None, typer.Argument(help="Which one; all by name if none.")] = None,
) -> None:
    """Print JSON Schemas of the files you write and of the JSON that commands print.

    For editors: settings (ruledeploy.toml), rules, allowlist overlays, files of test cases,
    scenarios. For programs: plan, push (and rollback), doctor, history, drift.
    """
    every = schemas()
    print_json(every if which is None else every[which.value])


def schemas() -> dict[str, JsonObject]:
    """Every schema by name."""
    from ruledeploy.allowlist.overlay import OVERLAY_SCHEMA
    from ruledeploy.project.schema import settings_schema
    from ruledeploy.report.schemas import VERSIONS, output_schema
    from ruledeploy.sigma.schema import case_file_schema, rule_schema
    from ruledeploy.telemetry.parsing import SCENARIO_SCHEMA

    return {
        "settings": settings_schema(),
        "rule": rule_schema(),
        "overlay": OVERLAY_SCHEMA,
        "cases": case_file_schema(),
        "scenario": SCENARIO_SCHEMA,
        **{name: output_schema(name) for name in VERSIONS},
    }
