"""NDJSON files sent as multipart forms, and downloads taken apart."""

from __future__ import annotations

import json
from typing import Any

from support.contract import Client, Reply


def upload(
    kibana: Client, path: str, lines: list[Any], space: str, name: str = "x.ndjson"
) -> Reply:
    """Send an NDJSON file; text lines go as they are."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    prefix = "" if space == "default" else f"/s/{space}"
    raw = kibana.pool.request(
        "POST",
        f"{kibana.url}{prefix}{path}",
        fields={"file": (name, text, "application/ndjson")},
        headers={"kbn-xsrf": "x"},
    )
    return kibana.reply("POST", path, raw)


def lines_of(reply: Reply) -> list[Any]:
    """The JSON values of an NDJSON download."""
    return [json.loads(line) for line in reply.body.splitlines()]
