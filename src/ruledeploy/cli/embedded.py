"""`kibana_url = "embedded:"`: the local stack, joined when it runs, started when it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ruledeploy.errors import NotThere, RefusedError, RuledeployError
from ruledeploy.kibana import Connection, Peer
from ruledeploy.stack import Running, running_stack
from ruledeploy.stack.lock import LOCK_NAME, holder, locked
from ruledeploy.stack.server import STATE_FILE

_INTERNAL = {"x-elastic-internal-origin": "ruledeploy", "elastic-api-version": "1"}


@contextmanager
def embedded_stack(data: Path, spaces: Sequence[str]) -> Iterator[Running]:
    """A running stack over `data` that has these spaces.

    Joins the one that `ruledeploy stack up` serves from there; otherwise serves one on loopback
    for the length of the block.
    """
    found = serving(data)
    if found is not None:
        _make_spaces(found, spaces)
        yield found
        return
    with running_stack(data) as running:
        _make_spaces(running, spaces)
        yield running


def serving(data: Path) -> Running | None:
    """The stack that serves this folder now, or None; a note left by a dead one is ignored."""
    note = _note(data)
    return Running(note["kibana_url"], note["elasticsearch_url"]) if note else None


def serving_pid(data: Path) -> int | None:
    """The process that serves this folder, or None."""
    note = _note(data)
    return int(note["pid"]) if note else None


def _note(data: Path) -> dict[str, Any] | None:
    """What the process that holds the folder wrote down when it was ready.

    A note of a dead process is never believed: another program may have its id by now.
    """
    try:
        note = json.loads((data / STATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return dict(note) if note.get("pid") == holder(data) else None


def empty(data: Path) -> None:
    """Delete a stack's data folder; nothing else, and not under the process that uses it.

    Raises `RefusedError`: a push that started the stack for its own length uses it too, so it is
    the lock that is asked, and held meanwhile.
    """
    if not data.exists():
        return
    if not (data / LOCK_NAME).exists():
        message = f"{data} does not look like a stack's data folder"
        raise RefusedError(message, hint="delete it yourself if you are sure")
    with locked(data):
        try:
            shutil.rmtree(data)
        except OSError as error:
            raise RuledeployError(f"cannot delete {data}: {error.strerror or error}") from error


def _make_spaces(running: Running, spaces: Sequence[str]) -> None:
    """A real Kibana's spaces are its administrator's; the stack's are made for the asking."""
    peer = Peer(Connection(running.kibana_url), {"kbn-xsrf": "ruledeploy"})
    try:
        for space in spaces:
            try:
                peer.request("GET", f"/api/spaces/space/{space}")
            except NotThere:
                peer.request("POST", "/api/spaces/space", body={"id": space, "name": space})
    finally:
        peer.close()


def replay(kibana_url: str, since: datetime, now: datetime) -> None:
    """Set the stack's time to `now` and run every rule for each interval since `since`."""
    peer = Peer(Connection(kibana_url), {"kbn-xsrf": "ruledeploy"})
    try:
        body = {"now": now.isoformat(), "since": since.isoformat(), "run": True}
        peer.request("POST", "/internal/ruledeploy/clock", body=body, headers=_INTERNAL)
    finally:
        peer.close()
