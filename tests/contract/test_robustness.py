"""No request makes the stack break: what does not fit is refused with a contract's error."""

from __future__ import annotations

import json
from typing import Any

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ENTRY = {"field": "process.name", "operator": "included", "type": "match", "value": "a.exe"}
LINK = {"id": "x", "list_id": "l", "type": "detection", "namespace_type": "single"}
RULE = {
    "rule_id": "r", "type": "query", "name": "n", "description": "d", "severity": "low",
    "risk_score": 21, "query": "a:b", "language": "lucene", "index": ["logs-*"], "enabled": True,
    "from": "now-9m", "to": "now", "interval": "5m", "tags": ["t"], "exceptions_list": [LINK],
    "filters": [], "meta": {}, "threat": [], "actions": [], "timestamp_override": "event.ingested",
    "required_fields": [{"name": "a", "type": "keyword"}], "max_signals": 100, "version": 1,
}  # fmt: skip
LIST = {"list_id": "l", "name": "n", "description": "d", "type": "detection", "version": 1}
ITEM = {
    "list_id": "l", "item_id": "i", "type": "simple", "name": "n", "description": "d",
    "entries": [ENTRY], "comments": [{"comment": "c"}], "os_types": ["windows"], "tags": ["t"],
    "expire_time": "2030-01-01T00:00:00.000Z", "_version": "WzEsMV0=", "namespace_type": "single",
}  # fmt: skip
BULK = {"action": "enable", "query": "", "edit": [{"type": "add_tags", "value": ["x"]}]}
SEARCH = {"size": 1, "query": {"match_all": {}}, "sort": [{"@timestamp": "asc"}], "aggs": {}}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/detection_engine/rules", RULE),
    ("PUT", "/api/detection_engine/rules", RULE),
    ("PATCH", "/api/detection_engine/rules", RULE),
    ("POST", "/api/detection_engine/rules/_bulk_action", BULK),
    ("POST", "/api/exception_lists", LIST),
    ("PUT", "/api/exception_lists", LIST),
    ("POST", "/api/exception_lists/items", ITEM),
    ("PUT", "/api/exception_lists/items", ITEM),
    ("POST", "/api/detection_engine/signals/search", SEARCH),
    ("POST", "/api/spaces/space", {"id": "a", "name": "b", "disabledFeatures": []}),
]
SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(-9, 9) | st.text(max_size=8)
)
WORDS = st.sampled_from(
    ["eql", "esql", "threshold", "now-", "5m", "a:(", "WzEsMV0=", "single", "*"]
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FILTERS = st.text(alphabet='ab.:()"*\\<>= {}andornt', max_size=30)


@pytest.fixture(scope="module")
def fuzzed(stack_urls: tuple[str, str]) -> str:
    """A space where the objects that the bodies name exist."""
    url = f"{stack_urls[0]}/s/fuzz"
    for _, path, body in (CALLS[0], CALLS[4], CALLS[6]):
        found = {**body, "enabled": False} if "enabled" in body else body
        reply = urllib3.request("POST", url + path, json=found, headers={"kbn-xsrf": "x"})
        assert reply.status == 200, reply.data
    return url


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str, Any]:
    """A request whose body has some keys changed, taken away or added."""
    method, path, body = draw(st.sampled_from(CALLS))
    changed = dict(body)
    for key in draw(st.lists(st.sampled_from([*body, "id", "odd"]), min_size=1, max_size=3)):
        if draw(st.integers(0, 3)) == 0:
            changed.pop(key, None)
        else:
            changed[key] = draw(VALUES)
    return method, path, changed


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=mutated())
def test_a_broken_body_is_refused(fuzzed: str, request: tuple[str, str, Any]) -> None:
    """Whatever a body holds, the answer is a success or an error of the contract."""
    method, path, body = request
    reply = urllib3.request(
        method,
        fuzzed + path,
        body=json.dumps(body).encode(),
        headers={"kbn-xsrf": "x", "content-type": "application/json"},
        retries=False,
    )
    decoded = reply.json()
    if "_bulk_action" in path and reply.status == 500:
        assert decoded["attributes"]["errors"]
    else:
        assert reply.status in {200, 400, 404, 409}, (method, path, body, decoded)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=FILTERS)
