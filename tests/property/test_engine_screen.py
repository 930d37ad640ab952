"""Lines that the screen leaves out are lines that no rule holds for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Files, Memory
from ruledeploy.engine.sources import documents
from ruledeploy.errors import QueryError
from support.engine_cases import Generator
from support.engine_values import TABLE

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
ENGINE = EmbeddedEngine(lambda _: TABLE)
# Some blocks of lines: the screen is there from the second on.
COUNT, PADDING = 700, "p" * 6_000


def bare(document: Document) -> str:
    """The event alone."""
    return json.dumps({**document.source, "pad": PADDING})


def hit(document: Document) -> str:
    """As a search gives it."""
    source = {**document.source, "pad": PADDING}
    return json.dumps({"_index": document.index, "_id": document.id, "_source": source})


@pytest.mark.parametrize("form", ["bare", "hits", "both", "array"])
@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_left_out_that_a_rule_finds(tmp_path: Path, seed: int, form: str) -> None:
    """Each rule alone and all together find in files what they find in memory."""
    generator = Generator(Random(seed))  # noqa: S311 - a seed names a world
    write = {"bare": (bare, bare), "hits": (hit, hit)}.get(form, (bare, hit))
    lines = [write[n % 2](one) for n, one in enumerate(generator.documents(COUNT))]
    text = "[" + ",\n".join(lines) + "]" if form == "array" else "\n".join(lines)
    path = tmp_path / "events.ndjson"
    path.write_text(text, encoding="utf-8")
    source = Files((path,), "generated")
    memory = Memory(tuple(documents(source)))
    sound: list[EngineRule] = []
    for number in range(24):
        rule = generator.case(f"c{number}").rule
        try:
            wanted = ENGINE.run([rule], memory, None, NOW)
        except QueryError:
            continue
        sound.append(rule)
        assert ENGINE.run([rule], source, None, NOW) == wanted, rule
    assert len(sound) > 10
    assert ENGINE.run(sound, source, None, NOW) == ENGINE.run(sound, memory, None, NOW)
