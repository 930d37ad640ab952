"""Summing up in this process: the values of fields as Elasticsearch's aggregations name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ruledeploy.engine.binding import Resolved, resolve
from ruledeploy.engine.document import FieldReader
from ruledeploy.engine.protocol import Shape
from ruledeploy.engine.run import Event
from ruledeploy.engine.tally import Tally
from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldTable
from ruledeploy.query.steps import to_string
from ruledeploy.query.terms import TEXTS, index_terms


class Counting:
    """Makes the recorders of one run, which share what they know about the fields."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._readers: dict[str, FieldReader] = {}

    def record(self) -> Counted:
        """A recorder for one rule."""
        return Counted(self)

    def check(self, table: FieldTable) -> None:
        """Raise QueryError for a field whose values an index does not count."""
        for name in self.shape.fields:
            found = resolve(table, name)
            if found is not None and found.type.type in (*TEXTS, "nested", "object"):
                raise QueryError(f"the values of {name} cannot be counted: it is {found.type.type}")

    def terms(self, event: Event, name: str) -> Sequence[str]:
        """The values of one field of an event, each once, as text."""

        def read(found: Resolved) -> list[Any]:
            reader = self._readers.get(found.path)
            if reader is None:
                keyed = [found.root] if found.root else []
                reader = self._readers[found.path] = FieldReader([found.path], (), keyed)
            return reader.read(event.document.source).get(found.path, [])

        return self.strings(event.table, read, name)

    def strings(
        self, table: FieldTable, read: Callable[[Resolved], list[Any]], name: str
    ) -> Sequence[str]:
        """The values that an event has of one field, each once, as text."""
        found = resolve(table, name)
        if found is None:
            return ()
        return [to_string(term, found.type) for term in index_terms(found.type, read(found))]

    def resolved(self, table: FieldTable) -> list[Resolved]:
        """The fields whose values are counted, where the table has them."""
        every = (resolve(table, name) for name in self.shape.fields)
        return [found for found in every if found is not None]


class Counted:
    """What one rule found, summed up."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self.tally = Tally()

    def record(self, event: Event, excepted: Sequence[str]) -> None:
        """Count one event, or those of the items that hide it."""
        self.tally.suppressed.update(excepted)
        if not excepted:
            counting, identity = self._counting, event.document.id
            self.tally.alert(
                counting.shape, identity, event.at, lambda name: counting.terms(event, name)
            )

    def add(self, other: Counted) -> None:
        """Take in what was found in other events."""
        self.tally.add(other.tally)
