"""`ruledeploy test`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ruledeploy.cli.options import (
    HERE,
    Day,
    Json,
    Root,
    command_app,
    form_of,
    parse_day,
)
from ruledeploy.cli.output import json_text, say, write_file
from ruledeploy.cli.workspace import elasticsearch_client, means, open_project, scenarios
from ruledeploy.errors import UsageError

if TYPE_CHECKING:
    from ruledeploy.engine import Engine
    from ruledeploy.model import Environment
    from ruledeploy.project import Project
    from ruledeploy.telemetry import Emitted
    from ruledeploy.verify.suite import Suite

app = command_app()
# Scores are figures to compare, so they are always made on the same days.
_SCORED_FROM = datetime(2026, 1, 5, tzinfo=UTC)
_SEED = 1


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"
    junit = "junit"
    github = "github"
    markdown = "markdown"


class Which(StrEnum):
    """Who answers."""

    embedded = "embedded"
    elasticsearch = "elasticsearch"
    both = "both"


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
    which: Annotated[
        Which, typer.Option("--engine", help="Who answers; `both` must agree.")
    ] = Which.embedded,
    url: Annotated[
        str, typer.Option("--elasticsearch", metavar="URL", help="That cluster, for every env.")
    ] = "",
    scored: Annotated[
        bool, typer.Option("--score", help="Precision and recall on simulated, labelled days.")
    ] = False,
    events: Annotated[
        list[Path] | None, typer.Option("--events", help="Score on these files instead.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="The labels of --events.")] = None,
    again: Annotated[
        bool, typer.Option("--watch", help="Run again whenever a file changes.")
    ] = False,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.text,
    output: Annotated[Path | None, typer.Option("--out", "-o", help="File; else stdout.")] = None,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Run the rules' test cases against an environment's release.

    Cases stand under `tests:` in a rule, or in files under `tests/detection/`: events or a
    scenario, and whether the rule alerts, does not, or is suppressed by an allowlist item. What
    allowlist items say they suppress and keep is tried as well. Exits 1 when a case fails.
    """
    from ruledeploy.verify.suite import Wanted, run_suite

    if bool(events) != (labels is not None):
        raise UsageError("--events and --labels go together")
    if url:
        _refuse_url(url, which)
    labelled = _labelled(events or [], labels, simulated=scored)
    chosen = form_of(format_, as_json=json_)

    def once() -> Suite:
        project = open_project(root)
        with _engines(project, env or list(project.env_names), which, url) as engines:
            wanted = Wanted(engines, parse_day(day), scenarios(project), only, labelled, means())
            suite = run_suite(project, wanted)
        _show(suite, chosen, output)
        return suite

    if again:
        from ruledeploy.cli.watch import watch

        watch(root, once)
    suite = once()
    if only and not suite.results:
        # A mistyped name must not read as a green run.
        raise UsageError(f"no rule or case has {only!r} in its name")
    if suite.failed:
        raise typer.Exit(1)


@contextmanager
def _engines(
    project: Project, names: list[str], which: Which, url: str
) -> Iterator[dict[str, Engine]]:
    """The engine of each environment; clients are closed with the block."""
    from ruledeploy.engine import EmbeddedEngine, tables_of

    tables = {name: tables_of(project.environment(name).tables) for name in names}
    if which is Which.embedded:
        yield {name: EmbeddedEngine(tables[name]) for name in names}
        return
    from ruledeploy.verify.cluster import AgreeingEngine, ScratchEngine

    with ExitStack() as stack:
        engines: dict[str, Engine] = {}
        scratches = []
        for name in names:
            environment = _at(project, name, url)
            client = stack.enter_context(elasticsearch_client(environment))
            scratch = ScratchEngine(
                client, url=str(environment.elasticsearch_url), tables=tables[name]
            )
            scratches.append(scratch)
            engines[name] = (
                scratch
                if which is Which.elasticsearch
                else AgreeingEngine(EmbeddedEngine(tables[name]), scratch)
            )
        yield engines
        lacking = sorted(set().union(*(one.stood_in for one in scratches)))
        if lacking:
            say(f"note: this cluster lacks {', '.join(lacking)}; plain types stood in for them")


def _refuse_url(url: str, which: Which) -> None:
    """Raise `UsageError` for what is no URL, and for one that nobody would ask."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        # The value may hold a password, so it is not shown.
        raise UsageError("--elasticsearch takes a URL", hint="such as http://localhost:9200")
    if which is Which.embedded:
        message = "--elasticsearch is not asked by the embedded engine"
        raise UsageError(message, hint="add  --engine elasticsearch,  or  --engine both")


def _at(project: Project, name: str, url: str) -> Environment:
    """The environment; with a URL of its own on the command line, nobody else's credentials.

    A certificate and a fingerprint belong to one cluster as a key does; CAs may know several.
    """
    if not url:
        return project.environment(name, os.environ)
    written = project.environment(name)
    return replace(
        written,
        elasticsearch_url=url,
        api_key=None,
        username=None,
        password=None,
        client_cert=None,
        client_key=None,
        ca_fingerprint=None,
    )


def _labelled(events: list[Path], labels: Path | None, *, simulated: bool) -> tuple[Emitted, ...]:
    if labels is not None:
        from ruledeploy.verify.labelled import read_labelled

        return read_labelled(events, labels)
    if not simulated:
        return ()
    from ruledeploy.telemetry import attack_day, benign_day

    days = (attack_day(_SEED, _SCORED_FROM), benign_day(_SEED, _SCORED_FROM.replace(day=6)))
    return tuple(one for day in days for one in day)


def _show(suite: Suite, chosen: Format, output: Path | None) -> None:
    plain = suite.to_json()
    if output is not None:
        write_file(output, _text(plain, chosen))
        failed = sum(one["outcome"] == "fail" for one in plain["results"])
        say(f"{len(plain['results']) - failed} passed, {failed} failed: {output}")
    elif chosen is Format.text:
        _print_text(plain, sys.stdout)
    else:
        typer.echo(_text(plain, chosen), nl=False)


def _print_text(plain: Mapping[str, Any], stream: IO[str]) -> None:
    from ruledeploy.report import cases as report

    report.print_results(plain["results"], stream)
    report.print_scores(plain["scores"], stream)


def _text(plain: Mapping[str, Any], chosen: Format) -> str:
    from ruledeploy.report import cases as report

    results = plain["results"]
    match chosen:
        case Format.text:
            stream = StringIO()
            _print_text(plain, stream)
            return stream.getvalue()
        case Format.json:
            return json_text(plain)
        case Format.junit:
            return report.junit(results)
        case Format.github:
            return "".join(f"{line}\n" for line in report.github(results))
        case Format.markdown:
            return report.markdown(results)
