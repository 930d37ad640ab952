"""Events with the truth about them, read from files: what `simulate -o … --labels …` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ruledeploy.engine import Files
from ruledeploy.engine.sources import documents
from ruledeploy.errors import Location, SourceError
from ruledeploy.model import Label
from ruledeploy.paths import refuse_special
from ruledeploy.telemetry import Emitted

_HINT = "write both with  ruledeploy simulate -o EVENTS --labels LABELS"


def read_labelled(events: Sequence[Path], labels: Path) -> tuple[Emitted, ...]:
    """Every event of the files (NDJSON, gzipped or not, or folders) with its label.

    Raises `SourceError` for a line that is none, and for an event that has no label.
    """
    known = _labels(labels)
    found = []
    for one in documents(Files(tuple(events))):
        if one.id not in known:
            message = f"the event {one.id} has no label"
            raise SourceError(message, location=Location(str(labels)), hint=_HINT)
        found.append(Emitted(one.index, one.source, known[one.id]))
    return tuple(found)


def _labels(path: Path) -> dict[str, Label]:
    known: dict[str, Label] = {}
    try:
        refuse_special(path)
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or error
        location = Location(str(path))
        raise SourceError(f"cannot be read: {said}", location=location, hint=_HINT) from error
    for number, line in enumerate(lines, 1):
        try:
            label = Label.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            message = f"not a label: {error}"
            raise SourceError(message, location=Location(str(path), number)) from error
        known[label.event_id] = label
    return known
