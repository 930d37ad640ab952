"""Where alerts are written and read; and this stack's own store as such a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from ruledeploy.stack.es import documents
from ruledeploy.stack.es.search import matching_documents, search
from ruledeploy.stack.store import Store


class Alerts(Protocol):
    """A place that keeps the alerts of every space."""

    def existing(self, space: str, ids: Sequence[str], *, preview: bool = False) -> set[str]:
        """Which of these alerts there are, in the space or in its preview."""
        ...

    def read(self, space: str, identity: str, *, preview: bool = False) -> dict[str, Any] | None:
        """One alert."""
        ...

    def write(
        self, space: str, alerts: Mapping[str, dict[str, Any]], *, preview: bool = False
    ) -> None:
        """Write alerts by id, new ones and changed ones, whole."""
        ...

    def search(self, space: str, body: Mapping[str, Any], now: datetime) -> Any:
        """The answer to a search; a refusal in Elasticsearch's envelope for one it cannot do."""
        ...

    def change(
        self, space: str, query: Mapping[str, Any], fields: Mapping[str, Any], now: datetime
    ) -> int:
        """Set fields in all alerts that a query finds; returns how many."""
        ...


def alerts_index(space: str, *, preview: bool = False) -> str:
    """The index that holds a space's alerts."""
    return f".internal{'.preview' if preview else ''}.alerts-security.alerts-{space}-000001"


def alerts_alias(space: str, *, preview: bool = False) -> str:
    """The alias under which a space's alerts are read."""
    return f"{'.preview' if preview else ''}.alerts-security.alerts-{space}"


class LocalAlerts:
    """Alerts in this stack's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def existing(self, space: str, ids: Sequence[str], *, preview: bool = False) -> set[str]:
        """By a look at each."""
        index = alerts_index(space, preview=preview)
        return {identity for identity in ids if documents.exists(self._store, index, identity)}

    def read(self, space: str, identity: str, *, preview: bool = False) -> dict[str, Any] | None:
        """From the space's alerts."""
        found = documents.get(self._store, alerts_index(space, preview=preview), identity)
        return None if found is None else found.source

    def write(
        self, space: str, alerts: Mapping[str, dict[str, Any]], *, preview: bool = False
    ) -> None:
        """To the space's alerts, or to its preview's; the index is made when missing."""
        alias: dict[str, Any] = {alerts_alias(space, preview=preview): {}}
        name = alerts_index(space, preview=preview)
        index = documents.ensure_index(self._store, name, {"aliases": alias})
        for identity, alert in alerts.items():
            found = documents.get(self._store, index, identity)
            documents.put(self._store, index, identity, alert, found.version + 1 if found else 1)

    def search(self, space: str, body: Mapping[str, Any], now: datetime) -> Any:
        """As `_search` on the alias; a space without alerts has none to find."""
        backings = documents.resolve(self._store, alerts_alias(space))
        return search(self._store, backings, body, now)

    def change(
        self, space: str, query: Mapping[str, Any], fields: Mapping[str, Any], now: datetime
    ) -> int:
        """One by one."""
        backings = documents.resolve(self._store, alerts_alias(space))
        found = matching_documents(self._store, backings, query, now)
        for stored in found:
            source = {**stored.source, **fields}
            documents.put(self._store, stored.index, stored.id, source, stored.version + 1)
        return len(found)
