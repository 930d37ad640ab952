"""Pushes of a large release over a slow line: requests, time against the least possible, memory.

The local stack runs in a process of its own and waits before it answers: 50 ms for each call, and
1,000 ms for each create of an exception list or item, as a real stack does for its refresh. The
release is compiled from generated Sigma rules and overlays first; that is not measured.

    python benchmarks/bench_deploy.py             # a tenth of the size, about a minute
    python benchmarks/bench_deploy.py --full      # 3,000 rules, 600 lists, 6,000 items

Times are by the wall clock, so other work on the machine is in them; the CPU time of a push with
nothing to do stands beside it.

The least time of a first push is what its writes must wait when `--jobs` of them are always in
flight and nothing else costs anything: for each kind of object, writes x latency / jobs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from ruledeploy.compile import compile_release
from ruledeploy.deploy import (
    ApplyOptions,
    Options,
    Plan,
    RecordStore,
    apply,
    make_plan,
    preflight,
    read_live,
)
from ruledeploy.deploy.documents import FolderDocuments
from ruledeploy.deploy.objects import Owner
from ruledeploy.kibana import Connection, Kibana, Peer
from ruledeploy.model import Release
from ruledeploy.project import load_project
from ruledeploy.stack.config import StackConfig
from ruledeploy.stack.server import serve

CALL_MS, CREATE_MS = 50, 1000
ENV, DAY = "bench", date(2026, 11, 24)
OWNER = Owner("bench", ENV)
# The goals.
SHARE, READS, IDLE_S, WRITES, PLAN_S, MEMORY_MB = 1.2, 40, 5, 6, 4, 400


@dataclass(frozen=True, slots=True)
class Size:
    """How large the release is."""

    rules: int
    lists: int
    items: int


FULL, TENTH = Size(3000, 600, 6000), Size(300, 60, 600)


# -------------------------------------------------------------------------------- the release


def content(size: Size) -> dict[str, bytes]:
    """A content repository: one rule a file, one overlay a file."""
    files = {
        "ruledeploy.toml": b'[project]\nname = "bench"\n[defaults.indices]\n'
        b'"windows/process_creation" = ["logs-endpoint.events.process-*"]\n'
        b'[env.bench]\nkibana_url = "embedded:"\nexceptions = ["base"]\n'
    }
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"rule {n}")) for n in range(size.rules)]
    for n, rule_id in enumerate(ids):
        files[f"rules/r{n:04}.yml"] = _rule(n, rule_id).encode()
    each = size.items // size.lists
    for n in range(size.lists):
        chosen = ids[n :: size.lists]
        files[f"exceptions/base/o{n:03}.yml"] = _overlay(n, chosen, each).encode()
    return files


def _rule(n: int, rule_id: str) -> str:
    return (
        f"title: Suspicious Tool {n}\nid: {rule_id}\nstatus: test\n"
        f"description: A tool of number {n} is started from a folder where no tool belongs\n"
        "tags: [attack.execution, attack.t1059.001]\nlevel: high\n"
        "logsource: {product: windows, category: process_creation}\n"
        f"detection:\n  image: {{Image|endswith: '\\tool{n}.exe'}}\n"
        f"  line: {{CommandLine|contains: ['-enc', '-run {n}']}}\n  condition: image and line\n"
        "falsepositives: [Administrators]\n"
    )


def _overlay(n: int, rules: list[str], items: int) -> str:
    overlay_id = uuid.uuid5(uuid.NAMESPACE_OID, f"overlay {n}")
    lines = [f"title: Known good {n}\nid: {overlay_id}\nrules: {json.dumps(rules)}\nitems:"]
    lines += [
        f"  - id: item-{k}\n    name: Tool {k} of team {n}\n"
        f"    match: {{process.executable: 'C:\\Tools\\team{n}\\tool{k}.exe'}}\n"
        f"    owner: team-{n}\n    reason: Runs every night\n    expires: 2027-03-31"
        for k in range(items)
    ]
    return "\n".join(lines) + "\n"


def compiled(size: Size) -> Release:
    """The release that the content compiles to."""
    project = load_project(content(size))
    release = compile_release(project, project.environment(ENV), DAY)
    made = Size(len(release.rules), len(release.lists), len(release.items))
    if made != size:
        sys.exit(f"the content compiles to {made}")
    return release


# ------------------------------------------------------------------------------ the slow line


class SlowPeer(Peer):
    """Asks the stack to wait before each answer, and counts what is sent."""

    sent: Counter[str]

    def _send(
        self, method: str, target: str, url: str, body: object, headers: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, str], Any]:
        create = method == "POST" and target.startswith("/api/exception_lists")
        wait = CREATE_MS if create else CALL_MS
        self.sent[method] += 1
        asked = {**(headers or {}), "x-ruledeploy-fault": f"latency={wait}"}
        return super()._send(method, target, url, body, asked)


class SlowKibana(Kibana):
    """A Kibana far away."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._peer.close()
        headers = {"kbn-xsrf": "ruledeploy", "elastic-api-version": "2023-10-31"}
        self.peer = SlowPeer(connection, headers)
        self.peer.sent = Counter()
        self._peer = self.peer


