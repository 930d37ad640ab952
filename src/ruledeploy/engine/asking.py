"""Many searches that return sums, asked of a cluster gently: in batches, at one point in time.

At most `max_concurrent` of them run at once, what the cluster is too busy for is asked again, what
outlasts a request goes on as async searches, and with a store an interrupted run goes on where it
stopped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec

from ruledeploy.engine.background import Background
from ruledeploy.engine.points import Points
from ruledeploy.engine.questions import Answered, Load, Question
from ruledeploy.errors import RuledeployError

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_BUSY = 429
_OK = 200
# Seconds to wait before a busy cluster is asked again, each time.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
# Searches of one request, for each that may run at once.
_DEPTH = 4


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
    ) -> Generator[tuple[Question, Mapping[str, Any] | RuledeployError]]:
        """Each question with its answer, or with why there is none, in no order."""
        keys = {self._key(question): question for question in questions}
        stored = self._load.store.get(list(keys)) if self._load.store else {}
        for key, data in stored.items():
            yield keys[key], msgspec.json.decode(data)
        left = [(key, question) for key, question in keys.items() if key not in stored]
        # What searches the same indices comes together, so that few points in time are open.
        left.sort(key=lambda one: one[1].index)
        done = len(stored)
        self._told(done, len(keys))
        with closing(self._batches(left)) as batches:
            for batch in batches:
                if self._load.store:
                    self._load.store.put(_to_keep(batch))
                for _, question, answer in batch:
                    yield question, answer
                done += len(batch)
                self._told(done, len(keys))

    def _batches(self, left: Sequence[tuple[bytes, Question]]) -> Generator[list[Answered]]:
        """The answers batch by batch; from the first that outlasts a request on, one by one."""
        from elasticsearch import ConnectionTimeout  # noqa: PLC0415 - loads slowly

        size = max(1, self._load.max_concurrent) * _DEPTH
        with Points(self._client) as points:
            for start in range(0, len(left), size):
                batch = left[start : start + size]
                points.keep({question.index for _, question in batch})
                try:
                    found = self._batch([question for _, question in batch], points)
                except ConnectionTimeout:
                    background = Background(self._client, self._load, self._failure)
                    if not background.is_there():
                        raise
                    with closing(background.answers(left[start:])) as answers:
                        yield from ([one] for one in answers)
                    return
                yield [(key, one, answer) for (key, one), answer in zip(batch, found, strict=True)]

    def _told(self, done: int, of: int) -> None:
        if self._load.progress is not None:
            self._load.progress(done, of)

    @staticmethod
    def _key(question: Question) -> bytes:
        text = repr((question.rule_id, question.index, question.body))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    def _batch(
        self, questions: Sequence[Question], points: Points
    ) -> list[Mapping[str, Any] | RuledeployError]:
        out: dict[int, Mapping[str, Any] | RuledeployError] = {}
        pauses, reopened = iter(self._pauses), set[int]()
        pending = list(enumerate(questions))
        while pending:
            busy, lost = [], []
            answers = self._request([question for _, question in pending], points)
            for (place, question), answer in zip(pending, answers, strict=True):
                status = int(answer.get("status", _OK))
                if not points.heard(question.index, answer) and place not in reopened:
                    lost.append((place, question))
                elif status == _OK:
                    out[place] = dict(answer)
                else:
                    out[place] = self._failure(question.rule_id, answer, status)
                    busy += [(place, question)] if status == _BUSY else []
            reopened.update(place for place, _ in lost)
            pause = next(pauses, None) if busy else 0.0
            pending = lost if pause is None else lost + busy
            if pending and pause:
                time.sleep(pause)
        return [out[place] for place in range(len(questions))]

    def _request(self, questions: Sequence[Question], points: Points) -> list[Mapping[str, Any]]:
        searches: list[Mapping[str, Any]] = []
        for question in questions:
            body = {**question.body, "pit": points.at(question.index)}
            searches += [{"allow_partial_search_results": False}, body]
        client = self._client
        if self._load.patience is not None:
            client = client.options(request_timeout=self._load.patience)
        answer = client.msearch(
            searches=searches, max_concurrent_searches=self._load.max_concurrent
        )
        return list(answer["responses"])


def _to_keep(batch: Sequence[Answered]) -> dict[bytes, bytes]:
    return {
        key: msgspec.json.encode(answer)
        for key, _, answer in batch
        if not isinstance(answer, RuledeployError)
    }
