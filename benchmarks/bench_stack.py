"""The local stack under load, against an empty server: `python benchmarks/bench_stack.py`.

The stack runs as a process of its own (`ruledeploy stack up`), eight client processes speak to it
over kept connections. The peer is a Starlette application that answers every request with the
same bytes, served the same way to the same clients: the ratio to it is what the stack's own work
costs, whatever else the machine does. So is the stack's processor time per request, by which the
growth from 1,000 to 10,000 rules is told. Memory is the stack's resident set.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

RULES = "/api/detection_engine/rules"
CLIENTS = 8
HEADERS = {"kbn-xsrf": "bench", "content-type": "application/json"}
START = datetime(2026, 11, 23, tzinfo=UTC)
INDEX = "logs-endpoint.events.process-default"
EVENTS, EVENT_RULES, ITEMS = 100_000, 500, 200
PEER = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = b"x" * 1500
async def answer(request):
    await request.body()
    return Response(body, media_type="application/json")
app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
uvicorn.run(app, port=int(sys.argv[1]), http="h11", log_config=None, access_log=False)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests of all clients together."""

    rate: float  # per second
    p99: float  # ms
    cpu: float  # ms of the server's processor time per request

    def __str__(self) -> str:
        return f"{self.rate:6.0f}/s  p99 {self.p99:5.1f} ms  cpu {self.cpu:.2f} ms"


class Client:
    """One kept connection."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)

    def __call__(self, method: str, path: str, body: Any = None) -> bytes:
        """One request; fails unless it is answered with 200."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self.connection.request(method, path, sent, HEADERS)
        reply = self.connection.getresponse()
        data = reply.read()
        if reply.status != http.client.OK:
            raise SystemExit(f"{method} {path}: {reply.status} {data[:300]!r}")
        return data


def rule(name: str, **changes: Any) -> dict[str, Any]:
    """A create request of the size that converted Sigma rules have."""
    return {
        "rule_id": name, "name": f"Rule {name}", "description": "d" * 200, "severity": "high",
        "risk_score": 73, "type": "query", "language": "lucene", "index": ["logs-*"],
        "query": "process.executable:*\\\\evil.exe AND NOT user.name:svc" + " OR a:b" * 20,
        "tags": ["a", "b", "c"], "references": ["https://example.org/a"], **changes,
    }  # fmt: skip


def get(client: Client, number: int) -> None:
    """Read one of the first thousand rules."""
    client("GET", f"{RULES}?rule_id=r{number % 1000}")


def create(client: Client, number: int) -> None:
    """Create a rule of its own."""
    client("POST", RULES, rule(f"n{number}"))


Work = Callable[[Client, int], None]


def load(url: str, pid: int, work: Work, count: int, first: int = 0) -> Measured:
    """`count` requests by eight processes at once, to the server of that process id."""
    with multiprocessing.get_context("fork").Pool(CLIENTS) as pool:
        each = count // CLIENTS
        pool.map(_nothing, range(CLIENTS))  # all are up
        started, before = time.perf_counter(), processor(pid)
        jobs = [(url, work, first + n * each, each) for n in range(CLIENTS)]
        times = sorted(t for part in pool.starmap(_client, jobs, chunksize=1) for t in part)
        took = time.perf_counter() - started
    cpu = (processor(pid) - before) / len(times) * 1000
    return Measured(len(times) / took, times[int(len(times) * 0.99)] * 1000, cpu)


def _nothing(number: int) -> int:
    return number


def _client(url: str, work: Work, first: int, count: int) -> list[float]:
    client, times = Client(url), []
    for number in range(first, first + count):
        started = time.perf_counter()
        work(client, number)
        times.append(time.perf_counter() - started)
    return times


