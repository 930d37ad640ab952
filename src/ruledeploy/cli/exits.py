"""Which exit codes each command has, and why: docs/exit-codes.md is written from this.

The tests hold every run of a command to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Of every command: done, an error, a senseless command line, a bug of ours, interrupted.
ALWAYS = frozenset({0, 1, 64, 70, 130})

_SERVER = "the server is refused"
_REFUSED = f"a conflict, a lock, a hold, a broken policy, a threshold, no confirmation; {_SERVER}"

# What a command's codes mean beyond `ALWAYS`, and what 1 means where that is an answer.
EXITS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "init": {3: "a file that it would write is there"},
        "check": {1: "an error was found; with `--strict` a warning"},
        "convert": {1: "a rule was refused, unless `--skip-refused`"},
        "explain": {},
        "plan": {2: "changes, with `--detailed-exitcode`", 3: f"a broken policy; {_SERVER}"},
        "push": {3: f"a stale or edited plan; {_REFUSED}", 4: "see above"},
        "history": {3: _SERVER},
        "rollback": {3: f"a stale or edited plan, no such record; {_REFUSED}", 4: "see above"},
        "pull": {3: f"a push that did not finish, or is running; {_SERVER}"},
        "promote": {2: "differences, with `--detailed-exitcode`"},
        "drift": {
            2: "changes; with `--adopt` those that could not be written",
            3: f"a push that did not finish, with `--adopt`; {_SERVER}",
        },
        "rekey": {3: _SERVER, 4: "some rules moved, some did not"},
        "doctor": {1: "a line is an error", 3: _SERVER},
        "simulate": {3: _SERVER, 4: "some events were not taken"},
        "test": {1: "a case failed", 3: "a server that another environment names"},
        "backtest": {3: _SERVER},
        "tune": {3: _SERVER},
        "review": {5: "an attack falls silent somewhere"},
        "stack": {1: "`status`: no stack runs", 3: "its folder is in use, or of another version"},
        "fields": {3: "a server that another environment names"},
        "schema": {},
        "env": {},
        "demo": {3: _SERVER, 4: "partly applied"},
    }
)


def allowed(command: str) -> frozenset[int]:
    """The codes that a command may exit with."""
    return ALWAYS | EXITS[command].keys()
