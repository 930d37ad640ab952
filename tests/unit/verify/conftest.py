"""A small release, built by hand: one rule on cross-process writes, and an allowlist to vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ruledeploy.model import DetectionRule, ExceptionItem, ExceptionList, Provenance, Release

RULE = "5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"
LIST = "rd-acme-trusted-endpoint-api"
QUERY = "process.Ext.api.name:WriteProcessMemory AND process.Ext.api.behaviors:cross\\-process"

ItemMaker = Callable[..., ExceptionItem]
RuleMaker = Callable[..., DetectionRule]
ReleaseMaker = Callable[..., Release]


@pytest.fixture
def make_item() -> ItemMaker:
    """An item whose entries are exact matches of the given fields."""

    def make(source_id: str, line: int = 1, suffix: str = "", **body: Any) -> ExceptionItem:
        fields = body.pop("fields")
        entries = [
            {"field": name, "type": "match", "operator": "included", "value": value}
            for name, value in fields.items()
        ]
        full = {
            "item_id": f"{source_id}{suffix}:{sorted(fields.items())}",
            "list_id": LIST,
            "name": source_id.rpartition("/")[2],
            "entries": entries,
            "os_types": [],
            **body,
        }
        return ExceptionItem(full, Provenance("exceptions/base/trusted.yml", line, source_id))

    return make


@pytest.fixture
def make_rule() -> RuleMaker:
    """The rule on cross-process writes, with changes."""

    def make(rule_id: str = RULE, source_id: str = RULE, **changes: Any) -> DetectionRule:
        family = changes.pop("family", "endpoint-api")
        body = {
            "rule_id": rule_id,
            "name": "Anomalous WriteProcessMemory",
            "type": "query",
            "language": "lucene",
            "query": QUERY,
            "index": ["logs-endpoint.events.api-*"],
            "timestamp_override": "event.ingested",
            "exceptions_list": [{"id": LIST, "list_id": LIST}],
            **changes,
        }
        return DetectionRule(body, family, Provenance("rules/write.yml", 1, source_id))

    return make


@pytest.fixture
def make_release(make_rule: RuleMaker) -> ReleaseMaker:
    """A release of the rule (or other rules) and some items."""

    def make(*items: ExceptionItem, env: str = "dev", rules: Any = None) -> Release:
        place = Provenance("exceptions/base/trusted.yml", 1, "trusted")
        return Release(
            env=env,
            date="2026-11-24",
            rules=tuple([make_rule()] if rules is None else rules),
            lists=(ExceptionList({"list_id": LIST}, "endpoint-api", place),),
            items=items,
        )

    return make


@pytest.fixture
def sensor(make_item: ItemMaker) -> ExceptionItem:
    """The EDR sensor by path and trusted signer: as an item should be."""
    return make_item(
        "trusted/edr-sensor",
        12,
        fields={
            "process.executable.caseless": r"c:\program files\example edr\sensor.exe",
            "process.code_signature.subject_name": "Example EDR Ltd",
            "process.code_signature.trusted": "true",
        },
    )


@pytest.fixture
def any_svchost(make_item: ItemMaker) -> ExceptionItem:
    """Everything that is called svchost.exe: as an item should not be."""
    return make_item("trusted/svchost", 20, fields={"process.name.caseless": "svchost.exe"})
