"""ES|QL's functions of dates: their parts, their texts, and the time between two."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.dates import from_ms, moment_of
from ruledeploy.query.esql_functions import Maker, count, scalar, texts
from ruledeploy.query.esql_types import Typed, text_of

# The fields of Java's `ChronoField` that a rule may ask for.
_PARTS: Mapping[str, Callable[[datetime], int]] = MappingProxyType(
    {
        "year": lambda at: at.year,
        "month_of_year": lambda at: at.month,
        "day_of_year": lambda at: at.timetuple().tm_yday,
        "day_of_month": lambda at: at.day,
        "day_of_week": lambda at: at.isoweekday(),
        "hour_of_day": lambda at: at.hour,
        "minute_of_day": lambda at: at.hour * 60 + at.minute,
        "minute_of_hour": lambda at: at.minute,
        "second_of_day": lambda at: (at.hour * 60 + at.minute) * 60 + at.second,
        "second_of_minute": lambda at: at.second,
        "milli_of_second": lambda at: at.microsecond // 1000,
    }
)
# The runs of letters of a Java date pattern that write the same in every locale.
_WRITTEN = MappingProxyType(
    {
        "yyyy": "{0.year:04}", "uuuu": "{0.year:04}", "MM": "{0.month:02}", "dd": "{0.day:02}",
        "HH": "{0.hour:02}", "mm": "{0.minute:02}", "ss": "{0.second:02}",
    }
)  # fmt: skip
_RUN = re.compile(r"([A-Za-z])\1*|'([A-Za-z]+)'|[-/:., _]+")
# Milliseconds of the units of `date_diff` that are of one length.
_UNITS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("millisecond", "milliseconds", "ms"), 1),
        **dict.fromkeys(("second", "seconds", "ss", "s"), 1000),
        **dict.fromkeys(("minute", "minutes", "mi", "n"), 60_000),
        **dict.fromkeys(("hour", "hours", "hh"), 3_600_000),
        **dict.fromkeys(("day", "days", "dd", "d"), 86_400_000),
        **dict.fromkeys(("week", "weeks", "wk", "ww"), 604_800_000),
    }
)


def moment(arg: Typed, at: int) -> Typed:
    """A date; a literal text is read as one. Raises QueryError for what is none."""
    if arg.type == "keyword" and arg.const is not None:
        value = moment_of(str(arg.const[0]))
        if value is None:
            raise QueryError(f"{str(arg.const[0])!r} is not a date")
        return Typed("date", lambda _: value, (value,))
    if arg.type not in ("date", "null"):
        raise QueryError(f"a date is expected at {at}, not {arg.type}", position=at)
    return arg


def _literal(name: str, arg: Typed, at: int) -> str | None:
    """What the first argument says, None for null; a text that varies is refused."""
    texts(name, [arg], at)
    if arg.const is None:
        raise UnsupportedQuery(f"{name} at {at} with a first argument that varies", position=at)
    return None if arg.const[0] is None else str(arg.const[0])


def _extract(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2)
    part, when = _literal(name, args[0], at), moment(args[1], at)
    if part is None:
        return Typed("long", lambda _: None)
    found = _PARTS.get(part.lower())
    if found is None:
        raise UnsupportedQuery(f"{part} of {name} at {at}", position=at)
    return scalar("long", lambda value: found(from_ms(value)), (when,))


def _format(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 1, 2)
    when = moment(args[-1], at)
    if len(args) == 1:
        return scalar("keyword", lambda value: text_of("date", value), (when,))
    pattern = _literal(name, args[0], at)
    if pattern is None:
        return Typed("keyword", lambda _: None)
    form = _form(pattern, name, at)
    return scalar("keyword", lambda value: form(from_ms(value)), (when,))


def _form(pattern: str, name: str, at: int) -> Callable[[datetime], str]:
    """How a Java date pattern writes a moment."""
    out, end = [], 0
    for run in _RUN.finditer(pattern):
        known = _WRITTEN.get(run[0], run[2]) if run[1] or run[2] else run[0]
        known = "{1}" if run[0] == "SSS" else known
        if run.start() != end or known is None:
            break
        out.append(known)
        end = run.end()
    if end < len(pattern) or not pattern.strip():
        raise UnsupportedQuery(f"the pattern {pattern!r} of {name} at {at}", position=at)
    text = "".join(out)
    return lambda when: text.format(when, f"{when.microsecond // 1000:03}")


def _difference(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 3)
    unit, first, last = _literal(name, args[0], at), moment(args[1], at), moment(args[2], at)
    if unit is None:
        return Typed("integer", lambda _: None)
    size = _UNITS.get(unit.lower())
    if size is None:
        raise UnsupportedQuery(f"{unit} of {name} at {at}", position=at)

    def of(start: int, end: int) -> int:
        whole = abs(end - start) // size
        return whole if end >= start else -whole

    return scalar("integer", of, (first, last))


DATE_FUNCTIONS: Mapping[str, Maker] = MappingProxyType(
    {"date_extract": _extract, "date_format": _format, "date_diff": _difference}
)
