"""A text fixture's block as a run of an engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ruledeploy.engine import Document, Engine, EngineRule, Indices, Memory
from ruledeploy.errors import QueryError
from support.query_fixtures import Block

ERROR = "error"


def rule_of(block: Block, index: str) -> EngineRule:
    """The rule that asks what the block asks, of one index."""
    match block.kind:
        case "esql":
            return EngineRule("rule", "esql", f"from {index} | where {block.query}", ())
        case "eql":
            return EngineRule("rule", "eql", block.query, (index,))
        case "exceptions":
            return EngineRule("rule", "lucene", "*:*", (index,), tuple(json.loads(block.query)))
        case _:
            return EngineRule("rule", "lucene", block.query, (index,))


def answers(engine: Engine, block: Block, index: str, *, in_memory: bool) -> list[str]:
    """What the engine says of each document; an error is one of the whole search."""
    documents = [Document(index, str(n), source) for n, (source, _) in enumerate(block.documents)]
    source = Memory(documents) if in_memory else Indices(index)
    try:
        hits = engine.run([rule_of(block, index)], source, None, datetime.now(UTC))["rule"]
    except QueryError:
        return [ERROR] * len(documents)
    found = set(hits.event_ids)
    if block.kind == "exceptions":
        hidden = set[str]().union(*hits.suppressed.values())
        assert found == {document.id for document in documents} - hidden
        found = hidden
    return ["match" if document.id in found else "no match" for document in documents]
