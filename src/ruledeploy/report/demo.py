"""The demo's JSON → the tables that end `make demo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.terminal import console, table


def print_demo(result: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """Alerts per rule, who alerts, and what each allowlist item hides, side by side."""
    out = console(stream)
    envs = result["environments"]
    names = [f"#{env['env']}" for env in envs]
    out.print()
    rules = table("alerts by rule", *names)
    for rule in _keys(envs, "rules"):
        rules.add_row(rule, *_cells(env["rules"].get(rule) for env in envs))
    rules.add_row(Text("all", "bold"), *_cells(env["alerts"] for env in envs))
    out.print(rules)
    out.print()
    out.print(_processes(envs, names))
    out.print()
    items = table("hidden by allowlist item", *names)
    for item in _keys(envs, "items"):
        items.add_row(item, *_cells(env["items"].get(item) for env in envs))
    out.print(items)


def _processes(envs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    counts: dict[tuple[str, str, str], dict[str, int]] = {}
    for env in envs:
        for row in env["processes"]:
            key = (row["label"], row["scenario"], row["process"])
            counts.setdefault(key, {})[env["env"]] = row["alerts"]
    made = table("alerting process", "what it is", *names)
    for label, scenario, process in sorted(counts):
        row = counts[(label, scenario, process)]
        style = "red" if label == "attack" else ""
        cells = _cells(row.get(env["env"]) for env in envs)
        made.add_row(Text(process, style), Text(scenario, style), *cells)
    return made


def _keys(envs: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    """Every name in any environment, in order of first appearance."""
    return list(dict.fromkeys(name for env in envs for name in env[field]))


def _cells(values: Any) -> list[str]:
    """Numbers as text; a dash where an environment has no such thing."""
    return ["-" if value is None else str(value) for value in values]
