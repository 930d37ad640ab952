"""The Elasticsearch side, driven by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from elasticsearch import (
    BadRequestError,
    ConflictError,
    Elasticsearch,
    NotFoundError,
    helpers,
)

STREAM = "logs-windows.sysmon_operational-{}"


@pytest.fixture
def es(stack_urls: tuple[str, str]) -> Iterator[Elasticsearch]:
    """The official client, which checks the product header."""
    with Elasticsearch(stack_urls[1]) as client:
        yield client


@pytest.fixture
def index(space: str) -> str:
    """An index nobody else uses."""
    return f"x-{space.replace('_', '-')}"


@pytest.fixture
def stream(es: Elasticsearch, space: str) -> str:
    """A data stream with ten Sysmon events, one a minute."""
    name = STREAM.format(space.replace("-", "_")[:30])
    actions = [
        {
            "_op_type": "create",
            "_index": name,
            "@timestamp": f"2026-11-23T00:{n:02}:00.000Z",
            "event": {"code": str(n % 2), "id": f"e{n}"},
            "process": {"name": f"p{n}.exe", "pid": n},
            "winlog": {"event_data": {"TargetImage": "C:\\Windows\\lsass.exe"}},
        }
        for n in range(10)
    ]
    done, errors = helpers.bulk(es, actions)
    assert (done, errors) == (10, [])
    return name


def test_info_and_health(es: Elasticsearch) -> None:
    """What clients and health checks ask first."""
    assert es.info()["version"]["number"] == "9.5.1"
    assert es.ping()
    assert es.cluster.health()["status"] == "green"


def test_the_licence_allows_everything(es: Elasticsearch) -> None:
    """A trial that does not end."""
    found = es.license.get()["license"]
    assert (found["type"], found["status"]) == ("trial", "active")


def test_create_is_refused_the_second_time(es: Elasticsearch, index: str) -> None:
    """`_create` is what locks are made of."""
    made = es.create(index=index, id="1", document={"a": 1})
    assert (made["result"], made["_version"]) == ("created", 1)
    with pytest.raises(ConflictError) as refused:
        es.create(index=index, id="1", document={"a": 2})
    assert refused.value.error == "version_conflict_engine_exception"
    assert es.get(index=index, id="1")["_source"] == {"a": 1}


def test_a_write_on_another_version_is_refused(es: Elasticsearch, index: str) -> None:
    """Optimistic locking by sequence number and primary term."""
    first = es.index(index=index, id="1", document={"a": 1})
    lock = {"if_seq_no": first["_seq_no"], "if_primary_term": first["_primary_term"]}
    second = es.index(index=index, id="1", document={"a": 2}, **lock)
    assert (second["result"], second["_version"]) == ("updated", 2)
    with pytest.raises(ConflictError):
        es.index(index=index, id="1", document={"a": 3}, **lock)
    with pytest.raises(ConflictError):
        es.delete(index=index, id="1", **lock)
    assert es.get(index=index, id="1")["_source"] == {"a": 2}


def test_what_is_not_there(es: Elasticsearch, index: str) -> None:
    """A missing index and a missing document are told apart; a wildcard finds nothing."""
    with pytest.raises(NotFoundError) as missing:
        es.get(index=index, id="1")
    assert missing.value.error == "index_not_found_exception"
    es.indices.create(index=index)
    with pytest.raises(NotFoundError) as absent:
        es.get(index=index, id="1")
    assert absent.value.body["found"] is False
    assert not es.exists(index=index, id="1")
    assert es.search(index="nothing-*")["hits"]["total"]["value"] == 0
    with pytest.raises(NotFoundError):
        es.search(index="nothing")
    assert es.search(index="nothing", ignore_unavailable=True)["hits"]["hits"] == []


def test_an_index_is_created_once(es: Elasticsearch, index: str) -> None:
    """And deleted with its documents."""
    es.indices.create(index=index, mappings={"properties": {"n": {"type": "long"}}})
    with pytest.raises(BadRequestError) as taken:
        es.indices.create(index=index)
    assert taken.value.error == "resource_already_exists_exception"
    assert es.indices.exists(index=index)
    es.indices.delete(index=index)
    assert not es.indices.exists(index=index)


def test_bulk_tells_what_failed(es: Elasticsearch, index: str) -> None:
    """HTTP 200 with `errors`, one outcome per action."""
    action = {"create": {"_index": index, "_id": "1"}}
    done = es.bulk(operations=[action, {"a": 1}, action, {"a": 2}])
    assert done["errors"] is True
    assert [item["create"]["status"] for item in done["items"]] == [201, 409]


def test_a_data_stream_takes_creates_only(es: Elasticsearch, stream: str) -> None:
    """And shows its backing index as `_index`."""
    done = es.bulk(operations=[{"index": {"_index": stream}}, {"@timestamp": "2026-11-23"}])
    assert done["items"][0]["index"]["status"] == 400
    hit = es.search(index=stream, size=1)["hits"]["hits"][0]
    assert hit["_index"].startswith(f".ds-{stream}-")


def test_search_sorts_and_pages(es: Elasticsearch, stream: str) -> None:
    """Query DSL, from and size, sort values, `_source` patterns."""
    found = es.search(
        index=f"{stream[:-3]}*",
        query={"bool": {"filter": [{"term": {"event.code": "1"}}]}},
        sort=[{"@timestamp": {"order": "desc"}}],
        from_=1,
        size=2,
        source={"includes": ["process.name"]},
        track_total_hits=True,
    )
    assert found["hits"]["total"] == {"value": 5, "relation": "eq"}
    assert [h["_source"] for h in found["hits"]["hits"]] == [
        {"process": {"name": "p7.exe"}},
        {"process": {"name": "p5.exe"}},
    ]
    assert found["hits"]["hits"][0]["sort"] == [1795392420000]


def test_search_after_a_point_in_time(es: Elasticsearch, stream: str) -> None:
    """All hits come once, page by page."""
    pit = es.open_point_in_time(index=stream, keep_alive="1m")["id"]
    seen: list[str] = []
    after: Any = None
    while True:
        hits = es.search(
            pit={"id": pit}, size=4, sort=["@timestamp", "_shard_doc"], search_after=after
        )["hits"]["hits"]
        if not hits:
            break
        seen += [hit["_source"]["event"]["id"] for hit in hits]
        after = hits[-1]["sort"]
    es.close_point_in_time(id=pit)
    assert seen == [f"e{n}" for n in range(10)]


def test_fields_have_the_types_of_their_family(es: Elasticsearch, stream: str) -> None:
    """Sysmon's own table: ranges on numbers, wildcards on event data."""
    numbers = {"range": {"process.pid": {"gte": 8}}}
    assert es.count(index=stream, query=numbers)["count"] == 2
    paths = {"wildcard": {"winlog.event_data.TargetImage": "*\\\\lsass.exe"}}
    assert es.count(index=stream, query=paths)["count"] == 10
    caps = es.field_caps(index=stream, fields="process.pid")["fields"]
    assert caps["process.pid"]["long"]["searchable"] is True
    resolved = es.indices.resolve_index(name=stream)
    assert resolved["data_streams"][0]["name"] == stream


