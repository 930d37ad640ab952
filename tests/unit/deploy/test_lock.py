"""The lock: held, beaten, expired, taken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ruledeploy.deploy.documents import FolderDocuments
from ruledeploy.deploy.lock import (
    CHECK_SECONDS,
    EXPIRY_SECONDS,
    HEARTBEAT_SECONDS,
    SURE_SECONDS,
    _host,
    locked,
)
from ruledeploy.errors import AlreadyThere, AnswerLost, RefusedError
from ruledeploy.model import JsonObject


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def test_a_silent_holder_loses_its_lock_and_finds_out(tmp_path: Path) -> None:
    """After the expiry another push takes it; the first is refused at its next write."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    with locked(documents, clock=clock) as first:
        clock.now += EXPIRY_SECONDS + 1
        with locked(documents, clock=clock, sleep=clock.sleep) as second:
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


@pytest.mark.parametrize("behind", [EXPIRY_SECONDS + 60, SURE_SECONDS - 60])
def test_a_holder_whose_clock_is_late_keeps_its_lock(tmp_path: Path, behind: float) -> None:
    """It looks silent by our clock, but is seen to beat: the second push is refused."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    with locked(documents, clock=lambda: clock.now - behind) as first:

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            if clock.now - 1000 > HEARTBEAT_SECONDS:
                first.check()

        with pytest.raises(RefusedError), locked(documents, clock=clock, sleep=sleep):
            pass
        first.check()
    assert clock.now - 1000 < HEARTBEAT_SECONDS + 5


def test_a_lock_is_taken_at_once_when_no_clock_is_wrong_by_so_much(tmp_path: Path) -> None:
    """Nobody waits for a push that died an hour ago."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    with locked(documents, clock=clock):
        clock.now += SURE_SECONDS + 1
        with locked(documents, clock=clock, sleep=clock.sleep):
            assert clock.now == 1000 + SURE_SECONDS + 1


def test_a_clock_that_is_set_back_hides_no_lost_lock(tmp_path: Path) -> None:
    """What was checked "in the future" is checked again."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    with locked(documents, clock=clock) as lock:
        found = documents.get("lock")
        assert found
        documents.replace("lock", {**found[0], "token": "another"}, found[1])
        clock.now -= 300
        with pytest.raises(RefusedError, match="another push took the lock"):
            lock.check()


def test_a_machine_of_our_name_is_not_ours(tmp_path: Path) -> None:
    """Runners made from one image share a name; their processes are not ours to look up."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    name, _, space = _host().split(" ")
    note = {"token": "t", "who": "w", "heartbeat": clock.now, "pid": 2**22 + 1}
    documents.create("lock", {**note, "host": f"{name} another-boot {space}"})
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
    note = {"token": "t", "who": "w", "host": _host(), "heartbeat": clock.now}
    documents.create("lock", {**note, "pid": dead.pid})
    with locked(documents, clock=clock) as lock:
        lock.check()
    documents.create("lock", {**note, "pid": os.getpid()})
    with pytest.raises(RefusedError), locked(documents, clock=clock):
        pass


def test_a_lock_taken_from_us_is_noticed_at_the_next_write(tmp_path: Path) -> None:
    """Not only after a heartbeat: two pushes must never both write."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    with locked(documents, clock=clock) as lock:
        found = documents.get("lock")
        assert found
        documents.replace("lock", {**found[0], "token": "another"}, found[1])
        clock.now += CHECK_SECONDS
        for _ in range(2):
            with pytest.raises(RefusedError, match="another push took the lock"):
                lock.check()
    assert documents.get("lock")  # not ours to delete


def test_a_container_beside_us_is_not_dead(tmp_path: Path) -> None:
    """It may bear our name, but its processes are not ours to look up."""
    documents, clock = FolderDocuments(tmp_path), Clock()
    host = f"{_host()} pid:[1]"
    note = {"token": "t", "who": "w", "host": host, "heartbeat": clock.now, "pid": 2**22 + 1}
    documents.create("lock", note)
    with pytest.raises(RefusedError), locked(documents, clock=clock):
        pass


class Flaky(FolderDocuments):
    """Documents whose answers get lost while `down`: writes arrive all the same."""

    down = False

    def replace(self, id_: str, document: JsonObject, version: str) -> str:
        """Write, and lose the answer."""
        answer = super().replace(id_, document, version)
        if self.down:
            raise AnswerLost("no answer", url=self.place)
        return answer


def test_a_store_that_stumbles_stops_no_push_before_the_lock_could_expire(tmp_path: Path) -> None:
    """The next beat finds its own; after half the time to expiry the push gives up."""
    documents, clock = Flaky(tmp_path), Clock()
    with locked(documents, clock=clock) as lock:
        documents.down = True
        clock.now += CHECK_SECONDS
        lock.check()
        documents.down = False
        clock.now += CHECK_SECONDS
        lock.check()
        documents.down = True
        clock.now += EXPIRY_SECONDS / 2 + 1
        with pytest.raises(RefusedError, match="cannot be renewed"):
            lock.check()


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
