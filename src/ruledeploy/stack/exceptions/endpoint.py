"""`endpoint_list`: the list Kibana makes by the way when a rule is created."""

from __future__ import annotations

from ruledeploy.stack.auth import Caller
from ruledeploy.stack.context import Stack
from ruledeploy.stack.exceptions.common import server_fields
from ruledeploy.stack.store import EVERYWHERE, Saved

ENDPOINT_LIST = "endpoint_list"
_NAME = "Endpoint Security Exception List"


def ensure_endpoint_list(stack: Stack, caller: Caller) -> None:
    """Create the agnostic `endpoint_list` unless it is there."""
    if stack.store.by_key("exception_list", EVERYWHERE, ENDPOINT_LIST) is not None:
        return
    body = {
        **server_fields(caller, stack.clock.text()),
        "id": ENDPOINT_LIST,
        "list_id": ENDPOINT_LIST,
        "name": _NAME,
        "description": _NAME,
        "type": "endpoint",
        "namespace_type": "agnostic",
        "immutable": False,
        "os_types": [],
        "tags": [],
        "version": 1,
    }
    stack.store.put(Saved("exception_list", EVERYWHERE, ENDPOINT_LIST, ENDPOINT_LIST, body))
