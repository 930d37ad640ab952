"""`ruledeploy rollback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ruledeploy.cli.options import (
    HERE,
    AllowMassChange,
    Env,
    HealthWait,
    Jobs,
    Json,
    Ours,
    Out,
    PlanFile,
    Root,
    Theirs,
    Wait,
    Yes,
    command_app,
    refuse_beside_plan,
    side,
)
from ruledeploy.cli.output import print_json, say
from ruledeploy.cli.workspace import open_project
from ruledeploy.errors import PartialError, RuledeployError, ServerError

if TYPE_CHECKING:
    from ruledeploy.cli.session import Server
    from ruledeploy.deploy import RecordStore
    from ruledeploy.model import JsonObject

app = command_app()


@app.command()
def rollback(
    plan_file: PlanFile = None,
    *,
    env: Env,
    to: Annotated[int, typer.Option("--to", min=1, metavar="N", help="The record to return to.")],
    root: Root = HERE,
    output: Out = None,
    yes: Yes = False,
    ours: Ours = False,
    theirs: Theirs = False,
    allow_mass_change: AllowMassChange = False,
    jobs: Jobs = None,
    wait: Wait = 0.0,
    health_wait: HealthWait = None,
    json_: Json = False,
) -> None:
    """Bring an environment back to what a push left, and hold it there.

    A plan like any other: rules, links, items and enabled flags as record N left them. What has
    expired since stays away. Afterwards pushes of the same or an older commit exit 3, until a
    newer one or `push --release`. With `-o` the plan is written and nothing is applied.
    """
    from ruledeploy.cli.applying import (
        Applying,
        carry_out,
        read_plan,
        refuse_other,
        show,
        write_plan,
    )
    from ruledeploy.cli.session import connected
    from ruledeploy.deploy import Options, rollback_release
    from ruledeploy.report.plan import print_plan

    if plan_file is not None:
        beside = {"-o": output is not None, "--ours": ours, "--theirs": theirs}
        refuse_beside_plan(beside)
    # Rules that record N does not know came later, so they go.
    options = Options(prune=True, side=side(ours=ours, theirs=theirs))
    how = Applying(yes, json_, jobs, allow_mass_change, wait, health_wait)
    reviewed = read_plan(plan_file) if plan_file else None
    with connected(open_project(root), env, root) as here:
        for warning in here.warnings:
            say(f"warning: {warning}")
        release, record = rollback_release(here.store, to, datetime.now(UTC))
        if reviewed is not None and plan_file is not None:
            refuse_other(reviewed, plan_file, here)
        planned = reviewed or here.plan(release, replace(options, restored=_restored(here, to)))
        if output is not None:
            write_plan(planned, output)
            print_json(planned.to_json()) if json_ else print_plan(planned.to_json())
            return
        show(planned, here, how, f"roll {env} back to record {to}?")
        with _held(here.store, to, nothing_to_do=planned.empty):
            carry_out(planned, here, record.commit, how)
    if not planned.empty:
        say("held: pushes of that commit or an older one are refused; `push --release` lifts it")


def _restored(here: Server, to: int) -> dict[str, JsonObject]:
    """What analysts had done to rules that come back, without connectors that are gone."""
    from ruledeploy.deploy import of_analysts, without_lost

    found = of_analysts(here.store, to)
    if not any("actions" in done for done in found.values()):
        return found
    kept, said = without_lost(found, here.kibana.connectors())
    for line in said:
        say(f"warning: {line}")
    return kept


@contextmanager
def _held(store: RecordStore, to: int, *, nothing_to_do: bool) -> Iterator[None]:
    """Hold before the first write: a pipeline must not push again what is being taken back.

    When nothing was written after all, what held before holds again.
    """
    from ruledeploy.deploy import place_hold, read_hold, restore_hold

    if nothing_to_do:
        yield
        return
    before = read_hold(store)
    # A second rollback keeps out what the first one did.
    newest = before.commit if before else store.applied().commit
    place_hold(store, newest, to)
    try:
        yield
    except PartialError:
        raise
    except RuledeployError:
        with suppress(ServerError):  # the first error is the one to tell
            restore_hold(store, before)
        raise
