"""What `push` and `rollback` have in common once there is a plan: ask, apply, look at the rules."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ruledeploy.cli.boundary import INTERRUPTED
from ruledeploy.cli.output import print_json, say, write_file
from ruledeploy.errors import Location, PartialError, RefusedError, ServerError, UsageError
from ruledeploy.paths import refuse_special

if TYPE_CHECKING:
    from ruledeploy.cli.session import Server
    from ruledeploy.deploy import Health, Plan
    from ruledeploy.model import JsonObject

# A server starts the first run within seconds of a rule's creation.
DEFAULT_HEALTH_WAIT = 10.0
# Of rules with the same trouble, so many are shown.
_SHOWN_ALIKE = 5


@dataclass(frozen=True, slots=True)
class Applying:
    """How to apply a plan, as the command line says it."""

    yes: bool = False
    json: bool = False
    jobs: int | None = None
    allow_mass_change: bool = False
    wait: float = 0.0
    health_wait: float | None = None


def write_plan(plan: Plan, path: Path) -> None:
    """Keep a plan for review and for applying it later, exactly as it is."""
    text = json.dumps(plan.to_json(), indent=1, ensure_ascii=False, sort_keys=True)
    write_file(path, text + "\n")


def read_plan(path: Path) -> Plan:
    """A reviewed plan. Raises `UsageError` without a file, `RefusedError` for one of another kind.

    Whether the server moved since is for `refuse_stale` to say.
    """
    from ruledeploy.deploy import Plan

    place = Location(str(path))
    try:
        refuse_special(path, opened=True)
        return Plan.from_json(json.loads(path.read_text("utf-8-sig")))
    except OSError as error:
        hint = "make one with  ruledeploy plan --env … -o FILE"
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=hint) from error
    except RefusedError as error:
        raise RefusedError(error.message, location=place, hint=error.hint) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # Whatever JSON may hold in the place of what a plan has there.
        message = "this is no plan"
        hint = "make one with  ruledeploy plan --env … -o FILE"
        raise RefusedError(message, location=place, hint=hint) from error


def refuse_other(plan: Plan, path: Path, here: Server) -> None:
    """Raise `RefusedError` when the plan is another environment's, or the server has moved."""
    from ruledeploy.deploy import refuse_stale

    if plan.owner != here.store.owner:
        message = f"the plan is for {plan.owner.project}, environment {plan.owner.env}"
        raise RefusedError(message, location=Location(str(path)))
    refuse_stale(plan, here.kibana)


def show(plan: Plan, here: Server, how: Applying, question: str) -> None:
    """Print the plan, unless JSON was asked for; then refuse what nobody has agreed to."""
    from ruledeploy.deploy import changed_rules, refuse_conflicts
    from ruledeploy.report.plan import print_plan

    if not how.json:
        print_plan(plan.to_json())
    refuse_conflicts(plan)
    written, _ = changed_rules(plan)
    if written:
        credential = here.kibana.connection.credential
        say(f"{len(written)} rules are written; those enabled run with {credential} from then on")
    if here.env.confirm and not how.yes and not plan.empty:
        confirm(question, how)


def confirm(question: str, how: Applying) -> None:
    """Ask on the terminal; `RefusedError` without one, or when the answer is no."""
    if not sys.stdin.isatty() or how.json:
        raise RefusedError("this wants a confirmation", hint="answer it with --yes")
    if not typer.confirm(question, err=True):
        raise RefusedError("not confirmed: nothing was written")


