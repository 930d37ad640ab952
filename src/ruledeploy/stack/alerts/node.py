"""Events and alerts on an Elasticsearch node: the node runs the rules' queries.

What a rule's type makes of the hits (buckets, new terms, suppression, limits) is computed here,
as it is over this stack's own store, so both places give the same alerts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from ruledeploy.engine import ElasticsearchEngine, EngineRule, Indices, Window
from ruledeploy.engine.elastic import rule_query
from ruledeploy.errors import ServerError
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.events import Prepared, hit_of, own_filters
from ruledeploy.stack.alerts.hits import Hit
from ruledeploy.stack.alerts.kept import alerts_alias, alerts_index
from ruledeploy.stack.clock import iso
from ruledeploy.stack.errors import Refusal
from ruledeploy.stack.es.documents import Stored, moment
from ruledeploy.stack.node import Node

_CHUNK = 1_000
# index.max_result_window: no search answers with more.
_WINDOW = 10_000
_UNAVAILABLE = "ignore_unavailable=true&allow_no_indices=true"
# Texts are keywords, as in the alerts' own mappings; a rule's parameters are any shape.
_MAPPINGS = {
    "dynamic_templates": [
        {
            "texts": {
                "match_mapping_type": "string",
                "mapping": {"type": "keyword", "ignore_above": 1024},
            }
        }
    ],
    "properties": {
        "@timestamp": {"type": "date"},
        "kibana.alert.original_time": {"type": "date"},
        "kibana.alert.rule.parameters": {"type": "object", "enabled": False},
    },
}


class NodeEvents:
    """Events in a node's indices."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def indices(self, patterns: Sequence[str]) -> list[str]:
        """Indices, aliases and data streams that patterns name; a plain name may be missing."""
        path = f"/_resolve/index/{','.join(patterns)}?expand_wildcards=open,hidden"
        try:
            found = self._node.ask("GET", f"{path}&ignore_unavailable=true")
        except Refusal as refusal:
            if refusal.status == 404:  # noqa: PLR2004 - a plain name that is not there
                return []
            raise ServerError(str(refusal), url=self._node.url, status=refusal.status) from refusal
        kinds = ("indices", "aliases", "data_streams")
        return sorted({entry["name"] for kind in kinds for entry in found[kind]})

    def lacking(self, indices: Sequence[str], field: str) -> list[str]:
        """By the node's own word on each index."""
        with self._node.errors():
            return [
                index
                for index in indices
                if not self._node.client.field_caps(index=index, fields=field)["fields"]
            ]

    def check(self, rule: EngineRule, indices: Sequence[str], now: datetime) -> None:
        """Nothing: the node says what it cannot run when it is asked to."""
        del rule, indices, now

    def find(self, prepared: Sequence[Prepared]) -> dict[str, list[Hit]]:
        """Rule by rule: the ids of what it matches, then the times and values of those events."""
        engine = ElasticsearchEngine(self._node.client, url=self._node.url)
        out: dict[str, list[Hit]] = {}
        for one in prepared:
            start, end = runs.span([(one.rule, one.ticks)])
            span = Window(moment(start), moment(end))
            found = engine.run([one.engine_rule], Indices(), span, one.ticks[0])[one.rule.id]
            hiding: dict[str, list[str]] = {}
            for item_id, ids in found.suppressed.items():
                for identity in ids:
                    hiding.setdefault(identity, []).append(item_id)
            every = iter([*found.event_ids, *hiding])
            hits = out[one.rule.id] = []
            while chunk := list(islice(every, _CHUNK)):
                hits.extend(self._hits(one, chunk, hiding))
        return out

    def rows(self, one: Prepared, at: datetime) -> Sequence[Mapping[str, Any]]:
        """As the node groups them, of the events that were ingested by then."""
        start, end = runs.window(one.rule.body, at)
        engine = ElasticsearchEngine(self._node.client, url=self._node.url)
        window = Window(moment(start), moment(end))
        seen = Indices(filter=_ingested_by(at))
        return engine.run([one.engine_rule], seen, window, at)[one.rule.id].rows

    def _hits(
        self, one: Prepared, ids: list[str], hiding: Mapping[str, Sequence[str]]
    ) -> Iterator[Hit]:
        """Hits by event id, those that the rule's own filters let through.

        Several indices may hold an id: the query tells which of them was meant, but in ES|QL and
        EQL, which are no part of a search.
        """
        override = one.rule.body.get("timestamp_override", "@timestamp")
        times = ["@timestamp", "event.ingested", "kibana.alert.rule.uuid", override]
        wanted = ({"ids": {"values": ids}}, own_filters(one.rule.body), rule_query(one.engine_rule))
        query = {"bool": {"filter": [part for part in wanted if part is not None]}}
        with self._node.errors():
            answer = self._node.client.search(
                index=",".join(one.engine_rule.index),
                query=query,
                size=_WINDOW,
                source_includes=times,
                fields=[{"field": name} for name in one.fields] or None,
                version=True,
                ignore_unavailable=True,
            )
        for hit in answer["hits"]["hits"]:
            event = Stored(hit["_index"], hit["_id"], 0, hit["_version"], hit.get("_source", {}))
            given = hit.get("fields", {})
            values = {name: tuple(given.get(name, ())) for name in one.fields}
            found = hit_of(one, event, tuple(hiding.get(event.id, ())), values)
            if found is not None:
                yield found

    def sources(self, hits: Iterable[Hit]) -> dict[tuple[str, str], dict[str, Any]]:
        """Read by the hundred; an event deleted meanwhile is left out."""
        out: dict[tuple[str, str], dict[str, Any]] = {}
        every = iter([{"_index": hit.index, "_id": hit.id} for hit in hits])
        while chunk := list(islice(every, _CHUNK)):
            for found in self._node.ask("POST", "/_mget", {"docs": chunk})["docs"]:
                if found.get("found"):
                    out[found["_index"], found["_id"]] = found["_source"]
        return out


