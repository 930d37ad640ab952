"""The engine on a cluster: the same questions, asked of Elasticsearch itself.

Lucene goes through `query_string` as Kibana sends it, ES|QL through `/_query` and EQL through
`/_eql/search` with the time window and the exceptions in the request's `filter`, which is where
Kibana puts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ruledeploy.engine.aggregation import slices, summary_body, tally_of
from ruledeploy.engine.asking import Asking
from ruledeploy.engine.client import client_errors, failure, reason
from ruledeploy.engine.points import Points
from ruledeploy.engine.protocol import EngineRule, Hits, Indices, Shape, Source, Summary, Window
from ruledeploy.engine.questions import Load, Question
from ruledeploy.engine.quiet import without_warnings
from ruledeploy.engine.rules import refuse_pipe
from ruledeploy.engine.tally import Tally
from ruledeploy.errors import (
    Collector,
    NotAuthorized,
    QueryError,
    RuledeployError,
    Unreachable,
    UnsupportedQuery,
)
from ruledeploy.model import JsonObject
from ruledeploy.query.dates import from_ms, parse_date
from ruledeploy.query.esql import EsqlQuery
from ruledeploy.query.esql_pipe import Drop, Keep
from ruledeploy.query.exceptions import build_exception_filter, is_expired, item_clause
from ruledeploy.query.parse import ParsedQuery, parse_query

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_TIMESTAMP = "@timestamp"
_PAGE = 5_000
# esql.query.result_truncation_max_size: no ES|QL answer is longer.
_ESQL_ROWS = 10_000
# index.max_result_window: no EQL answer is longer.
_EQL_EVENTS = 10_000

Row = tuple[str, str]  # time as sortable text, id


@dataclass(frozen=True, slots=True)
class _Search:
    """One rule on the cluster: where it looks, and the query of its language."""

    rule: EngineRule
    query: ParsedQuery
    index: str
    window: Window | None
    filter: JsonObject | None = None


class ElasticsearchEngine:
    """Runs rules on a cluster; `client` is an `elasticsearch.Elasticsearch`.

    `summarize` cuts its window into pieces of at most `slice_width`, and keeps to `load`.
    """

    def __init__(
        self,
        client: Elasticsearch,
        *,
        url: str = "elasticsearch",
        load: Load | None = None,
        slice_width: timedelta | None = None,
    ) -> None:
        self._client = client
        self._url = url
        self._load = load or Load()
        self._slice_width = slice_width

    def run(
        self, rules: Sequence[EngineRule], source: Source, window: Window | None, now: datetime
    ) -> dict[str, Hits]:
        """The hits of every rule; see `Engine.run`. The source is `Indices`.

        Raises ServerError when the cluster fails, Unreachable when there is none.
        """
        collector = Collector()
        out: dict[str, Hits] = {}
        for rule in rules:
            with collector.collect(), self._errors(rule):
                out[rule.rule_id] = self._hits(_search(rule, source, window), now)
            if any(map(_concerns_all, collector.errors)):
                break
        collector.raise_if_any()
        return out

    def summarize(
        self,
        rules: Sequence[EngineRule],
        source: Source,
        window: Window | None,
        now: datetime,
        shape: Shape,
    ) -> dict[str, Summary]:
        """What every rule finds, summed up; see `Summarizer.summarize`. The source is `Indices`.

        Lucene and KQL are counted where the events are. Of ES|QL and EQL the ids are fetched, and
        the events behind them counted there. Values are counted among the 1,000 most frequent of a
        field and slice.
        """
        collector = Collector()
        tallies = {rule.rule_id: Tally() for rule in rules}
        questions: list[Question] = []
        for rule in rules:
            with collector.collect(), self._errors(rule):
                for part in slices(window, self._slice_width):
                    search = _search(rule, source, part)
                    refuse_pipe(rule, search.query)
                    questions += self._questions(search, now, shape, tallies[rule.rule_id])
        collector.raise_if_any()
        failed: dict[str, RuledeployError] = {}
        asking = Asking(self._client, self._load, self.failure)
        with client_errors(self._url):
            for question, answer in asking.answers(questions):
                if isinstance(answer, RuledeployError):
                    failed.setdefault(question.rule_id, answer)
                else:
                    tallies[question.rule_id].add(tally_of(answer, shape))
        for error in failed.values():
            with collector.collect():
                raise error
        collector.raise_if_any()
        return {rule_id: tally.summary(shape) for rule_id, tally in tallies.items()}

    def _questions(
        self, search: _Search, now: datetime, shape: Shape, tally: Tally
    ) -> Iterator[Question]:
        """The searches that sum a rule up; what items hide of ES|QL and EQL is tallied at once."""
        rule, field = search.rule, search.rule.timestamp_field
        hidden, clauses = _exceptions(rule, now)
        if search.query.language in ("lucene", "kuery"):
            body = summary_body(_query(search, None), hidden, clauses, field, shape)
            yield Question(rule.rule_id, search.index, body)
            return
        alerts = self._ids(search, {"bool": {"must_not": hidden}} if hidden else None)
        tally.suppressed.update({id_: len(self._ids(search, c)) for id_, c in clauses.items()})
        for start in range(0, len(alerts), _PAGE):
            ids = {"ids": {"values": list(alerts[start : start + _PAGE])}}
            body = summary_body({"bool": {"filter": [ids]}}, (), {}, field, shape)
            yield Question(rule.rule_id, search.index, body)

    def _hits(self, search: _Search, now: datetime) -> Hits:
        hidden, clauses = _exceptions(search.rule, now)
        extra: JsonObject | None = {"bool": {"must_not": hidden}} if hidden else None
        rows: tuple[JsonObject, ...] = ()
        if search.query.esql is not None and search.query.esql.pipe:
            alerts, rows = self._piped(search, search.query.esql, extra)
        else:
            self._check_columns(search)
            alerts = self._ids(search, extra)
        suppressed = {item_id: self._ids(search, clauses[item_id]) for item_id in sorted(clauses)}
        limit = search.query.esql.limit if search.query.esql else None
        kept = alerts[:limit]
        some = {item: ids for item, ids in suppressed.items() if ids}
        return Hits(len(kept) or len(rows), kept, some, rows)

    def _ids(self, search: _Search, extra: JsonObject | None) -> tuple[str, ...]:
        """Ids of what the query finds where `extra` holds, by time and then id."""
        if search.query.esql:
            rows: Iterable[Row] = self._esql(search, extra)
        elif search.query.language == "eql":
            rows = self._eql(search, extra)
        else:
            rows = self._lucene(search, extra)
        return tuple(identity for _, identity in sorted(rows))

    # --------------------------------------------------------------------------------- Lucene

    def _lucene(self, search: _Search, extra: JsonObject | None) -> Iterator[Row]:
        """Every hit, page by page over a point in time."""
        query = _query(search, extra)
        field = search.rule.timestamp_field
        with Points(self._client) as points:
            after: list[Any] | None = None
            while True:
                answer = self._page(query, points.at(search.index), after, field)
                points.heard(search.index, answer)
                page = answer["hits"]["hits"]
                for hit in page:
                    yield _time_of(hit, field), str(hit["_id"])
                if len(page) < _PAGE:
                    return
                after = page[-1]["sort"]

    def _page(
        self, query: JsonObject, pit: Mapping[str, str], after: list[Any] | None, field: str
    ) -> Mapping[str, Any]:
        answer = self._client.search(
            pit=pit,
            query=dict(query),
            size=_PAGE,
            sort=[{"_shard_doc": "asc"}],
            search_after=after,
            source_includes=[_TIMESTAMP, field],
            track_total_hits=False,
            allow_partial_search_results=False,
        )
        return dict(answer)

    # ---------------------------------------------------------------------------------- ES|QL

    def _check_columns(self, search: _Search) -> None:
        """Let `keep` and `drop` fail on columns that are not there, though we ask for ids alone."""
        esql = search.query.esql
        if esql is None or not any(isinstance(each, Keep | Drop) for each in esql.commands):
            return
        metadata = f" metadata {', '.join(esql.metadata)}" if esql.metadata else ""
        sources = search.index or ",".join(esql.sources)
        with without_warnings():
            self._client.esql.query(query=f"from {sources}{metadata} {esql.rest} | limit 0")

    def _esql(self, search: _Search, extra: JsonObject | None) -> list[Row]:
        """Every row; where an answer is cut off, the window is halved and each half asked."""
        esql = search.query.esql
        if esql is None:
            return []
        field = search.rule.timestamp_field
        where = "".join(f" | where {condition}" for condition in esql.conditions)
        sources = search.index or ",".join(esql.sources)
        text = f"from {sources} metadata _id{where} | keep _id | limit {_ESQL_ROWS}"
        with without_warnings():
            answer = self._client.esql.query(
                query=text, filter={"bool": {"filter": _filters(search, extra)}}
            )
        ids = [str(row[0]) for row in answer["values"]]
        if len(ids) < _ESQL_ROWS:
            return self._timed(search, ids, field)
        return [row for half in _halves(search) for row in self._esql(half, extra)]

    def _piped(
        self, search: _Search, esql: EsqlQuery, extra: JsonObject | None
    ) -> tuple[tuple[str, ...], tuple[JsonObject, ...]]:
        """The events that a pipe leaves, or the rows it groups them to."""
        metadata = ", ".join(dict.fromkeys((*esql.metadata, "_id")))
        sources = search.index or ",".join(esql.sources)
        with without_warnings():
            answer = self._client.esql.query(
                query=f"from {sources} metadata {metadata} {esql.rest}",
                filter={"bool": {"filter": _filters(search, extra)}},
            )
        names = [str(column["name"]) for column in answer["columns"]]
        rows = tuple(dict(zip(names, row, strict=True)) for row in answer["values"])
        if esql.aggregates:
            return (), rows
        if "_id" not in names:
            message = "the query leaves no _id to know its events by"
            raise QueryError(message, hint="keep _id")
        timed = self._timed(search, [str(row["_id"]) for row in rows], search.rule.timestamp_field)
        return tuple(identity for _, identity in sorted(timed)), ()

    def _timed(self, search: _Search, ids: list[str], field: str) -> list[Row]:
        """The ids with their times, which rows of a pipe need not have."""
        out: list[Row] = []
        for start in range(0, len(ids), _PAGE):
            some = ids[start : start + _PAGE]
            answer = self._client.search(
                index=search.index,
                query={"ids": {"values": some}},
                size=len(some),
                source_includes=[_TIMESTAMP, field],
            )
            out.extend((_time_of(hit, field), str(hit["_id"])) for hit in answer["hits"]["hits"])
        return out

    # ------------------------------------------------------------------------------------ EQL

    def _eql(self, search: _Search, extra: JsonObject | None) -> list[Row]:
        """Every event, with the exceptions in the request's `filter`; halved as ES|QL is."""
        from elasticsearch import ApiError  # noqa: PLC0415 - loads slowly

        field = search.rule.timestamp_field
        try:
            answer = self._client.eql.search(
                index=search.index,
                query=search.query.text,
                filter={"bool": {"filter": _filters(search, extra)}},
                size=_EQL_EVENTS,
                ignore_unavailable=True,
            )
        except ApiError as error:
            if "no handler found" not in str(error.body):
                raise
            raise UnsupportedQuery(
                "this cluster has no EQL: it runs without Elasticsearch's x-pack-eql module",
                hint="use the embedded engine, or another language",
            ) from error
        events = answer["hits"]["events"]
        if len(events) < _EQL_EVENTS:
            return [(_time_of(event, field), str(event["_id"])) for event in events]
        return [row for half in _halves(search) for row in self._eql(half, extra)]

    # --------------------------------------------------------------------------------- errors

    @contextmanager
    def _errors(self, rule: EngineRule) -> Iterator[None]:
        """Say a client's error in our words, and of which rule it is."""
        from elasticsearch import ApiError  # noqa: PLC0415 - loads slowly

        with client_errors(self._url):
            try:
                yield
            except QueryError as error:
                message = f"rule {rule.rule_id}: {error.message}"
                position = error.position
                raise type(error)(message, position=position, hint=error.hint) from error
            except ApiError as error:
                raise self.failure(rule.rule_id, error.body, error.status_code) from error

    def failure(self, rule_id: str, body: Any, status: int) -> RuledeployError:
        """The error that an answer with an error body is."""
        message = f"rule {rule_id}: {reason(body)}"
        if status == 400:  # noqa: PLR2004 - the cluster refuses the query
            return QueryError(message)
        return failure(message, status, self._url)


