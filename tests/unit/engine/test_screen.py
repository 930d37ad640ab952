"""What the screen makes of values that it cannot tell by their texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.engine import EmbeddedEngine, EngineRule, Files
from support.engine_values import TABLE

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
API = "logs-endpoint.events.api-default"
# More than a block of lines, which are asked in full: out of them the screen learns.
BEFORE = [{"k": f"plain {n}", "n": {"long": n % 7}, "pad": "p" * 6_000} for n in range(400)]


def found(
    folder: Path, query: str, last: Sequence[dict[str, Any]], engine: EmbeddedEngine | None = None
) -> list[int]:
    """The places of the events found among the last of many."""
    lines = [json.dumps(event) for event in (*BEFORE, *last)]
    (folder / "events.ndjson").write_text("\n".join(lines), encoding="utf-8")
    rule = EngineRule("r", "lucene", query, ("*",))
    source = Files((folder / "events.ndjson",), API)
    hits = (engine or EmbeddedEngine(lambda _: TABLE)).run([rule], source, None, NOW)["r"]
    places = [int(one.rpartition(":")[2]) - len(BEFORE) - 1 for one in hits.event_ids]
    return sorted(place for place in places if place >= 0)


@pytest.mark.parametrize(
    ("query", "last", "wanted"),
    [
        # The Kelvin sign is a k to the normalizer, as is a capital.
        (
            "name.caseless:*kill*",
            [{"name": "\u212aILL"}, {"name": "Kill"}, {"name": "ill"}],
            [0, 1],
        ),
        ("name.caseless:kill", [{"name": "\u212aILL"}, {"name": "a"}, {"name": ["KILL"]}], [0, 2]),
        ("k:true", [{"k": True}, {"k": 1}, {"k": "true"}, {"k": ["a", "true"]}], [0, 2, 3]),
        (
            "n.long:9",
            [{"n": {"long": 9}}, {"n.long": "9"}, {"n": [{"long": 8}, {"long": 9}]}],
            [0, 1, 2],
        ),
        ("n.long:8 AND NOT k:*z*", [{"n": {"long": 8}, "k": "z"}, {"n": {"long": 8}}], [1]),
        (
            "flat.key:axa",
            [{"flat": {"key": "axa"}}, {"flat": {"key": ["b", "axa"]}}, {"k": "axa"}],
            [0, 1],
        ),
        (
            't:"two words"',
            [{"t": "Two words."}, {"t": "words two"}, {"t": ["no", "two words"]}],
            [0, 2],
        ),
        ("_exists_:brief", [{"brief": "abc"}, {"brief": "too long"}, {"brief": None}], [0]),
        ("_id:a OR k:end", [{"k": "end"}, {"k": "ends"}], [0]),
        ("NOT k:plain*", [{"k": "other"}, {"k": "plain"}, {}], [0, 2]),
        (
            "k:*\\-e* AND NOT k:*plain*",
            [{"k": "a -e"}, {"k": "plain -e"}, {"k": "\x01a\x00-e"}],
            [0, 2],
        ),
    ],
)
def test_what_texts_do_not_tell(
    tmp_path: Path, query: str, last: list[dict[str, Any]], wanted: list[int]
) -> None:
    """Letters beyond ASCII, other types, arrays, dotted keys, words, keys, presence, negation."""
    assert found(tmp_path, query, last) == wanted


def test_each_index_has_its_plan_and_what_its_mapping_gives(tmp_path: Path) -> None:
    """An event may name its own data stream; one that does not has that of its index."""
    other = {"type": "logs", "dataset": "endpoint.events.file", "namespace": "default"}
    last: list[dict[str, Any]] = [
        {"data_stream": other},
        {"process": {"name": "a"}},
        {"data_stream": {}},
    ]
    query = "data_stream.dataset:endpoint.events.file"
    assert found(tmp_path, query, last, EmbeddedEngine()) == [0]
    query = "data_stream.dataset:endpoint.events.api AND NOT process.name:b"
    assert found(tmp_path, query, last, EmbeddedEngine()) == [1]