def test_a_query_we_do_not_evaluate_is_refused(es: Elasticsearch, stream: str) -> None:
    """400, never a guess."""
    with pytest.raises(BadRequestError) as refused:
        es.search(index=stream, query={"fuzzy": {"process.name": "x"}})
    assert "fuzzy" in str(refused.value)


def test_any_other_index_maps_what_it_holds(es: Elasticsearch, index: str) -> None:
    """Texts get a keyword beside them, numbers and dates sort as such."""
    for n in (2, 10, 1):
        es.index(index=index, id=str(n), document={"n": n, "name": "Two Words", "state": "done"})
    found = es.search(index=index, sort=[{"n": "desc"}])["hits"]["hits"]
    assert [hit["_source"]["n"] for hit in found] == [10, 2, 1]
    assert es.count(index=index, query={"match": {"name": "words"}})["count"] == 3
    assert es.count(index=index, query={"term": {"name.keyword": "Two Words"}})["count"] == 3
    assert es.count(index=index, query={"term": {"state": "done"}})["count"] == 3
    assert es.delete_by_query(index=index, query={"ids": {"values": ["2"]}})["deleted"] == 1
    assert es.count(index=index)["count"] == 2


def test_a_template_gives_the_mappings(es: Elasticsearch, index: str) -> None:
    """With `dynamic` off, a field that is not mapped is not searchable."""
    es.indices.put_index_template(
        name=index,
        index_patterns=[f"{index}-*"],
        template={"mappings": {"dynamic": False, "properties": {"a": {"type": "keyword"}}}},
    )
    es.index(index=f"{index}-1", document={"a": "x", "b": "x"})
    assert es.count(index=f"{index}-1", query={"term": {"a": "x"}})["count"] == 1
    assert es.count(index=f"{index}-1", query={"term": {"b": "x"}})["count"] == 0