def _concerns_all(error: RuledeployError) -> bool:
    """Whether the next rule would meet the same: nobody answers, or nobody knows us."""
    return isinstance(error, Unreachable) or (
        isinstance(error, NotAuthorized) and error.status == 401  # noqa: PLR2004 - unauthenticated
    )


def _halves(search: _Search) -> tuple[_Search, _Search]:
    """The same search on both halves of its window."""
    window = search.window or Window(
        datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    )
    middle = window.start + (window.end - window.start) / 2
    middle = from_ms(int(middle.timestamp() * 1000))
    after = middle + timedelta(milliseconds=1)
    if after > window.end:
        raise RuledeployError(
            f"rule {search.rule.rule_id}: over {_ESQL_ROWS} events in one millisecond"
        )
    first, second = Window(window.start, middle), Window(after, window.end)
    return replace(search, window=first), replace(search, window=second)


def _search(rule: EngineRule, source: Source, window: Window | None) -> _Search:
    if not isinstance(source, Indices):
        raise RuledeployError(
            "the elasticsearch engine reads indices", hint="load the events first"
        )
    query = parse_query(rule.language, rule.query)
    patterns = query.esql.sources if query.esql else rule.index
    return _Search(rule, query, source.pattern or ",".join(patterns), window, source.filter)


