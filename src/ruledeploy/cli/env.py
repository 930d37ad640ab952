"""`ruledeploy env`."""

from __future__ import annotations

from ruledeploy.cli.options import HERE, Json, Root, command_app
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import open_project

app = command_app()


@app.command(name="list", short_help="Name, server, space and overlays of each.")
def list_(*, root: Root = HERE, json_: Json = False) -> None:
    """List the environments of this project, with server, space and overlay folders."""
    project = open_project(root)
    envs = [project.environment(name) for name in project.env_names]
    rows = [
        {
            "name": env.name,
            "kibana_url": env.kibana_url,
            "space": env.space,
            "language": env.language,
            "exceptions": list(env.overlays),
            "attack_version": env.attack_version,
            "confirm": env.confirm,
        }
        for env in envs
    ]
    if json_:
        print_json({"schema": 1, "environments": rows})
        return
    from ruledeploy.report.terminal import console, table

    shown = table("environment", "server", "space", "language", "overlays")
    for env in envs:
        overlays = ", ".join(env.overlays)
        shown.add_row(env.name, env.kibana_url, env.space, env.language, overlays)
    console().print(shown)


@app.callback()
def env() -> None:
    """List the environments of this project."""
