"""`ruledeploy simulate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ruledeploy.cli.options import HERE, Json, Root, command_app
from ruledeploy.cli.output import print_json, say
from ruledeploy.errors import RuledeployError, UsageError

if TYPE_CHECKING:
    from ruledeploy.telemetry import Emitted, Like, Scenario

app = command_app()
ATTACK_DAY, BENIGN_DAY = "attack-day", "benign-day"
_FIRST_YEAR = 1970


class Sink(StrEnum):
    """Where events go."""

    ndjson = "ndjson"
    elasticsearch = "elasticsearch"
    stack = "stack"


@app.command()
def simulate(
    what: Annotated[
        list[str] | None,
        typer.Argument(help=f"{ATTACK_DAY}, {BENIGN_DAY}, or ids of scenarios; both days if none."),
    ] = None,
    *,
    root: Root = HERE,
    list_: Annotated[bool, typer.Option("--list", help="List the scenarios and exit.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    start: Annotated[str, typer.Option(help="First day (UTC); yesterday by default.")] = "",
    days: Annotated[int, typer.Option(min=1, help="So many days of what is named.")] = 1,
    noise: Annotated[int, typer.Option(min=0, help="Background events per day.")] = 2000,
    profile: Annotated[
        str, typer.Option(help="Of what kind: mixed, office, developer or server.")
    ] = "mixed",
    hosts: Annotated[int, typer.Option(min=4, help="On how many hosts.")] = 8,
    to: Annotated[Sink, typer.Option(help="Where the events go.")] = Sink.ndjson,
    env: Annotated[str, typer.Option("--env", "-e", help="Whose server, unless to ndjson.")] = "",
    output: Annotated[Path | None, typer.Option("--out", "-o", help="File; else stdout.")] = None,
    labels: Annotated[Path | None, typer.Option(help="File for the labels of the events.")] = None,
    json_: Json = False,
) -> None:
    """Make seeded synthetic telemetry, with labels.

    Days follow one another from --start. A scenario begins with the day that it is named before, or
    with each of --days when no day is named.
    """
    from ruledeploy.telemetry import PROFILES, Like, to_ndjson

    library = _library(root)
    if list_:
        _list(library, as_json=json_)
        return
    if to is not Sink.ndjson and not env:
        raise UsageError(f"--to {to} needs --env", hint="name whose server gets the events")
    if to is not Sink.ndjson and output is not None:
        raise UsageError(f"--to {to} writes no file", hint="leave out -o, or --to")
    if to is Sink.ndjson and env:
        raise UsageError("--env is for events that go to a server", hint="say which: --to")
    if profile not in PROFILES:
        raise UsageError(f"no noise profile {profile!r}", hint=f"known: {', '.join(PROFILES)}")
    like = Like(noise=noise, profile=profile, hosts=hosts)
    named = what or [ATTACK_DAY, BENIGN_DAY]
    _refuse_unknown(named, library)
    events = _chosen(_dated(named, days, _first(start, days * len(named))), library, seed, like)
    if labels is not None:
        events = _labelled(events, labels)
    if to is Sink.ndjson and output is None and json_:
        print_json({"schema": 1, "events": [json.loads(to_ndjson(one)) for one in events]})
    elif to is Sink.ndjson:
        _write(events, output, as_json=json_)
    else:
        result = _send(events, root, env, to)
        print_json(result) if json_ else say(f"{result['created']} events created in {env}")


def _first(start: str, days: int) -> datetime:
    """The first day. Raises `UsageError` when there are not so many of them in our calendar."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        first = datetime.fromisoformat(start) if start else today - timedelta(days=1)
        first = (first if first.tzinfo else first.replace(tzinfo=UTC)).astimezone(UTC)
        _ = first + timedelta(days=days + 1)
    except ValueError as error:
        raise UsageError(f"--start {start!r} is no date", hint="such as 2026-11-24") from error
    except OverflowError as error:
        raise UsageError("these days go beyond the year 9999") from error
    if first.year < _FIRST_YEAR:
        raise UsageError(f"--start {start!r} is before {_FIRST_YEAR}")
    return first


