"""Events with the truth about them, read from files: what `simulate -o … --labels …` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ruledeploy.engine import Files
from ruledeploy.engine.sources import documents
from ruledeploy.errors import Location, SourceError
from ruledeploy.model import Label
from ruledeploy.telemetry import Emitted


def read_labelled(events: Sequence[Path], labels: Path) -> tuple[Emitted, ...]:
    """Every event of the files (NDJSON, gzipped or not, or folders) with its label.

    Raises `SourceError` for a line that is none, and for an event that has no label.
    """
    known = _labels(labels)
    found = []
    for one in documents(Files(tuple(events))):
        if one.id not in known:
            message = f"the event {one.id} has no label"
            hint = "write both with  ruledeploy simulate -o EVENTS --labels LABELS"
            raise SourceError(message, location=Location(str(labels)), hint=hint)
        found.append(Emitted(one.index, one.source, known[one.id]))
    return tuple(found)


def _labels(path: Path) -> dict[str, Label]:
    known: dict[str, Label] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read: {error}", location=Location(str(path))) from error
    for number, line in enumerate(lines, 1):
        try:
            label = Label.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            message = f"not a label: {error}"
            raise SourceError(message, location=Location(str(path), number)) from error
        known[label.event_id] = label
    return known
