"""Dates as Elasticsearch reads them: ISO 8601 with parts left out, epoch milliseconds, date math.

A date that leaves the time out is a span: `2026-01-05` is the whole day, but `2026-01` is no more
than the first of the month. Bounds of a range take the first or the last millisecond.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ruledeploy.errors import QueryError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_CYCLE = timedelta(days=146_097) // _MS
_MAX_ZONE = timedelta(hours=18)
_EPOCH_MILLIS = re.compile(r"-?\d{1,19}(\.\d{1,9})?\Z", re.ASCII)
_ISO = re.compile(
    r"(?P<year>-?\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d)?(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?P<zone>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?)?)?\Z",
    re.ASCII,
)
_MATH = re.compile(r"([+-])(\d*)([yMwdhHms])|/([yMwdhHms])", re.ASCII)
_BEYOND = "date math leaves the calendar"
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "H": "hours", "m": "minutes", "s": "seconds"}


@dataclass(frozen=True, slots=True)
class Span:
    """First and last millisecond since 1970 (UTC) of what a date says."""

    first: int
    last: int


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970, rounded down, as a `date` field keeps them."""
    return (moment - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """The moment in UTC."""
    return _EPOCH + ms * _MS


def parse_date(value: object) -> Span | None:
    """A date as written in a document or a query, without date math; None when it is none.

    The format is Elasticsearch's default, `strict_date_optional_time||epoch_millis`.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Span(int(value), int(value))
    text = str(value)
    if found := _ISO.match(text):
        return _iso_span(found)
    if _EPOCH_MILLIS.match(text):
        ms = int(float(text)) if "." in text else int(text)
        return Span(ms, ms)
    return None


def moment_of(text: str) -> int | None:
    """A date of the one format that ES|QL reads, `strict_date_optional_time`; else None."""
    found = _ISO.match(text)
    span = _iso_span(found) if found else None
    return None if span is None else span.first


def _iso_span(found: re.Match[str]) -> Span | None:
    part = {key: value for key, value in found.groupdict().items() if value is not None}
    # Every 400 years the calendar is the same, and Python's has no year 0 or before it.
    cycles, year = divmod(int(part["year"]) - 2000, 400)
    day = [int(part.get(key, 1)) for key in ("month", "day")]
    clock = [int(part.get(key, 0)) for key in ("hour", "minute", "second")]
    try:
        moment = datetime(2000 + year, *day, *clock, tzinfo=UTC)  # type: ignore[misc,arg-type] # m d h m s
        zone = _zone(part.get("zone", "Z"))
    except ValueError:
        return None
    first = to_ms(moment) + cycles * _CYCLE - zone // _MS
    if "fraction" in part:
        first += int(part["fraction"].ljust(9, "0")[:3])
        return Span(first, first)
    # Missing months and days are ones, so that a year or a month is no more than its first day.
    finest = next((key for key in ("seconds", "minutes", "hours") if key[:-1] in part), "days")
    return Span(first, first + timedelta(**{finest: 1}) // _MS - 1)


def _zone(text: str) -> timedelta:
    """An offset from UTC. Raises ValueError beyond 18 hours, as Java does."""
    if text == "Z":
        return timedelta()
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = (int(digits[at : at + 2]) for at in (0, 2, 4))
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if max(minutes, seconds) > 59 or offset > _MAX_ZONE:  # noqa: PLR2004 - of an hour, of a minute
        raise ValueError(text)
    return -offset if text[0] == "-" else offset


def _add_months(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    for day in range(moment.day, moment.day - 4, -1):
        try:
            return moment.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    raise QueryError(_BEYOND)


def resolve_date(value: object, now: datetime) -> Span:
    """A date of a query, date math included (`now-5m/d`, `2026-01-01||+1M/d`).

    Raises QueryError when it is no date. Rounding makes a span of the unit.
    """
    if isinstance(value, str):
        if value.startswith("now"):
            start = Span(to_ms(now), to_ms(now))
            return _math(value[3:], start, value)
        anchor, bars, math = value.partition("||")
        if bars:
            span = parse_date(anchor)
            if span is not None:
                return _math(math, Span(span.first, span.first), value)
    span = parse_date(value)
    if span is None:
        raise QueryError(f"{value!r} is not a date", hint="2026-01-31T12:00:00Z, or now-1d/d")
    return span


def _math(text: str, span: Span, whole: str) -> Span:
    try:
        return _moved(text, span, whole)
    except OverflowError as error:
        raise QueryError(_BEYOND) from error


def _moved(text: str, span: Span, whole: str) -> Span:
    moment, at = from_ms(span.first), 0
    last: datetime | None = None
    while at < len(text):
        found = _MATH.match(text, at)
        if found is None:
            raise QueryError(f"{whole!r}: date math not understood at {text[at:]!r}")
        sign, count, unit, rounding = found.groups()
        if rounding:
            moment, last = _round(moment, rounding)
        else:
            step = int(count or 1) * (1 if sign == "+" else -1)
            moment, last = _shift(moment, step, unit), last and _shift(last, step, unit)
        at = found.end()
    return Span(to_ms(moment), to_ms(last) - 1 if last else to_ms(moment))


def _shift(moment: datetime, step: int, unit: str) -> datetime:
    match unit:
        case "y":
            return _add_months(moment, 12 * step)
        case "M":
            return _add_months(moment, step)
        case _:
            return moment + timedelta(**{_UNITS[unit]: step})


def _round(moment: datetime, unit: str) -> tuple[datetime, datetime]:
    """The start of the unit and the start of the next."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "y":
            start = day.replace(month=1, day=1)
        case "M":
            start = day.replace(day=1)
        case "w":
            start = day - timedelta(days=day.weekday())
        case "d":
            start = day
        case "h" | "H":
            start = moment.replace(minute=0, second=0, microsecond=0)
        case "m":
            start = moment.replace(second=0, microsecond=0)
        case _:
            start = moment.replace(microsecond=0)
    return start, _shift(start, 1, unit)
