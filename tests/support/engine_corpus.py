"""Rules and events for measuring the engine and for checking it, all out of one seed.

The rules are Sigma process-creation rules: those below `SIGMA_RULES` that are and/or/not over
plain strings, or made-up ones of the same shape. The events are process starts with a long tail of
images and mostly distinct command lines; two in a hundred are built to satisfy a rule. Each is at
hand as the nested document that Elastic Defend sends, and as Sysmon's in a Windows event log.

`reference` asks a rule of a flat event with nothing but closures over pySigma's own tree, and
shares no code with the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import yaml
from sigma.collection import SigmaCollection
from sigma.conditions import ConditionAND, ConditionNOT, ConditionOR
from sigma.types import SigmaExpansion, SigmaNull, SigmaString, SpecialChars

from ruledeploy.engine import EngineRule
from ruledeploy.errors import RuledeployError
from ruledeploy.fields import load_table
from ruledeploy.sigma import load_rules
from ruledeploy.sigma.convert import Target, convert

INDEX = "logs-endpoint.events.process-default"
# Sigma's names and where Elastic Defend has them. Rules that ask for other fields are left out.
PATHS = {
    "CommandLine": "process.command_line",
    "Company": "process.pe.company",
    "CurrentDirectory": "process.working_directory",
    "Description": "process.pe.description",
    "Image": "process.executable",
    "IntegrityLevel": "process.Ext.token.integrity_level_name",
    "OriginalFileName": "process.pe.original_file_name",
    "ParentCommandLine": "process.parent.command_line",
    "ParentImage": "process.parent.executable",
    "Product": "process.pe.product",
}
# Fields that Sigma packs several values into: `document` takes them apart.
PACKED = ("Hashes", "User")
HIT, ABSENT, NEGATED = 0.02, 0.05, 0.15

Event = dict[str, str]
Test = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class BenchRule:
    """A rule three times: its file, pySigma's condition tree, and what the engine is given."""

    text: str
    tree: Any
    engine: EngineRule


def rules(root: Path | None, language: str, count: int | None, seed: int = 7) -> list[BenchRule]:
    """`count` rules by chance (all of them without), in an order that the seed fixes."""
    random = Random(seed)  # noqa: S311 - a seed names the benchmark
    if root is None:
        files = made_up(random, count or 500)
    else:
        files = {str(path): path.read_bytes() for path in sorted(root.rglob("*.yml"))}
    target = Target(language, (INDEX,), load_table("endpoint-process"))
    out = []
    for source in load_rules(files).rules:
        text = files[source.location.path].decode()
        parsed = SigmaCollection.from_yaml(text).rules[0]
        conditions = parsed.detection.parsed_condition  # type: ignore[union-attr]
        if len(conditions) != 1 or not plain(conditions[0].parsed):
            continue
        try:
            query = convert(source, target).query
        except RuledeployError:
            continue
        index = () if language == "esql" else (INDEX,)
        rule = EngineRule(str(parsed.id), language, query, index)
        out.append(BenchRule(text, conditions[0].parsed, rule))
    random.shuffle(out)
    return out if count is None else out[:count]


def plain(node: Any) -> bool:
    """Whether a condition is and/or/not over strings of the fields above."""
    if isinstance(node, ConditionAND | ConditionOR | ConditionNOT):
        return all(map(plain, node.args))
    value = getattr(node, "value", None)
    known = getattr(node, "field", None) in (*PATHS, *PACKED)
    return known and type(value) in (SigmaString, SigmaNull, SigmaExpansion)


def made_up(random: Random, count: int) -> dict[str, bytes]:
    """Sigma files in the shapes of published process rules."""
    vocabulary = words(random, 2_000)
    out = {}
    for number in range(count):
        detection: dict[str, Any] = {
            "image": {"Image|endswith": f"\\{pick(random, vocabulary)}.exe"}
        }
        condition = "image"
        for part in range(random.randint(1, 3)):
            switches = [
                f" {random.choice('-/')}{pick(random, vocabulary)[:6]}"
                for _ in range(random.randint(1, 12))
            ]
            detection[f"line{part}"] = {"CommandLine|contains": switches}
            condition += " and " + ("not " if random.random() < NEGATED else "") + f"line{part}"
        rule = {
            "title": f"Made up {number}",
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "status": "test",
            "description": "Made up for a benchmark.",
            "author": "benchmark",
            "date": "2026-01-01",
            "logsource": {"category": "process_creation", "product": "windows"},
            "detection": detection | {"condition": condition},
            "level": "low",
        }
        out[f"rules/made_up_{number}.yml"] = yaml.safe_dump(rule).encode()
    return out


