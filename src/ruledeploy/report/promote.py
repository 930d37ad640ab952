"""The difference of two environments → a terminal, or Markdown for the pull request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.plan import escaped
from ruledeploy.report.terminal import console

_SIGNS = {"missing": ("+", "green"), "differs": ("~", "yellow"), "extra": ("-", "cyan")}


def print_promotion(result: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """What the second environment lacks, has otherwise, and has besides."""
    out = console(stream)
    for what, title in _titles(result):
        found = [one for one in result["differences"] if one["what"] == what]
        if found:
            out.print(Text(title, "bold"))
        sign, style = _SIGNS[what]
        for one in found:
            line = Text(f"  {sign} ", style)
            line.append(f"{one['kind']} ", "dim")
            line.append(one["name"], style)
            out.print(line)
            for detail in _details(one):
                out.print(Text(f"      {detail}", "dim"))
    out.print(Text(_summary(result), "bold"))


def promotion_markdown(result: Mapping[str, Any]) -> Iterator[str]:
    """The same as lines of Markdown."""
    yield f"### {_summary(result)}"
    for what, title in _titles(result):
        found = [one for one in result["differences"] if one["what"] == what]
        if found:
            yield from ("", f"#### {title}", "")
        for one in found:
            yield f"- {one['kind']} **{escaped(one['name'])}**"
            yield from (f"  - {escaped(detail)}" for detail in _details(one))


def _titles(result: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    here, there = result["from"], result["to"]
    return (
        ("missing", f"In {here}, not in {there}"),
        ("differs", f"Otherwise in {there}"),
        ("extra", f"In {there} only"),
    )


def _details(one: Mapping[str, Any]) -> Iterator[str]:
    if one["path"]:
        yield f"{one['path']}:{one['line']}"
    for field in one["fields"]:
        yield f"{field['field']}: {_short(field['from'])} → {_short(field['to'])}"
    if one["hint"]:
        yield f"→ {one['hint']}"


def _short(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)


def _summary(result: Mapping[str, Any]) -> str:
    counts = {what: sum(one["what"] == what for one in result["differences"]) for what in _SIGNS}
    if not any(counts.values()):
        return f"{result['from']} → {result['to']}: alike"
    words = {"missing": "lacking", "differs": "different", "extra": "besides"}
    parts = [f"{count} {words[what]}" for what, count in counts.items() if count]
    return f"{result['from']} → {result['to']}: {', '.join(parts)}"
