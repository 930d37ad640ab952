"""What files became, kept between runs: a content-addressed store in one SQLite file.

A key is a digest of everything the outcome depends on, so an entry is never stale, only unused.
The file is a convenience: whatever is wrong with it (held by others, torn by a crash, edited, in a
place where nothing can be written) is a miss and at most one remark, and never an error.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cache as once
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from ruledeploy.errors import Collector
from ruledeploy.project.files import files_below

# Packages whose code decides what a rule becomes.
_PACKAGES = ("pysigma", "pyyaml", "msgspec")
# With an index apart from the values: to find a key among large values reads none of them.
_TABLE = """
CREATE TABLE IF NOT EXISTS entry (
    key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL
)
"""
MAX_BYTES = 256_000_000
# Seconds to wait for another run that writes; then this run goes without.
_PATIENCE = 2.0
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# No database, a torn one, or one with another table than ours.
_BROKEN = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR})
# Of a large page most values fill a part alone, and none is in many.
_PAGE = 32_768
_CHECK = 4
_BATCH = 500


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where this user's caches are: `RULEDEPLOY_CACHE_DIR`, or the platform's place."""
    if environ.get("RULEDEPLOY_CACHE_DIR"):
        return Path(environ["RULEDEPLOY_CACHE_DIR"])
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "ruledeploy"
    return Path(environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "ruledeploy"


def _home() -> Path:
    """The user's home; for a user without one a place below which nothing can be kept."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)


@once
def code_version() -> bytes:
    """A digest of this program's code and tables, of pySigma's version and of Python's."""
    found = hashlib.sha256(platform.python_version().encode())
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found.update(f"{name} {version(name)}\n".encode())
    root = Path(str(files("ruledeploy")))
    for name, path in sorted(files_below(root, "", Collector())):
        if name.endswith((".py", ".json")):
            content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            found.update(f"{name} {content}\n".encode())
    return found.digest()


def entry_key(recipe: str, path: str, data: bytes) -> bytes:
    """The key of one file's outcome under a recipe's fingerprint."""
    found = hashlib.sha256(code_version())
    for part in (recipe.encode(), path.encode("utf-8", "surrogateescape"), data):
        # Lengths keep the parts apart.
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()


class Cache:
    """The store in a folder; made when first written to.

    `tell` is told, once, why nothing can be kept.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int = MAX_BYTES,
        *,
        name: str = "rules",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = folder / f"{name}.sqlite"
        self.max_bytes = max_bytes
        self._tell = tell
        self._told = False
        self._patience = _PATIENCE
        self._fresh: set[bytes] = set()  # found, and noted as used today already

    def is_older(self, places: Iterable[str]) -> bool:
        """Whether some of these files were written after anything was kept."""
        try:
            kept = self.path.stat().st_mtime_ns
            return any(os.stat(place).st_mtime_ns >= kept for place in places)  # noqa: PTH116 - strings
        except OSError:
            return True

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there and whole."""
        found: dict[bytes, bytes] = {}
        today = _today()
        try:
            if not self.path.is_file():
                return found
            with closing(self._connect()) as db:
                for at in range(0, len(keys), _BATCH):
                    for key, value, used in _select(db, keys[at : at + _BATCH]):
                        # SQLite keeps values of any type in any column.
                        whole = isinstance(value, bytes)
                        if whole and value[:_CHECK] == _checksum(key, value[_CHECK:]):
                            found[key] = value[_CHECK:]
                            if used == today:
                                self._fresh.add(key)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error, writing=False)
        return found

    def put(self, entries: Mapping[bytes, bytes], used: Sequence[bytes] = ()) -> None:
        """Keep values, and note which others were used today, all in one transaction."""
        stale = [key for key in used if key not in self._fresh]
        if not entries and not stale:
            return
        today = _today()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Rules and events are nobody else's business, whoever may look into the folder.
            self.path.touch(mode=0o600, exist_ok=True)
            with closing(self._connect()) as db, db:
                db.execute(_TABLE)
                db.executemany(
                    "INSERT OR REPLACE INTO entry VALUES (?, ?, ?)",
                    ((key, _checksum(key, value) + value, today) for key, value in entries.items()),
                )
                db.executemany(
                    "UPDATE entry SET used = ? WHERE key = ? AND used < ?",
                    ((today, key, today) for key in stale),
                )
                if entries:
                    self._shrink(db)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error, writing=True)

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Drop what was not used for longest, until half the room is free."""
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        if pages * _PAGE <= self.max_bytes:
            return  # without looking at every value
        (size,) = db.execute("SELECT coalesce(sum(length(value)), 0) FROM entry").fetchone()
        if size <= self.max_bytes:
            return
        oldest = db.execute("SELECT key, length(value) FROM entry ORDER BY used, key").fetchall()
        for key, length in oldest:
            db.execute("DELETE FROM entry WHERE key = ?", (key,))
            size -= length
            if size <= self.max_bytes // 2:
                break

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=self._patience)
        db.execute(f"PRAGMA page_size = {_PAGE}")  # of a file that is still to be made
        # A torn file costs a rebuild, so nothing waits for the disk.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        return db

    def _give_up(self, error: Exception, *, writing: bool) -> None:
        """This run goes without; a file that is no database of ours any more is removed."""
        code = getattr(error, "sqlite_errorcode", None)
        if code in _BUSY or (code == sqlite3.SQLITE_ERROR and not writing):
            # Held by another run, which may be making the table just now, and waited for once.
            self._patience = 0.0
            return
        if not self._told:
            self._told = True
            self._tell(f"warning: rules are compiled anew, for {self.path} cannot be used: {error}")
        if code in _BROKEN:
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    self.path.with_name(self.path.name + suffix).unlink()


def _select(db: sqlite3.Connection, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes, int]]:
    marks = ",".join("?" * len(keys))
    yield from db.execute(f"SELECT key, value, used FROM entry WHERE key IN ({marks})", keys)  # noqa: S608 - marks only


def _checksum(key: bytes, value: bytes) -> bytes:
    """Of a bad disk or a hand; nobody is kept from writing what he likes here."""
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(_CHECK, "big")


def _today() -> int:
    return datetime.now(UTC).toordinal()
