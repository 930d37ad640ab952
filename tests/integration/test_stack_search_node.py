"""The stack's own Elasticsearch side beside a real node: the same documents, the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError, helpers

from ruledeploy.stack import running_stack
from support.elasticsearch_node import FreshIndex, Node

MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "host": {"properties": {"name": {"type": "keyword"}}},
        "n": {"type": "long"},
        "rare": {"type": "long"},
        "score": {"type": "double"},
        "ok": {"type": "boolean"},
        "tags": {"type": "keyword"},
    }
}
BY_TIME = {"size": 5, "sort": [{"@timestamp": "desc"}], "_source": ["n"]}
HISTOGRAM = {"date_histogram": {"field": "@timestamp", "fixed_interval": "6h"}}
SEARCHES: dict[str, dict[str, Any]] = {
    "sorted": {"size": 7, "sort": [{"n": "desc"}]},
    "by two": {"size": 20, "sort": [{"host.name": "asc"}, {"@timestamp": "desc"}]},
    "missing last": {"size": 30, "sort": [{"score": "asc"}, {"n": "asc"}]},
    "next page": {"size": 4, "sort": [{"n": "asc"}], "search_after": [11]},
    "from": {"from": 5, "size": 3, "sort": ["n"]},
    "source": {"size": 2, "sort": ["n"], "_source": {"includes": ["host.*", "n"]}},
    "no source": {"size": 2, "sort": ["n"], "_source": False},
    "excluded": {"size": 2, "sort": ["n"], "_source": {"excludes": ["host", "tags"]}},
    "total": {"size": 0, "track_total_hits": 5},
    "no total": {"size": 1, "sort": ["n"], "track_total_hits": False},
    "version": {"size": 1, "sort": ["n"], "version": True, "seq_no_primary_term": True},
    "query": {
        "size": 20,
        "sort": ["n"],
        "query": {
            "bool": {
                "filter": [{"range": {"n": {"gte": 5, "lt": 20}}}, {"exists": {"field": "score"}}],
                "must_not": [{"term": {"host.name": "a"}}],
                "should": [{"terms": {"tags": ["x", "y"]}}, {"prefix": {"tags": "z"}}],
                "minimum_should_match": 1,
            }
        },
    },
}
AGGREGATIONS: dict[str, dict[str, Any]] = {
    "terms": {"terms": {"field": "host.name"}},
    "terms of many values": {"terms": {"field": "tags", "size": 2}},
    "terms by key": {"terms": {"field": "tags", "order": {"_key": "desc"}}},
    "terms by a metric": {
        "terms": {"field": "host.name", "order": {"most": "desc"}},
        "aggs": {"most": {"max": {"field": "n"}}},
    },
    "terms by count, then key": {
        "terms": {"field": "tags", "order": [{"_count": "asc"}, {"_key": "desc"}]}
    },
    **{
        f"terms by {metric}, {order}": {
            "terms": {"field": "host.name", "order": [{"m": order}, {"_key": "asc"}]},
            "aggs": {"m": {metric: {"field": "rare"}}},
        }
        for metric in ("min", "max", "sum", "avg", "cardinality", "value_count")
        for order in ("asc", "desc")
    },
    "terms with a stand-in": {"terms": {"field": "tags", "missing": "none"}},
    "frequent terms": {"terms": {"field": "host.name", "min_doc_count": 9}},
    "numbers": {"terms": {"field": "n", "size": 3, "order": {"_key": "asc"}}},
    "booleans": {"terms": {"field": "ok"}},
    "histogram": HISTOGRAM,
    "days": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day"}},
    "weeks": {"date_histogram": {"field": "@timestamp", "calendar_interval": "week"}},
    "months": {"date_histogram": {"field": "@timestamp", "calendar_interval": "month"}},
    "no empty hours": {
        "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1}
    },
    "histogram in milliseconds": {
        "date_histogram": {"field": "@timestamp", "fixed_interval": "86400000ms"}
    },
    "histogram by host": {**HISTOGRAM, "aggs": {"hosts": {"terms": {"field": "host.name"}}}},
    "filter": {"filter": {"term": {"ok": True}}, "aggs": {"n": {"sum": {"field": "n"}}}},
    "filters": {
        "filters": {"filters": {"a": {"term": {"host.name": "a"}}, "none": {"term": {"n": -1}}}}
    },
    "missing": {"missing": {"field": "score"}},
    "top hits": {
        "terms": {"field": "host.name"},
        "aggs": {"last": {"top_hits": {"size": 1, "sort": [{"n": "desc"}], "_source": ["n"]}}},
    },
    "cardinality": {"cardinality": {"field": "tags"}},
    "count": {"value_count": {"field": "tags"}},
    "least": {"min": {"field": "n"}},
    "last time": {"max": {"field": "@timestamp"}},
    "sum": {"sum": {"field": "score"}},
    "average": {"avg": {"field": "score"}},
    "average of nothing": {"avg": {"field": "nowhere"}},
}


@pytest.fixture(scope="module")
def both(
    node: Node, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Elasticsearch, Elasticsearch]]:
    """The node, and the stack's side, through the official client."""
    with (
        running_stack(tmp_path_factory.mktemp("stack")) as running,
        Elasticsearch(running.elasticsearch_url) as stack,
    ):
        yield node.client, stack


