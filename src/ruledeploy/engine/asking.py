"""Many searches that return sums, asked of a cluster gently: in batches, at one point in time.

At most `max_concurrent` of them run at once, what the cluster is too busy for is asked again, and
with a store an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ruledeploy.engine.kept import Store
from ruledeploy.errors import RuledeployError
from ruledeploy.model import JsonObject

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_KEEP_ALIVE = "10m"
_BUSY = 429
_OK = 200
# Seconds to wait before a busy cluster is asked again, each time.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
# Searches of one request, for each that may run at once.
_DEPTH = 4

# Called after each batch with how many searches are done, of how many.
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Question:
    """One search: the rule it is for, where it looks, its body."""

    rule_id: str
    index: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Load:
    """How hard a cluster may be worked, who hears how far it is, and what remembers answers.

    An answer is remembered under its search: give a store only for windows that are over.
    """

    max_concurrent: int = 4
    progress: Progress | None = None
    store: Store | None = None


class Asking:
    """Asks one cluster. `failure` makes an error of a search's error body and status."""

    def __init__(
        self,
        client: Elasticsearch,
        load: Load,
        failure: Callable[[str, Any, int], RuledeployError],
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        self._client = client
        self._load = load
        self._failure = failure
        self._pauses = pauses

    def answers(
        self, questions: Sequence[Question]
    ) -> Iterator[tuple[Question, Mapping[str, Any] | RuledeployError]]:
        """Each question with its answer, or with why there is none, in no order."""
        keys = {self._key(question): question for question in questions}
        stored = self._load.store.get(list(keys)) if self._load.store else {}
        for key, data in stored.items():
            yield keys[key], msgspec.json.decode(data)
        left = [(key, question) for key, question in keys.items() if key not in stored]
        done, size = len(stored), max(1, self._load.max_concurrent) * _DEPTH
        self._told(done, len(keys))
        with ExitStack() as stack:
            points = {index: self._point(index, stack) for index in {q.index for _, q in left}}
            for start in range(0, len(left), size):
                batch = left[start : start + size]
                found = self._batch([question for _, question in batch], points)
                fresh = {}
                for (key, question), answer in zip(batch, found, strict=True):
                    yield question, answer
                    if not isinstance(answer, RuledeployError):
                        fresh[key] = msgspec.json.encode(answer)
                if self._load.store:
                    self._load.store.put(fresh)
                done += len(batch)
                self._told(done, len(keys))

    def _told(self, done: int, of: int) -> None:
        if self._load.progress is not None:
            self._load.progress(done, of)

    @staticmethod
    def _key(question: Question) -> bytes:
        text = repr((question.rule_id, question.index, question.body))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    def _point(self, index: str, stack: ExitStack) -> str:
        """A point in time of some indices, closed with the stack."""
        opened = self._client.open_point_in_time(
            index=index, keep_alive=_KEEP_ALIVE, ignore_unavailable=True
        )
        identity = str(opened["id"])
        stack.callback(self._client.close_point_in_time, id=identity)
        return identity

    def _batch(
        self, questions: Sequence[Question], points: Mapping[str, str]
    ) -> list[Mapping[str, Any] | RuledeployError]:
        out: dict[int, Mapping[str, Any] | RuledeployError] = {}
        pauses = iter(self._pauses)
        pending = list(enumerate(questions))
        while pending:
            answers = self._request([question for _, question in pending], points)
            busy = []
            for (place, question), answer in zip(pending, answers, strict=True):
                status = int(answer.get("status", _OK))
                if status == _OK:
                    out[place] = dict(answer)
                else:
                    out[place] = self._failure(question.rule_id, answer, status)
                    busy += [(place, question)] if status == _BUSY else []
            pause = next(pauses, None)
            if pause is None:
                break
            pending = busy
            if pending:
                time.sleep(pause)
        return [out[place] for place in range(len(questions))]

    def _request(
        self, questions: Sequence[Question], points: Mapping[str, str]
    ) -> list[Mapping[str, Any]]:
        searches: list[Mapping[str, Any]] = []
        for question in questions:
            point = {"id": points[question.index], "keep_alive": _KEEP_ALIVE}
            searches += [{"allow_partial_search_results": False}, {**question.body, "pit": point}]
        answer = self._client.msearch(
            searches=searches, max_concurrent_searches=self._load.max_concurrent
        )
        return list(answer["responses"])
