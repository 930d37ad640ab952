"""`ruledeploy doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruledeploy.cli.options import HERE, Day, Env, Json, Root, command_app, parse_day
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import open_project, reachable

if TYPE_CHECKING:
    from datetime import date

    from ruledeploy.errors import Collector
    from ruledeploy.model import Release
    from ruledeploy.project import Project

app = command_app()


@app.command()
def doctor(
    *,
    env: Env,
    root: Root = HERE,
    print_role: Annotated[
        bool,
        typer.Option(
            "--print-role", help="Print the least role that suffices, for PUT /_security/role."
        ),
    ] = False,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Look at everything around a push: server, key, records, rules, data.

    One line each, with what to do about it. Reads alone. Exits 1 when a line is an error.
    `--print-role` needs no server.
    """
    from ruledeploy.deploy import open_store
    from ruledeploy.deploy.doctor import examine
    from ruledeploy.deploy.doctor_lines import Subject
    from ruledeploy.deploy.doctor_role import minimal_role
    from ruledeploy.errors import Collector
    from ruledeploy.kibana import Connection, Kibana

    project, collector = open_project(root), Collector()
    release = _compiled(project, env, parse_day(day), collector)
    if print_role:
        print_json(minimal_role(project.name, project.environment(env).space, _patterns(release)))
        return
    checks = [_files(collector)]
    with reachable(project, env, root) as target, Kibana(Connection.of(target)) as kibana:
        store = open_store(project.name, target, root)
        checks += examine(Subject.of(target, kibana, store, release))
    plain = [check.to_json() for check in checks]
    if json_:
        print_json({"schema": 1, "env": env, "checks": plain})
    else:
        from ruledeploy.report.doctor import print_checks

        print_checks(plain)
    if any(check.state == "error" for check in checks):
        raise typer.Exit(1)


def _compiled(project: Project, env: str, day: date, collector: Collector) -> Release | None:
    from ruledeploy.compile import try_release

    return try_release(project, project.environment(env), day, collector)


def _patterns(release: Release | None) -> list[str]:
    rules = release.rules if release else ()
    return sorted({index for rule in rules for index in rule.body.get("index") or ()})


def _files(collector: Collector) -> Any:
    from ruledeploy.deploy.doctor_lines import Check

    if not collector.errors:
        return Check("files", "ok", "they compile")
    count, first = len(collector.errors), collector.errors[0]
    return Check("files", "error", f"{count} errors, the first: {first}", "`ruledeploy check`")
