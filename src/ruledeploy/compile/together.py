"""What a rule owes to other files: the filters that narrow it, the note it keeps beside itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ruledeploy.compile.rule import RuleCompiler, note
from ruledeploy.compile.unit import CompiledRule, Recipe, compile_source, deployed
from ruledeploy.errors import Collector
from ruledeploy.model import Finding
from ruledeploy.sigma import RuleHead, RuleSource, filter_targets, load_file, note_text


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


def narrowed(
    recipe: Recipe,
    library: Library,
    compiled: list[CompiledRule],
    filters: Iterable[RuleSource],
    collector: Collector,
) -> tuple[list[CompiledRule], list[Finding]]:
    """The rules with every filter applied: those that a filter names are compiled again."""
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
    if not by_rule:
        return compiled, findings
    compiler = RuleCompiler(recipe.env, recipe.marker)
    return [
        compile_source(recipe, compiler, library.source(rule.source), by_rule[rule.source.id])
        if rule.source.id in by_rule
        else rule
        for rule in compiled
    ], findings


def filters_of(
    recipe: Recipe,
    library: Library,
    compiled: Iterable[CompiledRule],
    folders: Iterable[Mapping[str, bytes]],
    collector: Collector,
) -> list[RuleSource]:
    """Filter documents among the rules, and those that lie in the environment's overlay folders.

    As with overlays, a later folder's filter replaces one of the same id.
    """
    found: dict[str, RuleSource] = {}
    for rule in compiled:
        if rule.source.kind == "filter":
            source = library.source(rule.source)
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
