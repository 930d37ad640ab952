"""Options that several commands share, spelled and explained once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from ruledeploy.errors import UsageError

Root = Annotated[
    Path,
    typer.Option("--project", "-C", metavar="DIR", help="Folder that holds ruledeploy.toml."),
]
Env = Annotated[
    str, typer.Option("--env", "-e", metavar="NAME", help="Environment of ruledeploy.toml.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Day = Annotated[
    str,
    typer.Option("--date", metavar="DATE", help="Compile as of this day (UTC); today by default."),
]
Ours = Annotated[
    bool, typer.Option("--ours", help="Where an analyst changed a field too, the files win.")
]
Theirs = Annotated[
    bool, typer.Option("--theirs", help="Where an analyst changed a field too, theirs stays.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
PlanFile = Annotated[
    Path | None, typer.Argument(metavar="PLAN", help="A plan that `-o` wrote, to apply as it is.")
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the plan to a file, for review.")
]
Adopt = Annotated[
    bool, typer.Option("--adopt", help="Take over objects with our ids that no record knows.")
]
Prune = Annotated[
    bool, typer.Option("--prune", help="Delete rules that are gone, not just disable them.")
]
AllowMassChange = Annotated[
    bool, typer.Option("--allow-mass-change", help="Lift the 30 % threshold.")
]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Requests in flight at once.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for another push.")]
HealthWait = Annotated[
    float | None,
    typer.Option(
        "--health-wait",
        min=0,
        help="Seconds to wait for the first run of every changed rule; by default 10, and only "
        "for rules just created or enabled, which run at once.",
    ),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Compile every rule anew; keep nothing for next time.")
]
HERE = Path()
_YEARS = range(1970, 9000)


class Form(StrEnum):
    """How a result for people is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"


Format = Annotated[Form, typer.Option("--format", help="How to print.")]


_F = TypeVar("_F", bound=StrEnum)


def form_of(given: _F, *, as_json: bool) -> _F:
    """The form that `--format` and `--json` ask for. Raises `UsageError` when they disagree."""
    asked = type(given)("json") if as_json else given
    if as_json and given not in {"text", "json"}:
        raise UsageError(f"--json and --format {given} exclude one another")
    return asked


def refuse_beside_plan(given: Mapping[str, bool]) -> None:
    """Raise `UsageError` for options that a plan in a file has settled already."""
    if settled := [name for name, value in given.items() if value]:
        names = ", ".join(settled)
        hint = "plan with them, then push the plan"
        raise UsageError(f"a plan in a file and {names} exclude one another", hint=hint)


def side(*, ours: bool, theirs: bool) -> Literal["ours", "theirs"] | None:
    """Whose value wins a conflict. Raises `UsageError` when both are asked for."""
    if ours and theirs:
        raise UsageError("--ours and --theirs exclude one another")
    return "ours" if ours else "theirs" if theirs else None


def parse_day(text: str) -> date:
    """The day that `--date` names; today (UTC) when it is empty. Raises `UsageError`.

    Days are counted on from it, so it is none near the end of the calendar.
    """
    hint = "write it as 2027-03-31"
    try:
        day = date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError as error:
        raise UsageError(f"--date {text!r} is no date", hint=hint) from error
    if day.year not in _YEARS:
        raise UsageError(f"--date {text!r} is not between 1970 and 8999", hint=hint)
    return day


def command_app() -> typer.Typer:
    """A Typer application for one command file, with the settings all of them share."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
