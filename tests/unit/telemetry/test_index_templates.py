"""Index templates for clusters without the packages."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from ruledeploy.errors import ConfigError
from ruledeploy.fields import FAMILIES, load_table
from ruledeploy.telemetry import index_templates

SHIPPED = [family for family in FAMILIES if family != "ecs"]


def test_each_family_has_a_template_with_its_own_mappings() -> None:
    """The body makes data streams and maps what the table says, unknown fields unmapped."""
    bodies = index_templates(SHIPPED)
    assert sorted(bodies) == [f"ruledeploy-{family}" for family in sorted(SHIPPED)]
    body = bodies["ruledeploy-endpoint-api"]
    assert body["data_stream"] == {}
    assert body["template"]["mappings"] == load_table("endpoint-api").mappings()
    assert body["template"]["mappings"]["dynamic"] is False


def test_patterns_take_their_own_events_alone() -> None:
    """No pattern of one family matches the index of another."""
    patterns = {name: body["index_patterns"][0] for name, body in index_templates(SHIPPED).items()}
    for name, pattern in patterns.items():
        index = pattern.replace("*", "default")
        assert [one for one, glob in patterns.items() if fnmatchcase(index, glob)] == [name]


def test_a_template_for_every_index_is_refused() -> None:
    """`ecs` stands for any index, so a template of it would turn all of them into data streams."""
    with pytest.raises(ConfigError, match="no index of its own"):
        index_templates(["ecs"])


def untyped(mapping: dict[str, Any], path: str = "") -> Iterator[str]:
    """Fields that have neither a type nor properties, which Elasticsearch refuses."""
    for name, child in mapping.get("properties", {}).items():
        if "type" not in child and "properties" not in child:
            yield f"{path}{name}"
        yield from untyped(child, f"{path}{name}.")


def test_every_field_has_a_type() -> None:
    """An object may go without one while it has properties; anything else is refused whole."""
    for name, body in index_templates(SHIPPED).items():
        assert list(untyped(body["template"]["mappings"])) == [], name
