"""One push at a time per (project, environment): a document with an owner and a heartbeat."""

from __future__ import annotations

import getpass
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruledeploy.deploy.store import Documents
from ruledeploy.errors import (
    AlreadyThere,
    NotThere,
    RefusedError,
    RuledeployError,
    ServerError,
)
from ruledeploy.model import JsonObject

# A push that has not been heard of for this long is dead, and its lock may be taken.
EXPIRY_SECONDS = 120.0
# Whether it was heard of is told by another machine's clock, which may be wrong. So it is watched
# for longer than a push goes on without a beat, unless no clock is wrong by so much.
WATCH_SECONDS = EXPIRY_SECONDS / 2 + 5.0
SURE_SECONDS = 3600.0
# It is heard of this often while it waits (for a busy server, for a slow answer) …
HEARTBEAT_SECONDS = 20.0
# … and a write goes out only if the lock was surely ours so long ago.
CHECK_SECONDS = 2.0
_ID = "lock"


@dataclass(slots=True)
class Lock:
    """A lock that is held. `check` before each write; it beats when a beat is due."""

    documents: Documents
    token: str
    version: Any
    clock: Callable[[], float]
    beaten: float
    lost: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Return when the lock is still ours; `RefusedError` when another push took it.

        A store that fails is no reason to stop a push, until the lock could expire.
        """
        with self._guard:
            now = self.clock()
            if not self.lost and 0 <= now - self.beaten < CHECK_SECONDS:
                return
            try:
                self.lost = self.lost or not self._beat(now)
            except ServerError as error:
                if now - self.beaten > EXPIRY_SECONDS / 2:
                    raise RefusedError(
                        f"the lock in {self.documents.place} cannot be renewed: {error}",
                        hint="push again when the store answers",
                    ) from error
                return
            if self.lost:
                raise RefusedError(
                    f"another push took the lock in {self.documents.place}: this one was silent "
                    f"for more than {EXPIRY_SECONDS:g} s",
                    hint="push again when the other has finished",
                )
            self.beaten = now

    def _beat(self, now: float) -> bool:
        """Renew; False when the lock is not ours any more."""
        document = _document(self.token, now)
        try:
            self.version = self.documents.replace(_ID, document, self.version)
        except (AlreadyThere, NotThere):
            found = self.documents.get(_ID)
            if found is None or found[0]["token"] != self.token:
                return False
            # An earlier beat arrived whose answer did not.
            self.version = self.documents.replace(_ID, document, found[1])
        return True

    def release(self) -> None:
        """Give the lock up; one that was taken from us, or cannot be reached, is left alone."""
        with self._guard, suppress(ServerError):
            self.documents.delete(_ID, self.version)


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
    over = threading.Event()
    heart = threading.Thread(target=_keep, args=(lock, over), name="ruledeploy-lock", daemon=True)
    heart.start()
    try:
        yield lock
    finally:
        over.set()
        heart.join()
        lock.release()


def read_holder(documents: Documents) -> JsonObject | None:
    """Who holds the lock: `{token, who, host, pid, heartbeat}`; None when it is free."""
    found = documents.get(_ID)
    return found[0] if found else None


def _keep(lock: Lock, over: threading.Event) -> None:
    """Beat while the push waits for something; what it finds out is told by the next `check`."""
    while not over.wait(HEARTBEAT_SECONDS):
        with suppress(RuledeployError):
            lock.check()


def _acquire(
    documents: Documents,
    wait: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Lock:
    token = uuid.uuid4().hex
    deadline = clock() + wait
    watch: _Watch | None = None
    while True:
        now = clock()
        found = documents.get(_ID)
        try:
            if found is None:
                version = documents.create(_ID, _document(token, now))
                return Lock(documents, token, version, clock, now)
            watch = _Watch.of(found[0], now, watch)
            if watch.is_dead(now):
                version = documents.replace(_ID, _document(token, now), found[1])
                return Lock(documents, token, version, clock, now)
        except AlreadyThere:
            continue  # another push was faster; look again
        if now >= deadline and not watch.is_doubtful(now):
            raise RefusedError(
                f"{found[0]['who']} is pushing to this environment "
                f"(last heard of {max(0.0, watch.age(now)):.0f} s ago)",
                hint=f"wait, or let the lock expire: {EXPIRY_SECONDS:g} s after its last sign "
                "of life",
            )
        sleep(min(1.0, max(0.05, deadline - now)) if now < deadline else 1.0)


@dataclass(frozen=True, slots=True)
class _Watch:
    """A lock that another holds, seen unchanged since `since`; `beats`: it was seen to change."""

    holder: JsonObject
    since: float
    beats: bool = False

    @staticmethod
    def of(holder: JsonObject, now: float, before: _Watch | None) -> _Watch:
        """What is known of the holder by now."""
        if before is None or before.holder["token"] != holder["token"]:
            return _Watch(holder, now)
        return before if before.holder == holder else _Watch(holder, now, beats=True)

    def age(self, now: float) -> float:
        """How long ago its last sign of life was, if its clock and ours agree."""
        return now - float(self.holder["heartbeat"])

    def is_dead(self, now: float) -> bool:
        """True when the lock may be taken."""
        silent, expired = now - self.since, self.age(now) > EXPIRY_SECONDS
        sure = self.age(now) > SURE_SECONDS and not self.beats
        return (
            sure
            or silent > EXPIRY_SECONDS
            or (expired and silent > WATCH_SECONDS)
            or _died_here(self.holder)
        )

    def is_doubtful(self, now: float) -> bool:
        """True when it looks dead, but has not been watched for long enough."""
        return self.age(now) > EXPIRY_SECONDS and not self.beats


def _document(token: str, now: float) -> dict[str, Any]:
    return {
        "token": token,
        "who": who(),
        "host": _host(),
        "pid": os.getpid(),
        "heartbeat": now,
    }


def _died_here(holder: JsonObject) -> bool:
    """True when the holder was a process of this machine that no longer exists."""
    if holder["host"] != _host():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, alive
        return False
    return False


def _host() -> str:
    """Where a process id means the same process: this machine since it started, its name space.

    Containers of one machine may share its name, but not its processes; so may machines that were
    made from one image.
    """
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:  # not Linux
        space = boot = ""
    return f"{platform.node()} {boot} {space}".strip()


def who() -> str:
    """The person and machine behind this process: `alice@build-7, process 4711`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{platform.node()}, process {os.getpid()}"
