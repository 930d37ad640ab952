"""What an index learns of its documents."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from ruledeploy.fields import FieldTable, FieldType
from ruledeploy.stack.dynamic import KEYWORD, Learnt, Template, closed_objects, is_closed


def learnt(fields: dict[str, FieldType] | None = None, **options: Any) -> Learnt:
    """An index that maps some fields already."""
    return Learnt(FieldTable("index:x", "x", MappingProxyType(fields or {})), **options)


def types(index: Learnt) -> dict[str, str]:
    """The names and types of all fields."""
    return {name: type_.type for name, type_ in index.table().fields.items()}


def test_the_first_value_decides() -> None:
    """And the table grows with the documents; null and an empty list tell nothing."""
    index = learnt()
    index.learn({"n": 1, "none": None, "empty": [], "o": {"k": [True, False]}})
    assert types(index) == {"n": "long", "o.k": "boolean"}
    index.learn({"n": "x", "f": 1.5, "day": "2026-11-24", "text": "2026", "none": "now"})
    assert types(index) == {
        "n": "long",
        "o.k": "boolean",
        "f": "float",
        "day": "date",
        "text": "text",
        "none": "text",
    }
    assert index.table().get("text.keyword") == FieldType("keyword", ignore_above=256)


def test_what_is_mapped_stays() -> None:
    """A value below a mapped value, or in an object that is shut or disabled, is no field."""
    mapped = {
        "n": FieldType("keyword"),
        "raw": FieldType("flattened"),
        "off": FieldType("object", enabled=False),
        "sub": FieldType("nested"),
    }
    index = learnt(mapped, closed=frozenset({"shut"}))
    index.learn({"n": 1, "raw": {"a": 1}, "off": {"a": 1}, "shut": {"a": 1}, "sub": [{"a": 1}]})
    assert set(types(index)) == {*mapped, "sub.a"}
    assert types(index)["n"] == "keyword"


def test_strings_as_keywords_and_no_dates() -> None:
    """As Elastic's templates for `logs-*` have it."""
    index = learnt(strings=KEYWORD, dates=False)
    index.learn({"day": "2026-11-24", "n": 1})
    assert types(index) == {"day": "keyword", "n": "long"}


@pytest.mark.parametrize(
    ("body", "path", "kind", "fits"),
    [
        ({}, "a.b", "long", True),
        ({"match_mapping_type": "string"}, "a.b", "long", False),
        ({"match_mapping_type": ["string", "long"]}, "a.b", "long", True),
        ({"match": "b"}, "a.b", "long", True),
        ({"match": "a*"}, "a.b", "long", False),
        ({"path_match": "a.*"}, "a.b", "long", True),
        ({"path_match": "a.*", "path_unmatch": "*.b"}, "a.b", "long", False),
        ({"match": ["x", "b*"], "unmatch": ["c"]}, "a.b", "long", True),
    ],
)
def test_a_template_fits(body: dict[str, Any], path: str, kind: str, fits: bool) -> None:
    """When all its conditions do."""
    assert Template(body).fits(path, kind) is fits


def test_the_first_template_that_fits_decides() -> None:
    """`{dynamic_type}`, like no type at all, is what the value would have been without it."""
    templates = (
        Template({"match": "*_s", "mapping": {"type": "keyword", "ignore_above": 5}}),
        Template({"mapping": {"type": "{dynamic_type}", "index": False}}),
    )
    index = learnt(templates=templates)
    index.learn({"x_s": 1, "n": 2})
    assert index.table().get("x_s") == FieldType("keyword", ignore_above=5)
    assert index.table().get("n") == FieldType("long", index=False)


def test_mappings_say_what_is_closed() -> None:
    """`dynamic` false or strict, as JSON's boolean or as text, at any depth."""
    mappings = {
        "properties": {
            "a": {"dynamic": "strict", "properties": {"b": {"dynamic": False}}},
            "c": {"properties": {"d": {"dynamic": "false"}, "e": {"dynamic": "true"}}},
        }
    }
    assert set(closed_objects(mappings)) == {"a", "a.b", "c.d"}
    assert not is_closed(mappings)
