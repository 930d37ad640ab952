"""What a leaf asks of a field of a known type, as a test on the field's terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_network
from typing import Any, TypeAlias

from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldType
from ruledeploy.query import glob
from ruledeploy.query.dates import resolve_date
from ruledeploy.query.ir import (
    AnyOf,
    Column,
    Exists,
    Glob,
    Match,
    Matcher,
    OneValue,
    Phrase,
    Prefix,
    Range,
    Regexp,
    Scalar,
    Term,
    Within,
)
from ruledeploy.query.regexp import compile_regexp
from ruledeploy.query.steps import STEPS, result_type
from ruledeploy.query.terms import (
    DATES,
    FLOATS,
    STRINGS,
    TEXTS,
    WHOLE,
    IndexTerm,
    float_of,
    normalize,
    parse_ip,
    parse_number,
    whole_of,
)
from ruledeploy.query.text import lower, words


@dataclass(frozen=True, slots=True)
class Equal:
    """True when any term is among these."""

    terms: frozenset[IndexTerm]


@dataclass(frozen=True, slots=True)
class Each:
    """True when any term passes. Every term that passes contains `needle`."""

    test: Callable[[Any], bool]
    needle: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A test on all terms together; false when there is none."""

    test: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Dropped:
    """The text has no word: `query_string` takes the clause out of the query."""


Meaning: TypeAlias = Equal | Each | Whole | Dropped

NOTHING = Equal(frozenset())
PRESENT = Whole(bool)
_PLAIN = FieldType("keyword")


def meaning(matcher: Matcher, type_: FieldType, now: datetime, *, lenient: bool = False) -> Meaning:
    """The test that `matcher` is on a field of `type_`.

    Raises QueryError where Elasticsearch fails the search: a value that the type cannot hold, a
    pattern on a number. `lenient` (query_string without fields) makes those match nothing.
    """
    try:
        return _meaning(matcher, type_, now)
    except QueryError:
        if lenient:
            return NOTHING
        raise


def _meaning(matcher: Matcher, type_: FieldType, now: datetime) -> Meaning:
    match matcher:
        case Exists():
            return PRESENT
        case OneValue():
            return Whole(lambda terms: len(terms) == 1)
        case Column(inner, steps):
            return _column(inner, steps, type_, now)
        case Within():
            raise QueryError("a nested query is bound by its path")
        case _ if type_.type in TEXTS:
            return _on_text(matcher)
        case _ if type_.type in STRINGS:
            return _on_string(matcher, type_)
        case AnyOf(values):
            return _any([_meaning(Term(value), type_, now) for value in values])
        case Match(value) | Phrase(value) | Term(value):
            return _exact(value, type_, now)
        case Range():
            return _range(matcher, type_, now)
        case _:
            kind = type(matcher).__name__.lower()
            raise QueryError(f"{kind} patterns work on keyword and text, not on {type_.type}")


def _any(options: list[Meaning]) -> Meaning:
    """Equalities merged into one set; the rest asked in turn."""
    equal = frozenset[IndexTerm]().union(*(o.terms for o in options if isinstance(o, Equal)))
    tests = [option.test for option in options if isinstance(option, Each)]
    if not tests:
        return Equal(equal)
    return Each(lambda term: term in equal or any(test(term) for test in tests))


# ------------------------------------------------------------------------------------- keyword


def _on_string(matcher: Matcher, type_: FieldType) -> Meaning:
    match matcher:
        case Term(value, True):
            wanted = _ascii_lower(normalize(_text(value), type_))
            return Each(lambda term: _ascii_lower(term) == wanted)
        case Match(value) | Phrase(value) | Term(value):
            return Equal(frozenset({normalize(_text(value), type_)}))
        case AnyOf(values):
            return Equal(frozenset(normalize(_text(value), type_) for value in values))
        case Prefix(value, fold):
            return _prefix(normalize(value, type_), fold=fold)
        case Glob(pattern, fold):
            return _glob(pattern, fold=fold, lowered=type_.normalizer == "lowercase")
        case Regexp(pattern, fold, analysed):
            return _regexp(normalize(pattern, type_) if analysed else pattern, fold=fold)
        case Range(lower_, upper):
            low, high = (
                None if bound is None else normalize(_text(bound), type_)
                for bound in (lower_, upper)
            )
            return _between(low, high, matcher)
        case _:
            raise QueryError(f"{type(matcher).__name__} on a {type_.type}")


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _ascii_lower(text: str) -> str:
    return (
        text.lower()
        if text.isascii()
        else "".join(char.lower() if char.isascii() else char for char in text)
    )


