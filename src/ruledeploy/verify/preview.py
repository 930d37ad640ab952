"""One rule on Kibana's own preview: the server's executor on the server's data, nothing saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from ruledeploy.engine import Window
from ruledeploy.errors import NotThere, RuledeployError
from ruledeploy.kibana import Kibana
from ruledeploy.model import DetectionRule
from ruledeploy.verify.schedule import Schedule

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

SCHEMA = 1
# Kibana ends a preview after a minute, so that a long one comes back cut short.
MAX_RUNS = 1000
_INDEX = ".preview.alerts-security.alerts-"
# What a rule that is not saved cannot have.
_SAVED_ONLY = frozenset({"enabled", "meta"})


@dataclass(frozen=True, slots=True)
class Preview:
    """What Kibana's executor made of the window, in its own words; `aborted`: cut short."""

    rule: str
    preview_id: str
    runs: int
    alerts: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    aborted: bool

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "schema": SCHEMA,
            "rule": self.rule,
            "preview_id": self.preview_id,
            "runs": self.runs,
            "alerts": self.alerts,
            "errors": list(self.errors),
            "warnings": list(self.warnings),
            "aborted": self.aborted,
        }


def preview(kibana: Kibana, client: Elasticsearch, rule: DetectionRule, window: Window) -> Preview:
    """Run a rule on the server over a window; its exception lists must be there already.

    Alerts are counted in the preview index, which the answer of the request does not tell.
    Raises `RuledeployError` for a window of more than `MAX_RUNS` runs.
    """
    runs = max(1, -((window.start - window.end) // Schedule.of(rule.body).interval))
    if runs > MAX_RUNS:
        raise RuledeployError(
            f"{rule.name!r} would run {runs} times in this window, a preview takes {MAX_RUNS}",
            hint="name a shorter window with --since and --until",
        )
    body = {key: value for key, value in rule.body.items() if key not in _SAVED_ONLY}
    body["exceptions_list"] = _links(kibana, rule)
    end = window.end.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    answer = kibana.rules.preview({**body, "invocationCount": runs, "timeframeEnd": end})
    preview_id = str(answer["previewId"])
    return Preview(
        rule=rule.name,
        preview_id=preview_id,
        runs=runs,
        alerts=_alerts(client, kibana.connection.space or "default", preview_id),
        errors=_said(answer, "errors"),
        warnings=_said(answer, "warnings"),
        aborted=bool(answer.get("isAborted")),
    )


def _said(answer: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """What the logs say, each thing once."""
    return tuple(dict.fromkeys(str(one) for log in answer["logs"] for one in log.get(kind, ())))


def _alerts(client: Elasticsearch, space: str, preview_id: str) -> int:
    index = f"{_INDEX}{space}"
    client.options(ignore_status=404).indices.refresh(index=index)
    query = {"term": {"kibana.alert.rule.uuid": preview_id}}
    return int(client.count(index=index, query=query, ignore_unavailable=True)["count"])


def _links(kibana: Kibana, rule: DetectionRule) -> list[dict[str, Any]]:
    """The rule's links with the ids that its lists have on the server."""
    links = []
    for link in rule.body.get("exceptions_list", ()):
        try:
            live = kibana.lists.get(link["list_id"])
        except NotThere as error:
            message = f"the exception list {link['list_id']} is not on the server"
            raise RuledeployError(message, hint="push first, then preview") from error
        links.append({**link, "id": live["id"]})
    return links
