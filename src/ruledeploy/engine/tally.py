"""Hits summed up as they come, in memory that does not grow with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from ruledeploy.engine.protocol import Shape, Summary
from ruledeploy.query.dates import from_ms

_MS = timedelta(milliseconds=1)


@dataclass(slots=True)
class Tally:
    """What one rule found in some of the events; tallies of different events add up.

    Times are milliseconds since 1970. The first events with a time are among `samples`, which
    `summary` cuts to as many as are asked for.
    """

    count: int = 0
    suppressed: Counter[str] = field(default_factory=Counter)
    histogram: Counter[int] = field(default_factory=Counter)
    top: dict[str, Counter[str]] = field(default_factory=dict)
    samples: list[tuple[int, str]] = field(default_factory=list)
    first: int | None = None
    last: int | None = None

    def alert(
        self, shape: Shape, identity: str, at: int | None, terms: Callable[[str], Iterable[str]]
    ) -> None:
        """Count one event; `terms` gives a field's values, as text."""
        self.count += 1
        for name in shape.fields:
            self.top.setdefault(name, Counter()).update(terms(name))
        if at is None:
            return
        width = shape.bucket // _MS
        self.histogram[at // width * width] += 1
        self._between(at, at)
        self.samples.append((at, identity))
        if len(self.samples) > 2 * shape.samples:
            self.samples = sorted(self.samples)[: shape.samples]

    def add(self, other: Tally) -> None:
        """Take in what was found in other events."""
        self.count += other.count
        self.suppressed.update(other.suppressed)
        self.histogram.update(other.histogram)
        for name, counts in other.top.items():
            self.top.setdefault(name, Counter()).update(counts)
        self.samples += other.samples
        if other.first is not None and other.last is not None:
            self._between(other.first, other.last)

    def _between(self, first: int, last: int) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def summary(self, shape: Shape) -> Summary:
        """In order: buckets by time, values by count and then alphabetically."""
        top = {}
        for name in shape.fields:
            counts = self.top.get(name, Counter())
            ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
            top[name] = tuple(ordered[: shape.top])
        return Summary(
            self.count,
            {item_id: n for item_id, n in sorted(self.suppressed.items()) if n},
            tuple((from_ms(at), n) for at, n in sorted(self.histogram.items())),
            top,
            tuple(identity for _, identity in sorted(self.samples)[: shape.samples]),
            None if self.first is None else from_ms(self.first),
            None if self.last is None else from_ms(self.last),
        )
