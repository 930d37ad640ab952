"""The cluster and its indices: info, health, create, delete, templates, refresh."""

from __future__ import annotations

import json
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.docs import json_object, no_such_index
from ruledeploy.stack.http import Answer, Call, Endpoint

_DONE = {"acknowledged": True}


def info(stack: Stack, call: Call) -> Answer:
    """`GET /`: name and version, which clients check first."""
    del call
    return Answer(
        {
            "name": "ruledeploy-stack",
            "cluster_name": "ruledeploy-stack",
            "cluster_uuid": stack.store.get_meta("uuid"),
            "version": {
                "number": stack.server.version,
                "build_flavor": "default",
                "build_type": "embedded",
                "build_hash": "0" * 40,
                "build_date": "2026-01-01T00:00:00.000Z",
                "build_snapshot": False,
                "lucene_version": "10.0.0",
                "minimum_wire_compatibility_version": "8.19.0",
                "minimum_index_compatibility_version": "8.0.0",
            },
            "tagline": "You Know, for Search",
        }
    )


def health(stack: Stack, call: Call) -> Answer:
    """`GET /_cluster/health`: always green."""
    del call
    count = stack.store.db.execute("SELECT count(*) FROM indices").fetchone()[0]
    return Answer(
        {
            "cluster_name": "ruledeploy-stack",
            "status": "green",
            "timed_out": False,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
            "active_primary_shards": count,
            "active_shards": count,
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": 0,
        }
    )


def license_of(stack: Stack, call: Call) -> Answer:
    """`GET /_license`: a trial, for everything is allowed here."""
    del call
    return Answer(
        {
            "license": {
                "status": "active",
                "uid": stack.store.get_meta("uuid"),
                "type": "trial",
                "issue_date": "2026-01-01T00:00:00.000Z",
                "issue_date_in_millis": 1_767_225_600_000,
                "max_nodes": 1000,
                "max_resource_units": None,
                "issued_to": "ruledeploy-stack",
                "issuer": "elasticsearch",
                "start_date_in_millis": -1,
            }
        }
    )


def create_index(stack: Stack, call: Call) -> Answer:
    """`PUT /{index}`: 400 when it exists."""
    name = call.params["index"]
    if documents.resolve(stack.store, name):
        raise elastic(
            400, "resource_already_exists_exception", f"index [{name}] already exists", index=name
        )
    documents.ensure_index(stack.store, name, call.json() or {})
    return Answer({**_DONE, "shards_acknowledged": True, "index": name})


def read_index(stack: Stack, call: Call) -> Answer:
    """`GET /{index}`: what it was created with."""
    backings = documents.resolve(stack.store, call.params["index"])
    if not backings:
        raise no_such_index(call.params["index"])
    empty: dict[str, Any] = {"aliases": {}, "mappings": {}, "settings": {}}
    return Answer({name: {**empty, **documents.index_body(stack.store, name)} for name in backings})


def delete_index(stack: Stack, call: Call) -> Answer:
    """`DELETE /{index}`: with all its documents."""
    return _deleted(stack, call.params["index"])


def delete_data_stream(stack: Stack, call: Call) -> Answer:
    """`DELETE /_data_stream/{name}`: with all its documents."""
    return _deleted(stack, call.params["name"])


def _deleted(stack: Stack, expression: str) -> Answer:
    backings = documents.resolve(stack.store, expression)
    if not backings and "*" not in expression:
        raise no_such_index(expression)
    for backing in backings:
        documents.delete_index(stack.store, backing)
    return Answer(_DONE)


def put_mapping(stack: Stack, call: Call) -> Answer:
    """`PUT /{index}/_mapping`: properties are added to those known."""
    for backing in documents.resolve(stack.store, call.params["index"]):
        body = documents.index_body(stack.store, backing)
        known = body.setdefault("mappings", {}).setdefault("properties", {})
        known.update(json_object(call).get("properties", {}))
        documents.set_index_body(stack.store, backing, body)
    return Answer(_DONE)


