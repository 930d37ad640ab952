"""`ruledeploy stack`: the local stack, in the foreground or behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import HERE, Json, Root, command_app
from ruledeploy.cli.output import print_json, say
from ruledeploy.cli.workspace import STATE
from ruledeploy.errors import RuledeployError, UsageError

if TYPE_CHECKING:
    from ruledeploy.stack import Running

app = command_app()
_START_SECONDS = 15.0
_STOP_SECONDS = 15.0
_NODE = "RULEDEPLOY_STACK_ELASTICSEARCH"

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder; .ruledeploy/stack if none."),
]


@app.callback()
def stack() -> None:
    """Run the local stack: Kibana's detection API on this machine.

    A stand-in for tests and first steps: rules, exceptions and alerts, and the calls of
    Elasticsearch they need. docs/stack.md says what it is not.
    """


@app.command()
def up(
    *,
    root: Root = HERE,
    data: Data = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Kibana's port; 0 picks one.")
    ] = 5601,
    es_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Elasticsearch's port; 0 picks one.")
    ] = 9200,
    profile: Annotated[
        str,
        typer.Option(help="Version to imitate: 8.19 or 9.5; switches as in 9.5,too_large=400."),
    ] = "9.5",
    elasticsearch: Annotated[
        str,
        typer.Option(
            metavar="URL",
            envvar=_NODE,
            help="A node that holds events and alerts, and runs the rules.",
        ),
    ] = "",
    request_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append a line of JSON for each request."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Serve in the background.")
    ] = False,
) -> None:
    """Serve the stack until interrupted, or in the background."""
    from ruledeploy.stack import StackConfig, parse_profile, serve

    try:
        imitated = parse_profile(profile)
    except ValueError as error:
        raise UsageError(str(error), hint="docs/stack-fidelity.md lists the switches") from error
    if request_log is not None:
        _check_writable(request_log)
    folder = _folder(root, data)
    if detach:
        options = ["--host", host, "--port", str(port), "--es-port", str(es_port)]
        logged = ["--request-log", str(request_log)] if request_log else []
        _tell(_start(folder, [*options, "--profile", profile, *logged], elasticsearch))
        return
    config = StackConfig(
        data=folder,
        host=host,
        port=port,
        es_port=es_port,
        profile=imitated,
        elasticsearch=elasticsearch,
        request_log=request_log,
    )
    serve(config, on_ready=_tell)


@app.command()
def down(*, root: Root = HERE, data: Data = None) -> None:
    """Stop the stack that serves the data folder."""
    from ruledeploy.cli.embedded import serving_pid

    folder = _folder(root, data)
    pid = serving_pid(folder)
    if pid is None:
        say("no stack is running")
        return
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _STOP_SECONDS
    while serving_pid(folder) is not None and time.monotonic() < until:
        time.sleep(0.05)
    if serving_pid(folder) is not None:
        raise RuledeployError(f"the stack (process {pid}) does not stop", hint="see its log")
    say("stopped")


@app.command()
def status(*, root: Root = HERE, data: Data = None, json_: Json = False) -> None:
    """Say whether the stack runs, and where; exits 1 when it does not."""
    from ruledeploy.cli.embedded import serving

    running = serving(_folder(root, data))
    if json_:
        print_json(
            {
                "schema": 1,
                "running": running is not None,
                "kibana_url": running.kibana_url if running else None,
                "elasticsearch_url": running.elasticsearch_url if running else None,
            }
        )
    elif running is not None:
        _tell(running)
    else:
        say("no stack is running")
    if running is None:
        raise typer.Exit(1)


@app.command()
def reset(*, root: Root = HERE, data: Data = None) -> None:
    """Delete everything the stack holds; refused while anything uses it."""
    from ruledeploy.cli.embedded import empty

    folder = _folder(root, data)
    empty(folder)
    say(f"{folder} is empty")


@app.command()
def logs(*, root: Root = HERE, data: Data = None) -> None:
    """Print what a stack in the background has logged."""
    path = _folder(root, data) / "stack.log"
    if not path.is_file():
        say("no log: only a stack started with --detach writes one")
        raise typer.Exit(1)
    typer.echo(path.read_text("utf-8", "replace"), nl=False)


def _check_writable(path: Path) -> None:
    try:
        with path.open("a"):
            pass
    except OSError as error:
        message = f"the request log {path} cannot be written: {error.strerror}"
        raise RuledeployError(message, hint="name another file") from error


def _folder(root: Path, data: Path | None) -> Path:
    return data if data is not None else root / STATE / "stack"


def _start(folder: Path, options: list[str], elasticsearch: str) -> Running:
    """A stack in a process of its own, once it answers.

    The node's URL goes through the environment: a password in it would show among processes.
    """
    from ruledeploy.cli.embedded import serving

    if (found := serving(folder)) is not None:
        say(f"a stack serves {folder} already, with the options it was started with")
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the data folder {folder} cannot be used: {error.strerror}"
        raise RuledeployError(message, hint="name another") from error
    code = "from ruledeploy.cli import main; main()"
    command = [sys.executable, "-c", code, "stack", "up", "--data", str(folder), *options]
    with (folder / "stack.log").open("ab") as log:
        before = log.tell()
        process = subprocess.Popen(  # noqa: S603 - this very program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, _NODE: elasticsearch},
        )
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if (found := serving(folder)) is not None:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.02)
    said = (folder / "stack.log").read_bytes()[before:].decode("utf-8", "replace")
    tail = [line.strip() for line in said.splitlines()[-3:]]
    raise RuledeployError("the stack did not start", hint=" / ".join(tail) or "see its log")


def _tell(running: Running) -> None:
    """The two addresses, as `KEY=value` lines that a shell can read."""
    typer.echo(f"KIBANA_URL={running.kibana_url}")
    typer.echo(f"ELASTICSEARCH_URL={running.elasticsearch_url}")
    sys.stdout.flush()
