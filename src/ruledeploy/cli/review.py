"""`ruledeploy review`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import (
    HERE,
    Day,
    Form,
    Format,
    Json,
    Root,
    command_app,
    form_of,
    parse_day,
)
from ruledeploy.cli.output import print_form
from ruledeploy.cli.workspace import means, open_project
from ruledeploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ruledeploy.engine import Engine
    from ruledeploy.model import Release
    from ruledeploy.project import Project

app = command_app()
NEEDS_APPROVAL = 5


@app.command()
def review(
    revisions: Annotated[
        str, typer.Argument(metavar="BASE[..HEAD]", help="Git revisions; HEAD: the work tree.")
    ],
    *,
    root: Root = HERE,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="Only these environments; else all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated days.")] = 1,
    format_: Format = Form.text,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Show what an edit of rules or allowlists hides.

    Compiles both revisions and runs them over a simulated attack day and a benign day. Exits 5
    when an attack's events fall silent somewhere.
    """
    from ruledeploy.report.review import markdown, print_review
    from ruledeploy.telemetry import attack_day, benign_day
    from ruledeploy.verify.review import review as compare

    form = form_of(format_, as_json=json_)
    base, head = _projects(root, revisions)
    for name in env or ():
        if name not in {*base.env_names, *head.env_names}:
            # Left alone, a typo would read as "nothing changes".
            raise UsageError(f"no environment {name!r} in either revision")
    today = parse_day(day)
    start = datetime.combine(today, time(), tzinfo=UTC)
    events = [*attack_day(seed, start), *benign_day(seed, start + timedelta(days=1))]
    made = compare(
        _releases(base, env or (), today),
        _releases(head, env or (), today),
        events,
        lambda name: _engine(head if name in head.env_names else base, name),
    )
    plain = made.to_json()
    print_form(form, plain, text=print_review, markdown=markdown)
    if made.needs_approval:
        raise typer.Exit(NEEDS_APPROVAL)


def _engine(project: Project, env: str) -> Engine:
    """The engine with an environment's field tables."""
    from ruledeploy.engine import EmbeddedEngine, tables_of

    return EmbeddedEngine(tables_of(project.environment(env).tables))


def _projects(root: Path, revisions: str) -> tuple[Project, Project]:
    """The projects of `BASE..HEAD`; `BASE` alone is compared with the work tree."""
    from ruledeploy.project import load_project, read_commit

    base, dots, head = revisions.partition("..")
    if not base or head.startswith("."):
        raise UsageError(f"{revisions!r} is no pair of revisions", hint="such as main..HEAD")
    after = load_project(read_commit(root, head or "HEAD")) if dots else open_project(root)
    return load_project(read_commit(root, base)), after


def _releases(project: Project, envs: Sequence[str], today: date) -> dict[str, Release]:
    from ruledeploy.compile import compile_release

    names = [name for name in project.env_names if not envs or name in envs]
    return {
        name: compile_release(project, project.environment(name), today, means()) for name in names
    }
