"""`ruledeploy check`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ruledeploy.cli.options import HERE, Day, Json, NoCache, Root, command_app, parse_day
from ruledeploy.cli.output import print_json
from ruledeploy.cli.workspace import means, open_project, scenarios

app = command_app()


class Format(StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
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
    day: Day = "",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as errors do.")] = False,
    no_cache: NoCache = False,
) -> None:
    """Validate rules, allowlists and settings offline.

    Exits 0 when nothing is wrong, 1 when an error was found.
    """
    from ruledeploy.engine import EmbeddedEngine
    from ruledeploy.verify.blindspots import blind_spots
    from ruledeploy.verify.check import check_project

    project = open_project(root)
    findings, releases = check_project(project, parse_day(day), env or (), means(no_cache=no_cache))
    library = scenarios(project)
    for release in releases.values():
        findings += blind_spots(release, EmbeddedEngine(), library)
    plain = [finding.to_json() for finding in dict.fromkeys(findings)]
    _print(plain, Format.json if json_ else format_)
    failing = {"error", "warning"} if strict else {"error"}
    if any(finding["severity"] in failing for finding in plain):
        raise typer.Exit(1)


def _print(findings: list[dict[str, object]], format_: Format) -> None:
    from ruledeploy.report.findings import github, print_findings

    match format_:
        case Format.json:
            print_json({"schema": 1, "findings": findings})
        case Format.github:
            for line in github(findings):
                typer.echo(line)
        case Format.text:
            print_findings(findings)
