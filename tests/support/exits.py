"""Holds every run of a command in these tests to the table of exit codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ruledeploy.cli.app import COMMANDS
from ruledeploy.cli.exits import allowed
from ruledeploy.errors import Problems, RuledeployError


class Surprise(BaseException):
    """An exit code that the table lacks; no command takes it for an error of its own."""


def watched(build: Callable[[], Any]) -> Callable[[], Any]:
    """The command line, which raises `Surprise` for a code that its command may not have."""

    def built() -> Any:
        command_line = build()

        def command(args: Sequence[str], **options: Any) -> Any:
            try:
                result = command_line(args=args, **options)
            except Problems as problems:
                _look(args, problems.worst_exit_code)
                raise
            except RuledeployError as error:
                _look(args, error.exit_code)
                raise
            _look(args, result if isinstance(result, int) else 0)
            return result

        return command

    return built


def _look(args: Sequence[str], code: int) -> None:
    if args and args[0] in COMMANDS and code not in allowed(args[0]):
        raise Surprise(f"{args[0]} exits {code}, which cli/exits.py does not tell")
