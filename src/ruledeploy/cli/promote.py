"""`ruledeploy promote`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruledeploy.cli.options import (
    HERE,
    Day,
    Form,
    Format,
    Json,
    Root,
    command_app,
    form_of,
    parse_day,
)
from ruledeploy.cli.output import print_form
from ruledeploy.cli.workspace import means, open_project

if TYPE_CHECKING:
    from datetime import date

    from ruledeploy.deploy.promote import Side
    from ruledeploy.project import Project

app = command_app()
CHANGES = 2


@app.command()
def promote(
    here: Annotated[str, typer.Argument(metavar="FROM", help="The environment that has it.")],
    there: Annotated[str, typer.Argument(metavar="TO", help="The environment to compare with.")],
    *,
    root: Root = HERE,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when they differ.")
    ] = False,
    format_: Format = Form.text,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Show what one environment has that another lacks.

    Compares what the files mean in both: rules, overlays, allowlist items, and settings. Needs no
    server.
    """
    from ruledeploy.deploy.promote import differences
    from ruledeploy.report.promote import print_promotion, promotion_markdown

    form = form_of(format_, as_json=json_)
    project, today = open_project(root), parse_day(day)
    found = differences(*(_side(project, name, today) for name in (here, there)))
    result: dict[str, Any] = {"schema": 1, "from": here, "to": there}
    result["differences"] = [one.to_json() for one in found]
    print_form(form, result, text=print_promotion, markdown=promotion_markdown)
    if found and detailed_exitcode:
        raise typer.Exit(CHANGES)


def _side(project: Project, name: str, day: date) -> Side:
    from ruledeploy.compile import compile_release
    from ruledeploy.deploy.promote import Side

    env = project.environment(name)
    return Side(project.name, env, compile_release(project, env, day, means()))
