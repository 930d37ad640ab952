"""`ruledeploy drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruledeploy.cli.options import HERE, Day, Env, Json, Root, command_app
from ruledeploy.cli.output import print_json, say
from ruledeploy.cli.workspace import open_project

if TYPE_CHECKING:
    from ruledeploy.cli.session import Server
    from ruledeploy.deploy import Drift
    from ruledeploy.project import Project

app = command_app()
CHANGES = 2


@app.command()
def drift(
    *,
    env: Env,
    root: Root = HERE,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Write what changed into the files, for review.")
    ] = False,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Show what changed on the server since the last push.

    Reads alone. Exits 2 when something changed, 0 when nothing did. With `--adopt` the changes go
    into the files, whose comments and order stay, and a plan is empty afterwards; it exits 2 when
    something could not be written there.
    """
    from ruledeploy.cli.pull import show
    from ruledeploy.cli.session import connected
    from ruledeploy.deploy import find_drift, read_applied

    project = open_project(root)
    with connected(project, env, root) as here:
        for warning in here.warnings:
            say(f"warning: {warning}")
        applied = here.store.applied()
        found = find_drift(read_applied(here.kibana, applied), applied)
        done = _adopted(project, here, found, root, day) if adopt else {}
    plain = [one.to_json() for one in found]
    if json_:
        print_json({"schema": 1, "env": env, "drift": plain, **done})
    else:
        _print(plain, pushed=applied.n > 0)
        if adopt and found:
            show(done, env)
    if done["left"] if adopt else plain:
        raise typer.Exit(CHANGES)


def _adopted(
    project: Project, here: Server, found: tuple[Drift, ...], root: Path, day: str
) -> dict[str, Any]:
    """What became of the changes, now in the files; as `pull` says it."""
    from ruledeploy.cli.pull import NOTHING, outcome, take, write_down
    from ruledeploy.deploy.pull import newly_linked, read_space

    if not found:
        return NOTHING
    live = read_space(here.kibana)
    refs = {one.ref for one in found}
    taken = take(project, here, live, day, refs | newly_linked(live, here.store.applied(), refs))
    record = write_down(taken, here, live, root, "changed in Kibana, adopted into the files")
    return outcome(taken, record)


def _print(drifted: list[dict[str, Any]], *, pushed: bool) -> None:
    for one in drifted:
        typer.echo(f"{one['object']['kind']} {one['object']['name']}: {one['what']}")
        for field in one["fields"]:
            typer.echo(f"    {field['field']}: {field['applied']!r} → {field['live']!r}")
    if not drifted:
        typer.echo("nothing changed since the last push" if pushed else "nothing was pushed yet")