def carry_out(plan: Plan, here: Server, commit: str | None, how: Applying) -> None:
    """Apply a plan and read how the changed rules fare; prints the result.

    Raises what `apply` raises, and `PartialError` when all is applied but a rule is not well.
    """
    from ruledeploy.deploy import ApplyOptions, PartlyApplied, apply
    from ruledeploy.report.progress import progress

    with interruptible() as stop:
        options = ApplyOptions(
            jobs=how.jobs,
            allow_many=how.allow_mass_change,
            commit=commit,
            wait_for_lock=how.wait,
            stop=stop,
        )
        try:
            with progress() as on_progress:
                outcome = apply(plan, here.kibana, here.store, on_progress, options)
        except PartlyApplied as error:
            if how.json:
                print_json(_result(plan, here, error.to_json(), ()))
            raise
        except KeyboardInterrupt as end:
            say(f"interrupted: {end}")
            raise
    health = _health(plan, here, how)
    if how.json:
        print_json(_result(plan, here, outcome.to_json(), health))
    elif outcome.record:
        name, record = here.env.name, outcome.record
        typer.echo(f"{name}: done, {outcome.writes} writes, record {record}")
    _refuse_unwell(health, here)


def _result(
    plan: Plan, here: Server, outcome: JsonObject, health: Sequence[Health]
) -> dict[str, Any]:
    """What `--json` says of a push."""
    return {
        "schema": 1,
        "env": here.env.name,
        "plan": plan.to_json(),
        "outcome": outcome,
        "health": [one.to_json() for one in health],
    }


def _health(plan: Plan, here: Server, how: Applying) -> tuple[Health, ...]:
    """How the changed rules fare. Raises `PartialError` when the server does not say."""
    from ruledeploy.deploy import changed_rules, read_health

    changed, first = changed_rules(plan)
    if not changed:
        return ()
    awaited, wait = (first, DEFAULT_HEALTH_WAIT)
    if how.health_wait is not None:
        awaited, wait = changed, how.health_wait
    try:
        return read_health(here.kibana, changed, awaited, wait)
    except ServerError as error:
        raise PartialError(
            f"everything was applied, but how the rules fare cannot be read: {error}",
            hint="`ruledeploy doctor` later",
        ) from error


def _refuse_unwell(health: tuple[Health, ...], here: Server) -> None:
    """Say which rules are not well; exit 4 unless it is the local stack, which may be empty."""
    from ruledeploy.deploy import NOT_RUN

    waiting = sum(one.status == NOT_RUN for one in health)
    if waiting:
        say(f"{waiting} of {len(health)} changed rules have not run yet: `ruledeploy doctor` later")
    unwell = [one for one in health if not one.well]
    _warn(unwell)
    grave = [one for one in unwell if one.status == "failed" or not here.local]
    if grave:
        raise PartialError(
            f"everything was applied, but {len(grave)} of {len(health)} changed rules are not well",
            hint="mend what the warnings say and push again, or roll back",
        )


def _warn(unwell: Sequence[Health]) -> None:
    """What is wrong; thousands of rules with the same trouble are a few lines and a count."""
    alike: defaultdict[tuple[str, str], list[Health]] = defaultdict(list)
    for one in unwell:
        alike[one.status, one.remedy or ""].append(one)
    for (status, remedy), rules in alike.items():
        for one in rules[:_SHOWN_ALIKE]:
            say(f"warning: {one.name} ({one.rule_id}): {status}: {one.message}")
        if len(rules) > _SHOWN_ALIKE:
            say(f"warning: {len(rules) - _SHOWN_ALIKE} more rules: {status}; --json lists them all")
        if remedy:
            say(f"  → {remedy}")


# Ctrl-C, a cancelled CI job, a closed terminal.
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """The first signal to end lets the writes in flight finish and stops before the next.

    A second one ends at once, with a request in flight if need be; the next push converges after
    that as after any crash.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def once(*_: object) -> None:
        stop.set()
        for signum in _ENDINGS:
            signal.signal(signum, at_once)
        with suppress(OSError):  # the terminal may be what went away
            say("stopping after the writes in flight; Ctrl-C again ends at once")

    before = {signum: signal.signal(signum, once) for signum in _ENDINGS}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def at_once(*_: object) -> None:
    """End without waiting: threads that wait for a server would outlive any exception."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), b"ended at once: push again, it goes on from there\n")
    os._exit(INTERRUPTED)
