"""Sigma correlations as their documents say them, and as ES|QL that groups events.

A correlation counts (or sums, or averages) the events of its rules within a time span, for each
combination of the values it groups by. Here that is one query over the last span: the rules'
conditions, then `stats … by`, then a condition on the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError

from ruledeploy.errors import Collector, Location, RuleError
from ruledeploy.sigma.reading import Reader
from ruledeploy.sigma.source import RuleSource

TYPES = (
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_median",
    "value_percentile",
    "temporal",
    "temporal_ordered",
)
OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "==", "neq": "!="}
_KEYS = ("type", "rules", "group-by", "timespan", "aliases", "condition", "generate")
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhdwMy])")
_SECONDS = {
    "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800,
    "M": 30 * 86400, "y": 365 * 86400,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Correlation:
    """What a `correlation:` block says.

    `rules` are references as written. `seconds` is the time span. `aliases` give, for a name that
    is grouped by, each rule's own field. `expression` is a condition over rules by their names,
    of which `operator` and `count` are then without meaning.
    """

    type: str
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    seconds: int
    operator: str = ">="
    count: int = 1
    fields: tuple[str, ...] = ()
    percentile: int | None = None
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    expression: Any = None
    generate: bool = False


def correlation_of(source: RuleSource) -> Correlation:
    """The block of a document that has loaded. Raises `RuleError` (many: `Problems`)."""
    errors = Collector()
    reader = Reader(source.doc, errors, (), source.raw)
    found = read_correlation(reader)
    errors.raise_if_any()
    return found


def read_correlation(reader: Reader) -> Correlation:
    """Reads the `correlation:` of a document; what is wrong is noted at its place."""
    if not isinstance(reader.value["correlation"], Mapping):
        reader.wrong("correlation", "must be a mapping", "type, rules, timespan, condition")
        return Correlation("", (), (), 0)
    below = reader.below("correlation", reader.value["correlation"])
    below.refuse_unknown(_KEYS)
    kind = below.choice("type", TYPES) or ""
    if not kind and below.value.get("type") is None:
        below.wrong("type", "a correlation needs a type", ", ".join(TYPES))
    if kind == "temporal_ordered":
        below.wrong(
            "type",
            "the order of events is not in ES|QL",
            "type: temporal, or a rule whose `elastic.query` is an EQL sequence",
        )
    references = below.texts("rules")
    expression, operator, count, fields, percentile = _condition(below, kind, references)
    rules = references or _named_in(expression)
    if not rules:
        below.wrong("rules", "a correlation says which rules it counts", "ids or names of rules")
    return Correlation(
        kind,
        rules,
        below.texts("group-by"),
        _timespan(below),
        operator,
        count,
        fields,
        percentile,
        _aliases(below, rules),
        expression,
        below.flag("generate") or False,
    )


def _timespan(below: Reader) -> int:
    text = below.text("timespan") or ""
    found = _SPAN.fullmatch(text)
    if found is None:
        below.wrong("timespan", f"{text!r} is not a time span", "such as 30s, 5m, 1h, 7d")
        return 1
    return int(found[1]) * _SECONDS[found[2]]


def _condition(
    below: Reader, kind: str, references: Sequence[str]
) -> tuple[Any, str, int, tuple[str, ...], int | None]:
    """Expression, operator, count, fields and percentile."""
    written = below.value.get("condition")
    nothing = (None, ">=", max(len(references), 1), (), None)
    if isinstance(written, str):
        return _expression(below, written, kind, references), *nothing[1:]
    if written is None and kind.startswith("temporal"):
        return nothing
    inner = below.below("condition", written)
    said = [name for name in OPERATORS if name in inner.value]
    inner.refuse_unknown((*OPERATORS, "field", "percentile"))
    if len(said) != 1:
        hint = "such as  gte: 10"
        below.wrong("condition", f"one of {', '.join(OPERATORS)} is needed", hint)
        return nothing
    count = inner.integer(said[0], -(2**31), 2**31 - 1)
    fields = inner.texts("field")
    if kind.startswith("value_") and not fields:
        below.wrong("condition", f"{kind} is about a field", "field: name")
    if len(fields) > 1 and kind != "value_count":
        inner.wrong("field", "only value_count takes several")
    percentile = inner.integer("percentile", 0, 100)
    if kind == "value_percentile" and percentile is None:
        below.wrong("condition", "value_percentile needs a percentile", "percentile: 95")
    return None, OPERATORS[said[0]], count or 0, fields, percentile


def _expression(below: Reader, text: str, kind: str, references: Sequence[str]) -> Any:
    if not kind.startswith("temporal"):
        below.wrong("condition", f"{kind} needs a count", "such as  gte: 10")
        return None
    try:
        parsed = SigmaExtendedCorrelationCondition(text).parsed
    except SigmaError as error:
        below.wrong("condition", str(error), "names of rules, and, or, not")
        return None
    unknown = sorted(set(_named_in(parsed)) ^ set(references)) if references else []
    if unknown:
        below.wrong("condition", f"`rules` and the condition differ in {', '.join(unknown)}")
    return parsed


def _named_in(expression: Any) -> tuple[str, ...]:
    match expression:
        case SigmaRuleReference():
            return (expression.reference,)
        case CorrelationConditionItem():
            names = (name for arg in expression.args for name in _named_in(arg))
            return tuple(dict.fromkeys(names))
        case _:
            return ()


def _aliases(below: Reader, rules: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    written = below.mapping("aliases") or {}
    inner = below.below("aliases", written)
    out: dict[str, dict[str, str]] = {}
    for name, mapping in written.items():
        if not isinstance(mapping, Mapping):
            inner.wrong(name, "an alias maps rules to fields", "rule_name: field")
            continue
        for rule in mapping:
            if rule not in rules:
                inner.below(name, mapping).wrong(rule, "is not among the correlation's rules")
        out[str(name)] = {str(rule): str(to) for rule, to in mapping.items()}
    return out


# ----------------------------------------------------------------------------------- as ES|QL


@dataclass(frozen=True, slots=True)
class Part:
    """One rule of a correlation, in ES|QL.

    `reference` is how the correlation names it, `found` its condition as the index is asked, `row`
    as a row is. `column` translates a Sigma field to a column of the rule's events.
    """

    reference: str
    found: str
    row: str
    column: Callable[[str], str]


def esql_of(
    correlation: Correlation, index: Sequence[str], parts: Sequence[Part], place: Location
) -> str:
    """The query: `from … | where … | stats … by … | where …`."""
    groups = [_group(name, correlation, parts) for name in correlation.group_by]
    conditions = list(dict.fromkeys(part.found for part in parts))
    asked = conditions[0] if len(conditions) == 1 else " or ".join(f"({c})" for c in conditions)
    guards = [f"{column} is not null" for column, made in groups if made is None]
    where = " and ".join([f"({asked})", *guards]) if guards else asked
    steps = [f"from {', '.join(index)}", f"where {where}"]
    for column, made in groups:
        if made is not None:
            steps += [f"eval {column} = {made}", f"where {column} is not null"]
    aggregates, condition = _counted(correlation, parts, place)
    by = f" by {', '.join(column for column, _ in groups)}" if groups else ""
    return " | ".join([*steps, f"stats {aggregates}{by}", f"where {condition}"])


def _group(name: str, correlation: Correlation, parts: Sequence[Part]) -> tuple[str, str | None]:
    """A column to group by, and the expression that makes it where the rules' fields differ."""
    mapping = correlation.aliases.get(name, {})
    columns = {part.row: part.column(mapping.get(part.reference, name)) for part in parts}
    if len(set(columns.values())) == 1:
        return next(iter(columns.values())), None
    choices = ", ".join(f"{row}, {column}" for row, column in columns.items())
    return _quoted(name), f"case({choices})"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) else f"`{name}`"


