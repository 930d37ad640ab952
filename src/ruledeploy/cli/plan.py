"""`ruledeploy plan`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ruledeploy.cli.options import (
    HERE,
    Day,
    Env,
    Json,
    Ours,
    Root,
    Theirs,
    command_app,
    parse_day,
    side,
)
from ruledeploy.cli.output import print_json, say, write_file

app = command_app()
CHANGES = 2


class Format(StrEnum):
    """How the plan is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"


@app.command()
def plan(
    *,
    env: Env,
    root: Root = HERE,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the plan for `push FILE`.")
    ] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")
    ] = False,
    stages: Annotated[
        bool, typer.Option("--stages", help="Print the steps of the push in order.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete rules that are gone, not just disable them.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over objects with our ids that no record knows.")
    ] = False,
    ours: Ours = False,
    theirs: Theirs = False,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.text,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Show exactly what a push would change.

    Reads the server and writes nothing.
    """
    from ruledeploy.cli.session import session
    from ruledeploy.deploy import Options
    from ruledeploy.deploy import stages as stages_of
    from ruledeploy.report.plan import markdown, print_plan, print_stages

    chosen = side(ours=ours, theirs=theirs)
    with session(root, env, parse_day(day)) as here:
        for warning in here.warnings:
            say(f"warning: {warning}")
        made = here.plan(Options(adopt=adopt, prune=prune, side=chosen, durable=here.store.durable))
    plain = made.to_json()
    if output is not None:
        write_file(output, json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    match Format.json if json_ else format_:
        case Format.json:
            print_json(plain)
        case Format.markdown:
            for line in markdown(plain):
                typer.echo(line)
        case Format.text:
            print_plan(plain)
    if stages:
        print_stages(stages_of(made))
    if detailed_exitcode and not made.empty:
        raise typer.Exit(CHANGES)