def test_a_template_that_is_open_learns_the_rest(es: Elasticsearch) -> None:
    """A number is compared as one, and a stream has its time, though the template names neither."""
    body = {"mappings": {"properties": {"process": {"properties": {"name": {"type": "keyword"}}}}}}
    es.indices.put_index_template(
        name="open", index_patterns=["logs-open.*"], data_stream={}, priority=500, template=body
    )
    stream = "logs-open.x-default"
    for pid in (9, 10):
        event = {"@timestamp": "2026-11-24T10:00:00Z", "process": {"name": "a", "pid": pid}}
        es.index(index=stream, op_type="create", document=event, id=str(pid))
    since = {"range": {"@timestamp": {"gte": "2026-11-24T09:00:00Z"}}}
    query = {"bool": {"filter": [since, {"range": {"process.pid": {"gt": 9}}}]}}
    assert [hit["_id"] for hit in es.search(index=stream, query=query)["hits"]["hits"]] == ["10"]
    answer = es.esql.query(query=f"from {stream} | sort process.pid | limit 1")
    columns = [(column["name"], column["type"]) for column in answer["columns"]]
    assert columns == [
        ("@timestamp", "date"),
        ("process.name", "keyword"),
        ("process.pid", "long"),
    ]
    assert answer["values"] == [["2026-11-24T10:00:00.000Z", "a", 9]]


def test_numbers_beyond_ecs_are_numbers(es: Elasticsearch) -> None:
    """A stream of `logs-*` maps ECS, and numbers as such beside it."""
    stream = "logs-beyond.ecs-default"
    for count in (9, 10):
        event = {"@timestamp": "2026-11-24T10:00:00Z", "vendor": {"count": count, "word": "A b"}}
        es.index(index=stream, op_type="create", document=event, id=str(count))
    more = {"range": {"vendor.count": {"gt": 9}}}
    exact = {"term": {"vendor.word": "A b"}}
    query = {"bool": {"filter": [more, exact]}}
    assert [hit["_id"] for hit in es.search(index=stream, query=query)["hits"]["hits"]] == ["10"]


def test_data_streams(es: Elasticsearch) -> None:
    """Made, listed and deleted; a plain name that is none is a 404."""
    name = "logs-listed.x-default"
    es.indices.create_data_stream(name=name)
    (listed,) = es.indices.get_data_stream(name="logs-listed.*")["data_streams"]
    assert (listed["name"], listed["timestamp_field"]["name"]) == (name, "@timestamp")
    assert es.indices.delete_data_stream(name=name)["acknowledged"]
    assert es.indices.get_data_stream(name="logs-listed.*")["data_streams"] == []
    with pytest.raises(NotFoundError):
        es.indices.get_data_stream(name=name)


