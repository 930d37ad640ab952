"""The one place that turns errors into messages and exit codes."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

import typer

from ruledeploy import __version__
from ruledeploy.cli.app import build
from ruledeploy.errors import Problems, RuledeployError, UsageError

INTERRUPTED = 130
# sysexits' EX_SOFTWARE: a bug of ours, which must not read as any answer of ours.
BUG = 70
# What a shell says of a filter whose reader went away (`| head`).
UNREAD = 141

# Objects made before the youngest are looked through for garbage; Python's own figure is 700.
_GARBAGE = 50_000


def main() -> None:
    """Run the command line and leave with its exit code."""
    # A run makes few cycles and many values that stay, which are not worth looking through often.
    gc.set_threshold(_GARBAGE, *gc.get_threshold()[1:])
    _open_closed_streams()
    sys.stdout = _buffered(sys.stdout)
    _speak_utf8(sys.stdout)
    code = _flushed(run(sys.argv[1:]))
    gc.freeze()  # the interpreter's end takes everything, and need not look what of it is garbage
    sys.exit(code)


def _open_closed_streams() -> None:
    """Stand in for standard streams that the caller closed (`<&-`).

    In this order, so that each gets its own number back and no file of ours does.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for good


def _buffered(stream: TextIO) -> TextIO:
    """The stream, whose writes are whole: under PYTHONUNBUFFERED a short one passes unseen."""
    raw = getattr(stream, "buffer", None)
    if not isinstance(raw, io.FileIO):
        return stream
    return io.TextIOWrapper(io.BufferedWriter(raw), line_buffering=stream.isatty())


def _flushed(code: int) -> int:
    """The exit code once all that was printed is out."""
    try:
        sys.stdout.flush()
    except SystemExit:  # how Typer answers a closed pipe
        return _unread()
    except OSError as error:
        return code or _unwritten(error)
    return code


def _unwritten(error: OSError) -> int:
    """What is printed goes to a disk that is full, for one."""
    _forget_stdout()
    _line(f"error: {error.filename or 'standard output'}: {error.strerror}")
    return RuledeployError.exit_code


def _unread() -> int:
    """A reader that closed the pipe (`| head`) ends us quietly, as it does any Unix filter.

    SIGPIPE stays ignored: it would also end a push whose server closes a connection.
    """
    _forget_stdout()
    return UNREAD


def _forget_stdout() -> None:
    """Let nothing that is still to be printed fail when the interpreter ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    except SystemExit:  # how Typer answers a closed pipe
        return _unread()
    except OSError as error:  # those of files are told where they are opened
        return _unwritten(error)
    except MemoryError:
        _line("error: out of memory")
        _line("  → give it more, or fewer or smaller files at a time")
        return RuledeployError.exit_code
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
