"""`ruledeploy history`."""

from __future__ import annotations

import typer

from ruledeploy.cli.options import HERE, Env, Json, Root, command_app
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import open_project, reachable

app = command_app()


@app.command()
def history(*, env: Env, root: Root = HERE, json_: Json = False) -> None:
    """List what was pushed to an environment.

    Newest first: who, when, from which commit, and how many objects changed; and the hold that
    a rollback left.
    """
    from ruledeploy.deploy import history as records_of
    from ruledeploy.deploy import open_store, read_hold
    from ruledeploy.report.terminal import console, table

    project = open_project(root)
    with reachable(project, env, root) as target:
        store = open_store(project.name, target, root)
        records, hold = list(records_of(store)), read_hold(store)
    if json_:
        held = hold.to_json() if hold else None
        print_json({"schema": 1, "env": env, "records": records, "hold": held})
        return
    if not records:
        typer.echo("nothing was pushed yet")
        return
    shown = table("#record", "state", "when", "who", "commit", "changes")
    for record in records:
        changes = ", ".join(f"{count} {action}" for action, count in record["changes"].items())
        commit = (record["commit"] or "-")[:12]
        shown.add_row(
            str(record["n"]), record["state"], record["when"], record["who"], commit, changes
        )
    console().print(shown)
    if hold:
        commit = (hold.commit or "everything")[:12]
        typer.echo(
            f"held: {commit} and older, rolled back to {hold.to} by {hold.who} ({hold.when})"
        )
