"""`ruledeploy tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ruledeploy.cli.options import HERE, Day, Env, Json, Root, command_app, parse_day
from ruledeploy.cli.output import print_json, say, write_file
from ruledeploy.cli.past import Events, Since, Until, past_of
from ruledeploy.cli.workspace import means, open_project, scenarios

app = command_app()


@app.command()
def tune(
    *,
    env: Env,
    root: Root = HERE,
    rule: Annotated[
        str, typer.Option("--rule", "-r", metavar="TEXT", help="Only rules with this in the name.")
    ] = "",
    events: Events = None,
    since: Since = "",
    until: Until = "",
    at_least: Annotated[int, typer.Option(min=1, help="How many alerts make a habit.")] = 5,
    anyone: Annotated[
        bool, typer.Option("--anyone", help="Also who is unsigned and in a folder open to all.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the overlays to this file.")
    ] = None,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Propose allowlist items from alerts, with evidence.

    Looks at the events of --events, or at those of the environment's cluster --since. Alerts are
    grouped by who causes them; a proposal is compiled and run like any overlay, what it hides is
    counted, and one that would hide a known attack is withdrawn. Owner and reason stay yours.
    """
    from ruledeploy.report.tune import print_tuned
    from ruledeploy.verify.tune import Tuning, tune

    project = open_project(root)
    with past_of(project, root, env, events, (since, until)) as past:
        what = Tuning(
            project=project,
            env=project.environment(env),
            day=parse_day(day),
            past=past,
            library=scenarios(project),
            at_least=at_least,
            anyone=anyone,
            only=rule,
            means=means(),
        )
        tuned = tune(what)
    plain = [one.to_json() for one in tuned]
    if output is not None:
        texts = [one.overlay for one in tuned if one.overlay]
        write_file(output, "---\n".join(texts))
        say(f"{len(texts)} overlays in {output}")
    if json_:
        print_json({"schema": 1, "env": env, "rules": plain})
    else:
        print_tuned(plain)
        if output is None and any(one.overlay for one in tuned):
            folder = project.environment(env).overlays[-1]
            say(f"write them with  -o {project.exceptions_folder}/{folder}/tuned.yml")
