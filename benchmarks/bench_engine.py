"""The embedded engine against naive closures: `python benchmarks/bench_engine.py [EVENTS] [RULES]`.

Both find the same events in the same run. The closures are what one writes first: each rule is
asked of each event, each condition a string comparison, with nothing shared. They get a sample of
the events and are scaled up. Parsing JSON is in neither figure.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory

INDEX = "logs-endpoint.events.process-default"
SAMPLE = 2_000
EVENTS, RULES = 200_000, 500
NEGATED = 0.15  # share of a rule's further conditions
HIT = 0.02  # share of events made to satisfy a rule
NOW = datetime(2026, 11, 24, tzinfo=UTC)
FIELDS = (
    "process.command_line.caseless",
    "process.executable.caseless",
    "process.parent.executable.caseless",
)

Event = dict[str, str]
Test = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """One condition: the field, `contains` or `ends`, and lower-case literals of which one fits."""

    field: str
    kind: str
    literals: tuple[str, ...]
    negated: bool

    def lucene(self) -> str:
        """The condition in Lucene's syntax."""
        tail = "*" if self.kind == "contains" else ""
        terms = " OR ".join(f"{self.field}:*{escaped(text)}{tail}" for text in self.literals)
        return f"NOT ({terms})" if self.negated else f"({terms})"

    def closure(self) -> Test:
        """The condition as a closure over lower-cased values."""
        tests = [closure(self.field, self.kind, text) for text in self.literals]
        if self.negated:
            return lambda event: not any(test(event) for test in tests)
        return lambda event: any(test(event) for test in tests)


def closure(field: str, kind: str, text: str) -> Test:
    """One literal."""
    if kind == "contains":
        return lambda event: text in event.get(field, "")
    return lambda event: event.get(field, "").endswith(text)


def escaped(text: str) -> str:
    """The text with Lucene's special characters behind backslashes."""
    return re.sub(r"([^a-z0-9_.])", r"\\\1", text)


def words(random: Random, count: int) -> list[str]:
    """Distinct made-up words."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    made = {"".join(random.choices(letters, k=random.randint(4, 10))) for _ in range(count)}
    return sorted(made)


def rules_of(random: Random, vocabulary: list[str], count: int) -> list[tuple[Part, ...]]:
    """Rules of two to four conditions, in the shapes of published process rules."""
    out = []
    for _ in range(count):
        parts = [Part(FIELDS[1], "ends", (f"\\{random.choice(vocabulary)}.exe",), negated=False)]
        for _ in range(random.randint(1, 3)):
            literals = tuple(
                f" {random.choice('-/')}{random.choice(vocabulary)[:6]}"
                for _ in range(random.randint(1, 12))
            )
            parts.append(Part(FIELDS[0], "contains", literals, random.random() < NEGATED))
        out.append(tuple(parts))
    return out


def events_of(
    random: Random, vocabulary: list[str], rules: list[tuple[Part, ...]], count: int
) -> list[Document]:
    """Events whose images follow a long tail and whose command lines mostly differ."""
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    images = random.choices(vocabulary, weights, k=2 * count)
    out = []
    for number in range(count):
        switches = random.choices(vocabulary, k=random.randint(1, 8))
        line = f"{images[number]}.exe " + " ".join(f"-{word}" for word in switches)
        image = f"C:\\Windows\\System32\\{images[number]}.exe"
        parent = f"C:\\Program Files\\{images[-number - 1]}\\{images[-number - 1]}.exe"
        if random.random() < HIT:
            parts = random.choice(rules)
            image = f"C:\\Temp{parts[0].literals[0]}"
            line = image + "".join(random.choice(p.literals) for p in parts[1:] if not p.negated)
        process = {"executable": image, "command_line": line, "parent": {"executable": parent}}
        source = {"@timestamp": "2026-11-24T00:00:00Z", "process": process}
        out.append(Document(INDEX, str(number), source))
    return out


def flat(document: Document) -> Event:
    """The event as the closures want it: three fields, lower-cased."""
    process = document.source["process"]
    values = (process["command_line"], process["executable"], process["parent"]["executable"])
    return {field: value.lower() for field, value in zip(FIELDS, values, strict=True)}


def naive(rules: list[tuple[Part, ...]], documents: list[Document]) -> tuple[float, int]:
    """Seconds and hits of the closures."""
    tests = [[part.closure() for part in parts] for parts in rules]
    began = time.perf_counter()
    hits = 0
    for event in map(flat, documents):
        hits += sum(all(test(event) for test in parts) for parts in tests)
    return time.perf_counter() - began, hits


def embedded(rules: list[tuple[Part, ...]], documents: list[Document]) -> tuple[float, int]:
    """Seconds and hits of the engine, compiling included."""
    asked = [
        EngineRule(str(n), "lucene", " AND ".join(part.lucene() for part in parts), (INDEX,))
        for n, parts in enumerate(rules)
    ]
    began = time.perf_counter()
    found = EmbeddedEngine().run(asked, Memory(documents), None, NOW)
    return time.perf_counter() - began, sum(hits.count for hits in found.values())


def main() -> None:
    """Print both, and the ratio."""
    sizes = [int(text) for text in sys.argv[1:]]
    count, size = [*sizes, *(EVENTS, RULES)[len(sizes) :]]
    random = Random(7)  # noqa: S311 - a seed names the benchmark
    vocabulary = words(random, 2_000)
    rules = rules_of(random, vocabulary, size)
    documents = events_of(random, vocabulary, rules, count)
    sample = documents[:SAMPLE]
    slow, wanted = naive(rules, sample)
    _, found = embedded(rules, sample)
    if found != wanted:
        sys.exit(f"the engine finds {found} events, the closures {wanted}")
    fast, hits = embedded(rules, documents)
    scaled = slow * count / len(sample)
    print(f"{count:,} events, {len(rules):,} rules, {hits:,} hits")
    print(f"naive closures   {scaled:8.1f} s (scaled from {len(sample):,} events)")
    print(f"embedded engine  {fast:8.1f} s {count / fast:12,.0f} events/s")
    print(f"ratio            {scaled / fast:8.1f}")


if __name__ == "__main__":
    main()
