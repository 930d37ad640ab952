"""Why a query does not match: the sentences that a failing case explains itself with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.engine import Document, EmbeddedEngine
from ruledeploy.engine.truth import Truth
from ruledeploy.fields import load_table
from ruledeploy.model import DetectionRule
from ruledeploy.query.ir import Node
from ruledeploy.query.parse import parse_query
from ruledeploy.verify.running import Bench
from ruledeploy.verify.why import explain_silence, why_not

NOW = datetime(2026, 11, 24, tzinfo=UTC)
BENCH = Bench(EmbeddedEngine(), NOW)
RuleMaker = Callable[..., DetectionRule]

# A query in Lucene, an event, and what is said of it.
SAYINGS = [
    (
        "process.name:svchost.exe",
        {"process.name": "Svchost.EXE"},
        (
            "process.name is 'Svchost.EXE', the query asks for 'svchost.exe'"
            " on a case-sensitive keyword"
        ),
    ),
    (
        "process.name:a.exe",
        {"process.name": "b.exe"},
        "process.name is 'b.exe', the query asks for 'a.exe'",
    ),
    ("process.name:a.exe", {}, "process.name is missing, the query asks for 'a.exe'"),
    (
        "process.nmae:a.exe",
        {"process.nmae": "a.exe"},
        "process.nmae is not mapped, so nothing it says can match",
    ),
    (
        "process.name:a.exe OR process.name:b*",
        {"process": {"name": "C"}},
        "process.name is 'C', the query asks for 'a.exe' or something that starts with 'b'",
    ),
    (
        "process.name:(a OR b OR c OR d OR e OR f)",
        {"process.name": "z"},
        "process.name is 'z', the query asks for 'a', 'b', 'c', 'd' or 2 more",
    ),
    (
        "process.name:*\\\\Temp\\\\*",
        {"process.name": r"c:\temp\x"},
        (
            r"process.name is 'c:\temp\x', the query asks for the pattern '*\\Temp\\*'"
            " on a case-sensitive keyword"
        ),
    ),
    (
        "process.name:a* AND NOT Target.process.name:p.exe",
        {"process.name": "a1", "Target.process.name": "p.exe"},
        "the query excludes an event where Target.process.name ('p.exe') is 'p.exe'",
    ),
    (
        "NOT (process.name:a AND Target.process.name:p)",
        {"process.name": "a", "Target.process.name": "p"},
        (
            "the query excludes an event where process.name ('a') is 'a'"
            " and Target.process.name ('p') is 'p'"
        ),
    ),
    (
        "process.pid:>5",
        {"process.pid": 3},
        "process.pid is 3, the query asks for a value > 5",
    ),
    (
        "process.command_line:/.*[Ff][Oo][Oo]\\.[Ee]?/",
        {"process.command_line": "bar"},
        (
            r"process.command_line is 'bar', the query asks for the regular expression"
            r" /.*[Ff][Oo][Oo]\.[Ee]?/"
        ),
    ),
    (
        "process.command_line:/.*\\\\[Ff][Oo][Oo]\\.exe.*/",
        {"process.command_line": "bar"},
        (
            r"process.command_line is 'bar', the query asks for the pattern '*\foo.exe*'"
            " in any case"
        ),
    ),
    (
        "process.command_line:/[Bb][Oo][Bb]/",
        {"process.command_line": "bar"},
        "process.command_line is 'bar', the query asks for 'bob' in any case",
    ),
    (
        "process.pid:>5 AND NOT process.command_line:/.*[Oo][Kk].*/",
        {"process.pid": 6, "process.command_line": "it is OK"},
        (
            "the query excludes an event where process.command_line ('it is OK') fits the pattern"
            " '*ok*' in any case"
        ),
    ),
    (
        "NOT (process.name:a* OR process.pid:>=7)",
        {"process.pid": 9},
        "the query excludes an event where process.pid (9) is >= 7",
    ),
    (
        "process.pid:(5 OR 6)",
        {"process.pid": "4"},
        "process.pid is 4, the query asks for 5 or 6",
    ),
    (
        "NOT process.pid:5",
        {"process.pid": 5},
        "the query excludes an event where process.pid (5) is 5",
    ),
    (
        "process.code_signature.trusted:true",
        {"process.code_signature.trusted": False},
        "process.code_signature.trusted is false, the query asks for true",
    ),
    (
        "process.name:5",
        {"process.name": 4},
        "process.name is '4', the query asks for '5'",
    ),
    (
        "NOT process.name:a*",
        {"process.name": "abc"},
        "the query excludes an event where process.name ('abc') starts with 'a'",
    ),
    (
        "_exists_:process.name",
        {"Target.process.name": "x"},
        "process.name is missing, the query asks for any value",
    ),
    (
        "process.name:abc",
        {"process.name": "x" * 1025},
        (
            f"process.name is '{'x' * 80}…', the query asks for 'abc'; a value longer than"
            " 1024 characters is not indexed there"
        ),
    ),
]


@pytest.mark.parametrize(("query", "event", "said"), SAYINGS, ids=[one[0] for one in SAYINGS])
def test_a_failing_part_is_named_with_its_value(
    query: str, event: dict[str, Any], said: str, make_rule: RuleMaker
) -> None:
    """One failing part, one sentence."""
    rule = make_rule(query=query)
    assert explain_silence(rule, Document("", "1", event), BENCH) == (said,)


# Languages say the same of case in other ways.
@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("eql", 'any where process.name : "*foo*"'),
        ("esql", 'from logs-* | where to_lower(process.name) like "*foo*"'),
        ("lucene", "process.name:/.*[Ff][Oo][Oo].*/"),
    ],
)
def test_what_is_asked_reads_the_same_in_every_language(
    language: str, query: str, make_rule: RuleMaker
) -> None:
    """A part of a text in any case."""
    rule = make_rule(language=language, query=query)
    told = explain_silence(rule, Document("", "1", {"process.name": "A FO"}), BENCH)
    assert told == ("process.name is 'A FO', the query asks for the pattern '*foo*' in any case",)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            {"process": {"exectuable": "a"}},
            "the event has process.exectuable, which is not mapped: is process.executable meant?",
        ),
        ({"Image": "a"}, "the event has Image, which is not mapped: name it as the index does"),
    ],
)
def test_a_field_that_nobody_maps_is_named(
    event: dict[str, Any], said: str, make_rule: RuleMaker
) -> None:
    """A typing error in the event, or Sigma's name for the field; only where one is missing."""
    rule = make_rule(query="process.executable:b")
    missing, hint = explain_silence(rule, Document("", "1", event), BENCH)
    assert missing == "process.executable is missing, the query asks for 'b'"
    assert hint == said
    there = {**event, "process.executable": "c"}
    assert len(explain_silence(rule, Document("", "1", there), BENCH)) == 1