def pick(random: Random, vocabulary: Sequence[str]) -> str:
    """One word."""
    return vocabulary[random.randrange(len(vocabulary))]


def words(random: Random, count: int) -> list[str]:
    """Distinct made-up words."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(random.choices(letters, k=random.randint(4, 10)))] = None
    return list(made)


# ---------------------------------------------------------------------------------- reference


def reference(node: Any) -> Test:
    """The condition as Sigma means it: capitals do not count, a missing field satisfies nothing."""
    if isinstance(node, ConditionAND | ConditionOR):
        tests = [reference(part) for part in node.args]
        every = isinstance(node, ConditionAND)
        if every:
            return lambda event: all(test(event) for test in tests)
        return lambda event: any(test(event) for test in tests)
    if isinstance(node, ConditionNOT):
        inner = reference(node.args[0])
        return lambda event: not inner(event)
    return on_field(node.field, node.value)


def on_field(field: str, value: SigmaString | SigmaNull | SigmaExpansion) -> Test:
    """One field; the events that this is asked of are in lower case."""
    if isinstance(value, SigmaExpansion):
        tests = [on_field(field, one) for one in value.values]  # type: ignore[arg-type]
        return lambda event: any(test(event) for test in tests)
    if isinstance(value, SigmaNull):
        return lambda event: field not in event
    parts = value.s
    stars = [part == SpecialChars.WILDCARD_MULTI for part in parts]
    texts = [str(part).lower() for part in parts if isinstance(part, str)]
    if not parts:
        return lambda event: event.get(field) == ""
    if len(texts) == 1 and len(texts) + sum(stars) == len(parts):
        return anchored(field, texts[0], start=not stars[0], end=not stars[-1])
    written = "".join(expression(part) for part in parts)
    matches = re.compile(written, re.DOTALL).fullmatch
    return lambda event: field in event and matches(event[field]) is not None


def expression(part: object) -> str:
    """A piece of a Sigma string as a regular expression."""
    if isinstance(part, str):
        return re.escape(part.lower())
    return ".*" if part == SpecialChars.WILDCARD_MULTI else "."


def anchored(field: str, text: str, *, start: bool, end: bool) -> Test:
    """One text among stars."""
    if start and end:
        return lambda event: event.get(field) == text
    if start:
        return lambda event: field in event and event[field].startswith(text)
    if end:
        return lambda event: field in event and event[field].endswith(text)
    return lambda event: field in event and text in event[field]


def lowered(event: Event) -> Event:
    """What `reference` is asked of."""
    return {field: value.lower() for field, value in event.items()}


# ------------------------------------------------------------------------------------- events


def witness(node: Any, random: Random, event: dict[str, list[str]]) -> None:
    """Collect texts that make a condition likely to hold; negations are left to chance."""
    if isinstance(node, ConditionNOT):
        return
    if isinstance(node, ConditionAND):
        for part in node.args:
            witness(part, random, event)
    elif isinstance(node, ConditionOR):
        witness(node.args[random.randrange(len(node.args))], random, event)
    else:
        value = node.value.values[0] if isinstance(node.value, SigmaExpansion) else node.value
        if isinstance(value, SigmaString):
            parts = [part if isinstance(part, str) else "" for part in value.s]
            event.setdefault(node.field, []).append("".join(parts))


def events(trees: Sequence[Any], count: int, seed: int = 11) -> Iterator[Event]:
    """Process starts under Sigma's names."""
    random = Random(seed)  # noqa: S311 - a seed names the benchmark
    vocabulary = words(random, 2_000)
    folders = [r"C:\Windows\System32", r"C:\Program Files\App", r"C:\Users\u\AppData\Local\Temp"]
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    for number in range(count):
        image, parent = random.choices(vocabulary, weights, k=2)
        path = f"{folders[len(image) % 3]}\\{image}.exe"
        above = f"{folders[len(parent) % 3]}\\{parent}.exe"
        event = {
            "Image": path,
            "CommandLine": command_line(random, vocabulary, path),
            "ParentImage": above,
            "ParentCommandLine": f'"{above}" -k {parent}',
            "OriginalFileName": f"{image}.exe",
            "Description": f"{image} for {parent[:3]}",
            "Product": "Microsoft® Windows® Operating System",
            "Company": "Microsoft Corporation",
            "CurrentDirectory": folders[number % 3] + "\\",
            "IntegrityLevel": ("system", "high", "medium", "low")[number % 4],
            "Hashes": f"SHA1={number:040x},MD5={number:032x},SHA256={number:064x}",
            "User": f"CORP\\user{number % 900}",
        }
        if random.random() < HIT:
            asked: dict[str, list[str]] = {}
            witness(trees[random.randrange(len(trees))], random, asked)
            event |= {
                field: ("C:\\x" if field in ("Image", "ParentImage") else "") + " ".join(texts)
                for field, texts in asked.items()
                if field not in PACKED
            }
        if random.random() < ABSENT:
            del event[random.choice(sorted(event))]
        yield event