def test_a_broken_filter_is_refused(fuzzed: str, text: str) -> None:
    """Any text in `filter` is a filter or a 400."""
    for path in ("/api/detection_engine/rules/_find", "/api/exception_lists/_find"):
        reply = urllib3.request("GET", fuzzed + path, fields={"filter": text}, retries=False)
        assert reply.status in {200, 400}


def raw(
    stack_urls: tuple[str, str], method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Any]:
    """A request as a careless client sends it: status, and message or location."""
    sent = {"kbn-xsrf": "x", **{key.replace("_", "-"): value for key, value in headers.items()}}
    url = f"{stack_urls[0]}{path}"
    reply = urllib3.request(method, url, body=body, headers=sent, redirect=False)
    if "location" in reply.headers:
        return reply.status, reply.headers["location"]
    return reply.status, reply.json().get("message") if reply.data else None


RULES = "/api/detection_engine/rules"
NO_BOUNDARY = "Invalid content-type header: multipart missing boundary"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="r.ndjson"\r\n\r\n'


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "application/vnd.api+json"]
)
def test_a_body_that_does_not_say_it_is_json_is_refused(
    stack_urls: tuple[str, str], media: str
) -> None:
    """`curl -d` without a header sends a form."""
    answer = raw(stack_urls, "POST", RULES, b"{}", content_type=media)
    assert answer == (415, "Unsupported Media Type")
    assert raw(stack_urls, "POST", RULES, b"{}", content_type="")[0] == 400


@pytest.mark.parametrize(
    ("media", "body", "message"),
    [
        (
            "multipart/form-data",
            b"--x--",
            "Invalid content-type header: multipart missing boundary",
        ),
        ("multipart/form-data; boundary=x", b"", "Invalid multipart payload format"),
        (
            "multipart/form-data; boundary=x",
            PART + b"{}\r\n",
            "Invalid multipart payload format",
        ),
    ],
)
def test_an_upload_that_is_cut_off_is_refused(
    stack_urls: tuple[str, str], media: str, body: bytes, message: str
) -> None:
    """Half of a file would be imported as if it were the whole."""
    path = f"{RULES}/_import"
    assert raw(stack_urls, "POST", path, body, content_type=media) == (400, message)


def test_an_upload_may_write_its_header_in_any_case(stack_urls: tuple[str, str]) -> None:
    """Names of media types and of their parameters have none."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="r.ndjson"\r\n\r\n\r\n--x--'
    )
    media = "Multipart/Form-Data; Boundary=x"
    assert raw(stack_urls, "POST", f"{RULES}/_import", body, content_type=media)[0] == 200


def test_paths_that_kibana_does_not_serve(stack_urls: tuple[str, str]) -> None:
    """What no space can be named is a path like any other; of a slash at the end GET is told."""
    for path in ("/s/UPPER/api/status", "/s/no%20such/api/status", "/s//api/status"):
        assert raw(stack_urls, "GET", path)[0] == 404
    assert raw(stack_urls, "GET", f"{RULES}/_find/?page=1") == (302, f"{RULES}/_find?page=1")
    assert raw(stack_urls, "POST", f"{RULES}/", b"{}", content_type="application/json")[0] == 404


def test_keys_that_would_change_every_object_are_refused(stack_urls: tuple[str, str]) -> None:
    """As Kibana's JSON parser does, however deep they lie."""
    body = b'{"name": "n", "meta": {"a": [{"__proto__": {}}]}}'
    answer = raw(stack_urls, "POST", RULES, body, content_type="application/json")
    assert answer == (400, "Invalid request payload JSON format")


@pytest.mark.parametrize("cursor", ["WzFlNDAwXQ==", "W1tbW1tb", "e30="])
def test_a_cursor_that_is_none_is_refused(stack_urls: tuple[str, str], cursor: str) -> None:
    """Infinity, half an array, an object."""
    answer = raw(stack_urls, "GET", f"/api/lists/_find?cursor={cursor}")
    assert answer == (400, f"Invalid cursor [{cursor}]")
