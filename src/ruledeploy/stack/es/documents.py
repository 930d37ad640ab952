"""Documents and indices in the store: names, data streams, sequence numbers.

A data stream `logs-x-default` keeps its documents in one backing index
`.ds-logs-x-default-2026.01.01-000001`, which is what `_index` shows, as on a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from ruledeploy.stack.clock import parse_time
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.store import Store
from ruledeploy.stack.versions import PRIMARY_TERM

# Names that Elasticsearch's own templates turn into data streams.
_STREAM = re.compile(r"(logs|metrics|traces|synthetics)-[^-]+.*-[^-]+|winlogbeat-.*|\.?lists-.*")
# Date and number of the one backing index a data stream has here.
_GENERATION = "2026.01.01-000001"
# The times by which a document can be found without reading it.
SEARCHED_TIMES = ("@timestamp", "event.ingested")
# The years 1 to 9999, in milliseconds: what is beyond is no date of ours.
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
_BAD_NAME = re.compile(r'[\\/*?"<>| ,#A-Z]')


@dataclass(frozen=True, slots=True)
class Stored:
    """One document as it lies in a backing index."""

    index: str
    id: str
    seq: int
    version: int
    source: dict[str, Any]


# In bytes of UTF-8.
_LONGEST_ID = 512


def is_stream_name(name: str) -> bool:
    """Whether writing to that name makes a data stream."""
    return not name.startswith(".ds-") and _STREAM.fullmatch(name) is not None


def backing_of(name: str) -> str:
    """The backing index of a data stream; other indices are their own."""
    return f".ds-{name}-{_GENERATION}" if is_stream_name(name) else name


def ensure_index(store: Store, name: str, body: dict[str, Any] | None = None) -> str:
    """The backing index of a name to write to, made when missing."""
    backing = backing_of(name)
    if is_index(store, backing):
        return backing
    if _BAD_NAME.search(name) or name in {".", ".."} or name[:1] in {"_", "-", "+"}:
        raise elastic(
            400, "invalid_index_name_exception", f"Invalid index name [{name}]", index=name
        )
    stream = name if is_stream_name(name) else ""
    store.db.execute(
        "INSERT INTO indices VALUES (?, ?, ?)", (backing, stream, json.dumps(body or {}))
    )
    return backing


def is_index(store: Store, name: str) -> bool:
    """Whether a backing index of that name is there."""
    sql = "SELECT 1 FROM indices WHERE name = ?"
    return store.db.execute(sql, (name,)).fetchone() is not None


def stream_of(store: Store, backing: str) -> str:
    """The data stream a backing index belongs to, or nothing."""
    row = store.db.execute("SELECT stream FROM indices WHERE name = ?", (backing,)).fetchone()
    return "" if row is None else str(row[0])


def index_body(store: Store, backing: str) -> dict[str, Any]:
    """What the index was created with: settings, mappings, aliases."""
    row = store.db.execute("SELECT body FROM indices WHERE name = ?", (backing,)).fetchone()
    return {} if row is None else dict(json.loads(row[0]))


def set_index_body(store: Store, backing: str, body: dict[str, Any]) -> None:
    """Replace what is known about an index."""
    store.learnt.pop(backing, None)
    store.db.execute("UPDATE indices SET body = ? WHERE name = ?", (json.dumps(body), backing))


def resolve(store: Store, expression: str) -> list[str]:
    """Backing indices that an expression (`a,b-*,-c`) names, in the order of their names."""
    rows = store.db.execute("SELECT name, stream, body FROM indices ORDER BY name").fetchall()
    named = [(name, {name, stream, *_aliases(body)} - {""}) for name, stream, body in rows]
    chosen: dict[str, None] = {}
    for part in expression.split(","):
        glob = part.strip()
        excluded = glob.startswith("-") and bool(chosen)
        glob = glob[1:] if excluded else glob
        glob = "*" if glob == "_all" else glob
        for backing, names in named:
            if any(_fits(name, glob) for name in names):
                if excluded:
                    chosen.pop(backing, None)
                else:
                    chosen[backing] = None
    return list(chosen)


def _aliases(body: str) -> Iterable[str]:
    return json.loads(body).get("aliases", {}) if "aliases" in body else ()


def fits_any(name: str, globs: Iterable[str]) -> bool:
    """Whether a name fits one of the patterns."""
    return any(fnmatchcase(name, glob) for glob in globs)


def _fits(name: str, glob: str) -> bool:
    if name.startswith(".ds-") and "*" in glob:
        return glob.startswith(".ds-") and fnmatchcase(name, glob)
    return fnmatchcase(name, glob)


def delete_index(store: Store, backing: str) -> None:
    """Remove an index with its documents."""
    store.learnt.pop(backing, None)
    store.set_meta("seq", store.next_seq())
    store.db.execute("DELETE FROM documents WHERE backing = ?", (backing,))
    store.db.execute("DELETE FROM indices WHERE name = ?", (backing,))


def get(store: Store, backing: str, doc_id: str) -> Stored | None:
    """One document by id."""
    row = store.db.execute(
        "SELECT backing, id, seq, version, source FROM documents WHERE backing = ? AND id = ?",
        (backing, doc_id),
    ).fetchone()
    return None if row is None else _stored(row)


def exists(store: Store, backing: str, doc_id: str) -> bool:
    """Whether a document with that id is there."""
    sql = "SELECT 1 FROM documents WHERE backing = ? AND id = ?"
    return store.db.execute(sql, (backing, doc_id)).fetchone() is not None


def put(store: Store, backing: str, doc_id: str, source: dict[str, Any], version: int) -> Stored:
    """Write a document whole. A 400 for an id that is too long for an index."""
    if (length := len(doc_id.encode("utf-8", "replace"))) > _LONGEST_ID:
        reason = f"id [{doc_id}] is too long, must be no longer than {_LONGEST_ID} bytes but was: "
        reason = f"Validation Failed: 1: {reason}{length};"
        raise elastic(400, "action_request_validation_exception", reason)
    seq = store.next_seq()
    known = [timestamp(source, field) for field in SEARCHED_TIMES]
    times = [time for time in known if time is not None]
    store.db.execute(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (backing, id) DO UPDATE SET"
        " seq = excluded.seq, version = excluded.version, earliest = excluded.earliest,"
        " latest = excluded.latest, source = excluded.source",
        (
            backing,
            doc_id,
            seq,
            version,
            min(times, default=None),
            max(times, default=None),
            json.dumps(source, ensure_ascii=False),
        ),
    )
    if (learnt := store.learnt.get(backing)) is not None:
        learnt.learn(source)
    return Stored(backing, doc_id, seq, version, source)


def delete(store: Store, found: Stored) -> None:
    """Remove a document; the counter goes on."""
    store.set_meta("seq", store.next_seq())
    store.db.execute("DELETE FROM documents WHERE backing = ? AND id = ?", (found.index, found.id))


def guard(found: Stored | None, query: dict[str, str], doc_id: str) -> None:
    """Refuse a write when `if_seq_no` and `if_primary_term` name another version."""
    wanted = query.get("if_seq_no")
    if wanted is None:
        return
    term = query.get("if_primary_term", str(PRIMARY_TERM))
    if found is not None and (wanted, term) == (str(found.seq), str(PRIMARY_TERM)):
        return
    current = (
        f"current document has seqNo [{found.seq}] and primary term [{PRIMARY_TERM}]"
        if found
        else "but no document was found"
    )
    raise conflict(
        doc_id, f"version conflict, required seqNo [{wanted}], primary term [{term}]. {current}"
    )


def conflict(doc_id: str, reason: str) -> Exception:
    """A 409 in Elasticsearch's envelope."""
    return elastic(409, "version_conflict_engine_exception", f"[{doc_id}]: {reason}")


