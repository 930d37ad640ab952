"""Runs by themselves, between which others get their turn."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ruledeploy.stack import StackConfig
from ruledeploy.stack.alerts import executor, schedule
from ruledeploy.stack.auth import ANYBODY
from ruledeploy.stack.context import Stack, open_stack
from ruledeploy.stack.rules import service


def enabled(stack: Stack, count: int) -> None:
    """So many enabled rules, each noted to run."""
    for number in range(count):
        body = {
            "rule_id": f"r{number}", "name": "r", "description": "d", "severity": "low",
            "risk_score": 1, "type": "query", "language": "kuery", "query": "a: b",
            "index": ["logs-*"], "from": "now-6m", "to": "now", "interval": "5m", "enabled": True,
            "max_signals": 100, "version": 1, "exceptions_list": [], "actions": [],
        }  # fmt: skip
        service.create(stack, "default", body, ANYBODY)


def ran(stack: Stack) -> int:
    """How many rules have run."""
    return sum("last_run" in rule.state for rule in stack.store.all("rule", None))


@pytest.mark.parametrize(("slow_s", "turns"), [(10.0, {50, 100, 120}), (0.0, {50, 120})])
def test_others_get_their_turn_between_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_s: float, turns: set[int]
) -> None:
    """Fifty rules at a time; where that is slow, the rest in one go. In the end all have run."""
    monkeypatch.setattr(schedule, "_SLOW_S", slow_s)
    stack = open_stack(StackConfig(tmp_path))
    enabled(stack, 120)
    seen: set[int] = set()

    async def watch() -> None:
        while ran(stack) < 120:
            await asyncio.sleep(0.001)
            seen.add(ran(stack))

    async def both() -> None:
        await asyncio.gather(schedule.run_enabled(stack), watch())

    asyncio.run(both())
    stack.close()
    assert seen - {0} == turns


def test_a_rule_disabled_meanwhile_does_not_run(tmp_path: Path) -> None:
    """It is read again when its slice comes."""
    stack = open_stack(StackConfig(tmp_path))
    enabled(stack, 2)
    first, second = stack.store.all("rule", None)
    service.set_enabled(stack, first, False, ANYBODY)
    stack.store.delete(second)
    asyncio.run(schedule.run_enabled(stack))
    assert ran(stack) == 0
    stack.close()


def test_a_look_for_due_rules_that_breaks_does_not_end_the_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next look finds them."""
    monkeypatch.setattr(schedule, "_TICK_S", 0.01)
    monkeypatch.setattr(schedule, "_LONGEST_WAIT_S", 0.01)
    stack = open_stack(StackConfig(tmp_path))
    enabled(stack, 1)
    looks = 0

    async def until_the_third_look() -> None:
        third = asyncio.Event()

        def due_rules(stack: Stack) -> object:
            nonlocal looks
            looks += 1
            if looks == 1:
                raise RuntimeError
            if looks == 3:
                third.set()
            return executor.due_rules(stack)

        monkeypatch.setattr(schedule, "due_rules", due_rules)
        task = asyncio.create_task(schedule.schedule(stack))
        await asyncio.wait_for(third.wait(), timeout=10)
        task.cancel()

    asyncio.run(until_the_third_look())
    assert ran(stack) == 1
    assert "looking for rules that are due" in caplog.text
    stack.close()
