"""Which place a stack's events lie in."""

from __future__ import annotations

from ruledeploy.stack.alerts.events import Events, LocalEvents
from ruledeploy.stack.context import Stack


def events_of(stack: Stack) -> Events:
    """The stack's own store."""
    return LocalEvents(stack.store)
