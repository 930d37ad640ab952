"""`ruledeploy push`: load → compile → plan → apply → verify → record.

The way in to the whole program: `session` loads, compiles and reaches the server, `Server.plan`
compares, `carry_out` applies in the order that leaves no gap, reads back, keeps the record and
looks at the rules' first run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import (
    HERE,
    Adopt,
    AllowMassChange,
    Day,
    Env,
    HealthWait,
    Jobs,
    Json,
    Ours,
    PlanFile,
    Prune,
    Root,
    Theirs,
    Wait,
    Yes,
    command_app,
    parse_day,
    refuse_beside_plan,
    side,
)
from ruledeploy.cli.output import say
from ruledeploy.errors import PartialError, ServerError

if TYPE_CHECKING:
    from ruledeploy.cli.session import Session
    from ruledeploy.deploy import Options, Plan, RecordStore

app = command_app()


@app.command()
def push(
    plan_file: PlanFile = None,
    *,
    env: Env,
    root: Root = HERE,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="OVERLAY", help="Push this overlay (id or title) alone."),
    ] = None,
    release_hold: Annotated[
        bool, typer.Option("--release", help="Lift the hold that a rollback left.")
    ] = False,
    yes: Yes = False,
    prune: Prune = False,
    adopt: Adopt = False,
    ours: Ours = False,
    theirs: Theirs = False,
    allow_mass_change: AllowMassChange = False,
    jobs: Jobs = None,
    wait: Wait = 0.0,
    health_wait: HealthWait = None,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Bring an environment to the state of the files.

    Lists and items are written first, then rules, and what is no longer wanted goes last, so that
    at every moment an event alerts only if it alerts before or after. Pushing again writes nothing.
    """
    from ruledeploy.cli.applying import Applying, carry_out, read_plan, refuse_other, show
    from ruledeploy.cli.session import commit_of, is_newer, session
    from ruledeploy.deploy import Options, lift_hold, refuse_held

    if plan_file is not None:
        refuse_beside_plan(
            {
                "--only": only is not None,
                "--prune": prune,
                "--adopt": adopt,
                "--ours": ours,
                "--theirs": theirs,
            }
        )
    options = Options(adopt=adopt, prune=prune, side=side(ours=ours, theirs=theirs))
    how = Applying(yes, json_, jobs, allow_mass_change, wait, health_wait)
    reviewed = read_plan(plan_file) if plan_file else None
    with session(root, env, parse_day(day)) as here:
        server = here.server
        for warning in (*server.warnings, *server.key_warnings()):
            say(f"warning: {warning}")
        if not release_hold:
            refuse_held(server.store, partial(is_newer, root))
        if reviewed is not None and plan_file is not None:
            refuse_other(reviewed, plan_file, server)
        planned = reviewed or made_plan(here, options, only)
        show(planned, server, how, f"push to {env}?")
        if release_hold:
            lift_hold(server.store)
        carry_out(planned, server, commit_of(root), how)
        if only is None:
            _lift(server.store)


def made_plan(here: Session, options: Options, only: str | None) -> Plan:
    """The plan for the whole release, or for one overlay and nothing else."""
    from ruledeploy.deploy import only_overlay

    release = here.release
    if only is not None:
        named = {
            list_.provenance.source_id
            for list_ in release.lists
            if only in {list_.body["name"], list_.provenance.path}
        }
        overlay = named.pop() if len(named) == 1 else only
        release = only_overlay(release, here.server.store.applied(), overlay)
    return here.server.plan(release, options)


def _lift(store: RecordStore) -> None:
    """Lift the hold: whatever held was older than what is in now."""
    from ruledeploy.deploy import lift_hold

    try:
        lift_hold(store)
    except ServerError as error:
        raise PartialError(
            f"everything was applied, but the hold could not be lifted: {error}",
            hint="push again: it finds nothing to do and lifts it",
        ) from error
