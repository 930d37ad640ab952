"""`ruledeploy check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruledeploy import __version__
from ruledeploy.cli.options import (
    HERE,
    Day,
    Json,
    NoCache,
    Root,
    command_app,
    form_of,
    parse_day,
)
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import means, open_project, scenarios
from ruledeploy.errors import RuledeployError
from ruledeploy.project import Files, Project, load_project, read_commit

if TYPE_CHECKING:
    from ruledeploy.compile import Means
    from ruledeploy.model import Finding

app = command_app()


class Format(StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
    sarif = "sarif"
    junit = "junit"
    github = "github"


@app.command()
def check(
    *,
    root: Root = HERE,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="Only these environments.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.text,
    json_: Json = False,
    changed: Annotated[
        str,
        typer.Option(
            "--changed",
            metavar="BASE",
            help="Only findings in files that differ from this Git revision or depend on one that "
            "does, and those that the change brought into other files.",
        ),
    ] = "",
    day: Day = "",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as errors do.")] = False,
    no_cache: NoCache = False,
) -> None:
    """Validate rules, allowlists and settings offline.

    Exits 0 when nothing is wrong, 1 when an error was found.
    """
    form = form_of(format_, as_json=json_)
    how = means(no_cache=no_cache)
    with how.crew:
        project = open_project(root, how.expect)
        look = partial(_findings, today=parse_day(day), how=how)
        project.refuse_unknown(*(env or ()))
        envs = env or list(project.env_names)
        findings = look(project, envs)
        if changed:
            base = read_commit(root, changed)
            findings = _since(base, project, findings, partial(look, envs=envs))
    plain = [finding.to_json() for finding in dict.fromkeys(findings)]
    _print(plain, form)
    failing = {"error", "warning"} if strict else {"error"}
    if any(finding["severity"] in failing for finding in plain):
        raise typer.Exit(1)


def _findings(project: Project, envs: Sequence[str], today: date, how: Means) -> list[Finding]:
    """Everything there is to say, attacks that an allowlist hides included."""
    from ruledeploy.engine import EmbeddedEngine, tables_of
    from ruledeploy.telemetry import load_scenarios
    from ruledeploy.verify.blindspots import blind_spots
    from ruledeploy.verify.check import as_findings, check_project

    known = [name for name in envs if name in project.env_names] or list(envs)
    findings, releases = check_project(project, today, known, how)
    try:
        library = scenarios(project)
    except RuledeployError as error:
        findings += as_findings(error)
        library = load_scenarios()
    for name, release in releases.items():
        engine = EmbeddedEngine(tables_of(project.environment(name).tables))
        findings += blind_spots(release, engine, library)
    return findings


def _since(
    files: Files,
    project: Project,
    findings: list[Finding],
    look: Callable[[Project], list[Finding]],
) -> list[Finding]:
    """The findings in what the edit concerns, and those that the revision does not have."""
    from ruledeploy.verify.check import since
    from ruledeploy.verify.dependents import concerned

    try:
        before = look(load_project(files))
    except RuledeployError:
        before = []  # the revision did not load at all, so everything is new
    return since(before, findings, concerned(files, project.files))


def _print(findings: list[dict[str, Any]], format_: Format) -> None:
    from ruledeploy.report.findings import as_cases, github, print_findings
    from ruledeploy.report.junit import junit
    from ruledeploy.report.sarif import sarif

    match format_:
        case Format.json:
            print_json({"schema": 1, "findings": findings})
        case Format.sarif:
            print_json(sarif(findings, __version__))
        case Format.junit:
            typer.echo(junit("ruledeploy check", as_cases(findings)), nl=False)
        case Format.github:
            for line in github(findings):
                typer.echo(line)
        case Format.text:
            print_findings(findings)
