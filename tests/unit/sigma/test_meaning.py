"""What converted queries match, from `tests/fixtures/sigma/meaning.txt`: meaning before text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.fields import load_table
from ruledeploy.sigma import load_rules
from ruledeploy.sigma.convert import LANGUAGES, Target, convert

FIXTURE = Path(__file__).parents[2] / "fixtures" / "sigma" / "meaning.txt"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass
class Case:
    """A detection with events it matches and events it does not."""

    line: int
    family: str
    logsource: str
    detection: str
    events: list[tuple[bool, dict[str, Any]]] = field(default_factory=list)


def read_cases() -> list[Case]:
    """Every case of the fixture file."""
    cases: list[Case] = []
    header: list[str] = []
    for number, line in enumerate(FIXTURE.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            header = []
        elif line.startswith(("+ ", "- ")):
            cases[-1].events.append((line[0] == "+", yaml.safe_load(line[2:])))
        elif not line.startswith("#"):
            header.append(line)
            if len(header) == 2:
                family, _, logsource = header[0].partition(" ")
                cases.append(Case(number, family, logsource, line))
    return cases


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", read_cases(), ids=lambda case: str(case.line))
def test_a_query_means_what_the_rule_means(case: Case, language: str) -> None:
    """Every event marked `+` is found, none marked `-` is."""
    wanted = {number for number, (hit, _) in enumerate(case.events) if hit}
    found, query = run(case, language)
    assert found == wanted, query


def run(case: Case, language: str) -> tuple[set[int], str]:
    """The numbers of the events that the query finds, and the query."""
    table = load_table(case.family)
    index = table.index.replace("*", "default")
    parts = [*case.logsource.split("/"), "", ""][:3]
    names = zip(("product", "category", "service"), parts, strict=True)
    inner = ", ".join(f"{name}: {value}" for name, value in names if value)
    text = f"title: T\nlogsource: {{{inner}}}\ndetection: {case.detection}\n"
    loaded = load_rules({"r.yml": text.encode()})
    assert not loaded.errors, loaded.errors
    query = convert(loaded.rules[0], Target(language, (table.index,), table)).query
    documents = [
        Document(index, str(number), {"@timestamp": "2026-11-24T00:00:00Z", **event})
        for number, (_, event) in enumerate(case.events)
    ]
    rule = EngineRule("r", language, query, (table.index,))
    hits = EmbeddedEngine().run([rule], Memory(documents), None, NOW)["r"]
    return {int(found) for found in hits.event_ids}, query


def test_two_fields_are_compared() -> None:
    r"""In any letter case, `DOMAIN\name` with ECS's two fields; a missing one is never the same."""
    detection = "{s: {User|fieldref: ParentUser}, condition: s}"
    marked = {"event.provider": "Microsoft-Windows-Sysmon", "event.code": "1"}
    user = {"user.domain": "ACME", "user.name": "Ann"}
    parents = [r"acme\ann", r"ACME\Bob", "Ann", None]
    events = [
        (False, {**marked, **user, "winlog.event_data": {"ParentUser": parent}})
        for parent in parents
    ]
    same = Case(0, "sysmon-integration", "windows/process_creation", detection, events)
    assert run(same, "esql")[0] == {0}
    same.detection = "{s: {user.name: '*'}, f: {User|fieldref: ParentUser}, condition: s and not f}"
    assert run(same, "esql")[0] == {1, 2, 3}


def test_parts_of_an_analysed_text_are_found_in_any_order() -> None:
    """Lucene knows words: those beside a wildcard may be parts of longer ones."""
    texts = [
        "sh: chmod +x a; wget https://x",
        "wget http://x; chmod +x a",
        "wget http://x",
        "chmod +x wget",
    ]
    events = [(False, {"message": text}) for text in texts]
    detection = "{s: ['wget http*; chmod +x'], condition: s}"
    assert run(Case(0, "winlogbeat", "", detection, events), "lucene")[0] == {0, 1}
    assert run(Case(0, "winlogbeat", "", detection, events), "esql")[0] == {1}