def test_who_am_i(es: Elasticsearch) -> None:
    """A user's realm differs from a key's."""
    assert es.security.authenticate()["authentication_realm"]["type"] == "native1"
    key = es.security.create_api_key(name="k", expiration="1d")
    assert es.security.get_api_key(id=key["id"])["api_keys"][0]["expiration"]
    rights = es.security.has_privileges(index=[{"names": ["logs-*"], "privileges": ["read"]}])
    assert rights["index"]["logs-*"]["read"] is True


def send(stack_urls: tuple[str, str], path: str, body: bytes) -> tuple[int, Any]:
    """Status and answer of a POST whose body is sent as it is."""
    headers = {"content-type": "application/json"}
    url = f"{stack_urls[1]}{path}"
    reply = urllib3.request("POST", url, body=body, headers=headers, retries=False)
    return reply.status, reply.json()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_bulk", b'{"index":{"_index":"x-odd"}}\n{"a": 1}'),
        ("/_bulk", b'{"index":{"_index":"x-odd"}}\n'),
        ("/_bulk", b"\n"),
        ("/_bulk", b""),
        ("/_msearch", b'{}\n{"size":0}'),
        ("/x-odd/_doc", b'{"a":1,"a":2}'),
        ("/x-odd/_doc/" + "i" * 513, b"{}"),
        ("/_search", b'{"query":{"match_all":{}},"query":{"match_none":{}}}'),
        ("/_search", b'{"query":{}}'),
        ("/_search", b'{"size":-1}'),
        ("/_search", b'{"from":-1}'),
        ("/_search", b'{"search_after":[1]}'),
        ("/_search", b'{"sort":[{"a":{"order":"up"}}]}'),
        ("/_search", b'{"pit":{"id":"!!!"}}'),
        ("/_search?size=abc", b"{}"),
        ("/_count?q=a:%5B1", b""),
        ("/_all/_pit", b""),
        ("/_search", b'{"size": NaN}'),
        ("/_msearch", b'{"index": NaN}\n{}\n'),
        ("/_mget", b'{"docs": [{"_index": "x"}]}'),
        ("/_mget", b'{"docs": [{"_id": "x"}]}'),
        ("/_mget", b'{"docs": {"_id": "x"}}'),
        ("/_mget", b'{"docs": [{"_index": ["x"], "_id": "x"}]}'),
        ("/_mget", b'{"ids": ["x"]}'),
        ("/x/_mget", b'{"ids": [null]}'),
        ("/_security/api_key", b'{"name": "x", "expiration": "abc"}'),
        ("/_security/api_key", b'{"name": "x", "expiration": 5}'),
    ],
)
def test_a_malformed_request_is_the_senders_fault(
    stack_urls: tuple[str, str], path: str, body: bytes
) -> None:
    """A 400, never a failure of the server."""
    assert send(stack_urls, path, body)[0] == 400


def test_a_bulk_keeps_what_can_be_written_again(
    es: Elasticsearch, stack_urls: tuple[str, str], index: str
) -> None:
    """Half a character and numbers without end are replaced, as a single write does it."""
    source = b'{"a": "x\\ud800", "@timestamp": 1' + b"0" * 400 + b', "n": 1' + b"0" * 300 + b"}"
    body = b'{"index":{"_index":"%s","_id":"1"}}\n%s\n' % (index.encode(), source)
    status, answer = send(stack_urls, "/_bulk", body)
    assert (status, answer["errors"]) == (200, False)
    found = es.get(index=index, id="1")["_source"]
    assert found == {"a": "x\ufffd", "@timestamp": None, "n": 10**300}


def test_a_date_beyond_all_dates_is_none(es: Elasticsearch, index: str) -> None:
    """The event is kept, and found without its time."""
    es.index(index=index, id="1", document={"@timestamp": 10**300})
    assert es.count(index=index)["count"] == 1


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("terms", {"field": "n", "include": ["1"]}, "include"),
        ("terms", {"field": "n", "exclude": "1.*"}, "exclude"),
        ("date_histogram", {"field": "t", "fixed_interval": "1d", "offset": "6h"}, "offset"),
        ("date_histogram", {"field": "t", "fixed_interval": "1d", "time_zone": "+02:00"}, "+02:00"),
        ("avg", {"field": "n", "missing": 0}, "missing"),
    ],
)
def test_an_option_of_an_aggregation_is_never_left_out_of_account(
    es: Elasticsearch, index: str, kind: str, options: dict[str, Any], named: str
) -> None:
    """What this stack does not know is refused by name."""
    es.index(index=index, document={"n": 1})
    with pytest.raises(BadRequestError) as caught:
        es.search(index=index, aggs={"a": {kind: options}})
    assert named in str(caught.value.body)


