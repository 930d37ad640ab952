"""A plan's JSON → what a person reviews, on a terminal or in a pull request."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

from rich.text import Text

from ruledeploy.report.terminal import console

_SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "disable": ("-", "red"),
    "conflict": ("!", "bold red"),
    "record": ("·", "cyan"),
}
_PAST = {
    "create": "to create",
    "update": "to update",
    "delete": "to delete",
    "disable": "to disable",
    "conflict": "in conflict",
    "record": "to record",
}
_KINDS = {
    "rule": "rule",
    "list": "list",
    "item": "item",
    "value_list": "value list",
    "prebuilt": "prebuilt rule",
}
# Longer texts are shown by their differing lines.
_ONE_LINE = 70
_CLASSES = (
    ("detection", "Changes what is detected"),
    ("cosmetic", "Changes texts only"),
)


def print_plan(plan: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """The whole plan, detection-changing changes first, then what is kept and noted."""
    out = console(stream)
    for class_, title in _CLASSES:
        changes = _of_class(plan["changes"], class_)
        if changes:
            out.print(Text(title, "bold"))
        for change in changes:
            for line in _change_lines(change):
                out.print(line)
    for kept in plan["kept"]:
        name, field = kept["object"]["name"], kept["field"]
        out.print(Text(f"  = {name}: {field} stays as it is on the server", "cyan"))
    for note in plan["notes"]:
        out.print(Text(f"  note: {note}", "cyan"))
    out.print(Text(summary(plan), "bold"))


def summary(plan: Mapping[str, Any]) -> str:
    """Such as `demo-prod: 5 to create, 1 to update`, or that there is nothing to do."""
    counts = Counter(change["action"] for change in plan["changes"])
    words = [f"{counts[action]} {_PAST[action]}" for action in _SIGNS if counts[action]]
    return f"{plan['env']}: {', '.join(words) or 'nothing to do'}"


def markdown(plan: Mapping[str, Any]) -> Iterator[str]:
    """The plan as lines of Markdown, each change folded open on demand."""
    yield f"### {summary(plan)}"
    for class_, title in _CLASSES:
        changes = _of_class(plan["changes"], class_)
        if changes:
            yield from ("", f"#### {title}", "")
        for change in changes:
            yield from _change_markdown(change)
    if plan["notes"]:
        yield ""
        yield from (f"> {note}" for note in plan["notes"])


def _of_class(changes: Sequence[Mapping[str, Any]], class_: str) -> list[Mapping[str, Any]]:
    known = {name for name, _ in _CLASSES}
    return [
        change
        for change in changes
        if change["class"] == class_ or (class_ == "cosmetic" and change["class"] not in known)
    ]


def _change_lines(change: Mapping[str, Any]) -> Iterator[Text]:
    sign, style = _SIGNS[change["action"]]
    head = Text(f"  {sign} ", style)
    head.append(f"{_KINDS[change['object']['kind']]} ", "dim")
    head.append(change["object"]["name"], style)
    head.append(f"  {change['reason']}", "dim")
    yield head
    if change["source"]:
        yield Text(f"      {change['source']['path']}:{change['source']['line']}", "dim")
    if change["action"] == "update":
        for field, before, after in _fields(change):
            yield from _field_lines(field, before, after)
    for states in change["conflicts"]:
        yield Text(f"      {states['field']}:", "bold red")
        for state in ("applied", "live", "desired"):
            yield Text(f"        {state:8} {_short(states[state])}")


def _fields(change: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    before, after = change["before"] or {}, change["after"] or {}
    for field in sorted({*before, *after}):
        yield field, before.get(field), after.get(field)


def _field_lines(field: str, before: Any, after: Any) -> Iterator[Text]:
    old, new = _short(before), _short(after)
    if max(len(old), len(new)) <= _ONE_LINE:
        yield Text(f"      {field}: {old} → {new}")
        return
    yield Text(f"      {field}:")
    for line in _differing(before, after):
        yield Text(f"        {line}", "red" if line.startswith("-") else "green")


def _differing(before: Any, after: Any) -> list[str]:
    """The lines that differ, `-` and `+`, between two values written out."""
    old, new = _long(before), _long(after)
    found = difflib.ndiff(old, new)
    return [line for line in found if line[:2] in {"- ", "+ "}]


def _short(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)


def _long(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def _change_markdown(change: Mapping[str, Any]) -> Iterator[str]:
    sign, _ = _SIGNS[change["action"]]
    kind, name = _KINDS[change["object"]["kind"]], change["object"]["name"]
    where = (
        f" (`{change['source']['path']}:{change['source']['line']}`)" if change["source"] else ""
    )
    yield f"- `{sign}` {kind} **{escaped(name)}** — {escaped(change['reason'])}{where}"
    if change["action"] != "update":
        return
    yield ""
    yield "  ```diff"
    for field, before, after in _fields(change):
        yield f"  # {field}"
        yield from (f"  {line}" for line in _differing(before, after))
    yield "  ```"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, names being anybody's to choose."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|!" else char for char in text)


class StageLike(Protocol):
    """A step of a push: writes of one kind, in one phase."""

    @property
    def writes(self) -> Sequence[Any]:
        """The requests of the step."""


def step_json(stage: StageLike) -> dict[str, Any]:
    """A step as plain data: `{step, writes: [{operation, object}]}`."""
    writes = (write.to_json() for write in stage.writes)
    told = [{"operation": one["operation"], "object": one["object"]} for one in writes]
    return {"step": _step_name(stage), "writes": told}


def _step_name(stage: StageLike) -> str:
    """`WriteItems` → `write items`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(stage).__name__).lower()


def print_stages(stages: Sequence[StageLike], stream: IO[str] | None = None) -> None:
    """The steps of a push in order, each with its requests."""
    out = console(stream)
    out.print(Text("Steps", "bold"))
    for n, stage in enumerate(stages, start=1):
        step = step_json(stage)
        out.print(Text(f"  {n}. {step['step']}"))
        for write in step["writes"]:
            out.print(Text(f"       {write['operation']} {write['object']}", "dim"))
