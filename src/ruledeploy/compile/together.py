"""What a rule owes to other files: filters that narrow it, rules it correlates, its note."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from ruledeploy.compile.unit import (
    RETIRED,
    CompiledRule,
    Recipe,
    WrittenRule,
    check_environments,
    compile_source,
    compiler_of,
    is_deployed,
    note,
    problems,
)
from ruledeploy.errors import Collector, Location, RuleError
from ruledeploy.model import Finding
from ruledeploy.sigma import (
    References,
    RuleHead,
    RuleSource,
    by_reference,
    filter_targets,
    load_file,
    note_text,
    references,
    refusing,
    without_repeats,
)

if TYPE_CHECKING:
    from ruledeploy.sigma.correlation import Correlation

# Of Kibana's types, those that alert on each event: what the others do beside is not counted.
_OF_EVENTS = frozenset({None, "query", "eql", "esql"})


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
    if not filters:
        return compiled
    compiler = compiler_of(recipe)
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
    if not wanted:
        return compiled
    from ruledeploy.sigma.correlation import correlation_of  # noqa: PLC0415 - loads slowly

    known = references((rule.source for rule in compiled), lambda head: (head.name,))
    done: dict[str, CompiledRule] = {}
    alone: dict[str, bool] = {}
    for rule in wanted:
        collector = Collector()
        made = CompiledRule(rule.source)
        with collector.collect(), refusing(rule.source.location):
            if is_deployed(rule.source, recipe):
                source = library.source(rule.source)
                correlation = correlation_of(source)
                counted = _named(source, correlation, known)
                for head in counted.values():
                    alone[head.id] = alone.get(head.id, False) or correlation.generate
                parts = [
                    (name, library.source(head), filters.get(head.id, ()))
                    for name, head in counted.items()
                ]
                one, said = compiler_of(recipe).correlate(source, parts)
                idle = _undeployed(source, counted, recipe)
                made = CompiledRule(rule.source, (WrittenRule.of(one),), (*said, *idle))
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


def _named(source: RuleSource, correlation: Correlation, known: References) -> dict[str, RuleHead]:
    """The rules of a correlation by how it names them.

    Raises `RuleError` for one that is none or cannot be counted, and for one that is to occur
    together with itself.
    """
    collector = Collector()
    found: dict[str, RuleHead] = {}
    for number, name in enumerate(correlation.rules):
        with collector.collect():
            place = source.doc.at("correlation", "rules", number)
            head = by_reference(known, name, place)
            _refuse_uncountable(head, name, place)
            if correlation.type == "temporal" and head in found.values():
                message = f"{name!r} is named twice: a rule always occurs together with itself"
                raise RuleError(message, location=place, hint="name it once")
            found[name] = head
    collector.raise_if_any()
    return found


def _refuse_uncountable(head: RuleHead, name: str, place: Location) -> None:
    """A correlation counts the events that a detection finds, and so needs nothing else."""
    if head.kind != "rule":
        message = f"{name!r} is a {head.kind}: only rules can be correlated"
        raise RuleError(message, location=place)
    if head.elastic.query is not None:
        message = f"{name!r} cannot be counted: its query is written by hand"
        raise RuleError(message, location=place, hint="write its condition as `detection`")
    kind = (head.elastic.kibana or {}).get("type", head.elastic.type)
    if kind not in _OF_EVENTS:
        message = f"{name!r} cannot be counted: a rule of type {kind} alerts on more than one event"
        raise RuleError(message, location=place, hint="count a rule that has its detection alone")


def _undeployed(
    source: RuleSource, counted: Mapping[str, RuleHead], recipe: Recipe
) -> Iterator[Finding]:
    """A rule that is retired, or for other environments, may still be counted: its author decides.

    Whoever retires a rule ought to hear what still rests on it.
    """
    for number, (name, head) in enumerate(counted.items()):
        if not is_deployed(head, recipe):
            why = f"its status is {head.status}" if head.status in RETIRED else "see `environments`"
            message = f"counts {name!r}, which is not deployed in {recipe.env.name}: {why}"
            place = source.doc.at("correlation", "rules", number)
            yield Finding("warning", "counts-undeployed", message, place, "name another rule")


def filters_of(
    recipe: Recipe,
    library: Library,
    heads: Iterable[RuleHead],
    folders: Iterable[Mapping[str, bytes]],
    collector: Collector,
) -> tuple[list[RuleSource], list[Finding]]:
    """Filter documents among the rules, and those that lie in the environment's overlay folders.

    As with overlays, a later folder's filter replaces one of the same id: also by one that is
    retired, which then narrows nothing. The findings are those of loading the overlay folders'.
    """
    filters = (head for head in heads if head.kind == "filter")
    found = {head.id: library.source(head) for head in filters}
    findings: list[Finding] = []
    for folder in folders:
        loaded = [
            load_file(path, data, only="filter")
            for path, data in folder.items()
            if b"filter" in data
        ]
        for each in loaded:
            collector.errors += each.errors
            findings += each.findings
        for source in without_repeats((one for each in loaded for one in each.rules), collector):
            with collector.collect():
                check_environments(source, recipe)
                found[source.id] = source
    return [source for source in found.values() if is_deployed(source, recipe)], findings


def with_note(compiled: CompiledRule, files: Mapping[str, bytes]) -> CompiledRule:
    """The rule with the guide that `note_file` names."""
    source = compiled.source
    if source.elastic.note_file is None:
        return compiled
    text = note(source, note_text(source, files))
    rules = (replace(rule.read(), body={**rule.body, "note": text}) for rule in compiled.rules)
    written = tuple(WrittenRule.of(rule) for rule in rules)
    return replace(compiled, rules=written)
