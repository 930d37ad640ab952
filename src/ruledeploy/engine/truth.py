"""Whether one event satisfies a query, part by part: for people who ask why it does not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ruledeploy.engine.binding import Binder, resolve
from ruledeploy.engine.document import FieldReader
from ruledeploy.engine.program import Program
from ruledeploy.engine.protocol import Document
from ruledeploy.fields import FieldTable, FieldType
from ruledeploy.query.ir import Node


class Truth:
    """One document under one field table. Any part of a query may be asked about on its own."""

    def __init__(self, table: FieldTable, document: Document, now: datetime) -> None:
        self._table = table
        self._document = document
        self._now = now

    def holds(self, node: Node) -> bool:
        """Whether the document satisfies the node. Raises QueryError where the search fails."""
        program = Program()
        query = program.add(Binder(self._table, self._now).bind(node))
        return query(program.read(self._document))

    def type_of(self, field: str) -> FieldType | None:
        """The type of a field; None when it is not mapped."""
        found = resolve(self._table, field)
        return found.type if found else None

    def values(self, field: str) -> list[Any]:
        """The values that the document gives a field, as its JSON has them."""
        found = resolve(self._table, field)
        path = found.path if found else field
        return FieldReader([path]).read(self._document.source).get(path, [])
