"""`ruledeploy tune`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import HERE, Day, Env, Json, Root, command_app, parse_day
from ruledeploy.cli.output import print_json, say, write_file
from ruledeploy.cli.past import Events, Keep, Since, Until, keeping, past_of
from ruledeploy.cli.workspace import means, open_project, scenarios
from ruledeploy.errors import UsageError
from ruledeploy.project.files import is_yaml

if TYPE_CHECKING:
    from ruledeploy.model import Environment
    from ruledeploy.project import Project
    from ruledeploy.verify.tune import Proposed

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
    keep: Keep = False,
    since: Since = "",
    until: Until = "",
    at_least: Annotated[int, typer.Option(min=1, help="How many alerts make a habit.")] = 5,
    anyone: Annotated[
        bool, typer.Option("--anyone", help="Also who is unsigned and in a folder open to all.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Add the proposals to this file; an overlay that has a file grows there.",
        ),
    ] = None,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Propose allowlist items from alerts, with evidence.

    Looks at the events of --events, or at those of the environment's cluster --since. Alerts are
    grouped by who causes them; a proposal is compiled and run like any overlay, what it hides is
    counted, and one that would hide a known attack is withdrawn. Owner and reason stay yours. Items
    that are there already stay as they are.
    """
    from ruledeploy.engine import Kept
    from ruledeploy.report.tune import print_tuned
    from ruledeploy.verify.tune import Tuning, tune

    # Every proposal is tried on the files: for the second time they are columns.
    kept = keeping(keep=keep, events=events) or Kept()
    project = open_project(root)
    target = project.environment(env)
    path = _path_in(project, target, root, output) if output is not None else ""
    with past_of(project, root, env, events, (since, until), kept=kept) as past:
        what = Tuning(
            project=project,
            env=target,
            day=parse_day(day),
            past=past,
            library=scenarios(project),
            at_least=at_least,
            anyone=anyone,
            only=rule,
            path=path,
            means=means(),
        )
        proposed = tune(what)
    if json_:
        rules = [one.to_json() for one in proposed.rules]
        print_json({"schema": 1, "env": env, "rules": rules})
    else:
        print_tuned([one.to_json() for one in proposed.rules])
    if output is not None:
        _write(proposed, root, None if path else output)
    elif proposed.files and not json_:
        say(f"write them with  -o {root / next(iter(proposed.files))}")


def _path_in(project: Project, env: Environment, root: Path, output: Path) -> str:
    """The file as the project names it; nothing for one outside the folder of overlays.

    Raises `UsageError` for a file among the overlays that the environment would not read.
    """
    overlays = root / project.exceptions_folder
    target = output.resolve()
    if not target.is_relative_to(overlays.resolve()):
        return ""
    for folder in env.overlays:
        here = (overlays / folder).resolve()
        if target.is_relative_to(here) and is_yaml(target.name):
            inside = target.relative_to(here).as_posix()
            return PurePosixPath(project.exceptions_folder, folder, inside).as_posix()
    raise UsageError(
        f"env.{env.name} would not read {output}",
        hint=f"name a .yml file in a folder that it reads: {', '.join(env.overlays) or 'none'}",
    )


def _write(proposed: Proposed, root: Path, elsewhere: Path | None) -> None:
    """Take the proposals over into the project, or write them alone to a file elsewhere."""
    overlays = [one for one in proposed.rules if one.overlay]
    if not overlays:
        say("nothing to propose, nothing written")
    elif elsewhere is not None:
        write_file(elsewhere, "---\n".join(one.overlay for one in overlays))
        say(f"{len(overlays)} overlays in {elsewhere}")
    else:
        for path, data in proposed.files.items():
            write_file(root / path, data.decode())
            count = sum(
                not item.refused for one in overlays if one.path == path for item in one.proposals
            )
            items = "1 item" if count == 1 else f"{count} items"
            say(f"{items} added to {root / path}")
