"""Searches that outlast a request: started, asked after, and deleted when they have answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ruledeploy.engine.questions import Answered, Load, Question
from ruledeploy.errors import NotThere, RuledeployError

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

# How long the cluster keeps a search that nobody asks after: an interrupted run finds it again.
_KEEP_ALIVE = "1d"
# How long one look at a running search waits for its end.
_LOOK = "2s"

Failure: TypeAlias = Callable[[str, Any, int], RuledeployError]


class Background:
    """Runs questions as async searches, at most `max_concurrent` at once.

    With a store the searches of an interrupted run are found again; without one they are deleted.
    """

    def __init__(self, client: Elasticsearch, load: Load, failure: Failure) -> None:
        self._client = client
        self._load = load
        self._failure = failure
        self._running: dict[bytes, tuple[Question, str]] = {}

    def is_there(self) -> bool:
        """Whether the cluster has async searches."""
        from elasticsearch import ApiError  # noqa: PLC0415 - loads slowly

        try:
            self._client.async_search.get(id="none")
        except ApiError as error:
            return "no handler found" not in str(error.body)
        return True

    def answers(self, left: Sequence[tuple[bytes, Question]]) -> Generator[Answered]:
        """Each question with its answer, as they come."""
        waiting, restarted = deque(left), set[bytes]()
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._load.max_concurrent:
                    key, question = waiting.popleft()
                    refused = self._begin(key, question, anew=key in restarted)
                    if refused is not None:
                        yield key, question, refused
                for key, (question, identity) in list(self._running.items()):
                    found = self._look(question, identity)
                    if found is None:
                        continue
                    del self._running[key]
                    if _is_lost(found) and key not in restarted:
                        restarted.add(key)
                        waiting.append((key, question))
                        continue
                    self._delete(identity)
                    yield key, question, found
        finally:
            if self._load.store is None:
                for _, identity in self._running.values():
                    self._delete(identity)

    def _begin(self, key: bytes, question: Question, *, anew: bool) -> RuledeployError | None:
        """Start a search, or find the one that an interrupted run has started."""
        from elasticsearch import ApiError  # noqa: PLC0415 - loads slowly

        store, place = self._load.store, b"async " + key
        stored = store.get([place]).get(place) if store and not anew else None
        if stored:
            self._running[key] = (question, stored.decode())
            return None
        try:
            started = self._client.async_search.submit(
                index=question.index,
                ignore_unavailable=True,
                allow_partial_search_results=False,
                keep_on_completion=True,
                keep_alive=_KEEP_ALIVE,
                wait_for_completion_timeout="0ms",
                body=dict(question.body),
            )
        except ApiError as error:
            return self._failure(question.rule_id, error.body, error.status_code)
        self._running[key] = (question, str(started["id"]))
        if store:
            store.put({place: str(started["id"]).encode()})
        return None

    def _look(
        self, question: Question, identity: str
    ) -> Mapping[str, Any] | RuledeployError | None:
        """The search's answer, or why there is none; None while it runs."""
        from elasticsearch import ApiError  # noqa: PLC0415 - loads slowly

        try:
            found = self._client.async_search.get(
                id=identity, wait_for_completion_timeout=_LOOK, keep_alive=_KEEP_ALIVE
            )
        except ApiError as error:
            return self._failure(question.rule_id, error.body, error.status_code)
        return None if found["is_running"] else dict(found["response"])

    def _delete(self, identity: str) -> None:
        self._client.options(ignore_status=404).async_search.delete(id=identity)


def _is_lost(found: object) -> bool:
    """Whether the cluster no longer knows the search."""
    return isinstance(found, NotThere)
