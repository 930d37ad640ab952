"""`ruledeploy doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import HERE, Day, Env, Json, Root, command_app, parse_day
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import means, open_project, reachable

if TYPE_CHECKING:
    from ruledeploy.deploy.doctor_lines import Check
    from ruledeploy.errors import Collector

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

    What is well in a line; what is not, each with what to do about it (--json has every check).
    Reads alone. Exits 1 when a line is an error. `--print-role` needs no server, and files that
    compile.
    """
    from ruledeploy.compile import try_release
    from ruledeploy.deploy import open_store
    from ruledeploy.deploy.doctor import examine
    from ruledeploy.deploy.doctor_lines import Subject, all_patterns
    from ruledeploy.deploy.doctor_role import minimal_role
    from ruledeploy.errors import Collector
    from ruledeploy.kibana import Connection, Kibana

    project, collector = open_project(root), Collector()
    environment = project.environment(env)
    release = try_release(project, environment, parse_day(day), collector, means())
    if print_role:
        # A role without what a broken file searches would be too small, and nobody would know.
        collector.raise_if_any()
        patterns = all_patterns(release.rules)
        print_json(minimal_role(project.name, environment.space, patterns))
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


def _files(collector: Collector) -> Check:
    from ruledeploy.deploy.doctor_lines import Check

    if not collector.errors:
        return Check("files", "ok", "they compile")
    count, first = len(collector.errors), collector.errors[0]
    return Check("files", "error", f"{count} errors, the first: {first}", "`ruledeploy check`")
