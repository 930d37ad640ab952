"""JSON values and the one canonical text of each, which fingerprints are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# A JSON object that nobody changes in place. The values are `Any` because every consumer
# narrows them against a contract (Kibana's schema, our own), not against Python's types.
JsonObject = Mapping[str, Any]

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: object) -> str:
    """The value's JSON with sorted keys, no spaces, and text kept as Unicode."""
    return _CANONICAL.encode(value)


def digest(value: object) -> str:
    """SHA-256 (hex) of the canonical text: equal values give equal digests anywhere."""
    text = canonical(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()
