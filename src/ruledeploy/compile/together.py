"""What a rule owes to other files: filters that narrow it, rules it correlates, its note."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TypeAlias

from ruledeploy.compile.rule import RuleCompiler, note
from ruledeploy.compile.unit import CompiledRule, Recipe, compile_source, deployed, problems
from ruledeploy.errors import Collector, RuleError
from ruledeploy.model import Finding
from ruledeploy.sigma import (
    Correlation,
    RuleHead,
    RuleSource,
    correlation_of,
    filter_targets,
    load_file,
    note_text,
    refusing,
)


@dataclass(frozen=True, slots=True)
class Library:
    """Rules with their documents, read again from the files for the few that need it."""

    files: Mapping[str, bytes]
    read: dict[str, dict[str, RuleSource]] = field(default_factory=dict)

    def source(self, head: RuleHead) -> RuleSource:
        """The whole source of a rule that has loaded before."""
        if head.path not in self.read:
            loaded = load_file(head.path, self.files[head.path])
            self.read[head.path] = {rule.id: rule for rule in loaded.rules}
        return self.read[head.path][head.id]


Narrowing: TypeAlias = Mapping[str, Sequence[RuleSource]]


def narrowing(
    compiled: Iterable[CompiledRule], filters: Iterable[RuleSource], collector: Collector
) -> tuple[Narrowing, list[Finding]]:
    """The filters of each rule, by its id."""
    heads = [rule.source for rule in compiled]
    by_rule: defaultdict[str, list[RuleSource]] = defaultdict(list)
    findings: list[Finding] = []
    for each in filters:
        with collector.collect():
            found = filter_targets(each, heads)
            if not found:
                message = "no rule has this filter's log source"
                place = each.doc.at("logsource")
                findings.append(Finding("warning", "filter-without-rule", message, place))
            for head in found:
                by_rule[head.id].append(each)
    return dict(by_rule), findings


def narrowed(
    recipe: Recipe, library: Library, compiled: list[CompiledRule], filters: Narrowing
) -> list[CompiledRule]:
    """The rules with their filters applied: those that a filter names are compiled again."""
    compiler = RuleCompiler(recipe.env, recipe.marker)
    return [
        compile_source(recipe, compiler, library.source(rule.source), filters[rule.source.id])
        if rule.source.id in filters
        else rule
        for rule in compiled
    ]


def correlated(
    recipe: Recipe, library: Library, compiled: list[CompiledRule], filters: Narrowing
) -> list[CompiledRule]:
    """The correlations compiled from the rules they name.

    A rule that only correlations count (none says `generate: true`) is not deployed by itself.
    """
    wanted = [rule for rule in compiled if rule.source.kind == "correlation"]
    known = _by_reference(rule.source for rule in compiled) if wanted else {}
    done: dict[str, CompiledRule] = {}
    alone: dict[str, bool] = {}
    for rule in wanted:
        collector = Collector()
        made = CompiledRule(rule.source)
        with collector.collect(), refusing(rule.source.location):
            source = library.source(rule.source)
            if deployed(source, recipe):
                correlation = correlation_of(source)
                heads = _named(source, correlation, known)
                for head in heads.values():
                    alone[head.id] = alone.get(head.id, False) or correlation.generate
                parts = [
                    (name, library.source(head), filters.get(head.id, ()))
                    for name, head in heads.items()
                ]
                one, said = RuleCompiler(recipe.env, recipe.marker).correlate(source, parts)
                made = CompiledRule(rule.source, (one,), said)
        wrong = (*rule.problems, *problems(collector.errors))
        done[rule.source.id] = replace(made, problems=wrong)
    return [
        done.get(rule.source.id) or (rule if alone.get(rule.source.id, True) else _silent(rule))
        for rule in compiled
    ]


def _silent(rule: CompiledRule) -> CompiledRule:
    message = "counted by a correlation alone: not deployed by itself"
    place = rule.source.location
    finding = Finding("info", "correlated", message, place, "generate: true in the correlation")
    return replace(rule, rules=(), findings=(*rule.findings, finding))


def _by_reference(heads: Iterable[RuleHead]) -> dict[str, RuleHead]:
    known: dict[str, RuleHead] = {}
    for head in heads:
        known |= {each: head for each in (head.id, head.name) if each}
    return known


def _named(
    source: RuleSource, correlation: Correlation, known: Mapping[str, RuleHead]
) -> dict[str, RuleHead]:
    """The rules of a correlation by how it names them. Raises `RuleError` for one that is none."""
    collector = Collector()
    found: dict[str, RuleHead] = {}
    for number, name in enumerate(correlation.rules):
        with collector.collect():
            head = known.get(name) or known.get(name.lower())
            place = source.doc.at("correlation", "rules", number)
            if head is None:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else "the id or name of a rule"
                message = f"the correlation names no rule: {name!r}"
                raise RuleError(message, location=place, hint=hint)
            if head.kind != "rule":
                message = f"{name!r} is a {head.kind}: only rules can be correlated"
                raise RuleError(message, location=place)
            found[name] = head
    collector.raise_if_any()
    return found


def filters_of(
    recipe: Recipe,
    library: Library,
    heads: Iterable[RuleHead],
    folders: Iterable[Mapping[str, bytes]],
    collector: Collector,
) -> list[RuleSource]:
    """Filter documents among the rules, and those that lie in the environment's overlay folders.

    As with overlays, a later folder's filter replaces one of the same id.
    """
    found: dict[str, RuleSource] = {}
    for head in heads:
        if head.kind == "filter":
            source = library.source(head)
            with collector.collect():
                if deployed(source, recipe):
                    found[source.id] = source
    for folder in folders:
        for path, data in folder.items():
            if b"filter" in data:
                loaded = load_file(path, data, only="filter")
                for error in loaded.errors:
                    collector.add(error)
                found |= {rule.id: rule for rule in loaded.rules}
    return list(found.values())


def with_note(compiled: CompiledRule, files: Mapping[str, bytes]) -> CompiledRule:
    """The rule with the guide that `note_file` names."""
    source = compiled.source
    if source.elastic.note_file is None:
        return compiled
    text = note(source, note_text(source, files))
    rules = tuple(replace(rule, body={**rule.body, "note": text}) for rule in compiled.rules)
    return replace(compiled, rules=rules)