def rule_query(rule: EngineRule) -> JsonObject | None:
    """What a rule in Lucene or KQL asks, as Kibana sends it; None for other languages.

    Raises QueryError. Exceptions and the window are left out.
    """
    search = _search(rule, Indices(), None)
    return _query(search, None) if search.query.language in ("lucene", "kuery") else None


def request_of(rule: EngineRule, window: Window, now: datetime) -> tuple[str, JsonObject]:
    """Path and body of the request whose answer is what a rule alerts on in a window.

    Raises QueryError.
    """
    search = _search(rule, Indices(), window)
    hidden, _ = _exceptions(rule, now)
    extra: JsonObject | None = {"bool": {"must_not": hidden}} if hidden else None
    language, text = search.query.language, search.query.text
    if language in ("lucene", "kuery"):
        return f"/{search.index}/_search", {"query": _query(search, extra)}
    path = "/_query" if language == "esql" else f"/{search.index}/_eql/search"
    return path, {"query": text, "filter": {"bool": {"filter": _filters(search, extra)}}}


def _exceptions(rule: EngineRule, now: datetime) -> tuple[list[JsonObject], dict[str, JsonObject]]:
    """What hides events, and the clause of each item.

    Items that Kibana applies after the search are applied with it: the hits are the same.
    """
    built = build_exception_filter(rule.items, now, rule.value_lists)
    clauses = {
        str(item["item_id"]): item_clause(item, rule.value_lists)
        for item in rule.items
        if not is_expired(item, now)
    }
    hidden = [built.filter["query"]] if built.filter else []
    return hidden + [clauses[str(item["item_id"])] for item in built.after_search], clauses


