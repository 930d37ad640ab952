"""Alerts over HTTP: search, status, preview."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from ruledeploy.stack import schema
from ruledeploy.stack.alerts.backend import alerts_of
from ruledeploy.stack.alerts.executor import run_rules
from ruledeploy.stack.alerts.logged import requests
from ruledeploy.stack.clock import duration, parse_time
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, siem
from ruledeploy.stack.exceptions.endpoint import ensure_endpoint_list
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.rules import bodies, checks
from ruledeploy.stack.store import Saved

_SEARCH = "/api/detection_engine/signals/search"
_STATUS = "/api/detection_engine/signals/status"
PREVIEW = "/api/detection_engine/rules/preview"
# Kibana stops a preview after a minute; this many runs stand for it.
_MOST_RUNS = 1000


def search_alerts(stack: Stack, call: Call) -> Answer:
    """`POST signals/search`: an Elasticsearch search on the space's alerts."""
    shape = schema.body_shape(f"POST {_SEARCH}")
    parsed = schema.parse_body(shape, call.json(), stack.server.zod)
    if not parsed:
        raise siem(400, '"value" must have at least 1 children')
    now = stack.clock.now()
    return Answer(_as_siem(lambda: alerts_of(stack).search(call.space, parsed, now)))


def _as_siem(work: Any) -> Any:
    """Elasticsearch's refusals as the security solution passes them on."""
    try:
        return work()
    except Refusal as refusal:
        error = refusal.body["error"]
        raise siem(refusal.status, f"{error['type']}: {error['reason']}") from refusal


def set_status(stack: Stack, call: Call) -> Answer:
    """`POST signals/status`: by ids or by query; the answer is an update_by_query's."""
    shape = schema.body_shape(f"POST {_STATUS}")
    parsed = schema.parse_body(shape, call.json(), stack.server.zod)
    query = parsed.get("query") or {"ids": {"values": parsed.get("signal_ids", [])}}
    now = stack.clock.now()
    fields = {"kibana.alert.workflow_status": parsed["status"]}
    if "reason" in parsed:
        fields["kibana.alert.workflow_reason"] = parsed["reason"]
    count = _as_siem(lambda: alerts_of(stack).change(call.space, query, fields, now))
    return Answer(
        {
            "took": 1, "timed_out": False, "total": count, "updated": count,
            "deleted": 0, "batches": 1, "version_conflicts": 0, "noops": 0, "failures": [],
        }
    )  # fmt: skip


def preview(stack: Stack, call: Call) -> Answer:
    """`POST rules/preview`: run a rule that is not saved; its alerts go to the preview index."""
    sent = call.json()
    zod = stack.server.zod
    parsed = schema.parse_body(schema.named("RuleCreateProps"), sent, zod)
    given = schema.parse_body(schema.named("RulePreviewParams"), sent, zod)
    checks.refuse_cross_field(parsed)
    ensure_endpoint_list(stack, call.caller)
    count, preview_id = given["invocationCount"], str(uuid.uuid4())
    if count < 1:
        log = {"errors": ["Invalid invocation count"], "warnings": [], "duration": 0}
        return Answer({"logs": [log]})
    checks.schedule(parsed, "create")
    ticks = _ticks(given["timeframeEnd"], parsed["interval"], min(count, _MOST_RUNS))
    body = {**bodies.created(parsed, call.caller, stack.clock.text()), "enabled": True}
    rule = Saved("rule", call.space, body["id"], body["rule_id"], body)
    runs = run_rules(stack, [(rule, ticks)], preview_id).outcomes[rule.id]
    logs = [_log(run) for run in runs]
    if call.query.get("enable_logged_requests") == "true":
        asked = requests(stack, rule, ticks)
        logs = [{**log, "requests": each} for log, each in zip(logs, asked, strict=True)]
    return Answer({"previewId": preview_id, "logs": logs, "isAborted": count > _MOST_RUNS})


def _ticks(end: str, interval: str, count: int) -> list[datetime]:
    """When each run of a preview takes place, the last at its end."""
    last, step = parse_time(end), duration(interval)
    try:
        return [last - step * (count - n) for n in range(1, count + 1)]
    except OverflowError as error:
        raise siem(400, f"no time is {count} intervals of {interval} before {end}") from error


def _log(run: dict[str, Any]) -> dict[str, Any]:
    """A run as a preview tells it."""
    return {
        "errors": [run["message"]] if run["status"] == "failed" else [],
        "warnings": [run["message"]] if run["status"] == "partial failure" else [],
        "duration": sum(
            run["metrics"][f"total_{kind}_duration_ms"] for kind in ("search", "indexing")
        ),
        "startedAt": run["date"],
    }


ROUTES = (
    Endpoint("POST", _SEARCH, search_alerts),
    Endpoint("POST", _STATUS, set_status, "write"),
    Endpoint("POST", PREVIEW, preview),
)
