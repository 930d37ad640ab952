"""`ruledeploy rekey`."""

from __future__ import annotations

import typer

from ruledeploy.cli.options import HERE, Env, Json, Root, Yes, command_app
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import open_project

app = command_app()


@app.command()
def rekey(*, env: Env, root: Root = HERE, yes: Yes = False, json_: Json = False) -> None:
    """Make the rules run with the present key.

    An enabled rule runs with the key of whoever created, enabled or last wrote it, and stops when
    that key ends. Shows the enabled rules of ours, asks, and moves them to the key that is
    configured now; nothing else about them changes.
    """
    from ruledeploy.cli.applying import Applying, confirm, interruptible
    from ruledeploy.cli.session import connected
    from ruledeploy.deploy import key_moves
    from ruledeploy.deploy import rekey as move_to_present_key

    with connected(open_project(root), env, root) as here:
        moves = key_moves(here.kibana, here.store.applied())
        credential = here.kibana.connection.credential
        if not json_:
            for move in moves:
                typer.echo(f"  ~ rule {move.name}  last written by {move.written_by}")
            typer.echo(f"{env}: {len(moves)} rules to run with {credential}")
        if moves and not yes:
            confirm(f"make {len(moves)} rules run with {credential}?", Applying(json=json_))
        with interruptible() as stop:
            moved = move_to_present_key(here.kibana, moves, stop.is_set)
    if json_:
        rules = [move.to_json() for move in moves]
        print_json({"schema": 1, "env": env, "as": credential, "rules": rules, "moved": moved})
    elif moved:
        typer.echo(f"{env}: {moved} rules run with {credential} now")
