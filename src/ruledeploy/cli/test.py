"""`ruledeploy test`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import HERE, Day, Json, Root, command_app, parse_day
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import open_project, scenarios

if TYPE_CHECKING:
    from ruledeploy.model import TestCase
    from ruledeploy.project import Project
    from ruledeploy.verify.cases import CaseResult

app = command_app()


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"
    github = "github"


@app.command()
def test(
    *,
    root: Root = HERE,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="Only these environments; else all.")
    ] = None,
    only: Annotated[
        str, typer.Option("-k", metavar="TEXT", help="Only rules and cases with this in the name.")
    ] = "",
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.text,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Run the rules' test cases against an environment's release.

    Cases stand under `tests:` in a rule: events or a scenario, and whether the rule alerts, does
    not, or is suppressed by an allowlist item. What allowlist items say they suppress and keep is
    tried as well. Exits 1 when a case fails.
    """
    from ruledeploy.compile import compile_release
    from ruledeploy.engine import EmbeddedEngine
    from ruledeploy.report.cases import github, print_results
    from ruledeploy.verify.cases import run_cases
    from ruledeploy.verify.evidence import run_evidence
    from ruledeploy.verify.running import bench

    project = open_project(root)
    cases = _cases(project, only)
    library = scenarios(project)
    results: list[CaseResult] = []
    for name in env or project.env_names:
        release = compile_release(project, project.environment(name), parse_day(day))
        tried = bench(EmbeddedEngine(), release)
        results += run_cases(release, cases, tried, library)
        if not only:
            env_ = project.environment(name)
            results += run_evidence(project, env_, release, tried, library)
    plain = [result.to_json() for result in results]
    match Format.json if json_ else format_:
        case Format.json:
            print_json({"schema": 1, "results": plain})
        case Format.github:
            for line in github(plain):
                typer.echo(line)
        case Format.text:
            print_results(plain)
    if any(result["outcome"] == "fail" for result in plain):
        raise typer.Exit(1)


def _cases(project: Project, only: str) -> dict[str, tuple[TestCase, ...]]:
    """Cases by Sigma id; `only` must be in the title of the rule or the name of the case."""
    from ruledeploy.sigma import load_rules

    wanted = only.lower()
    cases: dict[str, tuple[TestCase, ...]] = {}
    for source in load_rules(project.rule_files).rules:
        whole = wanted in source.title.lower()
        chosen = tuple(c for c in source.tests if whole or wanted in c.name.lower())
        if chosen:
            cases[source.id] = chosen
    return cases
