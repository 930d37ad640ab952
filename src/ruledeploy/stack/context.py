"""What every handler works with: configuration, store, clock, authentication."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ruledeploy.stack.auth import Auth
from ruledeploy.stack.clock import Clock
from ruledeploy.stack.config import Profile, StackConfig
from ruledeploy.stack.faults import Trouble
from ruledeploy.stack.http import Answer, Call
from ruledeploy.stack.node import Node
from ruledeploy.stack.store import FILE, Store, usable

# Called after each request was answered, for tests that look at the state in between.
Hook = Callable[[Call, Answer], None]


@dataclass(frozen=True, slots=True)
class Stack:
    """One running stack. `due` collects ids of rules to run once the answer is out.

    With a `node`, events and alerts lie there; otherwise in the store.
    """

    config: StackConfig
    store: Store
    clock: Clock
    auth: Auth
    trouble: Trouble
    hook: Hook | None = None
    node: Node | None = None
    due: list[tuple[str, str]] = field(default_factory=list)

    @property
    def server(self) -> Profile:
        """The server to imitate."""
        return self.config.server

    def close(self) -> None:
        """Close the store and the connections to the node."""
        try:
            with usable(self.config.data / FILE):
                self.store.close()
        finally:
            if self.node is not None:
                self.node.close()


def open_stack(config: StackConfig, hook: Hook | None = None) -> Stack:
    """Open the store in the data folder and put the parts together.

    Raises ServerError when there should be a node and none answers, RuledeployError when SQLite
    cannot use the file.
    """
    config.data.mkdir(parents=True, exist_ok=True)
    node = Node(config.elasticsearch) if config.elasticsearch else None
    if node is not None:
        node.check()
    path = config.data / FILE
    with usable(path):
        store = Store(path)
        clock = Clock(store)
        if store.get_meta("uuid") is None:
            store.set_meta("uuid", str(uuid.uuid4()))
        auth = Auth(config, store, clock)
    return Stack(config, store, clock, auth, Trouble(config.faults), hook, node)