def test_a_document_that_is_no_json_fails_alone(es: Elasticsearch, index: str) -> None:
    """The other actions of a bulk request are done."""
    lines = b'{"index":{"_id":"1"}}\n{"a": NaN}\n{"index":{"_id":"2"}}\n{"a": 1}\n'
    answer = es.perform_request(
        "POST",
        f"/{index}/_bulk",
        headers={"content-type": "application/x-ndjson", "accept": "application/json"},
        body=lines,
    )
    assert [item["index"]["status"] for item in answer["items"]] == [400, 201]


def test_urls_and_media_types_are_read_as_elasticsearch_does(
    stack_urls: tuple[str, str], es: Elasticsearch, index: str
) -> None:
    """Slashes too many are none; a body says what it is; another method is told which to use."""
    es.index(index=index, id="1", document={"a": "x"})
    es.index(index=index, id="2", document={"a": "y"})

    def status(method: str, path: str, body: bytes = b"", media: str = "") -> int:
        headers = {"content-type": media} if media else {}
        url = f"{stack_urls[1]}{path}"
        return urllib3.request(method, url, body=body, headers=headers, redirect=False).status

    assert status("GET", f"//{index}/_search/") == 200
    assert status("POST", f"/{index}/_search", b"{}") == 406
    assert status("POST", f"/{index}/_search", b"{}", "application/x-www-form-urlencoded") == 406
    assert status("POST", f"/{index}/_search", b"{}", "Application/JSON; charset=utf-8") == 200
    assert status("DELETE", f"/{index}/_search") == 405
    assert es.count(index=index, q="a:x")["count"] == 1
    assert len(es.search(index=index, body={"size": "1"})["hits"]["hits"]) == 1


def test_eql_finds_single_events(es: Elasticsearch, stream: str) -> None:
    """The last ten by time, or as many as are asked for, from either end; filtered, with fields."""
    found = es.eql.search(index=stream, query='any where event.code == "1"', size=3)["hits"]
    assert found["total"] == {"value": 5, "relation": "eq"}
    assert [event["_source"]["event"]["id"] for event in found["events"]] == ["e5", "e7", "e9"]
    head = es.eql.search(
        index=stream,
        query='any where event.code == "1"',
        size=2,
        result_position="head",
        tiebreaker_field="event.id",
        filter={"range": {"@timestamp": {"gte": "2026-11-23T00:02:00Z"}}},
        fields=[{"field": "process.pid"}],
    )["hits"]["events"]
    assert [event["_source"]["event"]["id"] for event in head] == ["e3", "e5"]
    assert [event["fields"] for event in head] == [{"process.pid": [3]}, {"process.pid": [5]}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": "sequence [any where true] [any where true]"}, "sequence"),
        ({"query": "any where true | tail 3"}, "tail"),
        ({"query": 'any where no.such == "x"'}, "no.such"),
        ({"query": ""}, "query is null or empty"),
        ({"query": "any where true", "size": -1}, "size must be"),
        ({"query": "any where true", "event_category_field": "kind"}, "category field"),
        ({"query": "any where true", "nonsense": 1}, "nonsense"),
    ],
)
def test_eql_that_is_not_evaluated_is_refused(
    es: Elasticsearch, stream: str, body: dict[str, Any], message: str
) -> None:
    """By name, with a 400."""
    with pytest.raises(BadRequestError, match=message):
        es.perform_request(
            "POST",
            f"/{stream}/_eql/search",
            headers={"content-type": "application/json", "accept": "application/json"},
            body=body,
        )