def _counted(correlation: Correlation, parts: Sequence[Part], place: Location) -> tuple[str, str]:
    """The aggregates, and the condition on them."""
    kind, limit = correlation.type, f"{correlation.operator} {correlation.count}"
    if kind == "event_count":
        return "event_count = count(*)", f"event_count {limit}"
    if kind == "temporal":
        return _together(correlation, parts)
    columns = {tuple(part.column(each) for each in correlation.fields) for part in parts}
    if len(columns) > 1:
        names = ", ".join(correlation.fields)
        message = f"the rules have {names} in different fields"
        raise RuleError(message, location=place, hint="correlate rules of one log source")
    (found,) = columns
    if kind == "value_count":
        texts = ', "|", '.join(f"to_string({column})" for column in found)
        what = found[0] if len(found) == 1 else f"concat({texts})"
        return f"value_count = count_distinct({what})", f"value_count {limit}"
    number = f"to_double({found[0]})"
    function = kind.removeprefix("value_")
    argument = f"{number}, {correlation.percentile}" if function == "percentile" else number
    return f"{kind} = {function}({argument})", f"{kind} {limit}"


def _together(correlation: Correlation, parts: Sequence[Part]) -> tuple[str, str]:
    """One count per rule; they occur together where none (or not too few) of them is 0."""
    names = {part.reference: f"rule_{number}" for number, part in enumerate(parts, 1)}
    counts = ", ".join(f"{names[part.reference]} = count(*) where {part.row}" for part in parts)
    if correlation.expression is not None:
        return counts, _logic(correlation.expression, names)
    if (correlation.operator, correlation.count) == (">=", len(parts)):
        return counts, " and ".join(f"{name} > 0" for name in names.values())
    several = " + ".join(f"case({name} > 0, 1, 0)" for name in names.values())
    return counts, f"{several} {correlation.operator} {correlation.count}"


def _logic(expression: Any, names: Mapping[str, str]) -> str:
    match expression:
        case SigmaRuleReference():
            return f"{names[expression.reference]} > 0"
        case CorrelationConditionNOT():
            return f"not ({_logic(expression.args[0], names)})"
        case _:
            word = " and " if isinstance(expression, CorrelationConditionAND) else " or "
            return f"({word.join(_logic(arg, names) for arg in expression.args)})"
