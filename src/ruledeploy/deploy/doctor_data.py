"""`doctor` on data: do the rules' indices hold events, and how many does each rule match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from ruledeploy.deploy.doctor_lines import Check, Subject
from ruledeploy.engine.elastic import time_filter
from ruledeploy.engine.protocol import Window
from ruledeploy.errors import NotAuthorized, QueryError, ServerError
from ruledeploy.kibana import Peer
from ruledeploy.model import DetectionRule, JsonObject, Release
from ruledeploy.query.exceptions import build_exception_filter, item_clause
from ruledeploy.query.parse import parse_query

DAYS = 7
_JOBS = 6
_ROWS = 10_000  # no ES|QL answer is longer
# Types whose answer is not a number of events.
_COUNTABLE = frozenset({"query", "saved_query", "esql", "threshold", "new_terms"})
_API_EVENTS = "logs-endpoint.events.api-"
_API_HINT = (
    "Elastic Defend does not stream API events by default: switch on the advanced policy setting "
    "windows.advanced.events.api_verbose"
)


@dataclass(frozen=True, slots=True)
class _Question:
    """One rule to count: its effective query over the window."""

    rule: DetectionRule
    window: Window
    items: tuple[JsonObject, ...]
    values: Mapping[str, Sequence[str]]
    now: datetime


def data_checks(subject: Subject) -> Iterator[Check]:
    """Events per index pattern, then matches per rule, over the last `DAYS` days."""
    if subject.release is None or not subject.release.rules:
        return
    peer = subject.elasticsearch
    if peer is None:
        yield Check("events", "unknown", "only Elasticsearch can count", "set elasticsearch_url")
        return
    window = Window(subject.now - timedelta(days=DAYS), subject.now)
    empty: set[str] = set()
    for pattern in subject.patterns():
        check = _pattern(peer, pattern, window)
        if check.state == "warning":
            empty.add(pattern)
        yield check
    values = {str(one.body["id"]): one.values for one in subject.release.value_lists}
    questions = [
        _Question(rule, window, _items(subject.release, rule), values, subject.now)
        for rule in subject.release.rules
        if rule.body.get("enabled", True)
    ]
    with ThreadPoolExecutor(_JOBS) as pool:
        yield from pool.map(lambda question: _matches(peer, question, empty), questions)


def _items(release: Release, rule: DetectionRule) -> tuple[JsonObject, ...]:
    return tuple(item.body for item in release.items_of(rule))


def _pattern(peer: Peer, pattern: str, window: Window) -> Check:
    what = f"events {pattern}"
    try:
        count = _count(peer, pattern, {"bool": {"filter": [time_filter(window, "@timestamp")]}})
    except ServerError as error:
        return _unreadable(what, error)
    if count:
        return Check(what, "ok", f"{count:,} in {DAYS} days")
    remedy = "is the data source connected, and the pattern right?"
    if pattern.startswith(_API_EVENTS):
        remedy = _API_HINT
    return Check(what, "warning", f"none in {DAYS} days", remedy)


def _matches(peer: Peer, question: _Question, empty: set[str]) -> Check:
    rule = question.rule
    what = f"matches {rule.name}"
    if rule.body["type"] not in _COUNTABLE:
        return Check(what, "unknown", f"a rule of type {rule.body['type']} is not counted")
    try:
        count = _matching(peer, question)
    except QueryError as error:
        return Check(what, "unknown", error.message)
    except ServerError as error:
        return _unreadable(what, error)
    hidden = f", {len(question.items)} allowlist items applied" if question.items else ""
    if not count and empty.issuperset(rule.body.get("index") or ()):
        return Check(what, "ok", "none: there are no events")
    more = "+" if count >= _ROWS and rule.body["type"] == "esql" else ""
    return Check(what, "ok", f"{count:,}{more} in {DAYS} days{hidden}")


def _matching(peer: Peer, question: _Question) -> int:
    """How many events the rule, net of its exceptions, would have alerted on."""
    rule = question.rule
    parsed = parse_query(str(rule.body["language"]), str(rule.body["query"]))
    built = build_exception_filter(question.items, question.now, question.values)
    field = str(rule.body.get("timestamp_override") or "@timestamp")
    filters = [time_filter(question.window, field)]
    hidden = [built.filter["query"]] if built.filter else []
    hidden += [item_clause(item, question.values) for item in built.after_search]
    if parsed.esql is not None:
        where = "".join(f" | where {condition}" for condition in parsed.esql.conditions)
        sources = ",".join(parsed.esql.sources)
        body = {
            "query": f"from {sources} metadata _id{where} | keep _id | limit {_ROWS}",
            "filter": {"bool": {"filter": filters, "must_not": hidden}},
        }
        return len(peer.request("POST", "/_query", body=body)["values"])
    must: list[JsonObject] = []
    if parsed.dsl is not None:
        must.append(parsed.dsl)
    elif parsed.text.strip():
        options = {"query": parsed.text, "analyze_wildcard": True, "time_zone": "Zulu"}
        must.append({"query_string": options})
    query = {"bool": {"must": must, "filter": filters, "must_not": hidden}}
    return _count(peer, ",".join(rule.body["index"]), query)


def _count(peer: Peer, pattern: str, query: dict[str, Any]) -> int:
    path = f"/{quote(pattern, safe='*,')}/_count"
    flags = {"ignore_unavailable": True, "allow_no_indices": True}
    answer: JsonObject = peer.request("POST", path, query=flags, body={"query": query})
    return int(answer["count"])


def _unreadable(what: str, error: ServerError) -> Check:
    if isinstance(error, NotAuthorized):
        return Check(what, "unknown", "we may not read it", "grant `read`, or ask who may")
    return Check(what, "unknown", error.message)