def read_mapping(stack: Stack, call: Call) -> Answer:
    """`GET /{index}/_mapping`: the mappings that each index was given."""
    backings = documents.resolve(stack.store, call.params["index"])
    if not backings:
        raise no_such_index(call.params["index"])
    found = {name: documents.index_body(stack.store, name) for name in backings}
    return Answer({name: {"mappings": body.get("mappings", {})} for name, body in found.items()})


def refresh(stack: Stack, call: Call) -> Answer:
    """`_refresh`: every write is visible at once, so there is nothing to do."""
    del stack, call
    return Answer({"_shards": {"total": 1, "successful": 1, "failed": 0}})


def put_template(stack: Stack, call: Call) -> Answer:
    """`PUT /_index_template/{name}`: kept, and used for the mappings of matching indices."""
    stack.store.learnt.clear()
    stack.store.db.execute(
        "INSERT INTO templates VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        (call.params["name"], json.dumps(json_object(call))),
    )
    return Answer(_DONE)


def read_template(stack: Stack, call: Call) -> Answer:
    """`GET /_index_template/{name}`: 404 when there is none."""
    name = call.params["name"]
    row = stack.store.db.execute("SELECT body FROM templates WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise elastic(404, "resource_not_found_exception", f"index template [{name}] not found")
    found = {"name": name, "index_template": json.loads(row[0])}
    return Answer({"index_templates": [found]})


def put_data_stream(stack: Stack, call: Call) -> Answer:
    """`PUT /_data_stream/{name}`."""
    documents.ensure_index(stack.store, call.params["name"])
    return Answer(_DONE)


def read_data_streams(stack: Stack, call: Call) -> Answer:
    """`GET /_data_stream/{name}`: a plain name that is none is a 404."""
    asked = call.params.get("name", "*")
    backings = documents.resolve(stack.store, asked)
    named = {documents.stream_of(stack.store, backing): backing for backing in backings}
    shown = [
        {
            "name": name,
            "timestamp_field": {"name": "@timestamp"},
            "indices": [{"index_name": backing, "index_uuid": backing}],
            "generation": 1,
            "status": "GREEN",
            "hidden": name.startswith("."),
        }
        for name, backing in named.items()
        if name
    ]
    if not shown and "*" not in asked:
        raise no_such_index(asked)
    return Answer({"data_streams": shown})


def acknowledged(stack: Stack, call: Call) -> Answer:
    """What is accepted without effect: component templates, lifecycle policies, pipelines."""
    del stack, call
    return Answer(_DONE)


ROUTES = (
    Endpoint("GET", "/", info),
    Endpoint("HEAD", "/", info),
    Endpoint("GET", "/_cluster/health", health),
    Endpoint("GET", "/_license", license_of),
    Endpoint("POST", "/_refresh", refresh, "write"),
    Endpoint("PUT", "/_index_template/{name}", put_template, "write"),
    Endpoint("GET", "/_index_template/{name}", read_template),
    Endpoint("HEAD", "/_index_template/{name}", read_template),
    Endpoint("PUT", "/_component_template/{name}", acknowledged, "write"),
    Endpoint("PUT", "/_ilm/policy/{name}", acknowledged, "write"),
    Endpoint("PUT", "/_ingest/pipeline/{name}", acknowledged, "write"),
    Endpoint("PUT", "/_data_stream/{name}", put_data_stream, "write"),
    Endpoint("GET", "/_data_stream", read_data_streams),
    Endpoint("GET", "/_data_stream/{name}", read_data_streams),
    Endpoint("DELETE", "/_data_stream/{name}", delete_data_stream, "write"),
    Endpoint("GET", "/{index}/_refresh", refresh),
    Endpoint("POST", "/{index}/_refresh", refresh),
    Endpoint("GET", "/{index}/_mapping", read_mapping),
    Endpoint("PUT", "/{index}/_mapping", put_mapping, "write"),
    Endpoint("PUT", "/{index}", create_index, "write"),
    Endpoint("GET", "/{index}", read_index),
    Endpoint("HEAD", "/{index}", read_index),
    Endpoint("DELETE", "/{index}", delete_index, "write"),
)
