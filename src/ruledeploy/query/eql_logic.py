"""What EQL's comparisons ask, as Elasticsearch asks it of the index.

Elasticsearch turns each comparison into a clause of its query DSL, and `and`, `or`, `not` into a
boolean query: a comparison with a field that has no value is false and its `not` is true, and of
several values any counts. Null is what remains of an optional field that no index has, `?field`.
It equals null alone; any other comparison with it is null, and so is its `not`, and a conjunction
with it finds nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.ir import (
    ALWAYS,
    NEVER,
    AnyOf,
    Column,
    Exists,
    Glob,
    Leaf,
    Matcher,
    Node,
    Range,
    Regexp,
    Scalar,
    Term,
    all_of,
    any_of,
    negate,
)
from ruledeploy.query.numbers import WHOLE
from ruledeploy.query.regexp import ANYTHING, MAX_REGEX_LENGTH, literal_of, parse_regexp
from ruledeploy.query.terms import DATES, FLOATS, TEXTS

_STRINGS = frozenset({"keyword", "wildcard", "constant_keyword", "version"})
_SUPPORTED = _STRINGS | TEXTS | DATES | FLOATS | set(WHOLE) | {"ip", "boolean"}
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Field(Struct, frozen=True, gc=False):
    """A field at `at` in the query, and the functions applied to it, innermost first.

    `type` is its Elasticsearch type, None where it is not known. `exact` is the field that is
    compared, which for a text is its keyword; empty where there is none.
    """

    name: str
    at: int
    type: str | None
    exact: str
    steps: tuple[str, ...] = ()


class Literal(Struct, frozen=True, gc=False):
    """A constant; None is null."""

    value: Scalar | None


class Test(Struct, frozen=True, gc=False):
    """A condition: what it asks, or None where it is null."""

    node: Node | None


Operand: TypeAlias = Field | Literal | Test

NULL = Literal(None)


def checked(name: str, at: int, type_: str | None, keyword: str | None) -> Field:
    """A field of a known type. `keyword` is the type of its multi-field `.keyword`.

    Raises QueryError for a type that EQL cannot use.
    """
    if type_ not in _SUPPORTED:
        raise QueryError(f"EQL cannot use {name} at {at}, which is {type_}", position=at)
    if type_ in TEXTS:
        return Field(name, at, type_, f"{name}.keyword" if keyword == "keyword" else "")
    return Field(name, at, type_, name)


# ----------------------------------------------------------------------------------------- logic


def conjunction(tests: Iterable[Node | None]) -> Node | None:
    """`and`: false if one is, else null if one is."""
    found = list(tests)
    if NEVER in found:
        return NEVER
    known = [node for node in found if node is not None]
    return all_of(*known) if len(known) == len(found) else None


def disjunction(tests: Iterable[Node | None]) -> Node | None:
    """`or`: nulls drop out of it, unless there is nothing else."""
    known = [node for node in tests if node is not None]
    return any_of(*known) if known else None


def negation(node: Node | None) -> Node | None:
    """`not`, which leaves null as it is."""
    return None if node is None else negate(node)


def truth(operand: Operand, at: int) -> Node | None:
    """An operand that stands as a condition: a comparison, a boolean, a boolean field."""
    match operand:
        case Test(node):
            return node
        case Literal(None):
            return None
        case Literal(bool(value)):
            return ALWAYS if value else NEVER
        case Field(steps=(), type=None | "boolean"):
            return ask(operand, Term(True))
        case _:
            raise QueryError(f"a condition is expected at {at}", position=at)


# ----------------------------------------------------------------------------------- comparisons


def ask(field: Field, matcher: Matcher) -> Leaf:
    """The question to a field, or to what its functions make of each of its values."""
    if not field.exact:
        raise QueryError(
            f"EQL cannot compare {field.name} at {field.at}, which is {field.type}",
            position=field.at,
            hint="use a keyword field, or another language",
        )
    return Leaf(field.exact, Column(matcher, field.steps) if field.steps else matcher)


def exists(field: Field) -> Node:
    """The field has a value; of a text too, which nothing else can be asked of."""
    matcher = Column(Exists(), field.steps) if field.steps else Exists()
    return Leaf(field.exact or field.name, matcher)


def compare(left: Operand, sign: str, right: Operand, at: int) -> Node | None:
    """`left == right` and its like; `at` is where the sign stands."""
    if sign == "!=":
        return negation(compare(left, "==", right, at))
    match left, right:
        case (Field() as field, Literal(None)) | (Literal(None), Field() as field):
            return negate(exists(field)) if sign == "==" else None
        case (Test(), Literal(None)) | (Literal(None), Test()):
            raise UnsupportedQuery(f"a condition compared with null at {at}", position=at)
        case (Test(node), Literal(bool(value))) | (Literal(bool(value)), Test(node)):
            return _equals_boolean(node, sign, at, wanted=value)
        case Field() as field, Literal(value) if value is not None:
            return _ordered(field, sign, value)
        case Literal(value), Field() as field if value is not None:
            return _ordered(field, sign.translate(str.maketrans("<>", "><")), value)
        case Literal(one), Literal(other):
            return _constant(one, sign, other, at)
        case Field(), Field():
            raise QueryError(f"EQL compares no field with a field: {sign} at {at}", position=at)
        case _:
            raise QueryError(f"a condition is compared at {at}", position=at)


def _equals_boolean(node: Node | None, sign: str, at: int, *, wanted: bool) -> Node | None:
    if sign != "==":
        raise QueryError(f"{sign} at {at} compares conditions", position=at)
    return node if wanted else negation(node)


def _ordered(field: Field, sign: str, value: Scalar) -> Node:
    match sign:
        case "==":
            return ask(field, Term(value))
        case ">" | ">=":
            return ask(field, Range(value, None, include_lower=sign == ">="))
        case _:
            return ask(field, Range(None, value, include_upper=sign == "<="))


def _constant(one: Scalar | None, sign: str, other: Scalar | None, at: int) -> Node | None:
    """Two constants, which a field that no index has becomes; null equals null alone."""
    if one is None or other is None:
        if sign != "==":
            return None
        return ALWAYS if one is other else NEVER
    if isinstance(one, str) != isinstance(other, str):
        raise QueryError(f"{sign} at {at} compares a string with a number", position=at)
    holds = one == other if sign == "==" else _ORDER[sign](one, other)
    return ALWAYS if holds else NEVER


# -------------------------------------------------------------------------------------- patterns


def among(field: Field, values: Sequence[Scalar | None], *, fold: bool, at: int) -> Node:
    """`in` and `in~`; null is never among them."""
    known = tuple(value for value in values if value is not None)
    if not fold:
        return ask(field, AnyOf(known)) if known else NEVER
    return any_of(*(ask(field, Term(text, fold=True)) for text in texts(field, known, at)))


def like(field: Field, values: Sequence[Scalar | None], *, fold: bool, at: int) -> Node:
    """`like`, `like~` and `:`; each star and question mark is a wildcard, a backslash itself."""
    return any_of(*(_pattern(field, text, fold=fold) for text in texts(field, values, at)))


def _pattern(field: Field, text: str, *, fold: bool) -> Node:
    if "*" not in text and "?" not in text:
        return ask(field, Term(text, fold=fold))
    if not text.strip("*"):
        return exists(field)
    return ask(field, Glob(text.replace("\\", "\\\\"), fold=fold))


def regex(field: Field, values: Sequence[Scalar | None], *, fold: bool, at: int) -> Node:
    """`regex` and `regex~`: Lucene's expressions, of which a list is one, over whole values."""
    pattern = "|".join(texts(field, values, at))
    if len(pattern) > MAX_REGEX_LENGTH:
        raise QueryError(
            f"the regular expressions at {at} are longer than {MAX_REGEX_LENGTH} together",
            position=at,
        )
    try:
        expr = parse_regexp(pattern)
    except QueryError as error:
        raise type(error)(f"{error.message} (at {at})", position=at, hint=error.hint) from error
    literal = literal_of(expr)
    if literal is not None:
        return ask(field, Term(literal, fold=fold))
    return exists(field) if expr == ANYTHING else ask(field, Regexp(pattern, fold=fold))


def texts(field: Field, values: Sequence[Scalar | None], at: int) -> list[str]:
    """The values, which must be strings as the field must be."""
    if field.type is not None and field.type not in _STRINGS | TEXTS:
        raise QueryError(
            f"strings are compared at {at}, but {field.name} is {field.type}",
            position=at,
            hint="use == or in",
        )
    found = [value for value in values if isinstance(value, str)]
    if len(found) < len(values):
        raise QueryError(f"only strings are compared at {at}", position=at, hint="use == or in")
    return found


def applied(field: Field, step: str, at: int) -> Field:
    """A function of a field: `length` of a string, or `string` of anything."""
    if step == "length":
        texts(field, (), at)
        return replace(field, type="long", steps=(*field.steps, "utf16_length"))
    return replace(field, type="keyword", steps=(*field.steps, "string"))
