"""A backtest's JSON → text and Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.plan import escaped
from ruledeploy.report.terminal import console


def print_backtest(made: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """By rule: counts, what differs, days, top values, and what the schedule costs."""
    out = console(stream)
    for rule in made["rules"]:
        out.print(Text(rule["name"], "bold"))
        for line in _lines(rule, compared=made["compared"]):
            out.print(Text(f"  {line}"))
    for finding in made["findings"]:
        out.print(Text(_note(finding), "cyan"))
    out.print(Text(_verdict(made), "bold"))


def print_preview(made: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """What Kibana's own executor said."""
    out = console(stream)
    out.print(Text(f"{made['rule']}: {made['alerts']} alerts in {made['runs']} runs", "bold"))
    for kind, style in (("errors", "red"), ("warnings", "yellow")):
        for line in made[kind]:
            out.print(Text(f"  {kind.removesuffix('s')}: {line}", style))
    if made["aborted"]:
        out.print(Text("  Kibana cut the preview short: name a shorter window", "red"))


def markdown(made: Mapping[str, Any]) -> Iterator[str]:
    """The backtest as lines of Markdown for a pull request."""
    yield f"### {_verdict(made)}"
    for rule in made["rules"]:
        yield from ("", f"#### {escaped(rule['name'])}", "")
        yield from (f"- {escaped(line)}" for line in _lines(rule, compared=made["compared"]))
    if made["findings"]:
        yield ""
        yield from (f"> {escaped(_note(finding))}  " for finding in made["findings"])


def _note(finding: Mapping[str, Any]) -> str:
    return f"note: {finding['message']}"


def _verdict(made: Mapping[str, Any]) -> str:
    after = sum(rule["after"]["alerts"] for rule in made["rules"] if rule["after"])
    if not made["compared"]:
        return f"{made['env']}: {after} alerts of {len(made['rules'])} rules"
    before = sum(rule["before"]["alerts"] for rule in made["rules"] if rule["before"])
    new, gone = (sum(rule[key] or 0 for rule in made["rules"]) for key in ("new", "gone"))
    counts = f"{made['env']}: {before} → {after} alerts, {new} new, {gone} gone"
    unknown = sum(rule["new"] is None for rule in made["rules"])
    return f"{counts}, {unknown} rules not compared event by event" if unknown else counts


def _lines(rule: Mapping[str, Any], *, compared: bool) -> Iterator[str]:
    if compared:
        yield _change(rule)
        for title in ("new", "gone"):
            yield from (f"{title}: {one['summary']}" for one in rule[f"{title}_examples"])
    side = rule["after"] or rule["before"]
    if side is None:
        return
    yield f"{side['matches']} matches, {side['hidden']} hidden, {side['alerts']} alerts"
    for source_id, count in side["items"].items():
        yield f"hidden by {source_id.rpartition('/')[2]}: {count}"
    if side["days"]:
        yield f"by day: {', '.join(f'{day} {count}' for day, count in side['days'].items())}"
        yield f"first {side['first']}, last {side['last']}"
    for name, pairs in side["top"].items():
        if pairs:
            yield f"{name}: {', '.join(f'{value} ({count})' for value, count in pairs)}"
    if side["schedule"] is None:
        yield "too many matches to play the schedule, or to compare event by event"
    else:
        yield from _schedule(side["schedule"])


def _change(rule: Mapping[str, Any]) -> str:
    if rule["before"] is None:
        return "a new rule"
    if rule["after"] is None:
        return "the rule is gone"
    counts = f"{rule['before']['alerts']} → {rule['after']['alerts']} alerts"
    return counts if rule["new"] is None else f"{counts}, {rule['new']} new, {rule['gone']} gone"


def _schedule(played: Mapping[str, Any]) -> Iterator[str]:
    if played["full_runs"]:
        yield (
            f"max_signals: {played['full_runs']} runs saw more than a run alerts on"
            f" (up to {played['busiest_run']}); {len(played['cut'])} alerts are lost"
        )
    if played["late"]:
        yield f"{len(played['late'])} events arrive after the look-back and are never seen"