@pytest.fixture
def index(both: tuple[Elasticsearch, Elasticsearch], fresh_index: FreshIndex) -> str:
    """The same index on both, with thirty documents."""
    name = fresh_index("docs")
    operations: list[dict[str, Any]] = []
    for n in range(30):
        document: dict[str, Any] = {
            "@timestamp": f"2026-{10 + n // 20}-{1 + n % 20:02}T{(n * 7) % 24:02}:00:00.000Z",
            "host": {"name": "abc"[n % 3]},
            "n": n,
            "ok": n % 4 == 0,
        }
        if n % 3 != 1:
            document["rare"] = n - 15
        if n % 5:
            document["score"] = n / 4
        if n % 7:
            document["tags"] = [("x", "y", "zz")[n % 3], "all"] if n % 2 else "x"
        operations += [{"index": {"_id": f"d{n}"}}, document]
    for client in both:
        client.indices.create(index=name, mappings=MAPPINGS)
        client.bulk(index=name, operations=operations, refresh=True)
    return name


def plain(value: Any) -> Any:
    """An answer without what no two servers share: times, scores, shards, and float dust."""
    match value:
        case dict():
            own = {"took", "_shards", "max_score", "_score", "_seq_no", "value_as_string"}
            return {key: plain(inner) for key, inner in value.items() if key not in own}
        case list():
            return [plain(inner) for inner in value]
        case float():
            return round(value, 6)
        case _:
            return value


@pytest.mark.parametrize("name", SEARCHES)
def test_searches(both: tuple[Elasticsearch, Elasticsearch], index: str, name: str) -> None:
    """Hits, their order, what is shown of them, the total."""
    node, stack = (client.search(index=index, body=SEARCHES[name]).body for client in both)
    assert plain(stack) == plain(node)


@pytest.mark.parametrize(
    "body", [{}, {"sort": ["_doc"]}, {"sort": [{"host.name": "asc"}, {"n": "desc"}]}]
)
def test_a_scroll_goes_through_all(
    both: tuple[Elasticsearch, Elasticsearch], index: str, body: dict[str, Any]
) -> None:
    """Page by page to the empty one, each hit once; the client's own helper over it; then freed."""
    told = []
    for client in both:
        page = client.search(index=index, body={"size": 7, **body}, scroll="1m")
        pages = []
        while hits := page["hits"]["hits"]:
            # What `_doc` sorts by is a server's own affair.
            by_field = body.get("sort") not in (None, ["_doc"])
            pages.append([(hit["_id"], hit["sort"] if by_field else None) for hit in hits])
            assert page["hits"]["total"]["value"] == 30
            page = client.scroll(scroll_id=page["_scroll_id"], scroll="1m")
        freed = client.clear_scroll(scroll_id=page["_scroll_id"])
        scanned = sorted(hit["_id"] for hit in helpers.scan(client, index=index, size=4))
        told.append((pages, freed["succeeded"], scanned))
    assert told[1] == told[0]


@pytest.mark.parametrize("options", [{"from": 3}, {"size": 0}])
def test_a_scroll_that_cannot_be(
    both: tuple[Elasticsearch, Elasticsearch], index: str, options: dict[str, int]
) -> None:
    """Refused for the same reason."""
    reasons = []
    for client in both:
        with pytest.raises(BadRequestError) as refused:
            client.search(index=index, scroll="1m", body=options)
        reasons.append((refused.value.error, refused.value.body["error"]["reason"]))
    assert reasons[1] == reasons[0]


def test_a_scroll_id_that_is_none(both: tuple[Elasticsearch, Elasticsearch]) -> None:
    """Refused, to go on with and to free."""
    for client in both:
        for use in (client.scroll, client.clear_scroll):
            with pytest.raises(BadRequestError):
                use(scroll_id="nonsense")


def test_aggregations(both: tuple[Elasticsearch, Elasticsearch], index: str) -> None:
    """Every kind, alone and nested; all differences at once."""
    body = {"size": 0, "query": {"range": {"n": {"gte": 1}}}, "aggs": AGGREGATIONS}
    node, stack = (client.search(index=index, body=body)["aggregations"] for client in both)
    different = {
        name: (plain(stack[name]), plain(node[name]))
        for name in AGGREGATIONS
        if plain(stack[name]) != plain(node[name])
    }
    assert different == {}


