"""`ruledeploy explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from ruledeploy.cli.options import HERE, Day, Env, Json, NoCache, Root, command_app, parse_day
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import means, open_project

app = command_app()


@app.command()
def explain(
    rule: Annotated[str, typer.Argument(help="A rule's id, name, title or path.")],
    *,
    env: Env,
    root: Root = HERE,
    json_: Json = False,
    published: Annotated[
        bool,
        typer.Option(help="Show beside it what pySigma's published backend makes of the rule."),
    ] = False,
    day: Day = "",
    no_cache: NoCache = False,
) -> None:
    """Show how a rule became its query, and what its exceptions take away.

    For each comparison: the line, the field and its type, what the query asks, and why so.
    """
    from ruledeploy.allowlist.compile import Scope
    from ruledeploy.compile.explain import explain_rule
    from ruledeploy.report.explain import print_explanation

    project = open_project(root)
    target = project.environment(env)
    scope = Scope(project.name, target, parse_day(day))
    how = means(no_cache=no_cache)
    explained = explain_rule(project, scope, rule, how, compare=published)
    if json_:
        print_json(explained)
    else:
        print_explanation(explained)
