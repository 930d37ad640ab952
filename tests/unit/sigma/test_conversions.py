"""The text of converted queries, from `tests/fixtures/sigma/conversions.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from ruledeploy.errors import RuledeployError
from ruledeploy.fields import load_table
from ruledeploy.sigma import RuleSource, load_rules
from ruledeploy.sigma.convert import Target, convert

FIXTURE = Path(__file__).parents[2] / "fixtures" / "sigma" / "conversions.txt"


class Case(NamedTuple):
    """One query, or refusal, of one detection."""

    line: int
    family: str
    logsource: str
    detection: str
    language: str
    refused: bool
    expected: str


def read_cases() -> list[Case]:
    """Every expectation of the fixture file."""
    cases = []
    header: list[str] = []
    for number, line in enumerate(FIXTURE.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            header = []
        elif not line.startswith("#"):
            language, mark, expected = line.partition(":")
            if line.startswith(("lucene!", "esql!", "eql!")):
                language, mark, expected = line.partition("!")
            if len(header) == 2:
                family, _, logsource = header[0].partition(" ")
                refused = mark == "!"
                case = Case(
                    number, family, logsource, header[1], language, refused, expected.strip()
                )
                cases.append(case)
            else:
                header.append(line)
    return cases


def rule_of(case: Case) -> RuleSource:
    """The case's detection as a rule."""
    parts = [*case.logsource.split("/"), "", ""][:3]
    names = zip(("product", "category", "service"), parts, strict=True)
    inner = ", ".join(f"{name}: {value}" for name, value in names if value)
    text = f"title: T\nlogsource: {{{inner}}}\ndetection: {case.detection}\n"
    loaded = load_rules({"r.yml": text.encode()})
    assert not loaded.errors, loaded.errors
    return loaded.rules[0]


@pytest.mark.parametrize("case", read_cases(), ids=lambda case: f"{case.line}-{case.language}")
def test_a_detection_becomes_this_query(case: Case) -> None:
    """Each line of the fixture file: the query as written, or a refusal that says so."""
    table = load_table(case.family)
    target = Target(case.language, ("x",), table)
    if case.refused:
        with pytest.raises(RuledeployError, match=case.expected) as raised:
            convert(rule_of(case), target)
        assert raised.value.location is not None
        assert raised.value.location.line in {2, 3}  # the log source, or the detection
        return
    query = convert(rule_of(case), target).query
    prefix = "from x metadata _id, _index, _version | where "
    assert query.removeprefix(prefix).removeprefix("any where ") == case.expected


LINES = b"""title: T
logsource: {product: windows, category: process_creation}
detection:
  selection:
    Image|endswith: a.exe
    NoSuchField: x
    process.pid: word
    Hashes: nonsense
  other:
    - CommandLine|contains: b
    - ParentImage|fieldref: Image
  words:
    - keyword
  condition: 1 of *
"""


@pytest.mark.parametrize(
    ("without", "language", "refusal", "line"),
    [
        ((), "lucene", "names no hash", 8),
        (("Hashes",), "lucene", "fieldref", 11),
        (("Hashes", "fieldref"), "eql", "keyword", 12),
    ],
)
def test_a_refusal_is_at_its_line(
    without: tuple[str, ...], language: str, refusal: str, line: int
) -> None:
    """Not at the condition, which every line of the rule is a part of."""
    with pytest.raises(RuledeployError, match=refusal) as raised:
        convert(_without(without), Target(language, ("x",), load_table("endpoint-process")))
    assert raised.value.location is not None
    assert raised.value.location.line == line


def test_a_warning_is_at_its_line() -> None:
    """One for each line that it is about."""
    rule = _without(("Hashes", "fieldref", "words", "keyword"))
    found = convert(rule, Target("lucene", ("x",), load_table("endpoint-process"))).findings
    places = {each.code: each.location.line for each in found if each.location}
    assert places == {"unmapped-field": 6, "type-mismatch": 7}


def _without(words: tuple[str, ...]) -> RuleSource:
    """The rule less the lines that hold one of the words, which are left empty."""
    lines = [
        b"" if any(word.encode() in line for word in words) else line for line in LINES.splitlines()
    ]
    loaded = load_rules({"r.yml": b"\n".join(lines)})
    assert not loaded.errors, loaded.errors
    return loaded.rules[0]
