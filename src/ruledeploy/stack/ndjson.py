"""NDJSON files as imports take and exports give them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ruledeploy.stack.errors import platform, siem
from ruledeploy.stack.http import Answer, Call
from ruledeploy.stack.jsontext import read_json

MEDIA = "application/ndjson"


def attachment(lines: Iterable[Any], name: str) -> Answer:
    """A download of one JSON value per line, without spaces, as JavaScript writes them."""
    written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
    text = "".join(f"{written.encode(line)}\n" for line in lines)
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Answer(text.encode(), headers=headers, media=MEDIA)


def refuse_large(call: Call, limit: int, status: int) -> None:
    """Refuse a body over the route's limit before anybody reads it."""
    if len(call.body) > limit:
        raise platform(status, f"Payload content length greater than maximum allowed: {limit}")


def uploaded(call: Call, limit: int, too_large: int) -> list[Any]:
    """The lines of the uploaded file; a line that is not JSON stands as its error's text.

    A `ValueError` in the list is such a line. Refuses other extensions, no file, too much.
    """
    refuse_large(call, limit, too_large)
    found = call.file()
    if found is None:
        raise siem(500, "Cannot read properties of undefined (reading 'hapi')")
    name, content = found
    extension = f".{name.rpartition('.')[2]}" if "." in name else ""
    if extension.lower() != ".ndjson":
        raise siem(400, f"Invalid file extension {extension}")
    return [_line(line) for line in content.split(b"\n") if line.strip()]


def _line(line: bytes) -> Any:
    try:
        return read_json(line)
    except ValueError as error:
        return ValueError(f"Unexpected token in JSON: {error}")
