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
from ruledeploy.errors import AlreadyThere, AnswerLost, NotThere
from ruledeploy.kibana import Kibana, Request
from ruledeploy.model import JsonObject

# A server that lost its answer may still be at work; a create may show up a little later.
READ_BACK_WAITS = (0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends writes to one Kibana; `sleep` waits between two read-backs."""

    kibana: Kibana
    sleep: Callable[[float], None] = field(default=time.sleep)

    def send(self, write: Write) -> tuple[JsonObject | None, bool]:
        """The object afterwards (None: gone), and whether an answer was lost on the way.

        Raises what the server refused with; `AnswerLost` when twice nothing was heard.
        """
        try:
            return self._once(write), False
        except AnswerLost:
            there = self._read_back(write)
            if _is_done(write, there):
                return there, True
        # The object is as it was before, so the first request did not arrive: once more.
        return self._once(self._refreshed(write, there)), True

    def _once(self, write: Write) -> JsonObject | None:
        try:
            answer: JsonObject = self.kibana.send(write.request)
        except NotThere:
            if write.operation == "delete":
                return None
            raise
        except AlreadyThere:
            # Our own write, whose answer was lost and which is there by now; or another's.
            there = self.read(write)
            if not _is_done(write, there):
                raise
            return there
        return None if write.operation == "delete" else answer

    def read(self, write: Write) -> JsonObject | None:
        """The object that a write is about, as it is now."""
        if write.operation == "delete":
            request = Request("GET", write.request.path, write.request.query)
        else:
            request = ENDPOINTS[write.ref.kind].get(write.ref.id)
        try:
            answer: JsonObject = self.kibana.send(request)
        except NotThere:
            return None
        return answer

    def _read_back(self, write: Write) -> JsonObject | None:
        there = self.read(write)
        for wait in READ_BACK_WAITS:
            if _is_done(write, there):
                break
            self.sleep(wait)
            there = self.read(write)
        return there

    def _refreshed(self, write: Write, there: JsonObject | None) -> Write:
        """The write to repeat; unchanged, so that `_version` still guards what was planned."""
        if write.operation == "create" and there is not None:
            raise AlreadyThere(
                f"{write.ref} appeared while it was being created, with another content",
                url=self.kibana.connection.url,
            )
        return write


def _is_done(write: Write, there: JsonObject | None) -> bool:
    if write.operation == "delete" or there is None:
        return write.operation == "delete" and there is None
    return not unexpected(write, there)


def unexpected(write: Write, there: JsonObject) -> tuple[str, ...]:
    """Fields in which an object is not what the write meant it to be.

    A create may come back with fields we did not send (a newer server's defaults). An update was
    merged from the live object, so there even an extra field is a difference.
    """
    expected = write.expected or {}
    if write.operation == "create":
        expected = {**there, **expected}
    return differing(write.ref.kind, expected, there)
