"""Everything that can be said about a content repository without a network."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import date
from pathlib import PurePosixPath

from ruledeploy.compile import PLAIN, Means, Task, compile_all, each_file
from ruledeploy.errors import Collector, Location, Problems, RefusedError, RuledeployError
from ruledeploy.model import Finding, Release, TestCase
from ruledeploy.project import Project
from ruledeploy.sigma import RuleHead, load_cases, load_rules

# Sigma's words for a rule that others may rely on.
_RELIED_ON = frozenset({"stable", "test"})


def check_project(
    project: Project, today: date, envs: Sequence[str] = (), means: Means = PLAIN
) -> tuple[list[Finding], dict[str, Release]]:
    """Findings of every environment (or of `envs`), each once, and the releases that compiled.

    Errors in files are findings of severity `error`, so that one run reports all of them.
    """
    findings: dict[Finding, None] = {}
    releases: dict[str, Release] = {}
    sources: tuple[RuleHead, ...] | None = None
    for name in envs or project.env_names:
        collector = Collector()
        with collector.collect():
            compiled = compile_all(project, project.environment(name), today, collector, means)
            sources = compiled.sources
            findings.update(dict.fromkeys(compiled.release.findings))
            if not collector.errors:
                releases[name] = compiled.release
        for error in collector.errors:
            findings.update(dict.fromkeys(as_findings(error)))
    if sources is None:
        sources = load_rules(project.rule_files).rules
    findings.update(dict.fromkeys(_about_cases(project, sources)))
    findings.update(dict.fromkeys(_about_folders(project, envs or project.env_names)))
    linted = each_file(Task("lint", _linted, tuple[Finding, ...]), project.rule_files, means)
    findings.update((finding, None) for each in linted.values() for finding in each)
    ordered = sorted(findings, key=lambda each: (each.location, each.severity, each.message))
    return ordered, releases


def _linted(path: str, data: bytes) -> tuple[Finding, ...]:
    from ruledeploy.sigma.lint import lint_file  # noqa: PLC0415 - loads pySigma

    return lint_file(path, data)


def _about_folders(project: Project, envs: Iterable[str]) -> Iterator[Finding]:
    """Folders that the settings name and that hold nothing: a typo there would say nothing else."""
    settings = project.settings
    named: list[tuple[str, tuple[str, ...]]] = [
        (folder, ("project", "rules")) for folder in settings.project.get("rules", ())
    ]
    if "exceptions" in settings.project:
        named.append((project.exceptions_folder, ("project", "exceptions")))
    for name in envs:
        for folder in settings.envs.get(name, {}).get("exceptions", ()):
            below = f"{project.exceptions_folder}/{folder}"
            named.append((below, ("env", name, "exceptions")))
    for folder, place in named:
        path = PurePosixPath(folder)
        if not any(PurePosixPath(one).is_relative_to(path) for one in project.files):
            message = f"the folder {folder!r} holds nothing, or is not there"
            hint = "correct its name, or take it out"
            yield Finding("warning", "empty-folder", message, settings.at(*place), hint=hint)


def since(
    base: Iterable[Finding], findings: Iterable[Finding], concerned: Container[str]
) -> list[Finding]:
    """The findings in files that an edit concerns, and those that it brought into other files.

    A finding is the same when its path, code and message are; lines move.
    """
    before = {(each.location.path, each.code, each.message) for each in base}
    return [
        each
        for each in findings
        if each.location.path in concerned
        or (each.location.path, each.code, each.message) not in before
    ]


def _about_cases(project: Project, sources: Sequence[RuleHead]) -> Iterator[Finding]:
    """What is wrong with files of test cases, and rules without the cases they need."""
    cases: dict[str, tuple[TestCase, ...]] = {}
    try:
        cases = load_cases(project.case_files, sources)
    except RuledeployError as error:
        yield from as_findings(error)
    for source in sources:
        yield from _untested(source, (*source.tests, *cases.get(source.id, ())))


def as_findings(error: RuledeployError) -> Iterator[Finding]:
    """An error as findings, one for each problem in it; the code is the error's kind."""
    for each in error.errors if isinstance(error, Problems) else (error,):
        kind = "refused" if isinstance(each, RefusedError) else type(each).__name__
        code = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()
        place = each.location or Location("ruledeploy.toml", 1)
        yield Finding("error", code, each.message, place, each.hint)


def _untested(source: RuleHead, cases: Sequence[TestCase]) -> Iterator[Finding]:
    """A rule others rely on needs a case that must alert and one that must not."""
    if source.kind != "rule" or source.status not in _RELIED_ON:
        return
    expected = {case.expect for case in cases}
    positive, negative = "alert" in expected, bool(expected - {"alert"})
    if not (positive and negative):
        missing = "positive" if not positive else "negative"
        message = f"a rule of status {source.status} has no {missing} test case"
        hint = "add one under  tests:  with  expect: alert  or  no_alert, or in tests/detection/"
        yield Finding("warning", "untested", message, source.location, hint)