def _ingested_by(at: datetime) -> dict[str, Any]:
    """The events without a time of ingestion, or with one that is over."""
    field = "event.ingested"
    unknown = {"bool": {"must_not": {"exists": {"field": field}}}}
    over = {"range": {field: {"lte": iso(at)}}}
    return {"bool": {"should": [unknown, over], "minimum_should_match": 1}}


class NodeAlerts:
    """Alerts in a node's indices, under the names that Kibana gives them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._made: set[str] = set()

    def existing(self, space: str, ids: Sequence[str], *, preview: bool = False) -> set[str]:
        """By the thousand; an index that is not there has none."""
        out: set[str] = set()
        index, every = alerts_index(space, preview=preview), iter(ids)
        while chunk := list(islice(every, _CHUNK)):
            docs = [{"_index": index, "_id": one, "_source": False} for one in chunk]
            found = self._node.ask("POST", "/_mget", {"docs": docs})["docs"]
            out.update(one["_id"] for one in found if one.get("found"))
        return out

    def read(self, space: str, identity: str, *, preview: bool = False) -> dict[str, Any] | None:
        """One alert's source."""
        docs = [{"_index": alerts_index(space, preview=preview), "_id": identity}]
        (found,) = self._node.ask("POST", "/_mget", {"docs": docs})["docs"]
        return dict(found["_source"]) if found.get("found") else None

    def write(
        self, space: str, alerts: Mapping[str, dict[str, Any]], *, preview: bool = False
    ) -> None:
        """In one bulk request, visible at once. Raises ServerError when the node refuses one."""
        index = alerts_index(space, preview=preview)
        self._ensure(index, alerts_alias(space, preview=preview))
        lines: list[Mapping[str, Any]] = []
        for identity, alert in alerts.items():
            lines += [{"index": {"_id": identity}}, alert]
        self._bulk(index, lines)

    def _bulk(self, index: str, lines: Sequence[Mapping[str, Any]]) -> None:
        with self._node.errors():
            answer = self._node.client.bulk(index=index, operations=lines, refresh=True)
        outcomes = [outcome for item in answer["items"] for outcome in item.values()]
        refused = [outcome["error"] for outcome in outcomes if "error" in outcome]
        if refused:
            reason = f"{refused[0]['type']}: {refused[0]['reason']}"
            raise ServerError(
                f"{len(refused)} of {len(outcomes)} alerts were not written: {reason}",
                url=self._node.url,
            )

    def _ensure(self, index: str, alias: str) -> None:
        if index in self._made:
            return
        indices = self._node.client.indices
        with self._node.errors():
            if not indices.exists(index=index):
                aliases = {alias: {"is_write_index": True}}
                hidden = {"index.hidden": True}
                indices.create(index=index, mappings=_MAPPINGS, settings=hidden, aliases=aliases)
        self._made.add(index)

    def search(self, space: str, body: Mapping[str, Any], now: datetime) -> Any:
        """The node's own answer; its clock is the real one."""
        del now
        return self._node.ask("POST", f"/{alerts_alias(space)}/_search?{_UNAVAILABLE}", body)

    def change(
        self, space: str, query: Mapping[str, Any], fields: Mapping[str, Any], now: datetime
    ) -> int:
        """Up to ten thousand alerts."""
        body = {"query": query, "size": _WINDOW, "_source": False}
        hits = self.search(space, body, now)["hits"]["hits"]
        lines: list[Mapping[str, Any]] = []
        for hit in hits:
            lines += [{"update": {"_id": hit["_id"]}}, {"doc": fields}]
        if lines:
            self._bulk(alerts_index(space), lines)
        return len(hits)