@contextmanager
def stack(data: Path) -> Iterator[tuple[dict[str, str], int, float]]:
    """A stack as a process: its URLs, its process id, and seconds until it answered."""
    words = ["stack", "up", "--data", str(data), "--port", "0", "--es-port", "0"]
    started = time.perf_counter()
    command = [sys.executable, "-m", "ruledeploy", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        if process.stdout is None:
            raise SystemExit("the stack has no output")
        urls = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
        Client(urls["KIBANA_URL"])("GET", "/api/status")
        try:
            yield urls, process.pid, time.perf_counter() - started
        finally:
            process.terminate()


@contextmanager
def peer(port: int) -> Iterator[tuple[str, int]]:
    """The empty server, and its process id."""
    command = [sys.executable, "-c", PEER, str(port)]
    with subprocess.Popen(command) as process:  # noqa: S603 - the text above
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                Client(url)("GET", "/")
                break
            except OSError:
                time.sleep(0.05)
        try:
            yield url, process.pid
        finally:
            process.terminate()


def memory(pid: int, what: str = "VmRSS") -> float:
    """MB that a process has in memory, or (`VmHWM`) has had at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise SystemExit("no memory figure: Linux only")


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def requests(scratch: Path) -> None:
    """Rates, at 1,000 and at 10,000 rules."""
    with peer(56_017) as (url, pid):
        empty = load(url, pid, get, 8_000)
        posted = load(url, pid, create, 4_000)
    print(f"empty server       GET      {empty}\n                   POST     {posted}")
    with stack(scratch / "requests") as (urls, pid, ready):
        url, client = urls["KIBANA_URL"], Client(urls["KIBANA_URL"])
        print(f"start to ready              {ready:.2f} s, {processor(pid):.2f} of cpu (limit 1)")
        for n in range(1000):
            client("POST", RULES, rule(f"r{n}"))
        few, made = load(url, pid, get, 8_000), load(url, pid, create, 2_000)
        print(f"at  1,000 rules    GET      {few}  (limit 1000/s), {times(few, empty)} empty")
        print(f"                   create   {made}  (limit 300/s), {times(made, posted)} empty")
        took = timed(lambda: client("GET", f"{RULES}/_find?per_page=10000"))
        print(f"_find of all 3,000          {took:.2f} s (limit 1)")
        load(url, pid, create, 7_000, first=2_000)
        many, later = load(url, pid, get, 8_000), load(url, pid, create, 2_000, first=9_000)
        print(f"at 10,000 rules    GET      {many}  {times(many, few)} 1,000 rules (limit 1.5)")
        print(f"                   create   {later}  {times(later, made)} 1,000 rules (limit 1.5)")
        print(f"memory at 10,000 rules      {memory(pid):.0f} MB (limit 250)")
        took = timed(lambda: client("GET", f"{RULES}/_find?per_page=10000"))
        print(f"_find of 10,000 of them     {took:.2f} s, {memory(pid, 'VmHWM'):.0f} MB at most")


def times(one: Measured, other: Measured) -> str:
    """How the processor time of two servers compares, request for request."""
    return f"{one.cpu / other.cpu:.2f} x the cpu of"


def events(scratch: Path) -> None:
    """One tick of many rules over many events."""
    with stack(scratch / "events") as (urls, pid, _):
        kibana, elastic = Client(urls["KIBANA_URL"]), Client(urls["ELASTICSEARCH_URL"])
        clock = "/internal/ruledeploy/clock"
        kibana("POST", clock, {"now": START.isoformat()})
        took = timed(lambda: ingest(elastic))
        print(f"ingest of {EVENTS:,} events     {took:.1f} s")
        link = shared_list(kibana)
        for n in range(EVENT_RULES):
            query = f"process.name:p{n}.exe AND process.command_line:*word{n % 97}*"
            changes = {"query": query, "enabled": True, "interval": "5m", "from": "now-9m"}
            changes["exceptions_list"] = [link]
            kibana("POST", RULES, rule(f"e{n}", **changes))
        before = memory(pid)
        tick = {"now": (START + timedelta(minutes=5)).isoformat(), "run": True}
        told: dict[str, Any] = {}
        took = timed(lambda: told.update(json.loads(kibana("POST", clock, tick))))
        most = memory(pid, "VmHWM")
        rules = f"{told['runs']} rules with {ITEMS} items"
        print(f"one tick of {rules} over {EVENTS:,} events: {took:.1f} s")
        print(f"{told['alerts']} alerts, memory {before:.0f} -> {most:.0f} MB at most")
        tick = {"now": (START + timedelta(minutes=60)).isoformat(), "run": True}
        took = timed(lambda: told.update(json.loads(kibana("POST", clock, tick))))
        print(f"{told['runs']} runs of the next 55 minutes, no event in sight: {took:.1f} s")


def shared_list(client: Client) -> dict[str, str]:
    """One list of many items, which all rules share; the link to it."""
    named = {"name": "l", "description": "d", "list_id": "shared"}
    client("POST", "/api/exception_lists", {**named, "type": "detection"})
    for n in range(ITEMS):
        entry = {"field": "process.name", "type": "match", "operator": "included"}
        item = {"item_id": f"i{n}", "type": "simple", "entries": [{**entry, "value": f"x{n}.exe"}]}
        client("POST", "/api/exception_lists/items", {**named, **item})
    return {"id": "0", "list_id": "shared", "type": "detection", "namespace_type": "single"}


def ingest(client: Client) -> None:
    """All events within five minutes, by the thousand."""
    for chunk in range(0, EVENTS, 1000):
        lines: list[Any] = []
        for n in range(chunk, chunk + 1000):
            at = START + timedelta(milliseconds=n * 290_000 // EVENTS)
            event = {
                "@timestamp": at.isoformat(),
                "event": {"id": f"e{n}", "category": ["process"], "type": ["start"]},
                "host": {"name": f"host-{n % 50}", "os": {"type": "windows"}},
                "user": {"name": f"user-{n % 20}", "domain": "CORP"},
                "process": {
                    "name": f"p{n % 5000}.exe", "pid": n, "executable": f"C:\\Windows\\p{n}.exe",
                    "command_line": f"p{n}.exe --option word{n % 97} /quiet {n:x}",
                    "parent": {"name": "explorer.exe", "executable": "C:\\Windows\\explorer.exe"},
                },
            }  # fmt: skip
            lines += [{"create": {"_index": INDEX, "_id": f"e{n}"}}, event]
        client("POST", "/_bulk", "".join(json.dumps(line) + "\n" for line in lines).encode())


def main() -> None:
    """Print every figure beside its limit."""
    with tempfile.TemporaryDirectory() as folder:
        requests(Path(folder))
        events(Path(folder))


if __name__ == "__main__":
    main()
