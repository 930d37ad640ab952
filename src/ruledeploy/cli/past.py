"""Options for commands that look at events gone by: files, or the environment's cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.output import say
from ruledeploy.cli.workspace import elasticsearch_client, reachable
from ruledeploy.errors import UsageError

if TYPE_CHECKING:
    from ruledeploy.engine import Kept, Window
    from ruledeploy.project import Project
    from ruledeploy.verify.past import Past

Events = Annotated[
    list[Path] | None,
    typer.Option("--events", help="Files of events (NDJSON, gzipped or not), or folders of them."),
]
Since = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="From then on: 7d, 12h, or a date.")
]
Until = Annotated[str, typer.Option("--until", metavar="WHEN", help="Up to then; now if unsaid.")]
MaxConcurrent = Annotated[
    int,
    typer.Option("--max-concurrent", min=1, help="Searches that a cluster gets at once."),
]
Keep = Annotated[
    bool,
    typer.Option("--keep", help="Keep --events in the cache folder: asking again is fast."),
]
MOST_AT_ONCE = 4

_AGO = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@contextmanager
def past_of(
    project: Project,
    root: Path,
    name: str,
    events: list[Path] | None,
    when: tuple[str, str],
    *,
    at_once: int = MOST_AT_ONCE,
    kept: Kept | None = None,
) -> Iterator[Past]:
    """The events to look at: files, or the environment's cluster, which needs --since.

    `when` is what --since and --until say. `kept` remembers what files hold.
    """
    from ruledeploy.compile import available_processes
    from ruledeploy.engine import Load, tables_of
    from ruledeploy.verify.past import ClusterPast, FilePast

    window = window_of(*when, datetime.now(UTC))
    tables = tables_of(project.environment(name).tables)
    if events:
        for path in events:
            _refuse_nothing(path)
        yield FilePast(tuple(events), window, available_processes(), tables, kept)
        return
    if window is None:
        raise UsageError("say which events: --since, or --events FILE", hint="such as --since 7d")
    with reachable(project, name, root) as env, elasticsearch_client(env) as client:
        yield ClusterPast(client, window, str(env.elasticsearch_url), Load(at_once), tables)


def keeping(*, keep: bool, events: list[Path] | None) -> Kept | None:
    """What remembers the files in the user's cache folder, if --keep asks for it."""
    from ruledeploy.compile import Cache, cache_folder, code_version
    from ruledeploy.engine import Kept

    if not keep:
        return None
    if not events:
        raise UsageError("--keep is about --events; a cluster keeps its own")
    return Kept(Cache(cache_folder(), name="events", tell=say), code_version())


def _refuse_nothing(path: Path) -> None:
    """A path without events would read as "nothing alerts"."""
    from ruledeploy.engine.sources import parts

    if not path.exists():
        raise UsageError(f"no such file or folder: {path}")
    if not parts((path,)):
        hint = "they are read from *.ndjson, *.jsonl and *.json, and from those with .gz"
        raise UsageError(f"no events in {path}", hint=hint)


def window_of(since: str, until: str, now: datetime) -> Window | None:
    """The window that two options name; None when neither does. Raises `UsageError`."""
    from ruledeploy.engine import Window

    if not since and not until:
        return None
    start = moment(since, now) if since else datetime(1970, 1, 1, tzinfo=UTC)
    end = moment(until, now) if until else now
    if start >= end:
        raise UsageError(f"--since {since} is not before --until {until or 'now'}")
    return Window(start, end)


def moment(text: str, now: datetime) -> datetime:
    """A time as people write it: `7d` ago, a date, a date with a time (UTC unless it says)."""
    hint = "write 7d, 12h, 2026-11-24 or 2026-11-24T08:00"
    try:
        if found := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time", hint=hint) from error
    except OverflowError as error:
        raise UsageError(f"{text!r} is beyond the years 1 to 9999", hint=hint) from error
