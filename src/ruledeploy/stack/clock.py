"""The stack's time: the real clock, or a simulated time that only moves when told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from ruledeploy.stack.store import Store

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "M": timedelta(days=30),
    "y": timedelta(days=365),
}
# A century: what is added to a date of ours stays a date.
_LONGEST = timedelta(days=36_500)
_STEP = re.compile(r"([+-])(\d+)([smhdwMy])")


class Clock:
    """`now()` in UTC; a simulated time is kept in the store, so it outlives the process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        kept = store.get_meta("clock")
        self._simulated = parse_time(kept) if kept else None

    @property
    def simulated(self) -> bool:
        """Whether the time stands still until it is set again."""
        return self._simulated is not None

    def now(self) -> datetime:
        """The stack's present."""
        return self._simulated or datetime.now(UTC)

    def text(self) -> str:
        """The present as Kibana writes it."""
        return iso(self.now())

    def set(self, now: datetime | None) -> None:
        """Stand still at `now`; None returns to the real clock."""
        self._simulated = now
        self._store.set_meta("clock", None if now is None else iso(now))

    @contextmanager
    def restored_on_error(self) -> Iterator[None]:
        """Have the time from before again when what follows fails, as the store does."""
        before = self._simulated
        try:
            yield
        except BaseException:
            self._simulated = before
            raise


def iso(moment: datetime) -> str:
    """`2026-11-24T09:00:00.000Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """An ISO date, or date and time; without a zone it is UTC. Raises `ValueError`."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def date_math(text: str, now: datetime) -> datetime:
    """`now-9m` or an ISO date as a moment; raises `ValueError` for anything else."""
    if not text.startswith("now"):
        return parse_time(text)
    rest, moment = text[3:].partition("/")[0], now
    if "".join(match.group(0) for match in _STEP.finditer(rest)) != rest:
        raise ValueError(f"not date math: {text!r}")
    for sign, count, unit in _STEP.findall(rest):
        step = int(count) * _UNITS[unit]
        moment = moment + step if sign == "+" else moment - step
    return moment


def duration(text: str) -> timedelta:
    """`5m` as a length of time, up to a hundred years; raises `ValueError`."""
    match = re.fullmatch(r"([1-9]\d*)([smhd])", text)
    if match is None:
        raise ValueError(f"not a duration: {text!r}")
    count, unit = int(match.group(1)), _UNITS[match.group(2)]
    if count > _LONGEST // unit:
        raise ValueError(f"a duration of more than 100 years: {text!r}")
    return count * unit
