"""Trouble on purpose: delays, refusals, broken connections, decided by a seed or a header.

A header `x-ruledeploy-fault: <kind>` asks for one fault in one request: `429`, `503`, `500`,
`reset` (before the work), `lost` (after the work, no answer), `hang=30` (after the work, silence
for that many seconds), `partial` (every second object of a bulk request fails), `latency=250`.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.stack.config import Faults
from ruledeploy.stack.errors import platform
from ruledeploy.stack.http import Answer, Call

FAULT_HEADER = "x-ruledeploy-fault"
Cut = Literal["reset", "lost"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request. `answer` is given instead of the real one."""

    delay_s: float = 0.0
    answer: Answer | None = None
    cut: Cut | None = None
    hang_s: float = 0.0
    partial: bool = False

    async def wait(self) -> None:
        """Sit out the delay."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)


NONE = Fault()


class Trouble:
    """Decides about each request in turn, and can cut connections.

    `transports` holds the open connections by the client's address; the server fills it.
    """

    def __init__(self, faults: Faults) -> None:
        self.transports: dict[Any, asyncio.Transport] = {}
        self.set(faults)

    def set(self, faults: Faults) -> None:
        """Meet requests with these faults from now on, drawn from the start of their seed."""
        self.faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - repeatable, not secret

    def before(self, call: Call) -> Fault:
        """The fault of this request, mostly none."""
        asked = call.headers.get(FAULT_HEADER)
        if asked is not None:
            return _asked(asked, self.faults.retry_after_s)
        if self.faults == Faults():
            return NONE
        return self._drawn(kind_of(call))

    def _drawn(self, kind: str) -> Fault:
        delay = self.faults.latency_ms.get(kind, 0.0) / 1000
        drawn = self._random.random()
        after = self.faults.retry_after_s
        for rate, fault in (
            (self.faults.too_many, Fault(delay, _refused(429, after))),
            (self.faults.server_error, Fault(delay, _refused(503, after))),
            (self.faults.reset, Fault(delay, Answer(status=503), "reset")),
            (self.faults.lost, Fault(delay, cut="lost", hang_s=self.faults.hang_s)),
            (self.faults.partial, Fault(delay, partial=True)),
        ):
            if drawn < rate:
                return fault
            drawn -= rate
        return Fault(delay)

    async def cut_if(self, fault: Fault, scope: Any) -> None:
        """Break the connection, or be silent, when the fault says so; then nothing arrives."""
        if fault.hang_s:
            await asyncio.sleep(fault.hang_s)
        if fault.cut is None:
            return
        transport = self.transports.get(scope["client"])
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)


def kind_of(call: Call) -> str:
    """The kind of call that `latency_ms` is keyed by."""
    for prefix, kind in (
        ("/api/detection_engine/rules", "rules"),
        ("/api/exception", "exceptions"),
        ("/api/lists", "lists"),
        ("/api/", "other"),
        ("/internal/", "other"),
    ):
        if call.path.startswith(prefix):
            return kind
    return "elasticsearch"


def _refused(status: int, retry_after: int) -> Answer:
    body = platform(status, {429: "Too Many Requests", 500: "Internal error"}.get(
        status, "Service Unavailable")).body  # fmt: skip
    return Answer(body, status, {"retry-after": str(retry_after)} if status != 500 else {})  # noqa: PLR2004


def _asked(text: str, retry_after: int) -> Fault:
    name, _, value = text.partition("=")
    match name:
        case "reset":
            return Fault(answer=Answer(status=503), cut="reset")
        case "lost":
            return Fault(cut="lost")
        case "hang":
            return Fault(cut="lost", hang_s=float(value or 30))
        case "partial":
            return Fault(partial=True)
        case "latency":
            return Fault(delay_s=float(value) / 1000)
        case _:
            return Fault(answer=_refused(int(name), retry_after))
