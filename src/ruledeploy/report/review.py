"""A review's JSON → what a reviewer reads, on a terminal or in a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.plan import escaped
from ruledeploy.report.terminal import console

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
# Enough events to recognise what falls silent; the JSON has all of them.
_SHOWN = 5


def print_review(review: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """Every environment that changes, attacks that fall silent first."""
    out = console(stream)
    for env in review["environments"]:
        if not _changes(env):
            continue
        out.print(Text(env["env"], "bold"))
        for line in _warnings(env):
            out.print(Text(f"  !! {line}", "bold red"))
        for item in env["items"]:
            out.print(Text(f"  {_item(item)}", _STYLES[item["action"]]))
            out.print(Text(f"      {item['path']}:{item['line']}", "dim"))
        for rule in env["rules"]:
            out.print(Text(f"  {_rule(rule)}", _STYLES[rule["action"]]))
        for impact in env["impacts"]:
            out.print(Text(f"  {_impact(impact)}"))
            for event in impact["silenced"][:_SHOWN]:
                style = "red" if event["label"] == "attack" else "dim"
                out.print(Text(f"      silent: {_event(event)}", style))
            for event in impact["began"][:_SHOWN]:
                out.print(Text(f"      new:    {_event(event)}", "dim"))
    out.print(Text(verdict(review), "bold"))


def verdict(review: Mapping[str, Any]) -> str:
    """One sentence for the whole review."""
    changed = [env["env"] for env in review["environments"] if _changes(env)]
    if not changed:
        return "nothing changes in any environment"
    tried = f"tried on {review['events']:,} simulated events"
    if review["needs_approval"]:
        return f"attacks fall silent: this needs approval ({tried})"
    return f"changes in {', '.join(changed)}; no attack falls silent ({tried})"


def markdown(review: Mapping[str, Any]) -> Iterator[str]:
    """The review as lines of Markdown for a pull request."""
    sign = "⚠️" if review["needs_approval"] else "✅"
    yield f"### {sign} {verdict(review)}"
    for env in review["environments"]:
        if _changes(env):
            yield from _env_markdown(env)


def _env_markdown(env: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"#### {escaped(env['env'])}", "")
    for line in _warnings(env):
        yield f"> **{escaped(line)}**"
    if env["items"]:
        yield from (
            "",
            "| | allowlist item | hides before | hides after | |",
            "|---|---|--:|--:|---|",
        )
    for item in env["items"]:
        name = f"{escaped(item['name'])} (`{_short_id(item['source_id'])}`)"
        cells = [
            f"`{_SIGNS[item['action']]}`",
            name,
            str(item["hides"]["before"]),
            str(item["hides"]["after"]),
            f"`{item['path']}:{item['line']}`",
        ]
        yield f"| {' | '.join(cells)} |"
    if env["rules"]:
        yield ""
    for rule in env["rules"]:
        yield f"- {escaped(_rule(rule))} (`{rule['path']}:{rule['line']}`)"
    for impact in env["impacts"]:
        yield from ("", f"<details><summary>{escaped(_impact(impact))}</summary>", "")
        for title, events in (("silent", impact["silenced"]), ("new", impact["began"])):
            yield from (f"- {title}: {escaped(_event(event))}" for event in events[:_SHOWN])
            if len(events) > _SHOWN:
                yield f"- {title}: {len(events) - _SHOWN} more"
        yield from ("", "</details>")


def _changes(env: Mapping[str, Any]) -> bool:
    return env["action"] != "same" or bool(env["items"] or env["rules"] or env["impacts"])


def _warnings(env: Mapping[str, Any]) -> Iterator[str]:
    for attack in env["blinded"]:
        yield f"no rule sees {attack['scenario']} ({attack['technique']}) any more"
    seen = {attack["scenario"] for attack in env["blinded"]}
    silenced = _scenarios(env["attacks_silenced"])
    for scenario, (count, by) in silenced.items():
        if scenario not in seen:
            yield f"{count} events of {scenario} fall silent{by}"


def _scenarios(events: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for event in events:
        count, _ = found.get(event["scenario"], (0, ""))
        names = [_short_id(item["source_id"]) for item in event["hidden_by"]]
        found[event["scenario"]] = (count + 1, f", hidden by {', '.join(names)}" if names else "")
    return found


def _item(item: Mapping[str, Any]) -> str:
    hides = item["hides"]
    words = f"{_SIGNS[item['action']]} item {_short_id(item['source_id'])}: {item['name']}"
    if not item["detection"]:
        return f"{words} (wording only)"
    return f"{words}: hides {hides['before']} → {hides['after']} events"


def _rule(rule: Mapping[str, Any]) -> str:
    fields = f": {', '.join(rule['fields'])}" if rule["action"] == "changed" else ""
    return f"{_SIGNS[rule['action']]} rule {rule['name']}{fields}"


def _impact(impact: Mapping[str, Any]) -> str:
    silent, new = len(impact["silenced"]), len(impact["began"])
    return (
        f"{impact['name']}: {impact['before']} → {impact['after']} alerts"
        f" ({silent} fall silent, {new} new)"
    )


def _event(event: Mapping[str, Any]) -> str:
    label = f" [{event['scenario']}]" if event["scenario"] else ""
    by = [_short_id(item["source_id"]) for item in event.get("hidden_by", ())]
    return f"{event['summary']}{label}" + (f" hidden by {', '.join(by)}" if by else "")


def _short_id(source_id: str) -> str:
    """The item's own id; the overlay's uuid before it tells a reader nothing."""
    return source_id.rpartition("/")[2]