def _prefix(prefix: str, *, fold: bool) -> Each:
    if fold:
        wanted = _ascii_lower(prefix)
        return Each(lambda term: _ascii_lower(term).startswith(wanted))
    return Each(lambda term: term.startswith(prefix), prefix)


def _glob(pattern: str, *, fold: bool, lowered: bool) -> Meaning:
    """A pattern on one term; stars alone fit any term there is."""
    if glob.matches_all(pattern):
        return PRESENT
    if lowered:
        pattern = lower_literals(pattern)
    literals = [text for text, wild in glob.parts(pattern) if not wild]
    needle = "" if fold else max(literals, key=len, default="")
    return Each(glob.compile_glob(pattern, fold=fold), needle)


def lower_literals(pattern: str) -> str:
    """The pattern with its literal parts lower-cased, escaped characters included."""
    return "".join(text if wild else glob.escape(lower(text)) for text, wild in glob.parts(pattern))


def _regexp(pattern: str, *, fold: bool) -> Each:
    return Each(compile_regexp(pattern, fold=fold))


def _between(low: Any, high: Any, bounds: Range) -> Each:
    """Terms from `low` to `high`; code point order is the order of UTF-8, which Lucene sorts by."""
    over = _over(low, inclusive=bounds.include_lower)
    under = _under(high, inclusive=bounds.include_upper)
    return Each(lambda term: over(term) and under(term))


def _over(low: Any, *, inclusive: bool) -> Callable[[Any], bool]:
    if low is None:
        return lambda _: True
    return (lambda term: bool(term >= low)) if inclusive else (lambda term: bool(term > low))


def _under(high: Any, *, inclusive: bool) -> Callable[[Any], bool]:
    if high is None:
        return lambda _: True
    return (lambda term: bool(term <= high)) if inclusive else (lambda term: bool(term < high))


# ---------------------------------------------------------------------------------------- text


def _on_text(matcher: Matcher) -> Meaning:
    """Questions to a text field: its terms are the words of each value."""
    match matcher:
        case Match(value, every):
            wanted = words(_text(value))
            return _all_words(wanted) if every else _any_word(wanted)
        case Phrase(value):
            return _phrase(words(_text(value)))
        case Prefix(value, fold, True):
            return _word_prefix(words(value), fold=fold)
        case Glob(pattern, fold, analysed):
            if glob.matches_all(pattern):
                return PRESENT
            return _over_words(_glob(pattern, fold=fold, lowered=analysed))
        case Regexp(pattern, fold, analysed):
            return _over_words(_regexp(lower(pattern) if analysed else pattern, fold=fold))
        case Range(low, high, analysed=True):
            lows, highs = (None if b is None else lower(_text(b)) for b in (low, high))
            return _over_words(_between(lows, highs, matcher))
        case _:
            return _over_words(_on_string(matcher, _PLAIN))


def _over_words(inner: Meaning) -> Meaning:
    """A question about one term, asked of each word."""
    match inner:
        case Equal(wanted):
            return Whole(lambda terms: not all(wanted.isdisjoint(value) for value in terms))
        case Each(test):
            return Whole(lambda terms: any(test(word) for value in terms for word in value))
        case _:
            return inner


def _any_word(wanted: tuple[str, ...]) -> Meaning:
    return _over_words(Equal(frozenset(wanted))) if wanted else Dropped()


def _all_words(wanted: tuple[str, ...]) -> Meaning:
    if not wanted:
        return Dropped()
    needed = frozenset(wanted)
    return Whole(lambda terms: needed <= frozenset[str]().union(*terms))


def _phrase(wanted: tuple[str, ...]) -> Meaning:
    """Consecutive words of one value: between values lies a gap of 100 positions."""
    size = len(wanted)
    if size <= 1:
        return _any_word(wanted)

    def has(value: tuple[str, ...]) -> bool:
        return any(value[n : n + size] == wanted for n in range(len(value) - size + 1))

    return Whole(lambda terms: any(map(has, terms)))


def _word_prefix(wanted: tuple[str, ...], *, fold: bool) -> Meaning:
    """A prefix of several words: any of the words, or a word that starts as the last one."""
    if not wanted:
        return Dropped()
    last = _prefix(wanted[-1], fold=fold)
    exact = frozenset(wanted[:-1])
    return _over_words(Each(lambda word: word in exact or last.test(word)))


