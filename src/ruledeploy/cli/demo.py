"""`ruledeploy demo`: the main job, from files to alerts, on a stack of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ruledeploy.cli.options import HERE, Json, Root, command_app
from ruledeploy.cli.output import print_json, say
from ruledeploy.cli.workspace import (
    STATE,
    elasticsearch_client,
    open_project,
    reachable,
    refuse_remote,
)
from ruledeploy.errors import UsageError
from ruledeploy.model import value_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ruledeploy.model import Environment, Release
    from ruledeploy.project import Project
    from ruledeploy.telemetry import Emitted

app = command_app()
# A fixed clock: the same files give the same table on any day.
FIRST_DAY = datetime(2026, 11, 24, tzinfo=UTC)
# Background that the allowlists know: it must not alert.
NOISE = 2000
SEED = 1
STACK = "demo"
DEMO_ENVS = ("demo-dev", "demo-prod")


@app.command()
def demo(
    *,
    root: Root = HERE,
    envs: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="Embedded environments to compare.")
    ] = None,
    json_: Json = False,
) -> None:
    """Push to the local stack, replay two days, and show the alerts.

    Uses a fresh stack in .ruledeploy/demo/ and a fixed clock: an attack day, then a benign day.
    """
    from ruledeploy.cli.embedded import empty, replay
    from ruledeploy.report.demo import print_demo
    from ruledeploy.telemetry import attack_day, benign_day

    project = open_project(root)
    names = envs or _usual(project)
    refuse_remote(project, names, "the demo makes up events: name embedded environments")
    empty(root / STATE / STACK)
    events = [
        *attack_day(SEED, FIRST_DAY, noise=NOISE),
        *benign_day(SEED, FIRST_DAY + timedelta(days=1), noise=NOISE),
    ]
    releases = {name: _push(root, name) for name in names}
    with reachable(project, names[0], root, STACK) as env:
        say(f"{_seed(env, events)} events of two days seeded; the rules run over them")
        replay(env.kibana_url, FIRST_DAY, FIRST_DAY + timedelta(days=2, hours=1))
        spaces = {name: project.environment(name).space for name in names}
        alerts = {name: _alerts(replace(env, space=space)) for name, space in spaces.items()}
    result = _result(releases, alerts, events)
    if json_:
        print_json(result)
    else:
        print_demo(result)


def _usual(project: Project) -> list[str]:
    """The environments made for this, where the project has them; else all of the local stack."""
    if set(DEMO_ENVS) <= set(project.env_names):
        return list(DEMO_ENVS)
    written = [name for name in project.env_names if "kibana_url" in project.settings.envs[name]]
    embedded = [name for name in written if project.environment(name).embedded]
    if not embedded:
        hint = 'write one, such as [env.local] with kibana_url = "embedded:"'
        raise UsageError("no environment of this project is the local stack", hint=hint)
    return embedded


def _push(root: Path, name: str) -> Release:
    """Push one environment, as `ruledeploy push` does, and say what that was."""
    from ruledeploy.cli.session import commit_of, session
    from ruledeploy.deploy import ApplyOptions, Options, apply

    with session(root, name, FIRST_DAY.date(), STACK) as here:
        release, server = here.release, here.server
        options = ApplyOptions(commit=commit_of(root))
        outcome = apply(
            server.plan(release, Options()), server.kibana, server.store, options=options
        )
    counts = f"{len(release.rules)} rules, {len(release.lists)} lists, {len(release.items)} items"
    say(f"{name}: pushed {counts} in {outcome.writes} writes, record {outcome.record}")
    return release


def _seed(env: Environment, events: list[Emitted]) -> int:
    from ruledeploy.telemetry import index_templates
    from ruledeploy.verify.seed import seed_events

    templates = index_templates({"endpoint-api", "sysmon-integration"})
    with elasticsearch_client(env) as client:
        return seed_events(client, events, templates).created


def _alerts(env: Environment) -> list[dict[str, Any]]:
    """Every alert of a space, read as any client reads them."""
    from ruledeploy.kibana import Connection, Kibana, Request

    body = {"query": {"match_all": {}}, "size": 10_000, "track_total_hits": True}
    with Kibana(Connection.of(env)) as kibana:
        answer = kibana.send(Request("POST", "/api/detection_engine/signals/search", body=body))
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def _result(
    releases: Mapping[str, Release],
    alerts: Mapping[str, list[dict[str, Any]]],
    events: list[Emitted],
) -> dict[str, Any]:
    """Plain form: alerts per rule, who alerts and what it truly is, what each item hides."""
    labels = {one.label.event_id: one.label for one in events}
    return {
        "schema": 1,
        "events": len(events),
        "environments": [
            {
                "env": name,
                "alerts": len(alerts[name]),
                "rules": dict(
                    Counter(str(value_of(a, "kibana.alert.rule.name")) for a in alerts[name])
                ),
                "processes": [
                    {"process": process, "scenario": scenario, "label": label, "alerts": count}
                    for (process, scenario, label), count in _who(alerts[name], labels).items()
                ],
                "items": _hidden(release, events),
            }
            for name, release in releases.items()
        ],
    }


def _who(alerts: list[dict[str, Any]], labels: Mapping[str, Any]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for alert in alerts:
        label = labels[str(value_of(alert, "event.id"))]
        found[(str(value_of(alert, "process.name")), label.scenario, label.label)] += 1
    return found


def _hidden(release: Release, events: list[Emitted]) -> dict[str, int]:
    """How many events each allowlist item hides, by its own id."""
    from ruledeploy.engine import EmbeddedEngine
    from ruledeploy.verify.running import bench, documents_of

    results = bench(EmbeddedEngine(), release).run(release, release.rules, documents_of(events))
    hidden: Counter[str] = Counter()
    for result in results:
        for items in result.hidden.values():
            hidden.update(item.source_id.rpartition("/")[2] for item in items)
    named = (item.provenance.source_id.rpartition("/")[2] for item in release.items)
    return {name: hidden[name] for name in dict.fromkeys(named)}
