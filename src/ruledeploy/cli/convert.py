"""`ruledeploy convert`."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruledeploy.cli.options import HERE, Day, Json, NoCache, Root, command_app, parse_day
from ruledeploy.cli.output import print_json, say, write_file
from ruledeploy.errors import Collector, RuledeployError, UsageError

if TYPE_CHECKING:
    from ruledeploy.compile import WrittenRule
    from ruledeploy.model import Environment
    from ruledeploy.project import Project
    from ruledeploy.project.files import Expect

app = command_app()

# Quoted words, dotted field names and numbers.
_NAMES = re.compile(r"`[^`]*`|'[^']*'|%[^%]+%|\b[\w@-]+(?:\.[\w@-]+)+|\b\d[\d,]*\b")


class Format(StrEnum):
    """What is printed of each rule."""

    query = "query"
    ndjson = "ndjson"
    rules_json = "rules-json"


class Language(StrEnum):
    """Query languages that rules can become."""

    lucene = "lucene"
    esql = "esql"
    eql = "eql"


@app.command()
def convert(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Rule files or folders; the project's if none.")
    ] = None,
    *,
    root: Root = HERE,
    env: Annotated[str, typer.Option("--env", "-e", help="Environment whose settings hold.")] = "",
    language: Annotated[Language | None, typer.Option(help="Instead of the environment's.")] = None,
    format_: Annotated[Format, typer.Option("--format", "-f", help="Output.")] = Format.query,
    output: Annotated[Path | None, typer.Option("--out", "-o", help="File; else stdout.")] = None,
    skip_refused: Annotated[
        bool, typer.Option("--skip-refused", help="Exit 0 although rules were refused.")
    ] = False,
    json_: Json = False,
    day: Day = "",
    no_cache: NoCache = False,
) -> None:
    """Show what rules become: queries, or Kibana's NDJSON.

    Allowlists are not applied: use plan and push for rules with their exceptions. What is named is
    converted whole, deprecated rules too; of the project, what is deployed. Exits 1 when a rule was
    refused, after printing the others.
    """
    from ruledeploy.allowlist.compile import Scope
    from ruledeploy.cli.workspace import means
    from ruledeploy.compile import compile_rules

    how = means(no_cache=no_cache)
    collector = Collector()
    with how.crew:
        project, target = _target(root, env, paths or [], how.expect)
        if language is not None:
            target = replace(target, language=language.value)
        scope = Scope(project.name, target, parse_day(day))
        compiled, _ = compile_rules(project, scope, collector, how, retired=bool(paths))
    rules = [rule for each in compiled for rule in each.rules]
    if output is not None:
        write_file(output, _lines(rules, format_))
    elif not json_:
        sys.stdout.writelines(_lines(rules, format_))
    idle = sum(not each.rules and not each.problems for each in compiled)
    summary = _summary(rules, idle, collector.errors)
    if json_:
        bodies = {} if output else {"rules": [rule.body for rule in rules]}
        print_json({**summary, **bodies})
    else:
        _say(summary, collector.errors)
    if collector.errors and not skip_refused:
        raise typer.Exit(1)


def _summary(
    rules: Sequence[WrittenRule], idle: int, errors: Sequence[RuledeployError]
) -> dict[str, Any]:
    """What became of the documents; `idle` of them make no rule here."""
    from ruledeploy.verify.check import as_findings

    refused = [finding.to_json() for error in errors for finding in as_findings(error)]
    reasons = Counter(_reason(each["message"]) for each in refused)
    return {
        "schema": 1,
        "converted": len(rules),
        "not_deployed": idle,
        "refused": refused,
        "reasons": dict(reasons.most_common()),
    }


def _reason(message: str) -> str:
    """A message without the names in it, so that like refusals count as one kind."""
    return _NAMES.sub("…", message)


def _say(summary: Mapping[str, Any], errors: Sequence[RuledeployError]) -> None:
    for error in errors:
        say(f"refused: {error}")
    if len(summary["reasons"]) > 1:
        for reason, count in summary["reasons"].items():
            say(f"{count:6} × {reason}")  # noqa: RUF001 - a count
    idle = f", {summary['not_deployed']} not deployed" if summary["not_deployed"] else ""
    say(f"{summary['converted']} converted, {len(summary['refused'])} refused{idle}")


def _target(root: Path, env: str, paths: list[Path], expect: Expect) -> tuple[Project, Environment]:
    """The project and environment to compile for; with paths, any folder of rules will do."""
    from ruledeploy.cli.workspace import loose_project, open_project, open_settings

    if paths:
        project = loose_project(paths, open_settings(root), expect)
    else:
        project = open_project(root, expect)
    names = project.env_names
    if not env and not names:
        raise UsageError("the project has no environment", hint="write one, such as [env.prod]")
    return project, project.environment(env or names[0])


def _lines(rules: Sequence[WrittenRule], format_: Format) -> Iterator[str]:
    match format_:
        case Format.query:
            for rule in rules:
                yield f"# {rule.name} ({rule.provenance.path})\n"
                yield f"{rule.body['query']}\n"
        case Format.ndjson:
            for rule in rules:
                yield f"{rule.line}\n"
        case Format.rules_json:
            bodies = [rule.body for rule in rules]
            yield json.dumps(bodies, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
