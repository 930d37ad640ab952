"""The embedded engine on process rules and nested events: `bench_engine.py [EVENTS] [RULES]`.

Everything starts from JSON lines on disk. Figures are ratios within one run: to naive closures,
which are asked of a sample of the events and scaled up, and to Zircolite where `PEER_ZIRCOLITE`
names its folder (and `PEER_PYTHON` the Python that has what it needs). `SIGMA_RULES` names a folder
of Sigma process-creation rules; without it they are made up. Times are processor seconds, children
included, which a busy machine inflates for all alike; seconds on the wall stand beside them.

`--least-ratio N` ends with 1 if the engine is less than N times as fast as the closures: a gate for
CI that no slow machine can trip. The engine and the closures must find the same, rule by rule.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ruledeploy.engine import EmbeddedEngine, EngineRule, Files, Kept
from support.engine_corpus import BenchRule, events, lowered, reference, rules, write

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SAMPLE = 2_000
EDITS = 20


@dataclass(slots=True)
class Spent:
    """Processor seconds and seconds on the wall."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def spending() -> Iterator[Spent]:
    """What the block spends, its children included."""
    out, wall, cpu = Spent(), time.perf_counter(), processor()
    yield out
    out.cpu, out.wall = processor() - cpu, time.perf_counter() - wall


def processor() -> float:
    """Processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def found(engine: EmbeddedEngine, asked: Sequence[EngineRule], path: Path) -> dict[str, set[str]]:
    """The events that each rule finds, of those that find any."""
    hits = engine.run(asked, Files((path,)), None, NOW)
    return {rule_id: set(one.event_ids) for rule_id, one in hits.items() if one.count}


def naive(chosen: Sequence[BenchRule], count: int) -> tuple[dict[str, set[str]], Spent]:
    """What the closures find in the first events; making the events is not in the time."""
    sample = [lowered(event) for event in islice(events([r.tree for r in chosen], count), SAMPLE)]
    tests = [(rule.engine.rule_id, reference(rule.tree)) for rule in chosen]
    out: dict[str, set[str]] = {}
    with spending() as spent:
        for number, event in enumerate(sample):
            for rule_id, test in tests:
                if test(event):
                    out.setdefault(rule_id, set()).add(f"event-{number}")
    return out, spent


def head(path: Path, count: int) -> Path:
    """The first lines of a file, as a file."""
    out = path.with_name(f"head-{count}-{path.name}")
    with path.open("rb") as whole, out.open("wb") as part:
        part.writelines(islice(whole, count))
    return out


def edits(asked: Sequence[EngineRule], path: Path) -> tuple[Spent, list[float], list[float]]:
    """The first run with everything kept; then one rule changed, over and over: cpu and wall."""
    engine = EmbeddedEngine(kept=Kept(largest=path.stat().st_size))
    with spending() as first:
        found(engine, asked, path)
    cpu, wall = [], []
    for number in range(EDITS):
        place = number * 7 % len(asked)
        changed = list(asked)
        query = f"({asked[place].query}) AND NOT process.command_line:*edit{number}*"
        changed[place] = replace(asked[place], query=query)
        with spending() as spent:
            found(engine, changed, path)
        cpu.append(spent.cpu)
        wall.append(spent.wall)
    return first, cpu, wall


def zircolite(folder: Path, chosen: Sequence[BenchRule], logged: Path) -> tuple[int, Spent]:
    """Hits and time of Zircolite over Sysmon's events, with its rules converted beforehand."""
    python = os.environ.get("PEER_PYTHON", sys.executable)
    with TemporaryDirectory() as scratch:
        for rule in chosen:
            (Path(scratch) / f"{rule.engine.rule_id}.yml").write_text(rule.text, encoding="utf-8")
        options = ["--jsononly", "--no-event-filter", "--no-parallel", "--no-auto-detect", "-q"]
        out = ["-o", f"{scratch}/out.json", "-l", f"{scratch}/log"]
        before = set(folder.glob("ruleset-*.json"))
        command = [python, str(folder / "zircolite.py"), *options, *out]
        run(folder, [*command, "-e", str(head(logged, 1)), "-r", scratch, "--save-ruleset"])
        (ruleset,) = set(folder.glob("ruleset-*.json")) - before
        try:
            with spending() as spent:
                run(folder, [*command, "-e", str(logged), "-r", str(ruleset)])
        finally:
            ruleset.unlink()
        detected = json.loads(Path(f"{scratch}/out.json").read_text(encoding="utf-8"))
    return sum(int(rule["count"]) for rule in detected), spent