def _query(search: _Search, extra: JsonObject | None) -> JsonObject:
    """The query of a search in Lucene or KQL, as Kibana sends it."""
    text = search.query.text
    must: list[JsonObject] = []
    if search.query.dsl is not None:
        must.append(search.query.dsl)
    elif text.strip():
        options = {"query": text, "analyze_wildcard": True, "time_zone": "Zulu"}
        must.append({"query_string": options})
    return {"bool": {"must": must, "filter": _filters(search, extra)}}


def _filters(search: _Search, extra: JsonObject | None) -> list[JsonObject]:
    filters = [one for one in (extra, search.filter) if one is not None]
    if search.window is not None:
        filters.append(time_filter(search.window, search.rule.timestamp_field))
    return filters


def time_filter(window: Window, field: str) -> JsonObject:
    """The window on a timestamp field, with `@timestamp` where the field is missing."""
    bounds = {
        "gte": window.start.astimezone(UTC).isoformat(timespec="milliseconds"),
        "lte": window.end.astimezone(UTC).isoformat(timespec="milliseconds"),
        "format": "strict_date_optional_time",
    }
    main = {"range": {field: bounds}}
    if field == _TIMESTAMP:
        return main
    missing = {"bool": {"must_not": {"exists": {"field": field}}}}
    fallback = {"bool": {"filter": [{"range": {_TIMESTAMP: bounds}}, missing]}}
    return {"bool": {"should": [main, fallback], "minimum_should_match": 1}}


def _time_of(hit: Mapping[str, Any], field: str) -> str:
    """The hit's time as text that sorts: milliseconds, padded."""
    for name in (field, _TIMESTAMP):
        value: Any = hit.get("_source", {})
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        flat = hit.get("_source", {}).get(name, value)
        span = None if flat is None or isinstance(flat, list) else parse_date(flat)
        if span is not None:
            return f"{span.first + 2**62:020d}"
    return ""
