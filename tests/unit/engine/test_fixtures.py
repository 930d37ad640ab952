"""The embedded engine gives every text fixture the answer that Elasticsearch gives."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ruledeploy.engine import Document, EmbeddedEngine
from ruledeploy.engine.binding import Binder
from ruledeploy.engine.program import Program
from ruledeploy.errors import QueryError
from ruledeploy.query.dsl import parse_dsl
from support.fixture_runs import answers
from support.query_fixtures import Block, blocks

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)


def name(block: Block) -> str:
    """The file and the place of a block."""
    return f"{block.kind}-{block.name}"


@pytest.mark.parametrize(
    "block", [b for kind in ("lucene", "esql", "eql", "exceptions") for b in blocks(kind)], ids=name
)
def test_a_rule_finds_what_the_fixture_says(block: Block) -> None:
    """Run as a rule over the block's documents."""
    engine = EmbeddedEngine(lambda _: block.table)
    expected = [wanted for _, wanted in block.documents]
    assert answers(engine, block, "fixture", in_memory=True) == expected, block.law


@pytest.mark.parametrize("block", blocks("dsl"), ids=name)
def test_a_dsl_query_finds_what_the_fixture_says(block: Block) -> None:
    """Parsed, bound and asked of each of the block's documents."""
    program = Program()
    try:
        query = program.add(Binder(block.table, NOW).bind(parse_dsl(json.loads(block.query))))
    except QueryError:
        assert {wanted for _, wanted in block.documents} == {"error"}, block.law
        return
    for source, wanted in block.documents:
        found = query(program.read(Document("fixture", "1", source)))
        assert wanted == ("match" if found else "no match"), block.law