def peak() -> float:
    """The most memory that this process or one of its children had at any time, in MB."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(one.ru_maxrss for one in used) / 1024


def run(folder: Path, command: Sequence[str]) -> None:
    """A peer's command, quietly."""
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def shown(name: str, spent: Spent, note: str = "") -> None:
    """One line."""
    print(f"{name:<34}{spent.cpu:9.2f} s cpu {spent.wall:9.2f} s wall  {note}")


def measured(name: str, work: Callable[[], object], note: str = "") -> Spent:
    """Do the work and show what it took."""
    with spending() as spent:
        work()
    shown(name, spent, note)
    return spent


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description="Measure the embedded engine.")
    parser.add_argument("events", type=int, nargs="?", default=200_000)
    parser.add_argument("rules", type=int, nargs="?", default=500)
    parser.add_argument("--least-ratio", type=float, default=0.0)
    given = parser.parse_args()
    root = Path(os.environ["SIGMA_RULES"]) if "SIGMA_RULES" in os.environ else None
    every = rules(root, "lucene", None if root else given.rules)
    chosen = every[: given.rules]
    asked = [rule.engine for rule in chosen]
    with TemporaryDirectory() as scratch:
        nested, logged = write([rule.tree for rule in chosen], given.events, Path(scratch))
        wanted, slow = naive(chosen, given.events)
        if found(EmbeddedEngine(), asked, head(nested, SAMPLE)) != wanted:
            sys.exit("the engine and the closures find different events")
        scale = given.events / min(SAMPLE, given.events)
        closures = Spent(slow.cpu * scale, slow.wall * scale)
        size = nested.stat().st_size
        print(f"{given.events:,} events of {size // given.events:,} bytes, {len(asked):,} rules")
        shown("naive closures", closures, f"scaled from {SAMPLE:,} events")
        one = measured("one process", lambda: found(EmbeddedEngine(), asked, nested))
        ratio = closures.cpu / one.cpu
        print(f"{'':<34}{ratio:9.1f} times the closures, {given.events / one.cpu:,.0f} events/s")
        two = measured("two processes", lambda: found(EmbeddedEngine(jobs=2), asked, nested))
        print(f"{'memory at most':<34}{peak():9.0f} MB")
        if len(every) > len(chosen):
            more = [rule.engine for rule in every]
            many = measured(f"{len(more):,} rules", lambda: found(EmbeddedEngine(), more, nested))
            print(f"{'':<34}{many.cpu / one.cpu:9.2f} times the time of {len(asked):,}")
        first, cpu, wall = edits(asked, nested)
        shown("first run with columns kept", first)
        shown("again with one rule changed", Spent(median(cpu), median(wall)), "median")
        print(f"{'memory at most, columns kept':<34}{peak():9.0f} MB")
        peer = os.environ.get("PEER_ZIRCOLITE")
        if peer:
            hits, peers = zircolite(Path(peer), chosen, logged)
            shown("Zircolite", peers, f"{hits:,} hits")
            print(f"{'':<34}{peers.cpu / one.cpu:9.1f} times one process")
            print(f"{'':<34}{peers.wall / two.wall:9.1f} times two, on the wall")
    if ratio < given.least_ratio:
        sys.exit(f"less than {given.least_ratio} times the closures")


if __name__ == "__main__":
    main()
