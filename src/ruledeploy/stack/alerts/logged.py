"""The requests that a preview logs: what each run asks of Elasticsearch, ready to be sent there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ruledeploy.engine import EngineRule, Window
from ruledeploy.engine.elastic import request_of
from ruledeploy.errors import QueryError
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.backend import events_of
from ruledeploy.stack.alerts.kinds import EVENT_TYPES
from ruledeploy.stack.alerts.prepare import LinkedItems, prepare
from ruledeploy.stack.context import Stack
from ruledeploy.stack.es.documents import moment
from ruledeploy.stack.store import Saved


def requests(stack: Stack, rule: Saved, ticks: Sequence[datetime]) -> list[list[dict[str, Any]]]:
    """Run by run; none of a rule that cannot run, or whose type does more than find events."""
    if rule.body["type"] not in EVENT_TYPES:
        return [[] for _ in ticks]
    try:
        prepared = prepare(stack, events_of(stack), LinkedItems(stack), rule, list(ticks))
        return [[_request(prepared.engine_rule, rule, at)] for at in ticks]
    except (QueryError, ValueError):
        return [[] for _ in ticks]


def _request(asked: EngineRule, rule: Saved, at: datetime) -> dict[str, Any]:
    start, end = runs.window(rule.body, at)
    path, body = request_of(asked, Window(moment(start), moment(end)), at)
    return {
        "request": f"POST {path}\n{json.dumps(body, indent=2, ensure_ascii=False)}",
        "description": "Find events",
        "request_type": "findDocuments",
        "duration": 0,
    }
