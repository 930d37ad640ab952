"""`ruledeploy backtest`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import (
    HERE,
    Day,
    Env,
    Form,
    Format,
    Json,
    Root,
    command_app,
    form_of,
    parse_day,
)
from ruledeploy.cli.output import print_form, print_json
from ruledeploy.cli.past import (
    MOST_AT_ONCE,
    Events,
    Keep,
    MaxConcurrent,
    Since,
    Until,
    keeping,
    past_of,
    window_of,
)
from ruledeploy.cli.workspace import elasticsearch_client, means, open_project, reachable
from ruledeploy.errors import UsageError

if TYPE_CHECKING:
    from ruledeploy.model import Release
    from ruledeploy.project import Project

app = command_app()


@app.command()
def backtest(
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
    compare: Annotated[
        str, typer.Option("--compare", metavar="BASE", help="A Git revision to compare with.")
    ] = "",
    max_concurrent: MaxConcurrent = MOST_AT_ONCE,
    top: Annotated[
        list[str] | None, typer.Option("--top", metavar="FIELD", help="Count this field's values.")
    ] = None,
    on_server: Annotated[
        bool, typer.Option("--preview", help="Let Kibana's own preview run the one rule of --rule.")
    ] = False,
    format_: Format = Form.text,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Show what the rules would have done to events gone by.

    Looks at the events of --events, or at those of the environment's cluster --since: with and
    without the allowlists, by day, by host, user and program, and what schedule, look-back and
    max_signals would have cost. With --compare, which alerts another revision gains and loses.
    """
    from ruledeploy.report.backtest import markdown, print_backtest
    from ruledeploy.verify.backtest import TOP_FIELDS
    from ruledeploy.verify.backtest import backtest as run

    form = form_of(format_, as_json=json_)
    if on_server:
        _refuse_unheard(
            {
                "--events": events,
                "--keep": keep,
                "--compare": compare,
                "--top": top,
                "--max-concurrent": max_concurrent != MOST_AT_ONCE,
                "--format markdown": form is Form.markdown,
            }
        )
    kept = None if on_server else keeping(keep=keep, events=events)
    project = open_project(root)
    release = _release(project, env, day)
    if on_server:
        _preview(project, root, release, rule, (since, until), as_json=form is Form.json)
        return
    base = None
    if compare:
        from ruledeploy.project import load_project, read_commit

        base = _release(load_project(read_commit(root, compare)), env, day)
    with past_of(
        project, root, env, events, (since, until), at_once=max_concurrent, kept=kept
    ) as past:
        made = run(release, past, base, only=rule, top_fields=top or TOP_FIELDS).to_json()
    print_form(form, made, text=print_backtest, markdown=markdown)


def _refuse_unheard(given: Mapping[str, object]) -> None:
    """Raise `UsageError` for options that a preview would pass over."""
    if unheard := [name for name, value in given.items() if value]:
        raise UsageError(
            f"--preview does not take {', '.join(unheard)}",
            hint="Kibana runs one rule as it is now, on its own data, and counts the alerts",
        )


def _release(project: Project, name: str, day: str) -> Release:
    from ruledeploy.compile import compile_release

    return compile_release(project, project.environment(name), parse_day(day), means())


def _preview(
    project: Project,
    root: Path,
    release: Release,
    name: str,
    when: tuple[str, str],
    *,
    as_json: bool,
) -> None:
    """The one rule that the name tells, on the server."""
    from ruledeploy.kibana import Connection, Kibana
    from ruledeploy.report.backtest import print_preview
    from ruledeploy.verify.preview import preview

    window = window_of(*when, datetime.now(UTC))
    found = [one for one in release.rules if name.lower() in one.name.lower()]
    if len(found) != 1:
        names = "; ".join(one.name for one in found) or "none"
        hint = "a preview runs one rule: tell it with --rule"
        raise UsageError(f"{len(found)} rules have {name!r} in their name: {names}", hint=hint)
    if window is None:
        raise UsageError("a preview needs --since", hint="such as --since 1d")
    with (
        reachable(project, release.env, root) as env,
        Kibana(Connection.of(env)) as kibana,
        elasticsearch_client(env) as client,
    ):
        made = preview(kibana, client, found[0], window).to_json()
    print_json(made) if as_json else print_preview(made)