def test_every_failing_part_of_a_conjunction_is_named(make_rule: RuleMaker) -> None:
    """All of them must be mended, so all are told; parts that hold are not."""
    rule = make_rule(query="process.name:a AND Target.process.name:b AND user.name:c")
    told = explain_silence(rule, Document("", "1", {"process.name": "a", "user.name": "C"}), BENCH)
    assert told == (
        "Target.process.name is missing, the query asks for 'b'",
        "user.name is 'C', the query asks for 'c' on a case-sensitive keyword",
    )


def test_the_nearest_alternative_is_told(make_rule: RuleMaker) -> None:
    """Of alternatives on several fields the one with the fewest failing parts."""
    rule = make_rule(query="(process.name:a AND user.name:b AND host.name:c) OR process.pid:5")
    told = explain_silence(rule, Document("", "1", {"process.pid": 4}), BENCH)
    assert told == ("process.pid is 4, the query asks for 5 (nearest of 2 alternatives)",)


_NAMES = st.sampled_from(["process.name", "user.name", "Target.process.name"])
_VALUES = st.sampled_from(["a", "b", "A"])
_LEAVES = st.builds(lambda name, value: f"{name}:{value}", _NAMES, _VALUES)
_QUERIES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a} AND {b})", inner, inner),
        st.builds(lambda a, b: f"({a} OR {b})", inner, inner),
        st.builds(lambda a: f"(NOT {a})", inner),
    ),
    max_leaves=8,
)


@given(_QUERIES, st.dictionaries(_NAMES, _VALUES))
def test_there_is_a_reason_exactly_where_the_query_does_not_match(
    text: str, event: dict[str, str]
) -> None:
    """No query fails without a reason, and none that holds is explained away."""
    node: Node = parse_query("lucene", text).node
    truth = Truth(load_table("endpoint-api"), Document("", "1", event), NOW)
    assert bool(why_not(node, truth)) is not truth.holds(node)
