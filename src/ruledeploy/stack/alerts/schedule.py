"""When rules run by themselves: by the real clock, and soon after they were enabled.

Requests are answered between slices of the due rules. Where events make even a slice slow, the
rest runs at once: one pass over the events serves any number of rules.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from ruledeploy.stack.alerts.executor import due_rules, run_due
from ruledeploy.stack.context import Stack

_SLICE = 50
_SLOW_S = 1.0
# Long enough for the requests that wait to be answered.
_PAUSE_S = 0.02
_TICK_S = 1.0
# Rules enabled meanwhile run at once; the scheduler learns of their next run by then.
_LONGEST_WAIT_S = 15.0
_LOG = logging.getLogger(__name__)


async def schedule(stack: Stack) -> None:
    """Run what is due for as long as the task lives; a simulated time moves only by request."""
    # A command that is over in a moment does not pay for runs it does not wait for.
    await asyncio.sleep(_TICK_S)
    while stack.config.scheduler:
        wait = _LONGEST_WAIT_S if stack.clock.simulated else await _run_what_is_due(stack)
        await asyncio.sleep(max(wait, _TICK_S))


async def _run_what_is_due(stack: Stack) -> float:
    """Run it; in how many seconds the next will be due."""
    try:
        due, following = due_rules(stack)
    except Exception:  # noqa: BLE001 - what goes wrong once must not end all runs to come
        _LOG.exception("looking for rules that are due")
        return _LONGEST_WAIT_S
    await _run_in_slices(stack, due)
    if following is None:
        return _LONGEST_WAIT_S
    return min(_LONGEST_WAIT_S, (following - stack.clock.now()).total_seconds())


async def run_enabled(stack: Stack) -> None:
    """The first run of rules just enabled: soon after the answer, as task manager does it."""
    due = list(dict.fromkeys(stack.due))
    stack.due.clear()
    await _run_in_slices(stack, due)


async def _run_in_slices(stack: Stack, due: Sequence[tuple[str, str]]) -> None:
    size, done = _SLICE, 0
    while done < len(due):
        started = time.monotonic()
        try:
            run_due(stack, due[done : done + size])
        except Exception:  # noqa: BLE001 - a run that breaks must not end all others
            _LOG.exception("running rules")
        done += size
        size = len(due) if time.monotonic() - started > _SLOW_S else _SLICE
        if done < len(due):
            await asyncio.sleep(_PAUSE_S)
