"""Forms as ES|QL.

ES|QL has three truth values: a comparison with a missing field is null, and so is its NOT. Under
a NOT each comparison is therefore guarded (`f is not null and …`, false where the field is
missing), which is what Sigma means. A comparison with a field of several values is null too, and
stays so. `:` is a term query, as Lucene's: it asks any of the values and is false where there is
none, so whole values are compared with it wherever the index holds them in the case asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ruledeploy.errors import Location
from ruledeploy.query.esql_tokens import RESERVED
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
    Side,
    Value,
    Words,
)
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.regex import fold as fold_regex
from ruledeploy.sigma.regex import has_case
from ruledeploy.sigma.rendering import Asked, Both, Clause, Either, Listed, Opposite, Rendering

_COMPARED = (Value, Words, Regex, Exact, Network, Compare)
_NAME = re.compile(r"@?[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_@][A-Za-z0-9_]*)*")
_LIKE_ESCAPES = str.maketrans({char: f"\\{char}" for char in "\\*?"})
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class EsqlText(Rendering):
    """A rule's condition as the expression after `where`.

    `of_rows`: one that may stand wherever rows are computed, where `:` may not.
    """

    def __init__(self, *, of_rows: bool = False) -> None:
        self.of_rows = of_rows

    def render(self, form: Form, place: Location) -> str:
        """One form as one clause that needs no further parentheses."""
        match form:
            case Exists():
                return f"{field_name(form.field)} is not null"
            case Not(form=Exists(field=field)):
                return f"({field_name(field)} is null)"
            case Not():
                return self._negation(form, place)
            case Never():
                return "false"
            case AnyOf() | AllOf():
                return self._joined(form, place)
            case Value():
                return self._value(form, place)
            case Fields():
                return self._fields(form)
            case Network():
                return self._guarded(_address(form), self._comparison(form))
            case _:
                return self._guarded(field_name(form.field), self._comparison(form))

    def _negation(self, form: Not, place: Location) -> str:
        before, self.negated = self.negated, True
        try:
            return f"(not {self.render(form.form, place)})"
        finally:
            self.negated = before

    def _fields(self, form: Fields) -> str:
        left, right = _side(form.left), _side(form.right)
        clauses = [
            *([f"starts_with({left}, {right})"] if form.starts else []),
            *([f"ends_with({left}, {right})"] if form.ends else []),
        ] or [f"{left} == {right}"]
        there = [f"{field_name(name)} is not null" for name in form.fields] if self.negated else []
        return _all_of([*there, *clauses])

    def _guarded(self, column: str, clause: str) -> str:
        return f"({column} is not null and {clause})" if self.negated else clause

    def _joined(self, form: AnyOf | AllOf, place: Location) -> str:
        word = " or " if isinstance(form, AnyOf) else " and "
        clauses = [self.render(each, place) for each in form.forms]
        return clauses[0] if len(clauses) == 1 else f"({word.join(clauses)})"

    def _comparison(self, form: Form) -> str:
        match form:
            case Words():
                fold = has_case(form.pattern.literal)
                return _compare_text(form.field, form.pattern, fold=fold)
            case Regex():
                return f"{field_name(form.field)} rlike {string(form.regex)}"
            case Exact():
                literal = string(form.literal) if form.quoted else form.literal
                return f"{field_name(form.field)} == {literal}"
            case Network():
                return f"cidr_match({_address(form)}, {string(form.network)})"
            case Compare():
                return f"{field_name(form.field)} {form.operator} {form.number}"
        raise AssertionError(form)  # the other forms are not comparisons

    def _value(self, form: Value, place: Location) -> str:
        plain = form.pattern.plain
        if plain is not None and not form.fold:
            if self.of_rows:
                return _any_equals(form, plain)
            return f"{field_name(form.field)} : {string(plain)}"
        if form.array:
            message = f"{form.field} may hold several values; ES|QL then matches none of them"
            self.warn("multi-value", message, place)
        clause = _compare_text(form.field, form.pattern, fold=form.fold)
        return self._guarded(field_name(form.field), clause)

    def text(self, asked: Asked) -> str:
        """One node; under a NOT, comparisons of one field alone share one guard.

        Elasticsearch's optimizer runs out of memory over some dozens of guards.
        """
        shared = self._shared_guard(asked) if self.negated else None
        if shared is None:
            return super().text(asked)
        self.negated = False
        try:
            return f"({field_name(shared)} is not null and ({super().text(asked)}))"
        finally:
            self.negated = True

    def _shared_guard(self, asked: Asked) -> str | None:
        """The one field that every comparison below AND and OR is of, none of them negative."""
        if not isinstance(asked, Both | Either):
            return None  # a list is guarded as one
        forms = list(_forms_below(asked))
        if all(isinstance(form, Value) and _is_term(form) for form in forms):
            return None  # these are never null
        fields = {_guarded_by(form) for form in forms}
        return fields.pop() if len(fields) == 1 else None

    def disjunction(self, asked: Either) -> str:
        """OR; long ones in groups, since ES|QL refuses expressions deeper than 300."""
        return self.in_groups(asked) or super().disjunction(asked)

    def group_key(self, form: Form) -> str | None:
        """Whole values of one field fit in one `in (…)`."""
        match form:
            case Value(fold=True, array=False) if form.pattern.plain is not None:
                return f"~{form.field}"
            case Exact(quoted=False):
                return f"#{form.field}"
            case Network():
                return f"/{_address(form)}"
            case _:
                return None

    def render_group(self, forms: list[Form], place: Location) -> str:  # noqa: ARG002
        """Several whole values."""
        literals: dict[str, None] = {}
        for form in forms:
            match form:
                case Value():
                    field, name = form.field, _column(form.field, fold=True)
                    literals[string(form.pattern.lowered().plain or "")] = None
                case Exact():
                    field, name = form.field, field_name(form.field)
                    literals[form.literal] = None
                case Network():
                    name = _address(form)
                    literals[string(form.network)] = None
        listed = ", ".join(literals)
        if isinstance(forms[0], Value) and len(literals) == 1:
            clause = _compare_text(field, forms[0].pattern, fold=True)
            return self._guarded(field_name(field), clause)
        if isinstance(forms[0], Network):
            return self._guarded(name, f"cidr_match({name}, {listed})")
        return self._guarded(field_name(field), f"{name} in ({listed})")


def _forms_below(asked: Asked) -> Iterator[Form | None]:
    match asked:
        case Clause(form):
            yield form
        case Opposite():
            yield None
        case Both(parts) | Either(parts) | Listed(parts):
            for part in parts:
                yield from _forms_below(part)


def _all_of(clauses: list[str]) -> str:
    return clauses[0] if len(clauses) == 1 else f"({' and '.join(clauses)})"


def _side(side: Side) -> str:
    """The text of one side, in lower case."""
    columns = [field_name(name) for name in side.fields]
    texts = columns if side.text else [f"to_string({column})" for column in columns]
    joined = f", {string(chr(92))}, ".join(texts)
    return f"to_lower({joined if len(texts) == 1 else f'concat({joined})'})"


def _guarded_by(form: Form | None) -> str | None:
    """The field whose presence makes the comparison true or false, never null."""
    if isinstance(form, Network) and form.converted:
        return None
    return form.field if isinstance(form, _COMPARED) else None


def _any_equals(form: Value, plain: str) -> str:
    """A whole value, never null; of a field that may hold several, any of them."""
    name = field_name(form.field)
    if not form.array:
        if not plain:
            return f'({name} is not null and {name} == "")'
        return f'coalesce({name}, "") == {string(plain)}'
    listed = f'concat("|", coalesce(mv_concat({name}, "|"), ""), "|")'
    pattern = Pattern((Wildcard.ANY, f"|{plain}|", Wildcard.ANY))
    return f"{listed} like {string(like(pattern))}"


def _is_term(form: Value) -> bool:
    """Whether `:` asks it: a whole value, in the letter case of the index."""
    return form.pattern.plain is not None and not form.fold


def _compare_text(field: str, pattern: Pattern, *, fold: bool) -> str:
    name = _column(field, fold=fold)
    wanted = pattern.lowered() if fold else pattern
    if fold and wanted.plain is not None and not wanted.plain.isascii():
        # The optimizer turns `to_lower(f) == "é"` into a comparison that folds ASCII letters only.
        return f"{field_name(field)} rlike {string(fold_regex(pattern))}"
    if wanted.plain is not None:
        return f"{name} == {string(wanted.plain)}"
    return f"{name} like {string(like(wanted))}"


def _column(field: str, *, fold: bool) -> str:
    return f"to_lower({field_name(field)})" if fold else field_name(field)


def _address(form: Network) -> str:
    """The column as an address."""
    name = field_name(form.field)
    return f"to_ip({name})" if form.converted else name


@lru_cache(maxsize=4096)
def field_name(name: str) -> str:
    """A column; quoted when a part of it is not a plain identifier, or a word of the language."""
    plain = _NAME.fullmatch(name) and RESERVED.isdisjoint(name.lower().split("."))
    return name if plain else f"`{name.replace('`', '``')}`"


def like(pattern: Pattern) -> str:
    r"""A pattern of LIKE: `*`, `?`, and `\` before their literals and its own."""
    return "".join(
        [
            part.sign if isinstance(part, Wildcard) else part.translate(_LIKE_ESCAPES)
            for part in pattern.parts
        ]
    )


def string(text: str) -> str:
    r"""A string literal: LIKE's `\\` becomes the four backslashes that match one."""
    return f'"{text.translate(_ESCAPES)}"'
