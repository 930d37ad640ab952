"""The local stack is killed at random moments, again and again: no acknowledged write is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

KILLS = 100
WRITERS = 2
LONGEST_LIFE_S = 0.06
RULES = "/api/detection_engine/rules"
LISTS = "/api/exception_lists"
ITEMS = f"{LISTS}/items"
# Forks a server for each line it reads: starting Python anew would take most of the test's time.
NURSERY = """
import os, signal, sys
from pathlib import Path
from ruledeploy.stack import StackConfig, serve
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        serve(StackConfig(data=Path(sys.argv[1]), scheduler=False))
        os._exit(0)
    print(child, flush=True)
"""


@dataclass(frozen=True)
class Server:
    """A running stack and the process to kill."""

    pid: int
    kibana: str
    elasticsearch: str

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        while True:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.001)


class Nursery:
    """Starts one server after the other on the same data."""

    def __init__(self, process: subprocess.Popen[str], data: Path) -> None:
        self.process = process
        self.data = data

    def start(self) -> Server:
        """A new server, once it answers."""
        state = self.data / "stack.json"
        state.unlink(missing_ok=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("start\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                told = json.loads(state.read_text("utf-8"))
                return Server(pid, told["kibana_url"], told["elasticsearch_url"])
            except (FileNotFoundError, ValueError):
                time.sleep(0.002)
        raise AssertionError("the stack did not come back")


@contextmanager
def nursery(data: Path) -> Iterator[Nursery]:
    """A nursery for the length of the block; its last server is left to be killed."""
    data.mkdir()
    command = [sys.executable, "-c", NURSERY, str(data)]
    src = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": src},
    ) as process:  # fmt: skip
        yield Nursery(process, data)
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Writer:
    """Creates, updates and deletes objects of its own, and knows what must be there.

    `known` maps an object to the number it was last acknowledged with, None for absent; a write
    that was not answered leaves the object in `open` with the number it may have now.
    """

    name: str
    rng: random.Random
    known: dict[tuple[str, str], int | None] = field(default_factory=dict)
    open: dict[tuple[str, str], int | None] = field(default_factory=dict)
    acknowledged: int = 0
    interrupted: int = 0
    complaints: list[str] = field(default_factory=list)

    def write_until(self, server: Server) -> None:
        """Write until the server no longer answers."""
        with urllib3.PoolManager(retries=False, timeout=5) as pool:
            while True:
                kind = self.rng.choice(["rule", "list", "item", "document"])
                key = (kind, f"{self.name}-{self.rng.randrange(3)}")
                there = self.known.get(key)
                deletes = there is not None and self.rng.random() < 1 / 4
                wanted = None if deletes else self.acknowledged + self.interrupted + 1
                try:
                    status = send(pool, server, key, there is not None, wanted)
                except urllib3.exceptions.HTTPError:
                    self.open[key] = wanted
                    self.interrupted += 1
                    return
                if status not in {200, 201}:
                    self.complaints.append(f"{key} {there} -> {wanted}: {status}")
                    return
                self.known[key] = wanted
                self.acknowledged += 1

    def settle(self, server: Server) -> None:
        """Compare every object with what was acknowledged, and learn what became of the last."""
        with urllib3.PoolManager(retries=False, timeout=5) as pool:
            for key in {*self.known, *self.open}:
                found = read(pool, server, key)
                allowed = {self.known.get(key), self.open.get(key, self.known.get(key))}
                if found not in allowed:
                    self.complaints.append(f"{key}: {found}, not {allowed}")
                self.known[key] = found
        self.open.clear()


def send(
    pool: urllib3.PoolManager, server: Server, key: tuple[str, str], exists: bool, n: int | None
) -> int:
    """Create, replace or (without a number) delete an object; the status of the answer."""
    kind, name = key
    headers = {"kbn-xsrf": "x"}
    if kind == "document":
        url = f"{server.elasticsearch}/killed/_doc/{name}"
        if n is None:
            return pool.request("DELETE", url).status
        return pool.request("PUT", url, json={"n": n}).status
    path, identifier, body = described(kind, name)
    if n is None:
        url = f"{server.kibana}{path}?{identifier}={name}"
        return pool.request("DELETE", url, headers=headers).status
    sent = {**body, "name": str(n), identifier: name}
    if kind == "item" and not exists:
        sent["list_id"] = "parent"
    method = "PUT" if exists else "POST"
    return pool.request(method, f"{server.kibana}{path}", json=sent, headers=headers).status


def described(kind: str, name: str) -> tuple[str, str, dict[str, Any]]:
    """Where such an object lives, what its id is called, and a body for it."""
    match kind:
        case "rule":
            body = {"type": "query", "description": "d", "severity": "low", "risk_score": 1}
            return RULES, "rule_id", body
        case "list":
            return LISTS, "list_id", {"type": "detection", "description": name}
        case _:
            entry = {"field": "a", "type": "match", "operator": "included", "value": "b"}
            return ITEMS, "item_id", {"type": "simple", "description": "d", "entries": [entry]}


def read(pool: urllib3.PoolManager, server: Server, key: tuple[str, str]) -> int | None:
    """The number an object was written with; None when it is not there."""
    kind, name = key
    if kind == "document":
        reply = pool.request("GET", f"{server.elasticsearch}/killed/_doc/{name}")
        return int(reply.json()["_source"]["n"]) if reply.status == 200 else None
    path, identifier, _ = described(kind, name)
    reply = pool.request("GET", f"{server.kibana}{path}?{identifier}={name}")
    return int(reply.json()["name"]) if reply.status == 200 else None


def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    """After each of 100 kills the database is whole and holds every write that was answered."""
    rng = random.Random(4)  # noqa: S311 - repeatable, not secret
    data = tmp_path / "data"
    writers = [Writer(f"w{n}", random.Random(n)) for n in range(WRITERS)]  # noqa: S311
    with nursery(data) as nest:
        server = nest.start()
        parent = {"list_id": "parent", "name": "p", "description": "d", "type": "detection"}
        urllib3.request("POST", server.kibana + LISTS, json=parent, headers={"kbn-xsrf": "x"})
        for kill in range(KILLS):
            threads = [threading.Thread(target=w.write_until, args=(server,)) for w in writers]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0, LONGEST_LIFE_S))
            server.kill()
            for thread in threads:
                thread.join()
            server = nest.start()
            for writer in writers:
                writer.settle(server)
            with closing(sqlite3.connect(data / "stack.sqlite")) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert [w.complaints for w in writers] == [[]] * WRITERS, f"after kill {kill}"
        server.kill()
    # Kills that met nobody writing would prove nothing.
    assert sum(w.acknowledged for w in writers) > KILLS
    assert sum(w.interrupted for w in writers) > KILLS / 2
