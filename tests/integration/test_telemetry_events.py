"""A real Elasticsearch takes every synthetic event under the true mappings of its family."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from ruledeploy.fields import family_of, load_table
from ruledeploy.telemetry import Emitted, attack_day, index_templates
from ruledeploy.telemetry.scene import Shipper
from support.elasticsearch_node import Degrade, FreshIndex, Node

START = datetime(2026, 11, 23, tzinfo=UTC)
FAMILIES: list[tuple[str, Shipper]] = [
    ("endpoint-api", "integration"),
    ("endpoint-library", "integration"),
    ("endpoint-process", "integration"),
    ("sysmon-integration", "integration"),
    ("winlogbeat", "winlogbeat"),
]


def day(family: str, shipper: Shipper) -> list[Emitted]:
    """One family's events of an attack day."""
    events = attack_day(1, START, noise=400, shipper=shipper)
    return [one for one in events if family_of(one.index) == family]


def load(node: Node, index: str, events: Iterable[Emitted], constants: dict[str, Any]) -> None:
    """Index events under their own ids, with the values that constant fields would have."""
    lines: list[dict[str, Any]] = []
    for one in events:
        source = {**constants, **one.event} if "data_stream" not in one.event else one.event
        lines += [{"create": {"_id": one.label.event_id}}, dict(source)]
    answer = node.client.bulk(index=index, operations=lines, refresh=True)
    errors = [item["create"].get("error") for item in answer["items"]]
    assert [error for error in errors if error] == []


@pytest.mark.parametrize(("family", "shipper"), FAMILIES)
def test_every_event_is_taken(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, family: str, shipper: Shipper
) -> None:
    """No document is refused, none is lost, and each is found by a field all of them map."""
    index = fresh_index(family)
    mappings, constants = degrade(load_table(family).mappings())
    node.client.indices.create(index=index, mappings=mappings)
    events = day(family, shipper)
    assert events
    load(node, index, events, constants)
    found = node.client.count(index=index, query={"exists": {"field": "process.executable"}})
    assert found["count"] == len(events)


def test_a_writer_is_found_in_any_case(
    node: Node, fresh_index: FreshIndex, degrade: Degrade
) -> None:
    """`.caseless` finds the sensor's lower-case path, which the exact field does not."""
    index = fresh_index("caseless")
    mappings, constants = degrade(load_table("endpoint-api").mappings())
    node.client.indices.create(index=index, mappings=mappings)
    load(node, index, day("endpoint-api", "integration"), constants)
    path = r"C:\Program Files\Example EDR\sensor.exe"
    exact = {"term": {"process.executable": path}}
    caseless = {"term": {"process.executable.caseless": path.lower()}}
    assert node.client.count(index=index, query=exact)["count"] == 3
    assert node.client.count(index=index, query=caseless)["count"] == 6


@pytest.mark.parametrize(("family", "shipper"), FAMILIES)
def test_the_template_makes_a_data_stream(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, family: str, shipper: Shipper
) -> None:
    """The body of the index template is accepted, and events create its data stream."""
    (body,) = index_templates([family]).values()
    name = fresh_index(f"{family}-stream")
    mappings, constants = degrade(dict(body["template"]["mappings"]))
    template = {**body["template"], "mappings": mappings}
    node.client.indices.put_index_template(
        name=name,
        index_patterns=[f"{name}*"],
        data_stream={},
        priority=body["priority"],
        template=template,
    )
    events = day(family, shipper)[:50]
    load(node, name, events, constants)
    assert node.client.count(index=name)["count"] == len(events)
