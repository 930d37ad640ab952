"""Compile everything one environment should hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from ruledeploy.allowlist import (
    Allowlist,
    KnownRule,
    Overlay,
    compile_overlays,
    parse_value_files,
)
from ruledeploy.allowlist.compile import Scope
from ruledeploy.compile.means import PLAIN, Means, Task, each_file
from ruledeploy.compile.overlays import overlays_of
from ruledeploy.compile.together import (
    Library,
    correlated,
    filters_of,
    narrowed,
    narrowing,
    with_note,
)
from ruledeploy.compile.unit import CompiledRule, FileOutcome, Recipe, compile_file
from ruledeploy.errors import Collector, RuledeployError
from ruledeploy.model import DetectionRule, Environment, Finding, Release
from ruledeploy.project import Project
from ruledeploy.sigma import RuleHead, without_repeats


@dataclass(frozen=True, slots=True)
class Compiled:
    """What compiled of an environment, and every rule, correlation and filter that loaded."""

    release: Release
    sources: tuple[RuleHead, ...]


def compile_release(
    project: Project, env: Environment, today: date, means: Means = PLAIN
) -> Release:
    """The desired state of `env`: the same files, environment and day give the same bytes.

    Raises `Problems` (or the one error) with everything wrong in any file. What is doubtful but
    not wrong is in `Release.findings`; those with severity `error` break the environment's policy
    and must not be pushed.
    """
    collector = Collector()
    release = try_release(project, env, today, collector, means)
    collector.raise_if_any()
    return release


def try_release(
    project: Project,
    env: Environment,
    today: date,
    collector: Collector,
    means: Means = PLAIN,
) -> Release:
    """What compiles of an environment; errors go to `collector`.

    Never push this: parts may be missing.
    """
    return compile_all(project, env, today, collector, means).release


def compile_all(
    project: Project,
    env: Environment,
    today: date,
    collector: Collector,
    means: Means = PLAIN,
) -> Compiled:
    """As `try_release`, with the sources that every environment shares."""
    scope = Scope(project.name, env, today)
    compiled, said = compile_rules(project, scope, collector, means)
    allowlist = Allowlist()
    overlays: Sequence[Overlay] = ()
    own = Collector()
    with own.collect():
        overlays = overlays_of(project, env, means)
    with own.collect():
        files = parse_value_files(project.value_files)
        known = [_known(each) for each in compiled]
        allowlist = compile_overlays(overlays, known, scope, files)
    _tell(collector, own.errors)
    rules = [_linked(rule.read(), allowlist) for each in compiled for rule in each.rules]
    findings = [*said, *(f for each in compiled for f in each.findings), *allowlist.findings]
    release = Release(
        env=env.name,
        date=today.isoformat(),
        rules=tuple(sorted(rules, key=lambda rule: rule.rule_id)),
        lists=allowlist.lists,
        items=allowlist.items,
        value_lists=allowlist.value_lists,
        prebuilt=allowlist.prebuilt,
        findings=_sorted(findings),
    )
    return Compiled(release, tuple(each.source for each in compiled))


def compile_rules(
    project: Project,
    scope: Scope,
    collector: Collector,
    means: Means = PLAIN,
    *,
    retired: bool = False,
) -> tuple[list[CompiledRule], tuple[Finding, ...]]:
    """Every rule of the project for one environment, without links, and what loading said.

    Errors go to `collector`; one bad rule never stops the others. `retired` rules are left out
    unless they are asked for.
    """
    recipe = Recipe(scope.env, scope.marker, project.env_names, retired)
    collector.errors += project.errors
    task = Task(recipe.fingerprint(), partial(compile_file, recipe), FileOutcome)
    done = tuple(each_file(task, project.rule_files, means).values())
    for outcome in done:
        collector.errors += [problem.error() for problem in outcome.problems]
    compiled = _without_repeats([rule for outcome in done for rule in outcome.rules], collector)
    library = Library(project.rule_files)
    folders = [project.overlay_files(folder) for folder in scope.env.overlays]
    heads = [rule.source for rule in compiled]
    filters, loading = filters_of(recipe, library, heads, folders, collector)
    by_rule, said = narrowing(compiled, filters, collector)
    compiled = narrowed(recipe, library, compiled, by_rule)
    compiled = correlated(recipe, library, compiled, by_rule)
    finished = []
    _tell(collector, (problem.error() for rule in compiled for problem in rule.problems))
    for rule in compiled:
        with collector.collect():
            finished.append(with_note(rule, project.files))
    loading += [finding for outcome in done for finding in outcome.findings]
    return finished, (*loading, *said)


def _tell(collector: Collector, errors: Iterable[RuledeployError]) -> None:
    """Add errors that were not told before: several stages may meet one mistake."""
    told = {str(error) for error in collector.errors}
    for error in errors:
        if str(error) not in told:
            told.add(str(error))
            collector.add(error)


def _without_repeats(rules: list[CompiledRule], collector: Collector) -> list[CompiledRule]:
    by_source = {id(rule.source): rule for rule in rules}
    heads = without_repeats((rule.source for rule in rules), collector)
    return [by_source[id(head)] for head in heads]


def _known(compiled: CompiledRule) -> KnownRule:
    source = compiled.source
    pairs = tuple((rule.rule_id, rule.family) for rule in compiled.rules)
    return KnownRule(source.id, source.title, frozenset(source.tags), pairs)


def _linked(rule: DetectionRule, allowlist: Allowlist) -> DetectionRule:
    """The rule with its links; see `DetectionRule` for why `id` repeats the `list_id`."""
    types = {each.list_id: str(each.body["type"]) for each in allowlist.lists}
    links = [
        {
            "id": list_id,
            "list_id": list_id,
            "type": types.get(list_id, "detection"),
            "namespace_type": "single",
        }
        for list_id in allowlist.links.get(rule.rule_id, ())
    ]
    return replace(rule, body={**rule.body, "exceptions_list": links})


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda each: (each.location, each.code, each.message)))
