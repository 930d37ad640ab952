"""Everything that can be said about a content repository without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from ruledeploy.compile import PLAIN, Means, try_release
from ruledeploy.errors import Collector, Location, Problems, RefusedError, RuledeployError
from ruledeploy.model import Finding, Release, TestCase
from ruledeploy.project import Project
from ruledeploy.sigma import RuleSource, load_cases, load_rules

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
    for name in envs or project.env_names:
        collector = Collector()
        with collector.collect():
            release = try_release(project, project.environment(name), today, collector, means)
            findings.update(dict.fromkeys(release.findings))
            if not collector.errors:
                releases[name] = release
        for error in collector.errors:
            findings.update(dict.fromkeys(as_findings(error)))
    sources = load_rules(project.rule_files).rules
    cases: dict[str, tuple[TestCase, ...]] = {}
    try:
        cases = load_cases(project.case_files, sources)
    except Problems as problems:
        findings.update(dict.fromkeys(as_findings(problems)))
    for source in sources:
        own = (*source.tests, *cases.get(source.id, ()))
        findings.update(dict.fromkeys(_untested(source, own)))
    ordered = sorted(findings, key=lambda each: (each.location, each.severity, each.message))
    return ordered, releases


def as_findings(error: RuledeployError) -> Iterator[Finding]:
    """An error as findings, one for each problem in it; the code is the error's kind."""
    for each in error.errors if isinstance(error, Problems) else (error,):
        kind = "refused" if isinstance(each, RefusedError) else type(each).__name__
        code = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()
        place = each.location or Location("ruledeploy.toml", 1)
        yield Finding("error", code, each.message, place, each.hint)


def _untested(source: RuleSource, cases: Sequence[TestCase]) -> Iterator[Finding]:
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
