"""What an apply is told, what it says while it runs, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.deploy.plan import Write
from ruledeploy.errors import PartialError, RuledeployError


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a push, for a progress bar: `done` of `total` writes, and the latest."""

    stage: str
    done: int
    total: int
    write: Write | None = None


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to apply. `jobs` bounds the requests in flight (None: per kind, see `apply.JOBS`).

    `sleep` waits between the read-backs after a lost answer. A push looks at everything before it
    begins; a rule that it writes over `look_again` seconds later or more is looked at once more:
    Kibana has no version to guard a rule, and analysts work while a long push runs.
    """

    jobs: int | None = None
    allow_many: bool = False
    commit: str | None = None
    wait_for_lock: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    sleep: Callable[[float], None] = time.sleep
    look_again: float = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a push did: the number of its record (0: nothing to do) and of its writes."""

    record: int
    writes: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain form `{state, record, writes, notes}`."""
        return {
            "state": "done",
            "record": self.record,
            "writes": self.writes,
            "notes": list(self.notes),
        }


class PartlyApplied(PartialError):
    """A push that stopped in the middle.

    `done` is on the server, `left` is not; of `unknown` the answers were lost, and what is on the
    server could not be read or did not show them.
    """

    def __init__(
        self,
        error: RuledeployError,
        done: Sequence[Write],
        unknown: Sequence[Write],
        left: Sequence[Write],
    ) -> None:
        self.error = error
        self.done, self.unknown, self.left = tuple(done), tuple(unknown), tuple(left)
        lines = [str(error)]
        for title, writes in (("done", done), ("unknown", unknown), ("left", left)):
            if writes or title != "unknown":
                lines.append(f"{title} ({len(writes)}):")
                lines += [f"  {write.operation} {write.ref}" for write in writes]
        super().__init__("\n".join(lines), hint="push again: it goes on from here")

    def to_json(self) -> dict[str, Any]:
        """Plain form `{state, error, writes, done, unknown, left}`."""

        def told(writes: Sequence[Write]) -> list[dict[str, str]]:
            return [{"object": write.ref.key, "operation": write.operation} for write in writes]

        return {
            "state": "partial",
            "error": str(self.error),
            "writes": len(self.done),
            "done": told(self.done),
            "unknown": told(self.unknown),
            "left": told(self.left),
        }
