"""A backtest as text and as Markdown: the same facts, and what was not tried in both."""

from __future__ import annotations

import io
from typing import Any

from ruledeploy.report.backtest import markdown, print_backtest

SIDE: dict[str, Any] = {
    "matches": 4,
    "hidden": 1,
    "alerts": 3,
    "items": {"trusted/sensor": 1},
    "days": {"2026-01-05": 3},
    "top": {"host.name": [["one", 3]], "user.name": []},
    "first": "2026-01-05T08:00:00.000Z",
    "last": "2026-01-05T09:00:00.000Z",
    "schedule": {"alerted": 1, "late": ["e1"], "cut": ["e2"], "full_runs": 1, "busiest_run": 2},
}
RULE = {"name": "Writers | all", "after": SIDE, "before": None, "new": 0, "gone": 0}
MADE = {
    "env": "dev",
    "compared": False,
    "rules": [RULE],
    "findings": [{"message": "'Count' is not tried on events: a threshold"}],
}


def test_both_forms_say_the_same() -> None:
    """Every line of the text is in the Markdown, the rules that were not tried included."""
    stream = io.StringIO()
    print_backtest(MADE, stream)
    text = [line.strip() for line in stream.getvalue().splitlines()]
    marked = "\n".join(markdown(MADE)).replace("\\", "")
    assert "note: 'Count' is not tried on events: a threshold" in text
    assert [line for line in text if line not in marked] == []


def test_without_findings_there_is_no_note() -> None:
    """Nor an empty block for it."""
    lines = list(markdown({**MADE, "findings": []}))
    assert not [line for line in lines if line.startswith(">")]
    assert lines[-1]
