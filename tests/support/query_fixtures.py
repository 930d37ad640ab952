"""The text fixtures of tests/fixtures: see the README there for their form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ruledeploy.fields import FieldTable, FieldType

FIXTURES = Path(__file__).parents[1] / "fixtures"
KINDS = ("lucene", "esql", "eql", "dsl", "exceptions")


@dataclass(frozen=True, slots=True)
class Block:
    """One query (or the items) with documents and what is expected of each."""

    kind: str
    name: str
    law: str
    query: str
    mapping: dict[str, Any]
    documents: tuple[tuple[dict[str, Any], str], ...]
    on_node: bool

    @property
    def table(self) -> FieldTable:
        """The mapping as a field table."""
        return table_of(self.mapping)


def table_of(mapping: dict[str, Any]) -> FieldTable:
    """A field table of `{dotted name: mapping entry}`."""
    fields = {name: FieldType.from_mapping(entry) for name, entry in mapping.items()}
    return FieldTable("fixture", "fixture", MappingProxyType(fields))


def blocks(kind: str) -> list[Block]:
    """Every block of a folder, in order."""
    found: list[Block] = []
    for path in sorted((FIXTURES / kind).glob("*.txt")):
        found.extend(_file(kind, path))
    assert found, f"no fixtures for {kind}"
    return found


def _file(kind: str, path: Path) -> Iterator[Block]:
    mapping: dict[str, Any] = {}
    for number, text in enumerate(path.read_text("utf-8").split("\n\n")):
        notes, pairs = _lines(text)
        keys = dict(pairs)
        own = json.loads(keys["mapping"]) if "mapping" in keys else {}
        query = keys.get("items") if kind == "exceptions" else keys.get("query")
        if query is None:
            mapping = own or mapping
            continue
        sources = [json.loads(value) for key, value in pairs if key == "document"]
        wanted = [value for key, value in pairs if key == "expected"]
        assert len(sources) == len(wanted) > 0, f"{path.name}: block {number}: {query}"
        assert set(wanted) <= {"match", "no match", "error"}, f"{path.name}: {wanted}"
        yield Block(
            kind,
            f"{path.stem}-{number}",
            " ".join(note for note in notes if not note.startswith("node:")),
            query,
            mapping | own,
            tuple(zip(sources, wanted, strict=True)),
            not any(note.startswith("node: no") for note in notes),
        )


def _lines(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The comments, and the `key: value` pairs."""
    notes: list[str] = []
    pairs: list[tuple[str, str]] = []
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("#"):
            notes.append(line[1:].strip())
        elif line.strip():
            key, _, value = line.partition(":")
            pairs.append((key.strip(), value.strip()))
    return notes, pairs
