"""Compile everything one environment should hold."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from ruledeploy.allowlist import (
    Allowlist,
    KnownRule,
    Overlay,
    compile_overlays,
    effective_overlays,
    parse_overlays,
)
from ruledeploy.allowlist.compile import Scope
from ruledeploy.compile.rule import RuleCompiler
from ruledeploy.errors import Collector, RuleError
from ruledeploy.model import DetectionRule, Environment, Finding, Release
from ruledeploy.project import Project
from ruledeploy.sigma import RuleSource, load_rules

# What Sigma calls a rule that must no longer run.
_RETIRED = frozenset({"deprecated", "unsupported"})


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A source and the rules it became here: none when it is not deployed, several by variants."""

    source: RuleSource
    rules: tuple[DetectionRule, ...] = ()
    findings: tuple[Finding, ...] = ()


def compile_release(project: Project, env: Environment, today: date) -> Release:
    """The desired state of `env`: the same files, environment and day give the same bytes.

    Raises `Problems` (or the one error) with everything wrong in any file. What is doubtful but
    not wrong is in `Release.findings`; those with severity `error` break the environment's policy
    and must not be pushed.
    """
    collector = Collector()
    release = try_release(project, env, today, collector)
    collector.raise_if_any()
    return release


def try_release(project: Project, env: Environment, today: date, collector: Collector) -> Release:
    """What compiles of an environment; errors go to `collector`.

    Never push this: parts may be missing.
    """
    scope = Scope(project.name, env, today)
    compiled, said = compile_rules(project, scope, collector)
    allowlist = Allowlist()
    with collector.collect():
        known = [_known(each) for each in compiled]
        allowlist = compile_overlays(_overlays(project, env), known, scope)
    rules = [_linked(rule, allowlist) for each in compiled for rule in each.rules]
    findings = [*said, *(f for each in compiled for f in each.findings), *allowlist.findings]
    return Release(
        env=env.name,
        date=today.isoformat(),
        rules=tuple(sorted(rules, key=lambda rule: rule.rule_id)),
        lists=allowlist.lists,
        items=allowlist.items,
        findings=_sorted(findings),
    )


def compile_rules(
    project: Project, scope: Scope, collector: Collector
) -> tuple[list[CompiledRule], tuple[Finding, ...]]:
    """Every rule of the project for one environment, without links, and what loading said.

    Errors go to `collector`; one bad rule never stops the others.
    """
    sources = load_rules(project.rule_files)
    for error in sources.errors:
        collector.add(error)
    compiler = RuleCompiler(project, scope.env, scope.marker)
    compiled = []
    for source in sources.rules:
        # A rule that does not compile is still known: an overlay that names it is right.
        made = CompiledRule(source)
        with collector.collect():
            if _deployed(source, project, scope.env):
                rules, findings = compiler.compile(source)
                made = CompiledRule(source, rules, findings)
        compiled.append(made)
    return compiled, sources.findings


def _deployed(source: RuleSource, project: Project, env: Environment) -> bool:
    """Whether a source is deployed in this environment; its `environments` must exist."""
    for name in source.elastic.environments:
        if name not in project.env_names:
            near = difflib.get_close_matches(name, project.env_names, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known: {', '.join(project.env_names)}"
            )
            place = source.doc.at("elastic", "environments")
            raise RuleError(f"no environment {name!r}", location=place, hint=hint)
    if source.kind == "filter" or source.status in _RETIRED:
        return False
    return not source.elastic.environments or env.name in source.elastic.environments


def _overlays(project: Project, env: Environment) -> Sequence[Overlay]:
    collector = Collector()
    folders = []
    for folder in env.overlays:
        with collector.collect():
            folders.append(parse_overlays(project.overlay_files(folder)))
    collector.raise_if_any()
    return effective_overlays(folders)


def _known(compiled: CompiledRule) -> KnownRule:
    source = compiled.source
    pairs = tuple((rule.rule_id, rule.family) for rule in compiled.rules)
    return KnownRule(source.id, source.title, frozenset(source.tags), pairs)


def _linked(rule: DetectionRule, allowlist: Allowlist) -> DetectionRule:
    """The rule with its links; see `DetectionRule` for why `id` repeats the `list_id`."""
    links = [
        {"id": list_id, "list_id": list_id, "type": "detection", "namespace_type": "single"}
        for list_id in allowlist.links.get(rule.rule_id, ())
    ]
    return replace(rule, body={**rule.body, "exceptions_list": links})


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda each: (each.location, each.code, each.message)))
