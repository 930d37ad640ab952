"""`ruledeploy push`: load → compile → plan → apply → verify → record.

The way in to the whole program: `session` loads, compiles and reaches the server, `Session.plan`
compares, `apply` writes in the order that leaves no gap, reads back and keeps the record.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import (
    HERE,
    Day,
    Env,
    Json,
    Ours,
    Root,
    Theirs,
    command_app,
    parse_day,
    side,
)
from ruledeploy.cli.output import print_json, say
from ruledeploy.errors import Location, RefusedError, UsageError

if TYPE_CHECKING:
    from ruledeploy.cli.session import Session
    from ruledeploy.deploy import Plan

app = command_app()


@app.command()
def push(
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="[PLAN]", help="A plan that `plan -o` wrote.")
    ] = None,
    *,
    env: Env,
    root: Root = HERE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete rules that are gone, not just disable them.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over objects with our ids that no record knows.")
    ] = False,
    ours: Ours = False,
    theirs: Theirs = False,
    allow_mass_change: Annotated[
        bool, typer.Option("--allow-mass-change", help="Lift the 30 % threshold.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Requests in flight at once.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for another push.")] = 0.0,
    json_: Json = False,
    day: Day = "",
) -> None:
    """Bring an environment to the state of the files.

    Lists and items are written first, then rules, and what is no longer wanted goes last, so that
    at every moment an event alerts only if it alerts before or after. Pushing again writes nothing.
    """
    from ruledeploy.cli.session import commit_of, session
    from ruledeploy.deploy import ApplyOptions, Options, apply
    from ruledeploy.report.plan import print_plan
    from ruledeploy.report.progress import progress

    chosen = side(ours=ours, theirs=theirs)
    with session(root, env, parse_day(day)) as here, _interruptible() as stop:
        for warning in here.warnings:
            say(f"warning: {warning}")
        if plan_file is not None:
            planned = _read_plan(plan_file, here)
        else:
            decided = Options(adopt=adopt, prune=prune, side=chosen, durable=here.store.durable)
            planned = here.plan(decided)
        plain = planned.to_json()
        if not json_:
            print_plan(plain)
        if here.env.confirm and not yes and not planned.empty:
            _confirm(here.env.name)
        options = ApplyOptions(
            jobs=jobs,
            allow_many=allow_mass_change,
            commit=commit_of(root),
            wait_for_lock=wait,
            stop=stop,
        )
        with progress() as on_progress:
            outcome = apply(planned, here.kibana, here.store, on_progress, options)
    if json_:
        print_json({"schema": 1, "env": env, "plan": plain, "outcome": outcome.to_json()})
    elif outcome.record:
        typer.echo(f"{env}: done, {outcome.writes} writes, record {outcome.record}")


def _read_plan(path: Path, here: Session) -> Plan:
    """A reviewed plan, refused when the server moved since it was made."""
    from ruledeploy.deploy import Plan, refuse_stale

    try:
        plan = Plan.from_json(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        message = "this is no plan"
        hint = "make one with  ruledeploy plan --env … -o FILE"
        raise RefusedError(message, location=Location(str(path)), hint=hint) from error
    if plan.owner != here.store.owner:
        message = f"the plan is for {plan.owner.project}, environment {plan.owner.env}"
        raise RefusedError(message, location=Location(str(path)))
    refuse_stale(plan, here.kibana)
    return plan


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise RefusedError(f"env.{name} wants a confirmation", hint="push with --yes")
    if not typer.confirm(f"push to {name}?"):
        raise RefusedError("not confirmed: nothing was written")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C lets the write in flight finish, and stops before the next."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
