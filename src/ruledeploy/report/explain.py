"""An explanation of one rule as text, from its JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.terminal import console, visible


def print_explanation(explained: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """Source, filters, each comparison with its reason, the query, and what exceptions hide."""
    out = console(stream)
    source = explained["source"]
    out.print(Text(f"{source['title']}  {source['path']}:{source['line']}", "bold"))
    where = " ".join(f"{key}={value}" for key, value in source["logsource"].items() if value)
    out.print(Text(f"id {source['id']}  {where}  env {explained['env']}"))
    for each in explained["filters"]:
        out.print(Text(f"narrowed by {each['title']!r}  {each['path']}"))
    for rule in explained["rules"]:
        _print_rule(rule, out.print)


def _print_rule(rule: Mapping[str, Any], line: Any) -> None:
    line()
    index = ", ".join(rule["index"] or ()) or "named in the query"
    line(Text(f"{rule['name']}: {rule['language']} on {index} ({rule['family']})", "bold"))
    for step in rule["steps"]:
        place = step["location"]
        line(Text(f"  {place['line']}:{place['column']}  {step['field']} ({step['type']})"))
        line(Text(f"      {visible(step['asked'])}", "cyan"))
        line(Text(f"      {step['why']}", "dim"))
    line(Text("  query", "bold"))
    line(Text(f"      {visible(rule['query'])}", "cyan"))
    if (published := rule.get("published")) is not None:
        line(Text("  pySigma's published backend", "bold"))
        shown = published["query"] or f"none: {published['refused']}"
        line(Text(f"      {visible(shown)}", "cyan"))
    for item in rule["items"]:
        line(Text(f"  but not {item['name']!r}  {item['path']}:{item['line']}"))
        for entry in item["entries"]:
            line(Text(f"      {visible(_entry(entry))}", "cyan"))
    if rule["exception_filter"]:
        line(Text("  Kibana adds under must_not", "bold"))
        text = json.dumps(rule["exception_filter"], ensure_ascii=False)
        line(Text(f"      {text}", "cyan"))


def _entry(entry: Mapping[str, Any]) -> str:
    """`field is value`, as Kibana's own forms read."""
    not_ = "not " if entry.get("operator") == "excluded" else ""
    match entry["type"]:
        case "exists":
            return f"{entry['field']} does {not_}exist"
        case "nested":
            inner = " and ".join(map(_entry, entry["entries"]))
            return f"one of {entry['field']}: {inner}"
        case "list":
            return f"{entry['field']} is {not_}in the list {entry['list']['id']}"
        case kind:
            value = entry["value"]
            shown = " or ".join(map(str, value)) if isinstance(value, list) else value
            verb = "matches" if kind == "wildcard" else "is"
            return f"{entry['field']} {not_}{verb} {shown}"
