"""A disk that fills up under the local stack: a sentence and exit code 1 or 4, the store intact.

A limit on the size of files stands for the disk: SQLite is refused its writes by both.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ruledeploy.errors import RuledeployError
from ruledeploy.stack import running_stack
from ruledeploy.stack.store import Store
from support.content import write_content

PUSH = ["push", "--env", "local", "--date", "2026-11-24", "--yes"]


def push(root: Path, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """A push in a process of its own, none of whose files may grow beyond the limit."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    # Output goes through pipes, which the limit does not bind; a cache of its own may fail.
    return subprocess.run(
        [sys.executable, "-c", "from ruledeploy.cli import main; main()", *PUSH, "-C", str(root)],
        preexec_fn=limited,
        env={**os.environ, "XDG_CACHE_HOME": str(root / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("limit", [4_096, 20_000, 60_000, 100_000, 140_000, 200_000])
def test_a_push_on_a_full_disk(tmp_path: Path, limit: int) -> None:
    """It says so, and once there is room the next push goes on from there."""
    root = write_content(tmp_path)
    refused = push(root, limit)
    assert refused.returncode in {1, 4}, refused.stderr
    assert "bug" not in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "disk" in refused.stderr
    again = push(root)
    assert again.returncode == 0, again.stderr
    with sqlite3.connect(root / ".ruledeploy/stack/stack.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        count = "SELECT count(*) FROM objects WHERE kind IN ('rule', 'exception_item')"
        assert database.execute(count).fetchone() == (2,)
    database.close()


def test_a_commit_that_fails_is_rolled_back(tmp_path: Path) -> None:
    """The next transaction is one of its own, and is kept."""
    store = Store(tmp_path / "s.sqlite")
    [[pages]] = store.db.execute("PRAGMA page_count")
    store.db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"), store.transaction():
        store.set_meta("large", "x" * 1_000_000)
    assert not store.db.in_transaction
    store.db.execute("PRAGMA max_page_count=100000")
    with store.transaction():
        store.set_meta("small", 1)
    store.close()
    again = Store(tmp_path / "s.sqlite")
    assert (again.get_meta("large"), again.get_meta("small")) == (None, 1)
    again.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """With the way out."""
    (tmp_path / "stack.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(RuledeployError, match="not a database") as caught, running_stack(tmp_path):
        pass
    assert "stack reset" in (caught.value.hint or "")
