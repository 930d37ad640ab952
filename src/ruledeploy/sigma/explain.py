"""How each comparison of a rule became what the query asks, and why in that form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ruledeploy.errors import Location
from ruledeploy.fields import PRODUCER_FIXED, FieldTable
from ruledeploy.sigma.convert import Target, backend_of, condition_tree
from ruledeploy.sigma.forms import (
    AllOf,
    AnyOf,
    Compare,
    Exact,
    Exists,
    Fields,
    Form,
    Network,
    Never,
    Not,
    Regex,
    Value,
    Words,
)
from ruledeploy.sigma.source import RuleSource
from ruledeploy.sigma.tree import comparisons


@dataclass(frozen=True, slots=True)
class Step:
    """One comparison: where it is written, the field it became, what is asked, and why so."""

    location: Location
    field: str
    type: str
    asked: str
    why: str


def explain(
    source: RuleSource, target: Target, filters: Sequence[RuleSource] = ()
) -> tuple[Step, ...]:
    """Every comparison of a rule in the order of its condition. Raises what `convert` does."""
    backend = backend_of(target.language, source)
    tree = condition_tree(source, target, filters, [], backend)
    steps = []
    for comparison in comparisons(tree):
        place = comparison.place
        steps += [
            Step(
                place,
                _field(each) or comparison.field or "",
                _type(each, target.table),
                backend.render(each, place),
                why(each, target.table),
            )
            for form in backend.forms(comparison)
            for each in _parts(form)
        ]
    return tuple(dict.fromkeys(steps))


def _parts(form: Form) -> Iterator[Form]:
    match form:
        case AnyOf(forms) | AllOf(forms):
            for each in forms:
                yield from _parts(each)
        case _:
            yield form


def _field(form: Form) -> str | None:
    inner = form.form if isinstance(form, Not) else form
    return getattr(inner, "field", None)


def _type(form: Form, table: FieldTable) -> str:
    found = table.get(_field(form) or "")
    return found.type if found is not None else "not mapped"


def why(form: Form, table: FieldTable) -> str:
    """Why a comparison has its form: above all, what is done about letter case."""
    match form:
        case Value():
            return _case(form, table)
        case Regex():
            return "a regular expression, made to match the whole value as Lucene does"
        case Words():
            return "analysed text: its words are compared, in lower case"
        case Exact() | Compare():
            return "neither numbers, dates, addresses nor truth values have letter case"
        case Network():
            return "an address in a network"
        case Fields():
            return "two fields of one event, their texts compared in any letter case"
        case Exists():
            return "only that the field has a value"
        case Never():
            return "the field's type cannot hold the value: it never matches"
        case Not(inner):
            return f"the opposite, true where the field is missing: {why(inner, table)}"
        case _:
            return "several comparisons"


def _case(form: Value, table: FieldTable) -> str:
    found = table.get(form.field)
    if found is None and form.fold:
        return "not mapped, taken for a keyword: letter case is looked past"
    if form.fold:
        return f"a keyword keeps letter case: it is looked past{_but(form.field, table)}"
    if found is not None and found.normalizer == "lowercase":
        return "the index holds this field in lower case, so the value is in lower case too"
    if form.field in PRODUCER_FIXED:
        return "its producer always spells it the same way: compared exactly"
    return "compared exactly: no letter in it has a case, or the rule says `cased`"


def _but(field: str, table: FieldTable) -> str:
    sibling = table.caseless(field)
    if sibling is None:
        return ", and no sibling of it is in lower case"
    limit = table.get(sibling)
    if limit is None or limit.ignore_above is None:
        return ""
    return f" here, since {sibling} drops values over {limit.ignore_above} characters"
