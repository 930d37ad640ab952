"""`ruledeploy pull`."""

from __future__ import annotations

from collections.abc import Collection
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
    report(taken, env, record, json_=json_)


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


def report(taken: Pulled, env: str, record: int, *, json_: bool) -> None:
    """Which files were written, what was left out and why, and what policy still asks for."""
    files = sorted(taken.files)
    wanting = [
        finding
        for finding in taken.release.findings
        if finding.severity == "error" and finding.location.path in taken.files
    ]
    if json_:
        result: dict[str, Any] = {"schema": 1, "env": env, "files": files, "record": record}
        result["left"] = [one.to_json() for one in taken.left]
        result["findings"] = [finding.to_json() for finding in wanting]
        print_json(result)
        return
    for path in files:
        typer.echo(f"  + {path}")
    for one in taken.left:
        typer.echo(f"  · not pulled: {one.ref} ({one.name}): {one.why}")
    for finding in wanting:
        say(f"warning: {finding.location}: {finding.message}; {finding.hint}")
    left = f", {len(taken.left)} objects left out" if taken.left else ""
    typer.echo(f"{env}: {len(files)} files to review{left}")