# ------------------------------------------------------------- numbers, dates, addresses, booleans


def _exact(value: Scalar, type_: FieldType, now: datetime) -> Meaning:
    name = type_.type
    if name == "ip":
        return _address(_text(value))
    if name in DATES:
        return _range(Range(value, value), type_, now)
    if name == "boolean":
        return Equal(frozenset({_boolean(value)}))
    number = _number(value, type_)
    if name in WHOLE:
        whole = int(number) == number and whole_of(value, name) is not None
        return Equal(frozenset({int(number)})) if whole else NOTHING
    if name in FLOATS:
        stored = float_of(value, type_)
        return NOTHING if stored is None else Equal(frozenset({stored}))
    raise QueryError(f"cannot search a field of type {name}")


def _number(value: Scalar, type_: FieldType) -> int | float:
    number = parse_number(value)
    if number is None:
        raise QueryError(f"{value!r} is not a number, but the field is {type_.type}")
    return number


def _boolean(value: Scalar) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise QueryError(f"{value!r} is neither true nor false, but the field is boolean")


def _address(text: str) -> Meaning:
    """One address, or every address of a network in CIDR notation."""
    if "/" in text:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            raise QueryError(f"{text!r} is not a network") from None
        low, high = parse_ip(str(network[0])), parse_ip(str(network[-1]))
        return _between(low, high, Range())
    number = parse_ip(text)
    if number is None:
        raise QueryError(f"{text!r} is not an IP address")
    return Equal(frozenset({number}))


def _range(bounds: Range, type_: FieldType, now: datetime) -> Meaning:
    name = type_.type
    if name in DATES:
        return _date_range(bounds, now)
    low, high = (_bound(bound, type_) for bound in (bounds.lower, bounds.upper))
    return _between(low, high, bounds)


def _bound(value: Scalar | None, type_: FieldType) -> Any:
    if value is None:
        return None
    if type_.type == "ip":
        number = parse_ip(_text(value))
        if number is None:
            raise QueryError(f"{value!r} is not an IP address")
        return number
    if type_.type == "boolean":
        return _boolean(value)
    if type_.type in FLOATS:
        _number(value, type_)
        return float_of(value, type_)
    if type_.type in WHOLE:
        return _number(value, type_)
    raise QueryError(f"cannot compare a field of type {type_.type}")


def _date_range(bounds: Range, now: datetime) -> Meaning:
    """Bounds that are spans: from the first millisecond of one to the last of the other."""
    low = high = None
    if bounds.lower is not None:
        span = resolve_date(bounds.lower, now)
        low = span.first if bounds.include_lower else span.last + 1
    if bounds.upper is not None:
        span = resolve_date(bounds.upper, now)
        high = span.last if bounds.include_upper else span.first - 1
    return _between(low, high, Range())


# -------------------------------------------------------------------------------------- columns


def _typed(inner: Matcher, type_: FieldType, now: datetime) -> Matcher:
    """The question with literals of the column's type; ES|QL casts text to dates, not numbers."""
    match inner:
        case Term(value):
            return Term(_literal(value, type_, now))
        case AnyOf(values):
            return AnyOf(tuple(_literal(value, type_, now) for value in values))
        case Range(low, high):
            return replace(
                inner,
                lower=None if low is None else _literal(low, type_, now),
                upper=None if high is None else _literal(high, type_, now),
            )
        case _:
            return inner


def _literal(value: Scalar, type_: FieldType, now: datetime) -> Scalar:
    if type_.type in DATES and isinstance(value, str):
        return resolve_date(value, now).first
    numeric = type_.type in WHOLE or type_.type in FLOATS
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if numeric != number and type_.type not in DATES:
        raise QueryError(f"a column of type {type_.type} is compared with {value!r}")
    return value


def _column(inner: Matcher, steps: tuple[str, ...], type_: FieldType, now: datetime) -> Meaning:
    """A question to a column's values: a text's are whole strings, steps change them first."""
    plain = _PLAIN if type_.type in TEXTS else type_
    if not steps:
        return _meaning(_typed(inner, plain, now), plain, now)
    functions = [STEPS[step] for step in steps]
    asked = _meaning(inner, result_type(steps, plain), now)

    def changed(term: IndexTerm) -> IndexTerm:
        for function in functions:
            term = function(term, plain)
        return term

    match asked:
        case Equal(wanted):
            return Each(lambda term: changed(term) in wanted)
        case Each(test):
            return Each(lambda term: test(changed(term)))
        case _:
            return asked
