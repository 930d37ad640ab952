"""Index templates for clusters without the packages."""

from __future__ import annotations

from fnmatch import fnmatchcase

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
