"""A run that finds everything kept: what it loads, and that it says what the first one said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.content import write_content

# What no run needs that compiles nothing and asks no server.
HEAVY = ("sigma", "jinja2", "pyparsing", "requests", "elasticsearch", "http.client")
CODE = f"""
import sys
from ruledeploy.cli.boundary import run
code = run(sys.argv[1:])
print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
print("code", code, file=sys.stderr)
"""


def ruledeploy(cache: Path, *arguments: str) -> tuple[str, list[str]]:
    """What a run in a process of its own prints, and which of the heavy modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        env={**os.environ, "RULEDEPLOY_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    *said, loaded, code = done.stderr.splitlines()
    return "\n".join([done.stdout, *said, code]), loaded.split()


@pytest.mark.parametrize(
    "command",
    [
        ["convert", "--format", "ndjson"],
        ["convert"],
        ["convert", "--json"],
        ["check"],
        ["test", "--json"],
    ],
)
def test_a_warm_run_loads_little_and_says_the_same(tmp_path: Path, command: list[str]) -> None:
    """The first run loads pySigma and keeps; the second prints the same bytes without it."""
    root = write_content(tmp_path / "content")
    arguments = [*command, "-C", str(root)]
    cold, loaded = ruledeploy(tmp_path / "cache", *arguments)
    assert "sigma" in loaded
    warm, loaded = ruledeploy(tmp_path / "cache", *arguments)
    assert loaded == []
    assert warm == cold
    assert warm == ruledeploy(tmp_path / "empty", *arguments)[0]
