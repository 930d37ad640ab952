"""Points in time: each opened when it is first searched, and closed when it no longer is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

# From one search to the next: each renews it.
KEEP_ALIVE = "10m"


class Points:
    """The open points in time of one cluster, by what they are a point in time of."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client
        self._open: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.keep(())

    def at(self, index: str) -> JsonPoint:
        """The body's `pit` for a search of some indices."""
        if index not in self._open:
            opened = self._client.open_point_in_time(
                index=index, keep_alive=KEEP_ALIVE, ignore_unavailable=True
            )
            self._open[index] = str(opened["id"])
        return {"id": self._open[index], "keep_alive": KEEP_ALIVE}

    def heard(self, index: str, answer: Mapping[str, Any]) -> bool:
        """Take the point's newest id from an answer; False where the point is gone.

        One that is gone (it expired, or its node left) is opened again by the next search.
        """
        self._open[index] = str(answer.get("pit_id", self._open.get(index)))
        if is_gone(answer):
            self._open.pop(index)
            return False
        return True

    def keep(self, indices: Collection[str]) -> None:
        """Close the points of all other indices."""
        for index in self._open.keys() - set(indices):
            self._client.close_point_in_time(id=self._open.pop(index))


JsonPoint = Mapping[str, str]


def is_gone(body: Any) -> bool:
    """Whether an error body says that there is no such point in time."""
    return "search_context_missing_exception" in str(body.get("error", ""))
