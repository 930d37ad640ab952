"""`doctor` on data: do the rules' indices hold events, and how many does each rule match."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
from ruledeploy.query.parse import index_patterns, parse_query

DAYS = 7
_JOBS = 6
_AT_ONCE = 100
_FLAGS = {"ignore_unavailable": True, "allow_no_indices": True}
_LOUDEST = 3
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
    found = {pattern: _pattern(peer, pattern, window) for pattern in subject.patterns()}
    empty = {pattern for pattern, check in found.items() if check.state == "warning"}
    if filled := sum(check.state == "ok" for check in found.values()):
        said = f"{filled} of {len(found)} index patterns had some in {DAYS} days"
        yield Check("events", "ok", said)
    yield from found.values()
    values = {str(one.body["id"]): one.values for one in subject.release.value_lists}
    questions = [
        _Question(rule, window, _items(subject.release, rule), values, subject.now)
        for rule in subject.release.rules
        if rule.body.get("enabled", True)
    ]
    known = _together(peer, questions)
    with ThreadPoolExecutor(_JOBS) as pool:
        asked = pool.map(
            lambda one: _matches(peer, one, empty, known.get(one.rule.rule_id)), questions
        )
        answers = list(asked)
    if counted := [answer for answer in answers if answer.check.state == "ok"]:
        yield _summed(counted, len(answers))
    yield from (answer.check for answer in answers)


def _summed(counted: Sequence[_Answer], rules: int) -> Check:
    """All counts in one line: how many rules match anything, and which most."""
    loudest = sorted(counted, key=lambda one: (-one.count, one.rule))[:_LOUDEST]
    most = ", ".join(f"{one.rule} {one.count:,}" for one in loudest if one.count)
    said = f"{sum(one.count > 0 for one in counted):,} of {len(counted):,} rules in {DAYS} days"
    left = f"; {rules - len(counted):,} not counted" if rules > len(counted) else ""
    return Check("matches", "ok", said + (f"; most by {most}" if most else "") + left)


def _items(release: Release, rule: DetectionRule) -> tuple[JsonObject, ...]:
    return tuple(item.body for item in release.items_of(rule))


@dataclass(frozen=True, slots=True)
class _Answer:
    """How often a rule matched, and the check that says so."""

    rule: str
    check: Check
    count: int = 0


def _pattern(peer: Peer, pattern: str, window: Window) -> Check:
    what, group = f"events {pattern}", "events"
    try:
        count = _count(peer, pattern, {"bool": {"filter": [time_filter(window, "@timestamp")]}})
    except ServerError as error:
        return _unreadable(what, group, error)
    if count:
        return Check(what, "ok", f"{count:,} in {DAYS} days", group=group)
    remedy = "is the data source connected, and the pattern right?"
    if pattern.startswith(_API_EVENTS):
        remedy = _API_HINT
    return Check(what, "warning", f"none in {DAYS} days", remedy, group)


def _together(peer: Peer, questions: Sequence[_Question]) -> dict[str, int]:
    """The counts that `_msearch` gives, many a request, by rule_id.

    What is missing here is asked for alone, and then says what is wrong with it: one query that
    does not parse has a server refuse all that came with it.
    """
    asked: list[tuple[str, list[JsonObject]]] = []
    for question in questions:
        with suppress(QueryError):
            if question.rule.body["type"] in _COUNTABLE and (search := _search(question)):
                header = {"index": search[0], **_FLAGS}
                body = {"size": 0, "track_total_hits": True, "query": search[1]}
                asked.append((question.rule.rule_id, [header, body]))
    found: dict[str, int] = {}
    for start in range(0, len(asked), _AT_ONCE):
        batch = asked[start : start + _AT_ONCE]
        lines = "".join(json.dumps(line) + "\n" for _, pair in batch for line in pair)
        with suppress(ServerError):
            answer = peer.request("POST", "/_msearch", body=lines.encode())
            for (rule_id, _), one in zip(batch, answer["responses"], strict=True):
                if "error" not in one and not one.get("_shards", {}).get("failed"):
                    found[rule_id] = int(one["hits"]["total"]["value"])
    return found


def _matches(peer: Peer, question: _Question, empty: set[str], known: int | None) -> _Answer:
    rule = question.rule
    what, group, kind = f"matches {rule.name}", "matches", rule.body["type"]
    if kind not in _COUNTABLE:
        said = f"a rule of type {kind} is not counted"
        return _Answer(rule.name, Check(what, "unknown", said, group=group))
    try:
        count = _matching(peer, question) if known is None else known
    except QueryError as error:
        return _Answer(rule.name, Check(what, "unknown", error.message, error.hint or "", group))
    except ServerError as error:
        return _Answer(rule.name, _unreadable(what, group, error))
    hidden = f", {len(question.items)} allowlist items applied" if question.items else ""
    more = "+" if count >= _ROWS and kind == "esql" else ""
    said = f"{count:,}{more} in {DAYS} days{hidden}"
    if not count and empty.issuperset(index_patterns(rule.body)):
        said = "none: there are no events"
    return _Answer(rule.name, Check(what, "ok", said, group=group), count)


def _matching(peer: Peer, question: _Question) -> int:
    """How many events the rule, net of its exceptions, would have alerted on."""
    if search := _search(question):
        return _count(peer, *search)
    parsed = parse_query(str(question.rule.body["language"]), str(question.rule.body["query"]))
    assert parsed.esql is not None  # noqa: S101  # `_search` says the others
    where = "".join(f" | where {condition}" for condition in parsed.esql.conditions)
    sources = ",".join(parsed.esql.sources)
    filters, hidden = _around(question)
    body = {
        "query": f"from {sources} metadata _id{where} | keep _id | limit {_ROWS}",
        "filter": {"bool": {"filter": filters, "must_not": hidden}},
    }
    return len(peer.request("POST", "/_query", body=body)["values"])


def _search(question: _Question) -> tuple[str, dict[str, Any]] | None:
    """Indices and query of the rule; None for ES|QL, which has no `_search`."""
    rule = question.rule
    parsed = parse_query(str(rule.body["language"]), str(rule.body["query"]))
    if parsed.esql is not None:
        return None
    must: list[JsonObject] = []
    if parsed.dsl is not None:
        must.append(parsed.dsl)
    elif parsed.text.strip():
        options = {"query": parsed.text, "analyze_wildcard": True, "time_zone": "Zulu"}
        must.append({"query_string": options})
    filters, hidden = _around(question)
    query = {"bool": {"must": must, "filter": filters, "must_not": hidden}}
    return ",".join(rule.body["index"]), query


def _around(question: _Question) -> tuple[list[JsonObject], list[JsonObject]]:
    """The window of time, and what the exceptions hide."""
    built = build_exception_filter(question.items, question.now, question.values)
    field = str(question.rule.body.get("timestamp_override") or "@timestamp")
    hidden = [built.filter["query"]] if built.filter else []
    hidden += [item_clause(item, question.values) for item in built.after_search]
    return [time_filter(question.window, field)], hidden


def _count(peer: Peer, pattern: str, query: dict[str, Any]) -> int:
    path = f"/{quote(pattern, safe='*,')}/_count"
    answer: JsonObject = peer.request("POST", path, query=_FLAGS, body={"query": query})
    return int(answer["count"])


def _unreadable(what: str, group: str, error: ServerError) -> Check:
    if isinstance(error, NotAuthorized):
        return Check(what, "unknown", "we may not read it", "grant `read`, or ask who may", group)
    return Check(what, "unknown", error.message, error.hint or "", group)
