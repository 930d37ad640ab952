"""`ruledeploy drift`."""

from __future__ import annotations

from typing import Any

import typer

from ruledeploy.cli.options import HERE, Env, Json, Root, command_app
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import open_project, reachable

app = command_app()
CHANGES = 2


@app.command()
def drift(*, env: Env, root: Root = HERE, json_: Json = False) -> None:
    """Show what changed on the server since the last push.

    Reads alone. Exits 2 when something changed, 0 when nothing did.
    """
    from ruledeploy.deploy import find_drift, open_store, preflight, read_applied
    from ruledeploy.kibana import Connection, Kibana

    project = open_project(root)
    with reachable(project, env, root) as target, Kibana(Connection.of(target)) as kibana:
        preflight(kibana)
        applied = open_store(project.name, target, root).applied()
        found = find_drift(read_applied(kibana, applied), applied)
    plain = [one.to_json() for one in found]
    if json_:
        print_json({"schema": 1, "env": env, "drift": plain})
    else:
        _print(plain)
    if plain:
        raise typer.Exit(CHANGES)


def _print(drifted: list[dict[str, Any]]) -> None:
    for one in drifted:
        typer.echo(f"{one['object']['kind']} {one['object']['name']}: {one['what']}")
        for field in one["fields"]:
            typer.echo(f"    {field['field']}: {field['applied']!r} → {field['live']!r}")
    if not drifted:
        typer.echo("nothing changed since the last push")
