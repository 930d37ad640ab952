"""The node that the other integration tests stand on answers what they ask of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import BadRequestError, ConflictError

from support.elasticsearch_node import DEGRADATIONS, Degrade, FreshIndex, Node

ROOT = Path(__file__).resolve().parents[2]
TYPES = DEGRADATIONS["types"]

# What a mapping of a type cannot do without, and a value the type takes.
REQUIRED: dict[str, dict[str, Any]] = {
    "constant_keyword": {"value": "endpoint"},
    "scaled_float": {"scaling_factor": 1000},
}
VALUES = {"scaled_float": 0.5, "unsigned_long": 2**63 - 1, "constant_keyword": "endpoint"}

EVENTS = [
    {"@timestamp": "2026-01-01T00:00:00Z", "process.name": "cmd.exe", "pid": 4},
    {"@timestamp": "2026-01-01T00:00:01Z", "process.name": "CMD.EXE", "pid": 8},
    {"@timestamp": "2026-01-01T00:00:02Z", "process.name": "notepad.exe", "pid": 8},
]
MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "pid": {"type": "long"},
        "process": {
            "properties": {
                "name": {
                    "type": "keyword",
                    "fields": {"caseless": {"type": "keyword", "normalizer": "lowercase"}},
                }
            }
        },
    }
}


@pytest.fixture
def events(node: Node, fresh_index: FreshIndex) -> str:
    """An index that holds EVENTS, each under its position as id."""
    index = fresh_index("events")
    node.client.indices.create(index=index, mappings=MAPPINGS)
    lines: list[dict[str, Any]] = []
    for position, event in enumerate(EVENTS):
        lines += [{"index": {"_id": str(position)}}, event]
    answer = node.client.bulk(index=index, operations=lines, refresh=True)
    assert not answer["errors"]
    return index


def found(node: Node, index: str, query: dict[str, Any]) -> set[str]:
    """The ids that a search returns."""
    answer = node.client.search(index=index, query=query)
    return {hit["_id"] for hit in answer["hits"]["hits"]}


def test_bulk_stores_what_a_search_finds(node: Node, events: str) -> None:
    """Documents of one bulk request are all there after its refresh."""
    assert found(node, events, {"match_all": {}}) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("process.name:cmd.exe", {"0"}),
        ("process.name:(cmd.exe OR CMD*)", {"0", "1"}),
        ("process.name.caseless:cmd.exe AND NOT pid:4", {"1"}),
        ("pid:>=8 AND process.name:/note.*/", {"2"}),
    ],
)
def test_query_string_is_answered(node: Node, events: str, query: str, ids: set[str]) -> None:
    """Lucene syntax, lower-casing multi-fields included, finds what it says."""
    assert found(node, events, {"query_string": {"query": query}}) == ids


def test_esql_sees_only_what_its_filter_leaves(node: Node, events: str) -> None:
    """The filter of an ES|QL request narrows the documents before the query runs."""
    answer = node.client.esql.query(
        query=f'FROM {events} METADATA _id | WHERE TO_LOWER(process.name) == "cmd.exe"'
        " | KEEP _id | LIMIT 10",
        filter={"term": {"pid": 8}},
    )
    assert answer["values"] == [["1"]]


def test_esql_answers_a_list_over_a_computed_value(node: Node, events: str) -> None:
    """IN over a function needs the Version class; without its jar the request never ends."""
    answer = node.client.esql.query(
        query=f'FROM {events} METADATA _id | WHERE TO_LOWER(process.name) IN ("cmd.exe", "x")'
        " | KEEP _id | SORT _id | LIMIT 10"
    )
    assert answer["values"] == [["0"], ["1"]]


def test_bulk_creates_a_data_stream_through_its_template(
    node: Node, fresh_index: FreshIndex
) -> None:
    """A document for a name that a template claims makes the data stream with its mappings."""
    stream = fresh_index("logs")
    node.client.indices.put_index_template(
        name=stream,
        index_patterns=[f"{stream}*"],
        data_stream={},
        priority=500,
        template={"mappings": MAPPINGS},
    )
    answer = node.client.bulk(index=stream, operations=[{"create": {}}, EVENTS[0]], refresh=True)
    assert not answer["errors"]
    ((backing, found_mapping),) = node.client.indices.get_mapping(index=stream).items()
    assert backing.startswith(f".ds-{stream}-")
    process = found_mapping["mappings"]["properties"]["process"]
    assert process == MAPPINGS["properties"]["process"]


def test_a_write_over_a_newer_version_conflicts(node: Node, events: str) -> None:
    """`if_seq_no` refuses to overwrite a document that somebody else has changed since."""
    seen = node.client.get(index=events, id="0")
    condition = {"if_seq_no": seen["_seq_no"], "if_primary_term": seen["_primary_term"]}
    node.client.index(index=events, id="0", document={"pid": 1}, **condition)
    with pytest.raises(ConflictError, match="version_conflict_engine_exception"):
        node.client.index(index=events, id="0", document={"pid": 2}, **condition)
    assert node.client.get(index=events, id="0")["_source"] == {"pid": 1}


def test_a_second_create_conflicts(node: Node, events: str) -> None:
    """`_create` refuses an id that exists: what a lock is built on."""
    with pytest.raises(ConflictError):
        node.client.create(index=events, id="0", document={"pid": 2})


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_degraded_type_is_refused_and_its_replacement_holds_the_value(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, name: str
) -> None:
    """The table lists no type that the assembled node knows, and each replacement works there."""
    mappings = {"properties": {"field": {"type": name} | REQUIRED.get(name, {})}}
    index = fresh_index("degraded")
    if node.assembled:
        with pytest.raises(BadRequestError, match=rf"\[{name}\] declared on field \[field\]"):
            node.client.indices.create(index=index, mappings=mappings)
    accepted, _ = degrade(mappings)
    node.client.indices.create(index=index, mappings=accepted)
    value = VALUES.get(name, "some text")
    node.client.index(index=index, id="1", document={"field": value}, refresh=True)
    assert found(node, index, {"match": {"field": value}}) == {"1"}


def test_degrade_reaches_multi_fields_and_reports_constants(node: Node, degrade: Degrade) -> None:
    """Nested objects and multi-fields are degraded too; constants come with dotted names."""
    mappings = {
        "properties": {
            "data_stream": {"properties": {"type": {"type": "constant_keyword", "value": "logs"}}},
            "message": {"type": "keyword", "fields": {"text": {"type": "match_only_text"}}},
            "path": {"type": "wildcard", "ignore_above": 1024},
        }
    }
    accepted, constants = degrade(mappings)
    if not node.assembled:
        assert (accepted, constants) == (mappings, {})
        return
    assert constants == {"data_stream.type": "logs"}
    assert accepted == {
        "properties": {
            "data_stream": {"properties": {"type": {"type": "keyword", "ignore_above": 8191}}},
            "message": {"type": "keyword", "fields": {"text": {"type": "text"}}},
            "path": {"type": "keyword", "ignore_above": 1024},
        }
    }


def test_the_table_is_of_the_assembled_version() -> None:
    """A newer node in the pom needs a new look at what it lacks."""
    pom = (ROOT / "docker" / "node" / "pom.xml").read_text()
    assert f"<elasticsearch.version>{DEGRADATIONS['elasticsearch']}<" in pom


def test_fresh_names_do_not_collide(fresh_index: FreshIndex) -> None:
    """Two names of one test share a prefix that no other test has."""
    one, other = fresh_index("a"), fresh_index("b")
    assert one != other
    assert one.rsplit("-", 1)[0] == other.rsplit("-", 1)[0]


def one_test_without_a_node(**variables: str) -> subprocess.CompletedProcess[str]:
    """Runs one test that needs the node in a pytest that finds no program on its PATH."""
    environment = {"PATH": "/nonexistent", "HOME": os.environ.get("HOME", "/")} | variables
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "bulk_stores", __file__],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_where_no_node_can_be_had_the_tests_are_skipped_with_the_reason() -> None:
    """The summary counts what was lost and says what is missing."""
    done = one_test_without_a_node()
    assert done.returncode == 0
    assert "elasticsearch: none, 1 tests lost: in a container: docker is not" in done.stdout
    assert "as a process: Java 17 or newer is not installed" in done.stdout


def test_where_a_node_is_required_the_tests_fail_without_one() -> None:
    """RULEDEPLOY_REQUIRE_NODE=1 turns a lost test into an error."""
    done = one_test_without_a_node(RULEDEPLOY_REQUIRE_NODE="1")
    assert done.returncode == 1
    assert "docker is not installed" in done.stdout


def test_a_named_node_that_does_not_answer_is_not_replaced() -> None:
    """What ELASTICSEARCH_URL names must work: no other node is used in its place."""
    done = one_test_without_a_node(ELASTICSEARCH_URL="http://127.0.0.1:9")
    assert "ELASTICSEARCH_URL is set, but nothing answers there" in done.stdout