def scan(
    store: Store, backings: list[str], start: int | None = None, end: int | None = None
) -> Iterator[Stored]:
    """Documents with a time of `SEARCHED_TIMES` (ms) in start ..= end, and a few more.

    Without bounds all of them; in the order they were written.
    """
    for backing in backings:
        sql = "SELECT backing, id, seq, version, source FROM documents WHERE backing = ?"
        values: list[Any] = [backing]
        if start is not None:
            sql += " AND latest >= ?"
            values.append(start)
        if end is not None:
            sql += " AND earliest <= ?"
            values.append(end)
        for row in store.db.execute(sql + " ORDER BY seq", values):
            yield _stored(row)


def _stored(row: tuple[Any, ...]) -> Stored:
    index, doc_id, seq, version, source = row
    return Stored(index, doc_id, seq, version, json.loads(source))


def timestamp(source: dict[str, Any], field: str) -> int | None:
    """A date field as milliseconds since 1970; None when it is missing or no date."""
    value: Any = source.get(field)
    if value is None:
        value = source
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value) if _FIRST_MS <= value <= _LAST_MS else None
    try:
        moment = parse_time(value)
    except (TypeError, ValueError):
        return None
    return int(moment.astimezone(UTC).timestamp() * 1000)


def moment(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as a UTC time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