def test_many_in_one_request(both: tuple[Elasticsearch, Elasticsearch], index: str) -> None:
    """`_msearch` and `_mget`: answers beside errors, in the order asked."""
    searches: list[Any] = [
        {"index": index},
        BY_TIME,
        {"index": "nowhere-at-all"},
        BY_TIME,
        {},
        {"size": 0},
    ]
    got = []
    for client in both:
        found = client.msearch(index=index, searches=searches)["responses"]
        errors = [one.get("error", {}).get("type") for one in found]
        read = client.mget(index=index, ids=["d1", "none"], source_includes=["n"])["docs"]
        shown = [(one["_id"], one["found"], one.get("_source")) for one in read]
        got.append((plain(found[0]), [one["status"] for one in found], errors, shown))
    assert got[0] == got[1]


def test_updates(both: tuple[Elasticsearch, Elasticsearch], index: str) -> None:
    """A part is merged in; nothing new is no write; a missing document is refused or made."""
    told = []
    for client in both:
        outcomes = [
            client.update(index=index, id="d1", doc={"host": {"ip": "1.2.3.4"}})["result"],
            client.update(index=index, id="d1", doc={"n": 1})["result"],
            client.update(index=index, id="new", doc={"n": 99}, doc_as_upsert=True)["result"],
        ]
        with pytest.raises(NotFoundError) as missing:
            client.update(index=index, id="none", doc={"n": 1})
        operations: list[Any] = [
            {"update": {"_id": "d2"}},
            {"doc": {"n": 77}},
            {"delete": {"_id": "d3"}},
        ]
        bulk = client.bulk(index=index, operations=operations, refresh=True)
        results = [(name, one["result"]) for item in bulk["items"] for name, one in item.items()]
        sources = [client.get(index=index, id=one)["_source"] for one in ("d1", "d2", "new")]
        told.append((outcomes, missing.value.error, results, sources))
    assert told[0] == told[1]


def test_esql(both: tuple[Elasticsearch, Elasticsearch], index: str) -> None:
    """Columns with their types, dates as texts, several values as a list."""
    columns = "n, @timestamp, host.name, tags, ok, score"
    query = f"from {index} | where n >= 27 | keep {columns} | limit 9"
    answers = []
    for client in both:
        answer = client.esql.query(query=query)
        answers.append((answer["columns"], sorted(answer["values"])))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "pipe",
    [
        "stats n = count(*), latest = max(@timestamp), tags = values(tags) by host.name",
        "stats s = sum(score), m = avg(n) by ok | where m > 3 | eval d = m * 2",
        "eval hour = date_trunc(6 hours, @timestamp) | stats count(*) by hour",
        "eval double = n * 2, host = to_upper(host.name) | sort double desc | keep host, double, n",
    ],
)
def test_esql_that_computes(
    both: tuple[Elasticsearch, Elasticsearch], index: str, pipe: str
) -> None:
    """Columns with their types and order, values as texts where JSON has them so."""
    answers = []
    for client in both:
        answer = client.esql.query(query=f"from {index} | {pipe} | limit 100")
        rows = [[sorted(v) if isinstance(v, list) else v for v in row] for row in answer["values"]]
        answers.append((answer["columns"], sorted(plain(rows), key=str)))
    assert answers[0] == answers[1]


OPEN_DOCUMENTS: list[dict[str, Any]] = [
    {
        "n": 9,
        "f": 1.5,
        "ok": True,
        "day": "2026-11-24",
        "text": "Some words",
        "o": {"k": ["a", "7"]},
    },
    {"n": 10, "f": 2, "year": "2026", "text": "2026-11-24", "list": [{"x": 1}, {"x": 2, "y": "b"}]},
    {
        "@timestamp": "2026-11-24T10:00:00Z",
        "name": "a",
        "pid": 4,
        "raw": {"any": 1},
        "shut": {"u": 1},
    },
    {"n": "11", "o": {"k": "A"}, "path_s": "C:\\x", "path_n": 5, "none": None, "empty": []},
]
OPEN_MAPPINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "partly": {"properties": {"name": {"type": "keyword"}, "o": {"properties": {}}}},
    "parts closed": {
        "properties": {
            "raw": {"type": "flattened"},
            "shut": {"dynamic": False, "properties": {"v": {"type": "long"}}},
        }
    },
    "templates": {
        "date_detection": False,
        "dynamic_templates": [
            {"numbers": {"path_match": "path_*", "unmatch": "*_s", "mapping": {"type": "double"}}},
            {"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}},
            {"rest": {"match": ["p*"], "mapping": {"type": "{dynamic_type}", "index": True}}},
        ],
        "properties": {"name": {"type": "keyword"}},
    },
}


