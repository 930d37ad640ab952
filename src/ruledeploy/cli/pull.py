"""`ruledeploy pull`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruledeploy.cli.options import HERE, Day, Env, Json, Root, command_app, parse_day
from ruledeploy.cli.output import print_json, say, write_file
from ruledeploy.cli.workspace import means, open_project

if TYPE_CHECKING:
    from ruledeploy.cli.session import Server
    from ruledeploy.deploy import Live, Ref
    from ruledeploy.deploy.pull import Pulled
    from ruledeploy.project import Project

app = command_app()


@app.command()
def pull(
    *,
    env: Env,
    root: Root = HERE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")
    ] = False,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Bring the rules and exceptions of a space into the files.

    Afterwards the files compile to what is live, and a plan is empty. Existing files keep their
    comments and the order of their keys; pulling twice changes nothing. What files cannot say is
    named and left out. Writes nothing to Kibana; the record learns that the objects are ours.
    """
    from ruledeploy.cli.session import connected
    from ruledeploy.deploy.pull import read_space

    project = open_project(root)
    with connected(project, env, root) as here:
        for warning in here.warnings:
            say(f"warning: {warning}")
        live = read_space(here.kibana)
        if not live.complete:
            say("warning: this space holds more rules than Kibana shows; the others stay out")
        taken = take(project, here, live, day)
        record = 0 if dry_run else write_down(taken, here, live, root, "pulled from Kibana")
    done = outcome(taken, record)
    if json_:
        print_json({"schema": 1, "env": env, **done})
    else:
        show(done, env)


def take(
    project: Project, here: Server, live: Live, day: str, only: Collection[Ref] | None = None
) -> Pulled:
    """The files that say what is live; nothing is written yet."""
    from ruledeploy.deploy import refuse_unfinished
    from ruledeploy.deploy.pull import pull as pull_files
    from ruledeploy.deploy.pull_work import Question

    applied = here.store.applied()
    refuse_unfinished(applied)
    asked = Question(project, here.env, parse_day(day), live, applied, only, means())
    return pull_files(asked)


def write_down(taken: Pulled, here: Server, live: Live, root: Path, reason: str) -> int:
    """Write the files, then the record; the record's number (0: it said so already)."""
    from ruledeploy.cli.session import commit_of
    from ruledeploy.deploy import write_adoption

    for path, data in taken.files.items():
        write_file(root / path, data.decode("utf-8"))
    return write_adoption(here.store, taken.release, live, commit_of(root), reason)


# The outcome where there was nothing to write.
NOTHING: dict[str, Any] = {"files": [], "record": 0, "left": [], "findings": []}


def outcome(taken: Pulled, record: int) -> dict[str, Any]:
    """Which files were written, what was left out and why, and what policy still asks for."""
    wanting = [
        finding
        for finding in taken.release.findings
        if finding.severity == "error" and finding.location.path in taken.files
    ]
    return {
        "files": sorted(taken.files),
        "record": record,
        "left": [one.to_json() for one in taken.left],
        "findings": [finding.to_json() for finding in wanting],
    }


def show(done: Mapping[str, Any], env: str) -> None:
    """The outcome as text."""
    for path in done["files"]:
        typer.echo(f"  + {path}")
    for one in done["left"]:
        what = one["object"]
        typer.echo(f"  · not pulled: {what['kind']} {what['id']} ({what['name']}): {one['why']}")
    for finding in done["findings"]:
        place = f"{finding['path']}:{finding['line']}"
        say(f"warning: {place}: {finding['message']}; {finding['hint']}")
    left = f", {len(done['left'])} objects left out" if done["left"] else ""
    typer.echo(f"{env}: {len(done['files'])} files to review{left}")
