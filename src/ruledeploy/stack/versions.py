"""`_version`: the sequence number as an opaque text, and the guard made of it."""

from __future__ import annotations

import base64
import binascii
import json

from ruledeploy.stack.errors import siem
from ruledeploy.stack.store import Saved

PRIMARY_TERM = 1


def encode(seq: int) -> str:
    """Base64 of the JSON array `[seq_no, primary_term]`."""
    return base64.b64encode(f"[{seq},{PRIMARY_TERM}]".encode()).decode()


def guard(saved: Saved, version: str | None, type_name: str) -> None:
    """Refuse a write that was prepared on another version; None is last write wins."""
    if version is None:
        return
    seq, term = _decode(version)
    if (seq, term) != (saved.seq, PRIMARY_TERM):
        raise siem(
            409,
            f"[{type_name}:{saved.id}]: version conflict, required seqNo [{seq}], primary term "
            f"[{term}]. current document has seqNo [{saved.seq}] and primary term "
            f"[{PRIMARY_TERM}]",
        )


def _decode(version: str) -> tuple[int, int]:
    try:
        pair = json.loads(base64.b64decode(version, validate=True))
    except (binascii.Error, RecursionError, ValueError) as error:
        raise siem(400, f"Invalid version [{version}]") from error
    match pair:
        case [int() as seq, int() as term]:
            return seq, term
        case _:
            raise siem(400, f"Invalid version [{version}]")
