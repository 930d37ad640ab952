"""The one place that turns errors into messages and exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import TextIO

import typer

from ruledeploy import __version__
from ruledeploy.cli.app import build
from ruledeploy.errors import Problems, RuledeployError, UsageError

INTERRUPTED = 130
# sysexits' EX_SOFTWARE: a bug of ours, which must not read as any answer of ours.
BUG = 70


def main() -> None:
    """Run the command line and leave with its exit code."""
    # A reader that closes the pipe (`| head`) ends us quietly, as it does any Unix filter.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _speak_utf8(sys.stdout)
    sys.exit(run(sys.argv[1:]))


def _speak_utf8(stream: TextIO) -> None:
    """Data in pipes and files is UTF-8, as JSON must be; a terminal gets what it can show."""
    if not isinstance(stream, io.TextIOWrapper):
        return
    if stream.isatty():
        stream.reconfigure(errors="backslashreplace")
    else:
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code of docs/exit-codes.md, never raises."""
    try:
        result = build()(args=list(arguments), prog_name="ruledeploy", standalone_mode=False)
    except RuledeployError as error:
        tell(error)
        return error.worst_exit_code if isinstance(error, Problems) else error.exit_code
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        _line("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: whatever is left is our bug
        return _bug(error)
    return result if isinstance(result, int) else 0


def tell(error: RuledeployError) -> None:
    """Say on stderr what is wrong, where, and the way out; each of several problems."""
    if not isinstance(error, Problems):
        _say(error)
        return
    for one in error.errors:
        _say(one)
    _line(f"{len(error.errors)} errors")


def _say(error: RuledeployError) -> None:
    where = getattr(error, "url", None) or error.location
    _line(f"error: {where}: {error.message}" if where else f"error: {error.message}")
    if error.hint:
        _line(f"  → {error.hint}")


def _usage(error: typer.TyperException) -> int:
    # Asking for nothing at all is asking for help.
    if type(error).__name__ == "NoArgsIsHelpError":
        _line(error.format_message())
        return UsageError.exit_code
    _line(f"error: {error.format_message()}")
    context = getattr(error, "ctx", None)
    if context is not None:
        _line(f"  → {context.command_path} --help")
    return UsageError.exit_code


def _bug(error: Exception) -> int:
    _line(f"error: this is a bug in ruledeploy {__version__}: {type(error).__name__}: {error}")
    if os.environ.get("RULEDEPLOY_DEBUG"):
        traceback.print_exc()
    else:
        _line("  → set RULEDEPLOY_DEBUG=1 to see where, and please report it")
    return BUG


def _line(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - the program's own messages
