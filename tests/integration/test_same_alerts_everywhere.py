"""The shipped rules and overlays alert on the same events wherever they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ruledeploy.cli.embedded import replay
from ruledeploy.cli.session import session
from ruledeploy.cli.workspace import elasticsearch_client, open_project, reachable
from ruledeploy.compile import compile_release
from ruledeploy.deploy import ApplyOptions, Options, apply
from ruledeploy.engine import EmbeddedEngine, Engine, Memory
from ruledeploy.fields import FAMILIES
from ruledeploy.kibana import Connection, Kibana, Request
from ruledeploy.model import Release
from ruledeploy.telemetry import Emitted, attack_day, benign_day, index_templates
from ruledeploy.verify.cluster import ScratchEngine
from ruledeploy.verify.running import bench, documents_of, engine_rule
from ruledeploy.verify.seed import seed_events
from support.elasticsearch_node import Node

ROOT = Path(__file__).parents[2]
ENV = "demo-prod"
START = datetime(2026, 11, 23, tzinfo=UTC)
Alerts = dict[str, frozenset[str]]


@pytest.fixture(scope="module")
def events() -> tuple[Emitted, ...]:
    """An attack day and a benign one."""
    days = (attack_day(1, START, noise=500), benign_day(1, START + timedelta(days=1), noise=500))
    return tuple(one for day in days for one in day)


@pytest.fixture(scope="module")
def release() -> Release:
    """What a push brings to production."""
    project = open_project(ROOT)
    return compile_release(project, project.environment(ENV), START.date())


def alerts_of(engine: Engine, release: Release, events: tuple[Emitted, ...]) -> Alerts:
    """Alerting events by rule, as an engine says."""
    rules = [engine_rule(release, rule) for rule in release.rules]
    now = bench(EmbeddedEngine(), release).now
    hits = engine.run(rules, Memory(documents_of(events)), None, now)
    return {rule_id: frozenset(found.event_ids) for rule_id, found in hits.items()}


def alerts_on_the_stack(root: Path, events: tuple[Emitted, ...]) -> Alerts:
    """Alerting events by rule, after a push and two days of runs on the local stack."""
    with session(root, ENV, START.date()) as here:
        server = here.server
        apply(
            server.plan(here.release, Options()),
            server.kibana,
            server.store,
            options=ApplyOptions(),
        )
    project = open_project(root)
    with reachable(project, ENV, root) as env:
        families = [family for family in FAMILIES if family != "ecs"]
        with elasticsearch_client(env) as client:
            seed_events(client, events, index_templates(families))
        replay(env.kibana_url, START, START + timedelta(days=2, hours=1))
        body = {"query": {"match_all": {}}, "size": 10_000}
        space = project.environment(ENV).space
        with Kibana(Connection.of(replace(env, space=space))) as kibana:
            path = "/api/detection_engine/signals/search"
            answer = kibana.send(Request("POST", path, body=body))
    found: dict[str, set[str]] = {}
    for hit in answer["hits"]["hits"]:
        source: Mapping[str, object] = hit["_source"]
        rule_id = str(source["kibana.alert.rule.rule_id"])
        ancestors = source["kibana.alert.ancestors"]
        assert isinstance(ancestors, list)
        found.setdefault(rule_id, set()).add(str(ancestors[-1]["id"]))
    return {rule_id: frozenset(ids) for rule_id, ids in found.items()}


def test_embedded_engine_node_and_stack_agree(
    node: Node, tmp_path: Path, release: Release, events: tuple[Emitted, ...]
) -> None:
    """Event by event, for every rule: what fires in the editor fires in the cluster."""
    for name in ("rules", "exceptions", "ruledeploy.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    embedded = alerts_of(EmbeddedEngine(), release, events)
    assert len(embedded["5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b"]) > 50
    assert alerts_of(ScratchEngine(node.client), release, events) == embedded
    stack = alerts_on_the_stack(tmp_path, events)
    assert {rule_id: stack.get(rule_id, frozenset()) for rule_id in embedded} == embedded
