"""Whatever people make in Kibana goes to files and back: the plan is empty, or it is named."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruledeploy.cli.boundary import run
from ruledeploy.kibana import Connection, Kibana
from ruledeploy.stack import Running, running_stack

# What editors and scripts leave in names and texts.
odd = st.sampled_from(
    ["yes", "~", "0x10", "2027-01-01", "a: b", "# x", "'", '"', "- x", "*", "&a", "{}", "[", "|",
     " lead", "trail ", "tab\there", "two\nlines", "two\n\nlines\n", "\n", "ümläut", "日本", "🦊",
     "C:\\x\\y", "%41", "a,b", "x (a, b)", "\u2028", "null", "true", "=", "Source: `x`"]
)  # fmt: skip
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
texts = (odd | words).filter(lambda text: bool(text.strip()))
tags = st.lists(texts, max_size=3, unique=True)
values = texts.filter(bool)


def plain(type_: str, value: st.SearchStrategy[Any] | None) -> st.SearchStrategy[dict[str, Any]]:
    """Entries of one kind."""
    fields = {
        "field": st.sampled_from(["process.name", "a.b", "user.name"]),
        "type": st.just(type_),
        "operator": st.sampled_from(["included", "excluded"]),
    }
    return st.fixed_dictionaries(fields | ({} if value is None else {"value": value}))


flat = st.one_of(
    plain("match", values),
    plain("match_any", st.lists(values, min_size=1, max_size=3, unique=True)),
    plain("exists", None),
)
nested = st.fixed_dictionaries(
    {"field": st.just("n"), "type": st.just("nested"), "entries": st.lists(flat, min_size=1)}
)
entries = st.lists(flat | plain("wildcard", values) | nested, min_size=1, max_size=3)
items = st.fixed_dictionaries(
    {"name": texts, "description": texts, "entries": entries, "tags": tags,
     "os_types": st.lists(st.sampled_from(["windows", "linux"]), unique=True)},
    optional={"expire_time": st.just("2999-01-02T03:04:05.006Z"), "meta": st.just({"k": [1, "x"]})},
)  # fmt: skip
RULE = {
    "name": texts, "description": texts, "tags": tags,
    "severity": st.sampled_from(["low", "medium", "high", "critical"]),
    "risk_score": st.integers(0, 100), "enabled": st.booleans(),
    "interval": st.sampled_from(["30s", "5m", "1h"]),
    "from": st.sampled_from(["now-6m", "now-3600s", "now-2d", "now-61m"]),
}  # fmt: skip
OPTIONAL = {
    "note": texts, "setup": texts, "license": texts, "to": st.just("now"),
    "author": st.lists(texts, min_size=1, max_size=2, unique=True),
    "references": st.lists(texts, min_size=1, max_size=2),
    "false_positives": st.lists(texts, min_size=1, max_size=2),
    "index": st.lists(
        st.sampled_from(["logs-*", "winlogbeat-*", "-x", "logs-endpoint.events.api-*"]),
        min_size=1, unique=True,
    ),
    "max_signals": st.integers(1, 500), "version": st.integers(1, 9),
    "timestamp_override": st.just("event.ingested"), "building_block_type": st.just("default"),
    "rule_name_override": st.just("a.b"), "investigation_fields": st.just({"field_names": ["a"]}),
    "meta": st.just({"from": "1m", "theirs": 1}),
}  # fmt: skip
queries = st.sampled_from(
    [("query", "kuery", "a:b or not c:*"), ("query", "lucene", 'a:"b c" AND NOT d:e*'),
     ("eql", "eql", 'any where a == "b"'),
     ("esql", "esql", "from logs-* metadata _id | where a == 1")]
)  # fmt: skip
rules = st.tuples(st.fixed_dictionaries(RULE, optional=OPTIONAL), queries)
_spaces = itertools.count()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One stack; each example has a space of its own."""
    with running_stack(tmp_path_factory.mktemp("stack"), scheduler=False) as running:
        yield running


def said(capsys: pytest.CaptureFixture[str], *arguments: str, exits: int = 0) -> Any:
    """The JSON of a command."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == exits
    return json.loads(capsys.readouterr().out)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(rules, min_size=1, max_size=3), st.lists(items, max_size=3), texts, texts)
def test_a_space_goes_round(  # noqa: PLR0913, PLR0917 - fixtures and four drawn values
    stack: Running,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    made: list[tuple[dict[str, Any], tuple[str, str, str]]],
    listed: list[dict[str, Any]],
    title: str,
    about: str,
) -> None:
    """Everything is pulled; plan and drift are empty; a second pull writes nothing."""
    space = f"p{next(_spaces)}"
    with Kibana(Connection(stack.kibana_url)) as admin:
        admin._peer.request("POST", "/api/spaces/space", body={"id": space, "name": space})
    with Kibana(Connection(stack.kibana_url, space=space)) as kibana:
        list_ = kibana.lists.create(
            {"list_id": "l", "name": title, "description": about, "type": "detection"}
        )
        link = {"id": list_["id"], "list_id": "l", "type": "detection", "namespace_type": "single"}
        for n, item in enumerate(listed):
            kibana.items.create({**item, "list_id": "l", "item_id": f"i{n}", "type": "simple"})
        for n, (body, (type_, language, query)) in enumerate(made):
            rule = {**body, "rule_id": f"r{n}", "type": type_, "language": language, "query": query}
            if type_ == "esql":
                rule.pop("index", None)
            kibana.rules.create({**rule, "exceptions_list": [link] if n == 0 else []})
    root = tmp_path / space
    root.mkdir()
    (root / "ruledeploy.toml").write_text(
        f'[project]\nname = "p"\n[env.e]\nkibana_url = "{stack.kibana_url}"\nspace = "{space}"\n'
    )
    where = ["-e", "e", "-C", str(root)]
    pulled = said(capsys, "pull", *where)
    assert pulled["left"] == []
    plan = said(capsys, "plan", *where)
    assert (plan["changes"], plan["kept"]) == ([], [])
    assert said(capsys, "drift", *where)["drift"] == []
    assert said(capsys, "pull", *where)["files"] == []
    shutil.rmtree(root)
