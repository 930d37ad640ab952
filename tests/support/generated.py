"""Requests made from the contract by a seed: fitting ones, and ones with something broken.

Ids come from a small pool, so that requests meet objects that earlier ones made. The same seed
gives the same requests.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from support.contract import contract

BOUNDARY = "generated"
_UUIDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(4)]
# What a key of that name holds, mostly, whatever its schema would allow.
_POOLS: Mapping[str, list[Any]] = {
    "rule_id": ["r-query", "r-eql", "r-esql", "r-threshold", "r-new_terms"],
    "list_id": ["l0", "l1", "endpoint_list"],
    "item_id": ["i0", "i1", "i2"],
    "value": ["good.exe", "10.0.0.1", "*"],
    "field": ["process.name", "source.ip"],
    "interval": ["5m", "1h", "soon"],
    "from": ["now-6m", "now-1h"],
    "query": ["process.name: a", "*:*", "a:("],
    "filter": [
        'alert.attributes.params.ruleId: "r0"', "alert.attributes.enabled: true",
        "exception-list.attributes.name: *", "exception-list-agnostic.attributes.tags: x", "a: (b",
        "exception-list.attributes.list_id: l0 or not exception-list.attributes.name: (a and b)",
    ],
    "index": [["logs-*"], ["none-*"]],
    "invocationCount": [0, 1, 2],
    "timeframeEnd": ["2026-01-01T00:00:00.000Z"],
    "expire_time": ["2030-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"],
    "_version": ["WzEsMV0=", "nonsense"],
    "actions": [[]],
    "filters": [[]],
    "cursor": ["WzBd", "?"],
}  # fmt: skip
_VALUE_LISTS = ["v0", "v1"]
_RULE_TYPES = {
    "eql", "esql", "machine_learning", "new_terms", "query", "saved_query", "threat_match",
    "threshold",
}  # fmt: skip
_CONNECTOR_LINE = {
    "type": "object",
    "required": ["id", "attributes"],
    "properties": {"id": {"type": "string"}, "attributes": {"type": "object"}},
}
_JUNK: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, "", " ", "x" * 300, "\x00", "é\u2028😀", "*", [], [None], {},
    {"a": 1}, "\ud800", {"$ref": "x"}, [[[]]], "../..", "' OR 1=1", "now-", "1e999", "null",
]  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire. `path` is without the space, not yet quoted."""

    operation: str
    method: str
    path: str
    query: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def curl(self, url: str) -> str:
        """How to send it by hand."""
        headers = " ".join(f"-H {json.dumps(f'{k}: {v}')}" for k, v in self.headers.items())
        return f"curl -X {self.method} {headers} '{url}{self.path}{self.query}' -d {self.body!r}"


def requests(seed: int, ids: Mapping[str, list[str]]) -> Iterator[Request]:
    """Requests without end, over all operations in turn.

    The caller may note ids that the server has made up in `ids`, by the `family` of the path they
    came from, as it goes; they are used too.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    names = sorted(contract()["operations"])
    # What makes objects comes twice as often, or the others would find none.
    names += [name for name in names if re.fullmatch(r"POST [^{]*/[a-z]+", name)]
    while True:
        rng.shuffle(names)
        for name in names:
            # What takes everything with it comes rarely.
            if name == "DELETE /api/lists/index" and rng.random() < 9 / 10:
                continue
            yield _Maker(rng, ids.get(family(name), [])).request(name)


def family(name: str) -> str:
    """Paths of one family take each other's ids."""
    families = (
        "/api/lists/items",
        "/api/lists",
        "rule",
        "/items",
        "exception",
        "connector",
        "view",
    )
    return next((part for part in families if part in name), "other")


