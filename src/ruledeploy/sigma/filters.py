"""Sigma filters: a document that narrows other rules, which it names.

pySigma passes over a filter that names an unknown rule or another log source; here both are errors.
"""

from __future__ import annotations

from collections.abc import Iterable

from ruledeploy.errors import Collector, RuleError
from ruledeploy.sigma.reading import Reader
from ruledeploy.sigma.references import References, by_reference, references
from ruledeploy.sigma.source import LogSource, RuleHead, RuleSource

# Keys of `filter:` that are no selections.
NO_SELECTION = ("condition", "rules")
ANY = "any"


def check_filter(reader: Reader) -> None:
    """Note what is missing in a filter document."""
    below = reader.below("filter", reader.value["filter"])
    if not isinstance(below.value.get("condition"), str):
        below.wrong("condition", "a filter needs one condition", "condition: not selection")
    if not _references(below):
        hint = f"a list of rule ids or names, or `{ANY}`"
        below.wrong("rules", "a filter says which rules it narrows", hint)
    if not set(below.value) - {*NO_SELECTION}:
        below.wrong("filter", "a filter needs a selection", "selection: {field: value}")


def _references(below: Reader) -> tuple[str, ...]:
    return below.texts("rules")


def targets(source: RuleSource, rules: Iterable[RuleHead]) -> tuple[RuleHead, ...]:
    """The rules that a filter narrows.

    Raises `RuleError` (many: `Problems`) for a reference to no rule or to several, and for a rule
    of a log source that is not within the filter's.
    """
    written = source.raw["filter"]["rules"]
    names = [str(each) for each in (written if isinstance(written, list) else [written])]
    only_rules = [rule for rule in rules if rule.kind == "rule"]
    if names == [ANY]:
        return tuple(rule for rule in only_rules if _within(rule.logsource, source.logsource))
    known = references(only_rules, lambda rule: (rule.name, rule.title))
    errors = Collector()
    found: dict[str, RuleHead] = {}
    for number, name in enumerate(names):
        with errors.collect():
            rule = _named(source, number, name, known)
            found[rule.id] = rule
    errors.raise_if_any()
    return tuple(found.values())


def _named(source: RuleSource, number: int, name: str, known: References) -> RuleHead:
    place = source.doc.at("filter", "rules", number)
    rule = by_reference(known, name, place)
    if not _within(rule.logsource, source.logsource):
        message = (
            f"the filter is for {source.logsource.key}, "
            f"but {rule.title!r} is for {rule.logsource.key or 'no log source'}"
        )
        hint = "give the filter the rule's logsource, or a wider one"
        raise RuleError(message, location=place, hint=hint)
    return rule


def _within(narrow: LogSource, wide: LogSource) -> bool:
    """Whether everything that the wide one says, the narrow one says too."""
    pairs = (
        (wide.product, narrow.product),
        (wide.category, narrow.category),
        (wide.service, narrow.service),
    )
    return all(said is None or said == own for said, own in pairs)
