"""Summing up on a cluster: requests that bring no event back, and what their answers mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ruledeploy.engine.protocol import Shape, Window
from ruledeploy.engine.tally import Tally
from ruledeploy.model import JsonObject
from ruledeploy.query.dates import from_ms, to_ms

TIMESTAMP = "@timestamp"
# Values asked for per field and slice, so that slices add up to the true order.
_VALUES = 1_000
_MS = timedelta(milliseconds=1)


def slices(window: Window | None, width: timedelta | None) -> list[Window | None]:
    """The window cut into pieces of at most `width`, which do not overlap."""
    if window is None or width is None:
        return [window]
    step, last = max(1, width // _MS), to_ms(window.end)
    starts = range(to_ms(window.start), last + 1, step)
    return [Window(from_ms(at), from_ms(min(at + step - 1, last))) for at in starts]


def summary_body(
    query: JsonObject,
    hidden: Sequence[JsonObject],
    clauses: Mapping[str, JsonObject],
    field: str,
    shape: Shape,
) -> JsonObject:
    """A search that counts what `query` finds: alerts without the `hidden`, and what items hide."""
    order = [{"_count": "desc"}, {"_key": "asc"}]
    fields = {
        f"top {place}": {"terms": {"field": name, "size": _VALUES, "order": order}}
        for place, name in enumerate(shape.fields)
    }
    alerts = {
        "filter": {"bool": {"must_not": list(hidden)}},
        "aggs": fields | {f"clock {at}": clock for at, clock in enumerate(_clocks(field, shape))},
    }
    aggregations: dict[str, Any] = {"alerts": alerts}
    if clauses:
        aggregations["items"] = {"filters": {"filters": dict(clauses)}}
    return {"query": query, "size": 0, "track_total_hits": False, "aggs": aggregations}


def _clocks(field: str, shape: Shape) -> Iterator[JsonObject]:
    """Histogram, ends and first events by the timestamp; by `@timestamp` where it is missing."""
    exists: JsonObject = {"exists": {"field": field}}
    yield _clock({"bool": {"filter": [exists]}}, field, shape)
    if field != TIMESTAMP:
        fallback = {"filter": [{"exists": {"field": TIMESTAMP}}], "must_not": [exists]}
        yield _clock({"bool": fallback}, TIMESTAMP, shape)


def _clock(where: JsonObject, field: str, shape: Shape) -> JsonObject:
    millis = f"{shape.bucket // _MS}ms"
    histogram = {"field": field, "fixed_interval": millis, "min_doc_count": 1}
    aggregations: dict[str, Any] = {
        "histogram": {"date_histogram": histogram},
        "first": {"min": {"field": field}},
        "last": {"max": {"field": field}},
    }
    if shape.samples:
        first = {"size": shape.samples, "sort": [{field: "asc"}], "_source": False}
        aggregations["samples"] = {"top_hits": first}
    return {"filter": where, "aggs": aggregations}


def tally_of(answer: Mapping[str, Any], shape: Shape) -> Tally:
    """What the answer to a `summary_body` says."""
    aggregations = answer["aggregations"]
    alerts = aggregations["alerts"]
    tally = Tally(alerts["doc_count"])
    items = aggregations.get("items", {"buckets": {}})["buckets"]
    tally.suppressed = Counter({item_id: found["doc_count"] for item_id, found in items.items()})
    for place, name in enumerate(shape.fields):
        buckets = alerts[f"top {place}"]["buckets"]
        tally.top[name] = Counter({_text(bucket): bucket["doc_count"] for bucket in buckets})
    for name, clock in alerts.items():
        if name.startswith("clock ") and clock["doc_count"]:
            tally.add(_clock_tally(clock))
    return tally


def _clock_tally(clock: Mapping[str, Any]) -> Tally:
    samples = clock.get("samples", {"hits": {"hits": []}})["hits"]["hits"]
    return Tally(
        histogram=Counter({int(b["key"]): b["doc_count"] for b in clock["histogram"]["buckets"]}),
        samples=[(int(hit["sort"][0]), str(hit["_id"])) for hit in samples],
        first=int(clock["first"]["value"]),
        last=int(clock["last"]["value"]),
    )


def _text(bucket: Mapping[str, Any]) -> str:
    """A bucket's value as text: a date or a boolean has one beside its number."""
    return str(bucket.get("key_as_string", bucket["key"]))
