"""`ruledeploy plan`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from ruledeploy.cli.options import (
    HERE,
    Adopt,
    Day,
    Env,
    Form,
    Format,
    Json,
    Ours,
    Out,
    Prune,
    Root,
    Theirs,
    command_app,
    form_of,
    parse_day,
    side,
)
from ruledeploy.cli.output import print_form, say
from ruledeploy.errors import RefusedError

app = command_app()
CHANGES = 2


@app.command()
def plan(
    *,
    env: Env,
    root: Root = HERE,
    output: Out = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="OVERLAY", help="Plan this overlay (id or title) alone."),
    ] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")
    ] = False,
    stages: Annotated[
        bool, typer.Option("--stages", help="Print the steps of the push in order.")
    ] = False,
    prune: Prune = False,
    adopt: Adopt = False,
    ours: Ours = False,
    theirs: Theirs = False,
    format_: Format = Form.text,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Show exactly what a push would change.

    Reads the server and writes nothing.
    """
    from ruledeploy.cli.applying import write_plan
    from ruledeploy.cli.push import made_plan
    from ruledeploy.cli.session import is_newer, session
    from ruledeploy.deploy import Options, refuse_held
    from ruledeploy.deploy import stages as stages_of
    from ruledeploy.report.plan import markdown, print_plan, print_stages, step_json

    form = form_of(format_, as_json=json_)
    options = Options(adopt=adopt, prune=prune, side=side(ours=ours, theirs=theirs))
    with session(root, env, parse_day(day)) as here:
        for warning in here.server.warnings:
            say(f"warning: {warning}")
        try:
            refuse_held(here.server.store, partial(is_newer, root))
        except RefusedError as error:
            say(f"warning: a push would be refused: {error}")
        made = made_plan(here, options, only)
    plain = made.to_json()
    if output is not None:
        write_plan(made, output)
        say(f"the plan is in {output}")
    steps = stages_of(made) if stages and not made.empty else ()
    if stages and form is Form.json:
        plain = {**plain, "stages": [step_json(step) for step in steps]}
    print_form(form, plain, text=print_plan, markdown=markdown)
    if steps and form is not Form.json:
        print_stages(steps)
    if detailed_exitcode and not made.empty:
        raise typer.Exit(CHANGES)
