"""`ruledeploy init`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ruledeploy.cli.options import HERE, Day, Json, command_app, parse_day
from ruledeploy.cli.output import print_json, say, write_file
from ruledeploy.errors import RefusedError, UsageError

app = command_app()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; it need not exist.")] = HERE,
    *,
    name: Annotated[str, typer.Option(help="The project's name; the folder's unless given.")] = "",
    json_: Json = False,
    day: Day = "",
) -> None:
    """Start a content repository: settings, a rule, an allowlist, CI.

    Exits 3, and writes nothing, when one of the files is there already.
    """
    from ruledeploy.project.scaffold import scaffold
    from ruledeploy.project.settings import NAME

    if name and not NAME.fullmatch(name):
        near = _plain(name)
        hint = f"such as {near}" if near else None
        raise UsageError("a project's name takes a-z, 0-9, - and _ only", hint=hint)
    texts = scaffold(name or _name_of(folder), parse_day(day))
    there = [path for path in texts if (folder / path).exists()]
    if there:
        message = f"{folder} has {', '.join(there)} already"
        raise RefusedError(message, hint="name another folder, or move these away")
    for path, text in texts.items():
        write_file(folder / path, text)
    if json_:
        print_json({"schema": 1, "folder": str(folder), "files": list(texts)})
        return
    for path in texts:
        say(f"wrote {folder / path}")
    say(f"next: ruledeploy check -C {folder}")


def _name_of(folder: Path) -> str:
    """The folder's name in the letters that a project's name takes."""
    return _plain(folder.resolve().name) or "detections"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