class _Maker:
    """Makes one request; half of them are left as they fit the contract."""

    def __init__(self, rng: random.Random, ids: list[str]) -> None:
        self.rng = rng
        self.pools = {**_POOLS, "id": [*_UUIDS, *ids[-8:]]}
        self.broken = rng.random() < 1 / 2

    def request(self, name: str) -> Request:
        described = contract()["operations"][name]
        method, _, template = name.partition(" ")
        if template.startswith("/api/lists"):
            self.pools = {**self.pools, "list_id": _VALUE_LISTS}
            if "/items" not in template:
                self.pools["id"] = _VALUE_LISTS
        path = "/".join(map(self._segment, template.split("/")))
        query = {
            key: self._value(parameter["schema"], key)
            for key, parameter in described.get("query", {}).items()
            if parameter.get("required") or self.rng.random() < 1 / 3
        }
        if not any(p.get("required") for p in described.get("query", {}).values()):
            query = self._one_name(query, described.get("query", {}))
        headers = {"kbn-xsrf": "x", "content-type": "application/json"}
        if template.startswith("/internal"):
            headers["x-elastic-internal-origin"] = "tests"
        if template.endswith("_import"):
            body = self._upload()
            headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
        elif "body" in described:
            body = json.dumps(self._maybe_broken(self._value(described["body"], ""))).encode()
        else:
            body = b""
        request = Request(name, method, path, self._query(query), body, headers)
        return self._mangled(request) if self.broken and self.rng.random() < 1 / 5 else request

    # ------------------------------------------------------------------ values that fit a schema

    def _value(self, schema: Mapping[str, Any], key: str, depth: int = 0) -> Any:
        pool = self.pools.get(key)
        if pool and "enum" not in schema and self.rng.random() < 9 / 10:
            return self.rng.choice(pool)
        if "$ref" in schema:
            return self._value(contract()["schemas"][schema["$ref"].rpartition("/")[2]], key, depth)
        if "allOf" in schema:
            parts = [self._value(part, key, depth) for part in schema["allOf"]]
            if all(isinstance(part, dict) for part in parts):
                merged = {name: value for part in parts for name, value in part.items()}
                return merged if depth else self._one_name(merged, {"id": {}, "rule_id": {}})
            return parts[0]
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                return self._value(self.rng.choice(schema[choice]), key, depth)
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        kind = schema.get("type", "string")
        if isinstance(kind, list):
            kind = self.rng.choice(kind)
        return self._kinds()[kind](schema, depth)

    def _kinds(self) -> dict[str, Callable[[Mapping[str, Any], int], Any]]:
        return {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
            "boolean": lambda _, __: self.rng.random() < 1 / 2,
            "null": lambda _, __: None,
        }

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        likely = 1 / (3 + 2 * depth)
        made = {
            name: self._value(below, name, depth + 1)
            for name, below in schema.get("properties", {}).items()
            if name in required or self.rng.random() < likely
        }
        return made if depth else self._one_name(made, schema.get("properties", {}))

    def _one_name(self, made: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """With one of the two ids that an object has, where a request must name it by one."""
        for human in ("rule_id", "item_id", "list_id"):
            if human not in known or "id" not in known or self.rng.random() < 1 / 10:
                continue
            if {"id", human} <= made.keys():
                made.pop(self.rng.choice(["id", human]))
            elif not {"id", human} & made.keys():
                made[human] = self.rng.choice(self.pools[human])
            break
        if made.get("type") in _RULE_TYPES and "rule_id" in made:
            # A rule keeps its type, so the type is part of its name.
            made["rule_id"] = f"r-{made['type']}"
        if "ids" in made and made.get("query") is not None:
            made.pop(self.rng.choice(["ids", "query"]))
        elif made.get("action") and "ids" not in made and self.rng.random() < 9 / 10:
            # Neither means every rule.
            made["query"] = self.rng.choice(_POOLS["filter"][:2])
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        low = schema.get("minItems", 0)
        count = min(self.rng.randint(low, low + 2), schema.get("maxItems", low + 2))
        items = schema.get("items") or {"type": "string"}
        return [self._value(items, "", depth + 1) for _ in range(count)]

    def _string(self, schema: Mapping[str, Any], _: int) -> str:
        known = {
            "uuid": self.rng.choice(_UUIDS), "date-time": "2026-01-01T00:00:00.000Z",
            "date-math": "now-6m", "nonempty": "x",
        }.get(schema.get("format", ""))  # fmt: skip
        if known is not None:
            return known
        if "pattern" in schema:
            return self.rng.choice(["5m", "1h", "x"])
        return self.rng.choice(["x", "name", "T1055", "a b", "logs-*"])

    def _number(self, schema: Mapping[str, Any], _: int) -> int:
        low = schema.get("minimum", 0)
        return self.rng.randint(low, schema.get("maximum", low + 20))

    # --------------------------------------------------------------------------- breaking things

    def _maybe_broken(self, body: Any) -> Any:
        if not self.broken:
            return body
        if not isinstance(body, dict) or not body or self.rng.random() < 1 / 20:
            return self.rng.choice(_JUNK)
        return self._broken(body)

    def _broken(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with one place changed, mostly deep inside."""
        key = self.rng.choice(list(body))
        below = body[key]
        if isinstance(below, dict) and below and self.rng.random() < 2 / 3:
            return {**body, key: self._broken(below)}
        if isinstance(below, list) and below and isinstance(below[0], dict) and below[0]:
            return {**body, key: [self._broken(below[0]), *below[1:]]}
        match self.rng.randrange(4):
            case 0:
                return {name: value for name, value in body.items() if name != key}
            case 1:
                return {**body, "unknown_key": self.rng.choice(_JUNK)}
            case _:
                return {**body, key: self.rng.choice(_JUNK)}

    def _segment(self, segment: str) -> str:
        """A part of the path, with something for a `{name}`."""
        if not segment.startswith("{"):
            return segment
        odd = ["%00", "a%2Fb", quote("é"), "%20", "x" * 300, "default", "c0"]
        pool = odd if self.broken and self.rng.random() < 1 / 2 else self.pools["id"]
        return str(self.rng.choice(pool))

    def _query(self, query: dict[str, Any]) -> str:
        if self.broken and self.rng.random() < 1 / 2:
            key = self.rng.choice([*query, "page", "per_page", "filter", "id", "namespace_type"])
            query = {**query, key: self.rng.choice(_JUNK)}
        told = {key: _in_url(value) for key, value in query.items()}
        text = urlencode(told, errors="surrogatepass")
        return f"?{text}" if text else ""

    def _upload(self) -> bytes:
        """A multipart body of NDJSON lines: rules, lists, items, connectors, rubbish."""
        bodies = ("POST /api/exception_lists", "POST /api/exception_lists/items")
        kinds: list[Any] = [
            {"$ref": "#/schemas/RuleCreateProps"},
            _CONNECTOR_LINE,
            *(contract()["operations"][name]["body"] for name in bodies),
        ]
        lines = [
            json.dumps(self._maybe_broken(self._value(self.rng.choice(kinds), "")))
            for _ in range(self.rng.randint(0, 4))
        ]
        if self.broken and self.rng.random() < 1 / 3:
            lines.append(self.rng.choice(["{", "[]", "null", '"x"', "1", '{"exported_count":1}']))
        name = self.rng.choice(["x.ndjson", "x.txt", "x"]) if self.broken else "x.ndjson"
        text = "\n".join(lines)
        return (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: application/ndjson\r\n\r\n{text}\r\n--{BOUNDARY}--\r\n"
        ).encode()

    def _mangled(self, request: Request) -> Request:
        """The request with something wrong outside its JSON."""
        headers, body = dict(request.headers), request.body
        match self.rng.randrange(6):
            case 0:
                headers.pop("kbn-xsrf")
            case 1:
                headers["elastic-api-version"] = self.rng.choice(["1", "2023-10-31", "x", ""])
            case 2:
                headers["content-type"] = self.rng.choice(
                    ["multipart/form-data", "multipart/form-data; boundary=", "text/plain"]
                )
            case 3:
                body = self.rng.choice(
                    [b"{", b"\xff\xfe", b"[" * 2000, b"NaN", b'"\\ud800"', b"1" * 5000]
                )
            case 4:
                headers["content-encoding"] = "gzip"
            case _:
                headers["kbn-version"] = "1.0.0"
        return Request(
            request.operation, request.method, request.path, request.query, body, headers
        )


def _in_url(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