def command_line(random: Random, vocabulary: Sequence[str], path: str) -> str:
    """One in three is a frequent one, the others have arguments of their own."""
    if random.random() < 1 / 3:
        return f'"{path}"'
    size = random.randint(4, 20)
    return f'"{path}" ' + " ".join(f"-{pick(random, vocabulary)}" for _ in range(size))


def document(event: Event, number: int) -> dict[str, Any]:
    """The event as Elastic Defend writes it, with the fields around that no rule asks for."""
    process: dict[str, Any] = {
        "pid": 4_000 + number % 60_000,
        "entity_id": f"{number:032x}",
        "name": event.get("Image", "x").rpartition("\\")[2],
        "parent": {"pid": 700, "entity_id": f"{number * 7:032x}", "name": "explorer.exe"},
        "Ext": {"ancestry": [f"{number:032x}"], "token": {"elevation": True}},
    }
    source: dict[str, Any] = {
        "@timestamp": f"2026-11-{1 + number % 28:02d}T{number % 24:02d}:00:00.000Z",
        "agent": {"id": "6e9f7f0c-7d8b-4a36-9d6b-0f4f0f3a2a11", "type": "endpoint"},
        "data_stream": {
            "type": "logs",
            "dataset": "endpoint.events.process",
            "namespace": "default",
        },
        "event": {
            "action": "start",
            "category": ["process"],
            "dataset": "endpoint.events.process",
            "id": f"event-{number}",
            "kind": "event",
            "module": "endpoint",
            "type": ["start"],
            "sequence": number,
        },
        "host": {
            "hostname": f"host-{number % 300}",
            "os": {"type": "windows", "name": "Windows", "version": "11 (26100)"},
        },
        "process": process,
    }
    for field, value in event.items():
        if field == "Hashes":
            pairs = (text.split("=") for text in value.split(","))
            process["hash"] = {name.lower(): digest for name, digest in pairs}
        elif field == "User":
            domain, _, name = value.partition("\\")
            source["user"] = {"domain": domain, "name": name}
        else:
            put(source, PATHS[field], value)
    return source


def put(source: dict[str, Any], path: str, value: str) -> None:
    """Write a value at a dotted path, nested."""
    *parts, last = path.split(".")
    inner: Any = source
    for part in parts:
        inner = inner.setdefault(part, {})
    inner[last] = value


def sysmon(event: Event, number: int) -> dict[str, Any]:
    """The event as Windows' event log has it, in the JSON that tools for it read."""
    day, hour = 1 + number % 28, number % 24
    system = {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "{5770385F}"}},
        "EventID": 1,
        "Version": 5,
        "Level": 4,
        "Task": 1,
        "Opcode": 0,
        "Keywords": "0x8000000000000000",
        "TimeCreated": {"#attributes": {"SystemTime": f"2026-11-{day:02d}T{hour:02d}:00:00Z"}},
        "EventRecordID": number,
        "Correlation": None,
        "Execution": {"#attributes": {"ProcessID": 3_200, "ThreadID": 4_100}},
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": f"host-{number % 300}",
        "Security": {"#attributes": {"UserID": "S-1-5-18"}},
    }
    data = {
        "RuleName": "-",
        "UtcTime": f"2026-11-{day:02d} {hour:02d}:00:00.000",
        "ProcessGuid": f"{{{number:032x}}}",
        "ProcessId": 4_000 + number % 60_000,
        "LogonGuid": f"{{{number * 3:032x}}}",
        "TerminalSessionId": 1,
        "ParentProcessGuid": f"{{{number * 7:032x}}}",
        "ParentProcessId": 700,
    }
    return {"Event": {"System": system, "EventData": data | event}}


def write(trees: Sequence[Any], count: int, folder: Path) -> tuple[Path, Path]:
    """The events as `ecs.ndjson` for the engine, and as `sysmon.ndjson` for its peers."""
    nested, peers = folder / "ecs.ndjson", folder / "sysmon.ndjson"
    encode = msgspec.json.encode
    with nested.open("wb") as one, peers.open("wb") as two:
        for number, event in enumerate(events(trees, count)):
            one.write(encode(document(event, number)) + b"\n")
            two.write(encode(sysmon(event, number)) + b"\n")
    return nested, peers