def _serve(data: Path, ready: Any) -> None:
    config = StackConfig(data=data, scheduler=False)
    serve(config, on_ready=lambda running: ready.put(running.kibana_url))


# -------------------------------------------------------------------------------- measuring


@dataclass(slots=True)
class Bench:
    """One server, one store, one release."""

    kibana: SlowKibana
    store: RecordStore
    jobs: int

    def plan(self, release: Release) -> Plan:
        """Preflight, read, compare."""
        preflight(self.kibana)
        applied = self.store.applied()
        live = read_live(self.kibana, release, applied)
        return make_plan(release, live, applied, Options())

    def push(self, release: Release) -> tuple[float, float, Counter[str], int]:
        """Seconds to plan, seconds in all, what was sent, number of writes."""
        self.kibana.peer.sent.clear()
        began = time.perf_counter()
        plan = self.plan(release)
        planned = time.perf_counter() - began
        options = ApplyOptions(jobs=self.jobs)
        outcome = apply(plan, self.kibana, self.store, options=options)
        return planned, time.perf_counter() - began, Counter(self.kibana.peer.sent), outcome.writes


def least(size: Size, jobs: int) -> float:
    """Seconds that the writes of a first push must wait, `jobs` always in flight."""
    creates = -(-size.lists // jobs) + -(-size.items // jobs)
    return (creates * CREATE_MS + -(-size.rules // jobs) * CALL_MS) / 1000


def say(what: str, found: str, goal: str, *, good: bool) -> None:
    """One line of the report."""
    print(f"{what:42} {found:>34}   goal {goal:24} {'ok' if good else 'MISSED'}")


def measure(bench: Bench, release: Release, size: Size) -> None:
    """First push, nothing to do, one rule changed; memory at the end."""
    jobs, possible = bench.jobs, least(size, bench.jobs)
    _, total, _, writes = bench.push(release)
    if writes != size.rules + size.lists + size.items:
        sys.exit(f"the first push sent {writes} writes")
    say(
        f"first push, {jobs} in flight",
        f"{total:.1f} s = {total / possible:.2f} x {possible:.1f} s",
        f"<= {SHARE} x the least",
        good=total <= SHARE * possible,
    )
    before = time.process_time()
    _, total, sent, writes = bench.push(release)
    reads, own = sent.total(), time.process_time() - before
    say(
        "nothing to do", f"{reads} requests, {total:.2f} s, CPU {own:.2f} s",
        f"<= {READS} reads, <= {IDLE_S} s",
        good=writes == 0 and sent.keys() == {"GET"} and reads <= READS and total <= IDLE_S,
    )  # fmt: skip
    first = release.rules[0]
    changed = replace(first, body={**first.body, "severity": "low", "risk_score": 21})
    planned, total, sent, writes = bench.push(replace(release, rules=(changed, *release.rules[1:])))
    not_read = sent.total() - sent["GET"]
    say(
        "one rule changed", f"{not_read} writes, plan {planned:.2f} s, all {total:.2f} s",
        f"<= {WRITES} writes, plan <= {PLAN_S} s", good=not_read <= WRITES and planned <= PLAN_S,
    )  # fmt: skip
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say("memory, at most", f"{memory:.0f} MB", f"<= {MEMORY_MB} MB", good=memory <= MEMORY_MB)


def main() -> None:
    """Compile in one process, serve in another, measure in this."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="3,000 rules, 600 lists, 6,000 items")
    parser.add_argument("--jobs", type=int, default=20, help="writes in flight at once")
    arguments = parser.parse_args()
    size = FULL if arguments.full else TENTH
    python = sys.version.split()[0]
    print(f"{size.rules} rules, {size.lists} lists, {size.items} items; Python {python}")

    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release = _in_process(spawn, _compile_to, folder / "release.json", size)
        ready = spawn.Queue()
        server = spawn.Process(target=_serve, args=(folder / "stack", ready), daemon=True)
        server.start()
        try:
            kibana = SlowKibana(Connection(ready.get(timeout=30), timeout=60.0))
            store = RecordStore(FolderDocuments(folder / "records", durable=True), OWNER)
            measure(Bench(kibana, store, arguments.jobs), release, size)
        finally:
            server.terminate()
            server.join()


def _compile_to(file: Path, size: Size) -> None:
    file.write_text(json.dumps(compiled(size).to_json()), "utf-8")


def _in_process(spawn: Any, work: Callable[[Path, Size], None], file: Path, size: Size) -> Release:
    """The release, compiled elsewhere, so that its memory is not counted here."""
    process = spawn.Process(target=work, args=(file, size))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("the content does not compile")
    return Release.from_json(json.loads(file.read_text("utf-8")))


if __name__ == "__main__":
    main()
