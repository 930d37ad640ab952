"""How one rule became what Kibana gets, in one environment."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ruledeploy.allowlist.compile import Scope
from ruledeploy.compile.means import PLAIN, Means
from ruledeploy.compile.release import compile_all
from ruledeploy.compile.rule import RuleCompiler
from ruledeploy.compile.together import Library, filters_of
from ruledeploy.compile.unit import Recipe
from ruledeploy.errors import Collector, Problems, RuledeployError, RuleError, UsageError
from ruledeploy.model import DetectionRule, Release
from ruledeploy.project import Project
from ruledeploy.query.exceptions import build_exception_filter
from ruledeploy.sigma import (
    RuleHead,
    RuleSource,
    by_reference,
    filter_targets,
    references,
)
from ruledeploy.sigma.explain import explain

SCHEMA = 1


def explain_rule(
    project: Project, scope: Scope, wanted: str, means: Means = PLAIN, *, compare: bool = False
) -> dict[str, Any]:
    """`{schema, env, source, filters, rules[]}` for the rule of that id, name, title or path.

    Each rule (one for each variant) has `query`, `steps` (how each comparison became its part of
    the query), `items` (the exceptions it links) and `exception_filter` (what Kibana adds under
    `must_not`); to `compare`, also `published`, as pySigma's own backend converts it. Raises
    `UsageError` for a rule that is not there or not deployed in the environment, and the rule's
    own errors.
    """
    env = scope.env
    collector = Collector()
    compiled = compile_all(project, env, scope.today, collector, means)
    head = _named(wanted, compiled.sources, collector)
    _raise_own(collector, head)
    recipe = Recipe(env, scope.marker, project.env_names)
    library = Library(project.rule_files)
    source = library.source(head)
    filters = _filters(project, recipe, library, compiled.sources, head)
    rules = [rule for rule in compiled.release.rules if rule.provenance.source_id == head.id]
    if not rules:
        raise UsageError(f"{head.title!r} is not deployed in {env.name}", location=head.location)
    compiler = RuleCompiler(env, recipe.marker)
    explained = [_explained(rule, source, filters, compiler, compiled.release) for rule in rules]
    if compare:
        for each in explained:
            each["published"] = _published(source, each["language"])
    return {
        "schema": SCHEMA,
        "env": env.name,
        "source": {
            "path": head.path,
            "line": head.location.line,
            "id": head.id,
            "title": head.title,
            "logsource": asdict(head.logsource),
            "detection": source.raw.get("detection"),
        },
        "filters": [{"path": each.path, "title": each.title} for each in filters],
        "rules": explained,
    }


def _named(wanted: str, sources: tuple[RuleHead, ...], collector: Collector) -> RuleHead:
    known = references(
        sources, lambda head: (name.lower() for name in (head.name, head.title, head.path) if name)
    )
    try:
        return by_reference(known, wanted.lower())
    except RuleError as error:
        # The rule may also be one that did not load.
        unknown = UsageError(error.message, hint=error.hint)
        raise Problems([unknown, *collector.errors]) if collector.errors else unknown from error


def _raise_own(collector: Collector, head: RuleHead) -> None:
    """Errors of other files are no reason to keep silent about this rule."""
    own = Collector()
    own.errors = [e for e in collector.errors if e.location and e.location.path == head.path]
    own.raise_if_any()


def _filters(
    project: Project,
    recipe: Recipe,
    library: Library,
    sources: tuple[RuleHead, ...],
    head: RuleHead,
) -> list[RuleSource]:
    collector = Collector()
    folders = [project.overlay_files(folder) for folder in recipe.env.overlays]
    found = []
    filters, _ = filters_of(recipe, library, sources, folders, collector)
    for each in filters:
        with collector.collect():
            if head in filter_targets(each, sources):
                found.append(each)
    return found


def _explained(
    rule: DetectionRule,
    source: RuleSource,
    filters: list[RuleSource],
    compiler: RuleCompiler,
    release: Release,
) -> dict[str, Any]:
    items = release.items_of(rule)
    lists = {values.body["id"]: values.values for values in release.value_lists}
    exceptions = build_exception_filter([item.body for item in items], release.date, lists)
    return {
        "rule_id": rule.rule_id,
        "name": rule.name,
        "family": rule.family,
        "language": rule.body.get("language"),
        "index": rule.body.get("index"),
        "query": rule.body.get("query"),
        "steps": _steps(rule, source, filters, compiler),
        "items": [
            {
                "item_id": item.item_id,
                "name": item.body["name"],
                "path": item.provenance.path,
                "line": item.provenance.line,
                "entries": item.body["entries"],
            }
            for item in items
        ],
        "exception_filter": exceptions.filter,
    }


def _steps(
    rule: DetectionRule, source: RuleSource, filters: list[RuleSource], compiler: RuleCompiler
) -> list[dict[str, Any]]:
    """How the detection was read; none for a query written by hand or a correlation."""
    if source.elastic.query is not None or source.kind != "rule":
        return []
    targets = [compiler.target(source, variant, []) for variant in (None, *source.elastic.variants)]
    for target in targets:
        if target.table.family == rule.family:
            try:
                return [asdict(step) for step in explain(source, target, filters)]
            except RuledeployError:
                continue
    return []


def _published(source: RuleSource, language: str) -> dict[str, Any] | None:
    """None for a query written by hand, and a language the published backend does not write."""
    from ruledeploy.sigma.published import published  # noqa: PLC0415 - loads slowly, seldom asked

    if source.elastic.query is not None or source.kind != "rule":
        return None
    found = published(source, language)
    return None if found is None else asdict(found)
