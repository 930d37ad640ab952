"""The stack's database: saved objects as JSON rows with a few indexed columns.

SQLite in WAL mode with `synchronous=NORMAL`: a commit survives the death of the process (also
by kill -9) as soon as it returns; only the loss of power could take the last ones.

Every row carries `seq`, one counter for everything, which is what `_version` is made of.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ruledeploy.errors import RefusedError, RuledeployError
from ruledeploy.stack.dynamic import Learnt

Kind = Literal[
    "rule", "exception_list", "exception_item", "value_list", "value_item",
    "space", "connector", "data_view", "api_key",
]  # fmt: skip

# Objects of every space, as `namespace_type: agnostic` and spaces themselves are.
EVERYWHERE = "*"

FILE = "stack.sqlite"

# Raised whenever the tables change.
_LAYOUT = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, space TEXT NOT NULL, id TEXT NOT NULL,
    key TEXT NOT NULL, parent TEXT NOT NULL DEFAULT '',
    seq INTEGER NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (kind, space, id)
);
CREATE INDEX IF NOT EXISTS objects_key ON objects (kind, space, key);
CREATE INDEX IF NOT EXISTS objects_parent ON objects (kind, space, parent);
CREATE INDEX IF NOT EXISTS objects_enabled ON objects (space)
    WHERE kind = 'rule' AND json_extract(body, '$.enabled');
CREATE TABLE IF NOT EXISTS documents (
    backing TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, version INTEGER NOT NULL,
    earliest INTEGER, latest INTEGER, source TEXT NOT NULL,
    PRIMARY KEY (backing, id)
);
CREATE INDEX IF NOT EXISTS documents_times ON documents (backing, latest, earliest);
CREATE TABLE IF NOT EXISTS indices (
    name TEXT PRIMARY KEY, stream TEXT NOT NULL DEFAULT '', body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS templates (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """One saved object. `state` is what the server notes beside the body: runs, keys."""

    kind: Kind
    space: str
    id: str
    key: str
    body: dict[str, Any]
    parent: str = ""
    seq: int = 0
    state: dict[str, Any] = field(default_factory=dict)


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Raise `RuledeployError` when SQLite cannot use the file: a full disk, a damaged file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise RuledeployError(
            f"{path} cannot be used: {error}",
            hint="free some space if the disk is full, and do it again: what was stored stays; "
            "`ruledeploy stack reset` empties a damaged one",
        ) from error


class Store:
    """All reads and writes of the stack, over one connection used by one thread."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self._check_layout(path)
        # All or nothing: a disk that is full must not leave half of the tables behind.
        self.db.executescript(f"BEGIN;{_TABLES}PRAGMA user_version={_LAYOUT};COMMIT;")
        self._seq = self._last_seq()
        # What open indices have learnt of their documents' fields since this process asked.
        self.learnt: dict[str, Learnt] = {}

    def _check_layout(self, path: Path) -> None:
        """Refuse a file whose tables another version of the program has made."""
        found = int(self.db.execute("PRAGMA user_version").fetchone()[0])
        tables = self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and found != _LAYOUT:
            self.db.close()
            raise RefusedError(
                f"{path} was made by another version of the local stack",
                hint="`ruledeploy stack reset` empties it",
            )

    def close(self) -> None:
        """Note the counter and close the file."""
        try:
            self.set_meta("seq", self._seq)
        finally:
            self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another transaction, part of that one."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself when the disk was full, but not always.
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def next_seq(self) -> int:
        """The next number of the counter that orders all writes."""
        self._seq += 1
        return self._seq

    def _last_seq(self) -> int:
        row = self.db.execute(
            "SELECT max(coalesce((SELECT max(seq) FROM objects), 0),"
            " coalesce((SELECT max(seq) FROM documents), 0))"
        ).fetchone()
        return max(int(row[0]), int(self.get_meta("seq", 0)))

    def clear(self) -> None:
        """Remove every object, document, index and template; the counter goes on."""
        self.learnt.clear()
        for table in ("objects", "documents", "indices", "templates"):
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from above

    # meta ---------------------------------------------------------------------------------

    def get_meta(self, key: str, default: Any = None) -> Any:
        """A value noted by `set_meta`."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row[0])

    def set_meta(self, key: str, value: Any) -> None:
        """Note a JSON value under a key."""
        self.db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, json.dumps(value)),
        )

    # saved objects ------------------------------------------------------------------------

    def put(self, saved: Saved) -> Saved:
        """Write an object whole and give it the next sequence number."""
        seq = self.next_seq()
        self.db.execute(
            "INSERT INTO objects (kind, space, id, key, parent, seq, body, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (kind, space, id) DO UPDATE SET key = excluded.key,"
            " parent = excluded.parent, seq = excluded.seq, body = excluded.body,"
            " state = excluded.state",
            (
                saved.kind, saved.space, saved.id, saved.key, saved.parent, seq,
                json.dumps(saved.body), json.dumps(saved.state),
            ),
        )  # fmt: skip
        return Saved(
            saved.kind, saved.space, saved.id, saved.key, saved.body, saved.parent, seq, saved.state
        )

    def set_state(self, saved: Saved, state: dict[str, Any]) -> None:
        """Note state beside an object without touching its body or sequence number."""
        self.db.execute(
            "UPDATE objects SET state = ? WHERE kind = ? AND space = ? AND id = ?",
            (json.dumps(state), saved.kind, saved.space, saved.id),
        )

    def get(self, kind: Kind, space: str, object_id: str) -> Saved | None:
        """The object with that id."""
        return self._one("kind = ? AND space = ? AND id = ?", (kind, space, object_id))

    def by_key(self, kind: Kind, space: str, key: str) -> Saved | None:
        """The first object with that key (`rule_id`, `list_id`, `item_id`)."""
        return self._one("kind = ? AND space = ? AND key = ?", (kind, space, key))

    def all(self, kind: Kind, space: str | None, parent: str | None = None) -> list[Saved]:
        """Objects of a kind in the order of their creation; None means any space."""
        where: list[str] = ["kind = ?"]
        values: list[str] = [kind]
        if space is not None:
            where.append("space = ?")
            values.append(space)
        if parent is not None:
            where.append("parent = ?")
            values.append(parent)
        rows = self.db.execute(f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY rowid", values)
        return [_saved(row) for row in rows]

    def enabled_rules(self) -> list[Saved]:
        """Enabled rules of every space, without reading the others."""
        rows = self.db.execute(
            f"{_SELECT} WHERE kind = 'rule' AND json_extract(body, '$.enabled') ORDER BY rowid"
        )
        return [_saved(row) for row in rows]

    def page(self, kind: Kind, space: str, limit: int, offset: int) -> list[Saved]:
        """A stretch of `all`, without reading the rest."""
        rows = self.db.execute(
            f"{_SELECT} WHERE kind = ? AND space = ? ORDER BY rowid LIMIT ? OFFSET ?",
            (kind, space, limit, offset),
        )
        return [_saved(row) for row in rows]

    def count(self, kind: Kind, space: str, parent: str | None = None) -> int:
        """How many objects of a kind there are."""
        sql, values = "SELECT count(*) FROM objects WHERE kind = ? AND space = ?", [kind, space]
        if parent is not None:
            sql += " AND parent = ?"
            values.append(parent)
        return int(self.db.execute(sql, values).fetchone()[0])

    def delete(self, saved: Saved) -> None:
        """Remove an object."""
        self.db.execute(
            "DELETE FROM objects WHERE kind = ? AND space = ? AND id = ?",
            (saved.kind, saved.space, saved.id),
        )

    def _one(self, where: str, values: tuple[str, ...]) -> Saved | None:
        row = self.db.execute(f"{_SELECT} WHERE {where} ORDER BY rowid LIMIT 1", values).fetchone()
        return None if row is None else _saved(row)


_SELECT = "SELECT kind, space, id, key, parent, seq, body, state FROM objects"


def _saved(row: tuple[Any, ...]) -> Saved:
    kind, space, object_id, key, parent, seq, body, state = row
    return Saved(kind, space, object_id, key, json.loads(body), parent, seq, json.loads(state))