@pytest.mark.parametrize("name", OPEN_MAPPINGS)
def test_open_mappings_learn_from_documents(
    both: tuple[Elasticsearch, Elasticsearch], fresh_index: FreshIndex, name: str
) -> None:
    """The fields, their types, and what a search in them finds."""
    index = fresh_index("open")
    queries: list[dict[str, Any]] = [
        {"range": {"n": {"gte": 10}}},
        {"range": {"day": {"gte": "2026-11-24||/M"}}},
        {"range": {"@timestamp": {"gt": "2026-11-24T09:59:00Z"}}},
        {"term": {"text": "words"}},
        {"term": {"o.k": "a"}},
        {"match": {"text": "some"}},
        {"range": {"path_n": {"lt": 30}}},
        {"exists": {"field": "shut.u"}},
    ]
    told = []
    for client in both:
        client.indices.create(index=index, mappings=OPEN_MAPPINGS[name])
        for number, document in enumerate(OPEN_DOCUMENTS):
            client.index(index=index, id=f"d{number}", document=document, refresh=True)
        fields = client.field_caps(index=index, fields="*")["fields"]
        types = {
            path: sorted(caps)
            for path, caps in fields.items()
            if not any(one["metadata_field"] for one in caps.values()) and "object" not in caps
        }
        found = []
        for query in queries:
            hits = client.search(index=index, query=query)["hits"]["hits"]
            found.append(sorted(hit["_id"] for hit in hits))
        told.append((types, found))
    assert told[1] == told[0]


@pytest.mark.parametrize(
    "pipe",
    [
        "",
        "| where n > 27",
        "| keep s*, host.*, n",
        "| keep *, n | drop tags",
        "| keep n, host.name, *",
        "| keep t*, ta*, tags, r*",
        "| rename n as number, ok as tags",
        "| rename host.name as n",
        "| eval m = n + 1, n = 5, ok = m | drop s*",
        "| eval x = 1 | rename x as y | keep y, *",
        "| stats c = count(*), m = max(n) by host.name | eval z = c | drop c",
        "| sort n desc | limit 2",
    ],
)
@pytest.mark.parametrize("metadata", ["", " metadata _id, _index, _version"])
def test_esql_shows_columns_in_order(
    both: tuple[Elasticsearch, Elasticsearch], index: str, metadata: str, pipe: str
) -> None:
    """All that are mapped where no `keep` says otherwise, metadata last."""
    told = []
    for client in both:
        query = f"from {index}{metadata} {pipe} | limit 100"
        answers = [client.esql.query(query=query, drop_null_columns=drop) for drop in (False, True)]
        told.append(
            [
                (answer["columns"], answer.get("all_columns"), sorted(map(str, answer["values"])))
                for answer in answers
            ]
        )
    assert told[1] == told[0]


def test_esql_by_columns(both: tuple[Elasticsearch, Elasticsearch], index: str) -> None:
    """The values of each column together; none of no rows."""
    for limit in (3, 0):
        query = f"from {index} | sort n | keep n, host.name | limit {limit}"
        told = [client.esql.query(query=query, columnar=True)["values"] for client in both]
        assert told[1] == told[0]


@pytest.mark.parametrize("option", [{"size": 2}, {"no_such": True}, {"queri": "from x"}])
def test_an_option_of_esql_that_is_none(
    both: tuple[Elasticsearch, Elasticsearch], index: str, option: dict[str, Any]
) -> None:
    """Refused in the body and in the URL."""
    body = {"query": f"from {index} | limit 1", **option}
    headers = {"accept": "application/json", "content-type": "application/json"}
    for client in both:
        with pytest.raises(BadRequestError, match="unknown field"):
            client.perform_request("POST", "/_query", headers=headers, body=body)
        path = f"/_query?{next(iter(option))}=1"
        with pytest.raises(BadRequestError, match="unrecognized parameter"):
            client.perform_request("POST", path, headers=headers, body={"query": body["query"]})


@pytest.mark.parametrize(
    "lines",
    [b'{"index":{}}\n', b'{"index":{}}\nnot json\n', b'["index"]\n{}\n', b'{"touch":{}}\n{}\n'],
)
def test_a_broken_bulk_is_refused(
    both: tuple[Elasticsearch, Elasticsearch], index: str, lines: bytes
) -> None:
    """Or its broken line is told, as the node does; never a failure of the server."""
    headers = {"accept": "application/json", "content-type": "application/x-ndjson"}
    outcomes = []
    for client in both:
        try:
            told = client.perform_request("POST", f"/{index}/_bulk", headers=headers, body=lines)
            outcomes.append(told.body["errors"])
        except BadRequestError:
            outcomes.append(True)
    assert outcomes == [True, True]
