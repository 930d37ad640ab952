"""The command group, which imports a command's module only when it runs.

`ruledeploy --help` must answer at once, so it reads the one-liners below; a test holds them
equal to the commands' own help.
"""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ruledeploy import __version__
from ruledeploy.errors import UsageError

# In the order a newcomer meets them.
COMMANDS: dict[str, str] = {
    "init": "Start a content repository: settings, a rule, an allowlist, CI.",
    "check": "Validate rules, allowlists and settings offline.",
    "convert": "Show what rules become: queries, or Kibana's NDJSON.",
    "explain": "Show how a rule became its query, and what its exceptions take away.",
    "plan": "Show exactly what a push would change.",
    "push": "Bring an environment to the state of the files.",
    "history": "List what was pushed to an environment.",
    "rollback": "Bring an environment back to what a push left, and hold it there.",
    "pull": "Bring the rules and exceptions of a space into the files.",
    "promote": "Show what one environment has that another lacks.",
    "drift": "Show what changed on the server since the last push.",
    "rekey": "Make the rules run with the present key.",
    "doctor": "Look at everything around a push: server, key, records, rules, data.",
    "simulate": "Make seeded synthetic telemetry, with labels.",
    "test": "Run the rules' test cases against an environment's release.",
    "backtest": "Show what the rules would have done to events gone by.",
    "tune": "Propose allowlist items from alerts, with evidence.",
    "review": "Show what an edit of rules or allowlists hides.",
    "stack": "Run the local stack: Kibana's detection API on this machine.",
    "fields": "Read the types of fields from an environment's indices.",
    "schema": "Print JSON Schemas of the files you write and of the JSON that commands print.",
    "env": "List the environments of this project.",
    "demo": "Push to the local stack, replay two days, and show the alerts.",
}


class LazyGroup(TyperGroup):
    """Knows every command's name and help line, and loads the one that is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's signature
        """Names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Typer's signature
        """The command, imported now. Raises `UsageError` for an unknown name."""
        if cmd_name not in COMMANDS:
            raise UsageError(f"no command {cmd_name!r}", hint=_nearest(cmd_name))
        module = importlib.import_module(f"ruledeploy.cli.{cmd_name}")
        command = get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - Typer's signature
        """The table of commands, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return f"did you mean {near[0]!r}?" if near else "ruledeploy --help  lists them"


def _version(value: bool) -> None:
    if value:
        typer.echo(f"ruledeploy {__version__}")
        raise typer.Exit


def build() -> Any:
    """The whole command line as one callable command."""
    app = typer.Typer(
        cls=LazyGroup,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def ruledeploy(
        *,
        version: bool = typer.Option(
            False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ) -> None:
        """Sigma rules and per-environment allowlists, deployed to Elastic Security."""

    return get_command(app)
