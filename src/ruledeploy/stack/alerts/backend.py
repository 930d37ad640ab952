"""In which place a stack's events and alerts lie."""

from __future__ import annotations

from ruledeploy.stack.alerts.events import Events, LocalEvents
from ruledeploy.stack.alerts.kept import Alerts, LocalAlerts
from ruledeploy.stack.alerts.node import NodeAlerts, NodeEvents
from ruledeploy.stack.context import Stack


def events_of(stack: Stack) -> Events:
    """The node, or the stack's own store."""
    return LocalEvents(stack.store) if stack.node is None else NodeEvents(stack.node)


def alerts_of(stack: Stack) -> Alerts:
    """The node, or the stack's own store."""
    return LocalAlerts(stack.store) if stack.node is None else NodeAlerts(stack.node)
