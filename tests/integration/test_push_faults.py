"""A push over a bad line: lost answers, resets, busy servers. No duplicate, no orphan, one end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.deploy import ApplyOptions, apply, make_plan, read_live
from ruledeploy.errors import PartialError, RuledeployError, Unreachable
from ruledeploy.kibana import Connection, Kibana
from ruledeploy.stack.config import Faults
from support.deploy_bench import Bench, exception_list, item, release, rule, running_bench

WANTED = release(
    *(rule(f"r{n}", "l1") for n in range(5)), exception_list("l1"),
    *(item("l1", f"i{n}", f"n{n}") for n in range(5)),
)  # fmt: skip
CHANGED = release(
    *(rule(f"r{n}", "l1", query=f"process.name:{n}") for n in range(1, 6)),
    exception_list("l1", description="another"),
    *(item("l1", f"i{n}", f"n{n}", description="new") for n in range(2, 7)),
)


class Line:
    """A TCP proxy on loopback that spoils chosen exchanges: real sockets, real time-outs.

    `plan` maps the number of a write request (POST, PUT, DELETE; from 1) to what happens to it:
    `swallow` (never reaches the server), `lose` (reaches it, the answer does not come back) or
    `hang` (reaches it, and the answer never ends).
    """

    def __init__(self, url: str, plan: dict[int, str]) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._server = (host, int(port))
        self._plan = plan
        self._writes = 0
        self._guard = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            while request := _message(client):
                fate = self._fate(request)
                if fate == "swallow":
                    return
                server.sendall(request)
                answer = _message(server)
                if fate == "lose":
                    return
                if fate == "hang":
                    client.sendall(answer[:20])
                    client.recv(1)  # until the other side gives up
                    return
                client.sendall(answer)

    def _fate(self, request: bytes) -> str | None:
        if request.startswith(b"GET"):
            return None
        with self._guard:
            self._writes += 1
            return self._plan.get(self._writes)


def _message(peer: socket.socket) -> bytes:
    """One HTTP message with a content-length; empty when the peer hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        some = peer.recv(65536)
        if not some:
            return b""
        data += some
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def over(bench: Bench, plan: dict[int, str], timeout: float = 5.0) -> Iterator[Kibana]:
    """A client whose requests go over a bad line."""
    line = Line(bench.kibana.connection.url, plan)
    try:
        with Kibana(Connection(line.url, timeout=timeout)) as kibana:
            yield kibana
    finally:
        line.close()


def push_over(bench: Bench, kibana: Kibana, wanted: Any) -> int:
    """Read, plan and apply over the line; the number of writes."""
    applied = bench.store.applied()
    plan = make_plan(wanted, read_live(kibana, wanted, applied), applied)
    options = ApplyOptions(jobs=1, allow_many=True, sleep=lambda _: None)
    return apply(plan, kibana, bench.store, options=options).writes


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench on a stack of its own."""
    with running_bench(tmp_path) as running:
        yield running


@pytest.mark.parametrize("fate", ["swallow", "lose"])
def test_every_write_may_lose_its_answer(bench: Bench, fate: str) -> None:
    """Creates, updates and deletes are each read back and, if need be, sent once more."""
    every_other = dict.fromkeys(range(1, 200, 2), fate)
    with over(bench, every_other) as kibana:
        assert push_over(bench, kibana, WANTED) == 11
    assert len(bench.rules()) == 5
    assert bench.plan(WANTED).empty
    with over(bench, every_other) as kibana:
        assert push_over(bench, kibana, CHANGED) > 10
    assert bench.plan(CHANGED).empty
    assert set(bench.items()) == {f"i{n}" for n in range(2, 7)}


def test_a_create_that_timed_out_after_the_write_is_not_sent_again(bench: Bench) -> None:
    """The read-back finds it; the log shows one POST per object."""
    with over(bench, {1: "hang", 4: "hang", 9: "hang"}, timeout=0.5) as kibana:
        push_over(bench, kibana, WANTED)
    assert len(bench.log.writes()) == 11
    assert len(bench.rules()) == 5


def test_a_line_that_stays_dead_is_a_partial_push_that_names_what_is_left(bench: Bench) -> None:
    """Exit 4 with done and left; the next push goes on from there."""
    dead = dict.fromkeys(range(4, 100), "swallow")
    with over(bench, dead) as kibana, pytest.raises(PartialError) as caught:
        push_over(bench, kibana, WANTED)
    assert "done (3):" in caught.value.message
    assert "unknown (1):" in caught.value.message
    assert "left (7):" in caught.value.message
    assert bench.store.applied().state == "partial"
    bench.push(WANTED)
    assert bench.plan(WANTED).empty
    assert bench.store.applied().state == "done"


def test_no_connection_is_told_before_any_write(bench: Bench) -> None:
    """Unreachable says that nothing was carried out, and names no credentials."""
    with Kibana(Connection("http://127.0.0.1:1")) as nowhere:
        with pytest.raises(Unreachable) as caught:
            push_over(bench, nowhere, WANTED)
        assert "127.0.0.1:1" in str(caught.value)
    assert bench.store.last() == 0


@pytest.mark.parametrize("seed", range(4))
def test_pushes_over_a_flaky_server_converge(tmp_path: Path, seed: int) -> None:
    """With a tenth of all requests lost or reset, a few pushes bring everything, once."""
    faults = Faults(seed=seed, lost=0.1, reset=0.05, too_many=0.05, retry_after_s=0)
    with running_bench(tmp_path, faults=faults) as flaky:
        for wanted in (WANTED, CHANGED):
            for _ in range(40):
                try:
                    flaky.push(wanted, jobs=4)
                    if flaky.plan(wanted).empty:
                        break
                except RuledeployError:
                    continue
            else:
                pytest.fail("40 pushes were not enough")
    with running_bench(tmp_path) as healthy:
        assert {r for r, body in healthy.rules().items() if body["enabled"]} == {
            f"r{n}" for n in range(1, 6)
        }
        assert set(healthy.items()) == {f"i{n}" for n in range(2, 7)}
        assert healthy.plan(CHANGED).empty


def test_a_busy_server_is_waited_for_as_long_as_it_asks(tmp_path: Path) -> None:
    """429 and 503 with Retry-After: the client waits, and the push succeeds."""
    faults = Faults(seed=1, too_many=0.2, server_error=0.1, retry_after_s=7)
    with running_bench(tmp_path, faults=faults) as busy:
        waits: list[float] = []
        url = busy.kibana.connection.url
        with Kibana(Connection(url), sleep=waits.append) as kibana:
            assert push_over(busy, kibana, WANTED) == 11
        assert waits
        assert set(waits) == {7.0}
