"""The lock: held, beaten, expired, taken."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ruledeploy.deploy.documents import FolderDocuments
from ruledeploy.deploy.lock import EXPIRY_SECONDS, HEARTBEAT_SECONDS, locked
from ruledeploy.errors import AlreadyThere, RefusedError


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_a_silent_holder_loses_its_lock_and_finds_out(tmp_path: Path) -> None:
    """After the expiry another push takes it; the first is refused at its next write."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    with locked(documents, clock=clock) as first:
        clock.now += EXPIRY_SECONDS + 1
        with locked(documents, clock=clock) as second:
            second.check()
            with pytest.raises(RefusedError, match="another push took the lock"):
                first.check()
        assert documents.get("lock") is None
    assert documents.get("lock") is None


def test_a_beating_holder_keeps_its_lock(tmp_path: Path) -> None:
    """However long a push lasts, its writes keep the lock alive."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    with locked(documents, clock=clock) as first:
        for _ in range(20):
            clock.now += HEARTBEAT_SECONDS + 1
            first.check()
        with pytest.raises(RefusedError), locked(documents, clock=clock):
            pass


def test_a_second_push_may_wait(tmp_path: Path) -> None:
    """It looks again until the first is done."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    first = locked(documents, clock=clock)
    first.__enter__()

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 1003:
            first.__exit__(None, None, None)

    with locked(documents, wait=10, clock=clock, sleep=sleep) as second:
        second.check()


def test_a_process_that_died_here_leaves_no_lock(tmp_path: Path) -> None:
    """Its heartbeat is young, but the process is gone."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    note = {"token": "t", "who": "w", "host": platform.node(), "heartbeat": clock.now}
    documents.create("lock", {**note, "pid": dead.pid})
    with locked(documents, clock=clock) as lock:
        lock.check()
    documents.create("lock", {**note, "pid": os.getpid()})
    with pytest.raises(RefusedError), locked(documents, clock=clock):
        pass


def test_documents_in_a_folder_are_create_only_and_compared(tmp_path: Path) -> None:
    """A second create, and a write over a moved version, are refused; files stay whole."""
    documents = FolderDocuments(tmp_path / "deep" / "folder")
    assert documents.get("a") is None
    version = documents.create("a", {"n": 1})
    with pytest.raises(AlreadyThere):
        documents.create("a", {"n": 2})
    documents.replace("a", {"n": 3}, version)
    with pytest.raises(AlreadyThere):
        documents.replace("a", {"n": 4}, version)
    with pytest.raises(AlreadyThere):
        documents.delete("a", version)
    found = documents.get("a")
    assert found
    assert found[0] == {"n": 3}
    assert [path.name for path in documents.folder.glob("*.tmp")] == []