def _refuse_unknown(named: Sequence[str], library: Mapping[str, Scenario]) -> None:
    """Raise `UsageError` for a name that is neither a day nor a scenario."""
    for name in named:
        if name not in {ATTACK_DAY, BENIGN_DAY, *library}:
            near = get_close_matches(name, [ATTACK_DAY, BENIGN_DAY, *library], n=1)
            hint = f"did you mean {near[0]!r}?" if near else "--list  shows the scenarios"
            raise UsageError(f"there is no day or scenario {name!r}", hint=hint)


def _dated(named: Sequence[str], days: int, first: datetime) -> list[tuple[str, datetime]]:
    """What is named, so many times, with the day of each.

    Raises `UsageError` for a scenario twice on a day: its events would have the same ids.
    """
    dated: list[tuple[str, datetime]] = []
    day = first
    for _ in range(days):
        for name in named:
            if (name, day) in dated:
                raise UsageError(f"{name} is named twice", hint="--days 2  makes it on two days")
            dated.append((name, day))
            day += timedelta(days=name in {ATTACK_DAY, BENIGN_DAY})
        day += timedelta(days={ATTACK_DAY, BENIGN_DAY}.isdisjoint(named))
    return dated


def _library(root: Path) -> dict[str, Scenario]:
    """The bundled scenarios, and those of the project when there is one."""
    from ruledeploy.cli.workspace import open_project, scenarios
    from ruledeploy.project.files import CONFIG
    from ruledeploy.telemetry import load_scenarios

    return scenarios(open_project(root)) if (root / CONFIG).is_file() else load_scenarios()


def _chosen(
    dated: Sequence[tuple[str, datetime]], library: Mapping[str, Scenario], seed: int, like: Like
) -> Iterator[Emitted]:
    from ruledeploy.telemetry import attack_day, benign_day, scenario_events

    for name, day in dated:
        match name:
            case "attack-day":
                yield from attack_day(seed, day, **like)
            case "benign-day":
                yield from benign_day(seed, day, **like)
            case _:
                yield from scenario_events(name, seed, day, library=library)


def _labelled(events: Iterable[Emitted], path: Path) -> Iterator[Emitted]:
    from ruledeploy.telemetry import label_line

    with _opened(path) as file:
        for emitted in events:
            file.write(label_line(emitted))
            yield emitted


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file to write; one that cannot be written is named."""
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise RuledeployError(f"cannot write {path}: {error.strerror}") from error


def _write(events: Iterable[Emitted], output: Path | None, *, as_json: bool) -> None:
    from ruledeploy.telemetry import to_ndjson

    if output is None:
        for emitted in events:
            sys.stdout.buffer.write(to_ndjson(emitted))
        return
    with _opened(output) as file:
        count = sum(1 for emitted in events if file.write(to_ndjson(emitted)))
    if as_json:
        print_json({"schema": 1, "events": count, "path": str(output)})
    else:
        say(f"{count} events in {output}")


def _send(events: Iterable[Emitted], root: Path, name: str, to: Sink) -> dict[str, Any]:
    from ruledeploy.cli.workspace import (
        elasticsearch_client,
        open_project,
        reachable,
        refuse_remote,
    )
    from ruledeploy.fields import FAMILIES
    from ruledeploy.telemetry import index_templates
    from ruledeploy.verify.seed import seed_events

    families = [family for family in FAMILIES if family != "ecs"]
    project = open_project(root)
    if to is Sink.stack:
        hint = "--to elasticsearch writes made-up events to its cluster"
        refuse_remote(project, [name], hint)
    with reachable(project, name, root) as env, elasticsearch_client(env) as client:
        return seed_events(client, events, index_templates(families)).to_json()


def _list(library: dict[str, Scenario], *, as_json: bool) -> None:
    rows = [
        {"id": one.id, "label": one.label, "technique": one.technique, "title": one.title}
        for one in library.values()
    ]
    if as_json:
        print_json({"schema": 1, "scenarios": rows})
        return
    from ruledeploy.report.terminal import console, table

    shown = table("scenario", "technique", "what happens")
    for row in rows:
        shown.add_row(row["id"], row["technique"] or "", row["title"])
    console().print(shown)
