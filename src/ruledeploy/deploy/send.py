"""One write, carried out once, whatever becomes of the answer.

A lost answer is never answered by a blind second create: the object is read back by the id we
chose, and what is there decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ruledeploy.deploy.normalise import differing
from ruledeploy.deploy.objects import ENDPOINTS
from ruledeploy.deploy.plan import Write
from ruledeploy.errors import AlreadyThere, AnswerLost, NotThere, ServerError
from ruledeploy.kibana import Kibana, Request
from ruledeploy.model import JsonObject

# A server that lost its answer may still be at work; a create may show up a little later.
READ_BACK_WAITS = (0.2, 0.5, 1.0)
# A read may be sent again without harm.
READS = 3


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends writes to one Kibana; `sleep` waits between two read-backs."""

    kibana: Kibana
    sleep: Callable[[float], None] = field(default=time.sleep)

    def send(self, write: Write) -> tuple[JsonObject | None, bool]:
        """The object afterwards (None: gone), and whether an answer was lost on the way.

        Raises what the server refused with: then nothing was carried out. `AnswerLost` when twice
        nothing was heard, or the object cannot be read: then nobody knows.
        """
        try:
            return self._once(write), False
        except ServerError as error:
            if self._arrived(write, error):
                return self._look(write), True
            if not isinstance(error, AnswerLost):
                raise
        # The object is as it was before, so the first request did not arrive: once more,
        # unchanged, so that `_version` still guards what was planned.
        try:
            return self._once(write), True
        except ServerError as error:
            if self._arrived(write, error):
                return self._look(write), True
            raise

    def prepare_value_lists(self) -> None:
        """Create the space's data streams for value lists, unless they are there."""
        try:
            self.kibana.value_lists.index_exists()
        except NotThere:
            self.kibana.value_lists.create_index()

    def _arrived(self, write: Write, error: ServerError) -> bool:
        """Whether a request was carried out though it failed; a refusal says that it was not."""
        if not isinstance(error, AnswerLost) and (error.status or 0) < 500:  # noqa: PLR2004  # 5xx
            return False
        there = self._look(write)
        for wait in READ_BACK_WAITS if isinstance(error, AnswerLost) else ():
            if _is_done(write, there):
                break
            self.sleep(wait)
            there = self._look(write)
        if write.operation == "create" and there is not None and not _is_done(write, there):
            raise AlreadyThere(
                f"{write.ref} appeared while it was being created, with another content",
                url=self.kibana.connection.url,
            )
        return _is_done(write, there)

    def _once(self, write: Write) -> JsonObject | None:
        try:
            answer: JsonObject = self.kibana.send(write.request)
        except NotThere:
            if write.operation in {"delete", "remove"}:
                return None
            raise
        except AlreadyThere:
            # Our own write, whose answer was lost and which is there by now; or another's.
            there = self._look(write)
            if not _is_done(write, there):
                raise
            return there
        return None if write.operation == "delete" else answer

    def _look(self, write: Write) -> JsonObject | None:
        """`read`, after a write whose fate depends on it."""
        try:
            return self.read(write)
        except AnswerLost:
            raise
        except ServerError as error:
            raise AnswerLost(
                f"{write.ref} cannot be read after it was written: {error.message}",
                url=error.url,
                status=error.status,
            ) from error

    def read(self, write: Write) -> JsonObject | None:
        """The object that a write is about, as it is now; of a value list only what it is about."""
        if write.operation in {"add", "remove"}:
            return self._values(write.ref.id)
        if write.operation == "delete":
            request = Request("GET", write.request.path, write.request.query)
        else:
            request = ENDPOINTS[write.ref.kind].get(write.ref.id)
        for _ in range(READS - 1):
            try:
                return self._get(request)
            except AnswerLost:
                self.sleep(READ_BACK_WAITS[0])
        return self._get(request)

    def _values(self, list_id: str) -> JsonObject | None:
        try:
            found = self.kibana.value_lists.values(list_id)
        except NotThere:
            return None
        return {"values": [item["value"] for item in found]}

    def _get(self, request: Request) -> JsonObject | None:
        try:
            answer: JsonObject = self.kibana.send(request)
        except NotThere:
            return None
        return answer


def _is_done(write: Write, there: JsonObject | None) -> bool:
    if write.operation in {"add", "remove"}:
        meant = set((write.expected or {})["values"])
        found = meant & set((there or {}).get("values", ()))
        return found == meant if write.operation == "add" else not found
    if write.operation == "delete" or there is None:
        return write.operation == "delete" and there is None
    return not unexpected(write, there)


def unexpected(write: Write, there: JsonObject) -> tuple[str, ...]:
    """Fields in which an object is not what the write meant it to be.

    A create may come back with fields we did not send (a newer server's defaults). An update was
    merged from the live object, so there even an extra field is a difference.
    """
    if write.operation in {"add", "remove"}:
        return () if _is_done(write, there) else ("values",)
    expected = write.expected or {}
    if write.operation == "create" or write.ref.kind in {"value_list", "prebuilt"}:
        expected = {**there, **expected}
    return differing(write.ref.kind, expected, there)
