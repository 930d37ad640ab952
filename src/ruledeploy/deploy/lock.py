"""One push at a time per (project, environment): a document with an owner and a heartbeat."""

from __future__ import annotations

import getpass
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.deploy.store import Documents
from ruledeploy.errors import AlreadyThere, RefusedError
from ruledeploy.model import JsonObject

# A push that has not been heard of for this long is dead, and its lock may be taken.
EXPIRY_SECONDS = 120.0
HEARTBEAT_SECONDS = 20.0
_ID = "lock"


@dataclass(slots=True)
class Lock:
    """A lock that is held. `check` before each write; it beats when a beat is due."""

    documents: Documents
    token: str
    version: Any
    clock: Callable[[], float]
    beaten: float
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Return when the lock is still ours; `RefusedError` when another push took it."""
        with self._guard:
            now = self.clock()
            if now - self.beaten < HEARTBEAT_SECONDS:
                return
            try:
                document = _document(self.token, now)
                self.version = self.documents.replace(_ID, document, self.version)
            except AlreadyThere as error:
                raise RefusedError(
                    f"another push took the lock in {self.documents.place}: this one was silent "
                    f"for more than {EXPIRY_SECONDS:g} s",
                    hint="push again when the other has finished",
                ) from error
            self.beaten = now

    def release(self) -> None:
        """Give the lock up; a lock that was taken from us is not ours to delete."""
        with self._guard:
            try:
                self.documents.delete(_ID, self.version)
            except AlreadyThere:
                return


@contextmanager
def locked(
    documents: Documents,
    *,
    wait: float = 0.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Lock]:
    """Hold the lock for a block; waits up to `wait` seconds, then raises `RefusedError`."""
    lock = _acquire(documents, wait, clock, sleep)
    try:
        yield lock
    finally:
        lock.release()


def read_holder(documents: Documents) -> JsonObject | None:
    """Who holds the lock: `{token, who, host, pid, heartbeat}`; None when it is free."""
    found = documents.get(_ID)
    return found[0] if found else None


def _acquire(
    documents: Documents,
    wait: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Lock:
    token = uuid.uuid4().hex
    deadline = clock() + wait
    while True:
        now = clock()
        found = documents.get(_ID)
        try:
            if found is None:
                version = documents.create(_ID, _document(token, now))
                return Lock(documents, token, version, clock, now)
            if now - float(found[0]["heartbeat"]) > EXPIRY_SECONDS or _died_here(found[0]):
                version = documents.replace(_ID, _document(token, now), found[1])
                return Lock(documents, token, version, clock, now)
        except AlreadyThere:
            continue  # another push was faster; look again
        if now >= deadline:
            holder = found[0]
            raise RefusedError(
                f"{holder['who']} is pushing to this environment "
                f"(last heard of {now - float(holder['heartbeat']):.0f} s ago)",
                hint=f"wait, or let the lock expire: {EXPIRY_SECONDS:g} s after its last sign "
                "of life",
            )
        sleep(min(1.0, max(0.05, deadline - now)))


def _document(token: str, now: float) -> dict[str, Any]:
    return {
        "token": token,
        "who": who(),
        "host": platform.node(),
        "pid": os.getpid(),
        "heartbeat": now,
    }


def _died_here(holder: JsonObject) -> bool:
    """True when the holder was a process of this machine that no longer exists."""
    if holder["host"] != platform.node():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, alive
        return False
    return False


def who() -> str:
    """The person and machine behind this process: `alice@build-7, process 4711`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{platform.node()}, process {os.getpid()}"
