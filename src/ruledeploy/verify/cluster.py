"""Rules over events at hand, answered by a cluster: alone, or beside the embedded engine.

The events go into indices of their own, with the mappings of their families, which are deleted
afterwards: nothing that the cluster holds is read or changed.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    Engine,
    EngineRule,
    Hits,
    Indices,
    Source,
    Tables,
    Window,
    bundled_table,
)
from ruledeploy.engine.client import failure, reason
from ruledeploy.engine.sources import documents, selects
from ruledeploy.errors import RuledeployError
from ruledeploy.model import JsonObject
from ruledeploy.query.esql import esql_sources
from ruledeploy.query.parse import parse_query

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

PREFIX = "ruledeploy-scratch-"
_FIELDS_LIMIT = 5000
_CHUNK = 2000
# A cluster without the module of a type refuses a mapping that names it. These answer the same
# queries, within limits that docs/engine.md tells.
_STAND_IN: dict[str, JsonObject] = {
    "constant_keyword": {"type": "keyword", "ignore_above": 8191},
    "match_only_text": {"type": "text"},
    "scaled_float": {"type": "double"},
    "unsigned_long": {"type": "long"},
    "wildcard": {"type": "keyword", "ignore_above": 8191},
}
_LACKING = re.compile(r"(?:No handler for type|The mapper type) \[(\w+)\]")
_STREAM = ("type", "dataset", "namespace")


class EnginesDisagree(RuledeployError):
    """Two engines answered the same question differently: one of them is wrong."""


class ScratchEngine:
    """Asks a cluster about events in memory or files.

    `stood_in` are the field types that the cluster turned out to lack.
    """

    def __init__(
        self,
        client: Elasticsearch,
        *,
        url: str = "elasticsearch",
        tables: Tables = bundled_table,
    ) -> None:
        self._client = client
        self._tables = tables
        self._engine = ElasticsearchEngine(client, url=url)
        self._url = url
        self.stood_in: set[str] = set()

    def run(
        self, rules: Sequence[EngineRule], source: Source, window: Window | None, now: datetime
    ) -> dict[str, Hits]:
        """The hits of every rule; see `Engine.run`. Raises ServerError when loading fails."""
        placed = _placed(rules, source)
        out: dict[str, Hits] = {}
        with self._loaded(placed) as names:
            searched: dict[str, list[EngineRule]] = {}
            for rule in rules:
                chosen = [names[one] for one in placed if selects(_patterns(rule), one)]
                searched.setdefault(",".join(chosen), []).append(rule)
            for pattern, some in searched.items():
                if pattern:
                    out |= self._engine.run(some, Indices(pattern), window, now)
                    continue
                for rule in some:
                    parse_query(rule.language, rule.query)
                    out[rule.rule_id] = Hits()
        return {rule.rule_id: out[rule.rule_id] for rule in rules}

    @contextmanager
    def _loaded(self, placed: Mapping[str, list[Document]]) -> Iterator[dict[str, str]]:
        """Each index's documents in a scratch index of its own: the names, by index."""
        run = uuid.uuid4().hex
        names = {index: f"{PREFIX}{run}-{number}" for number, index in enumerate(placed)}
        created: list[str] = []
        try:
            for index, name in names.items():
                self._create(name, self._tables(index).mappings())
                created.append(name)
                self._fill(index, name, placed[index])
            yield names
        finally:
            for name in created:
                self._client.options(ignore_status=404).indices.delete(index=name)

    def _create(self, name: str, mappings: JsonObject) -> None:
        from elasticsearch import BadRequestError  # noqa: PLC0415 - loads slowly

        settings = {
            "number_of_shards": 1,
            "number_of_replicas": 0,
            "mapping.total_fields.limit": _FIELDS_LIMIT,
        }
        while True:
            body = _without(mappings, self.stood_in)
            try:
                self._client.indices.create(index=name, settings=settings, mappings=body)
            except BadRequestError as error:
                lacking = set(_LACKING.findall(str(error.body))) - self.stood_in
                if not lacking <= _STAND_IN.keys() or not lacking:
                    raise failure(reason(error.body), error.status_code, self._url) from error
                self.stood_in |= lacking
            else:
                return

    def _fill(self, index: str, name: str, some: Sequence[Document]) -> None:
        for start in range(0, len(some), _CHUNK):
            operations: list[Mapping[str, Any]] = []
            for one in some[start : start + _CHUNK]:
                operations += ({"create": {"_id": one.id}}, _with_stream(one.source, index))
            answer = self._client.bulk(index=name, operations=operations)
            for result in answer["items"] if answer["errors"] else ():
                if error := result["create"].get("error"):
                    said = f"event {result['create']['_id']} is refused: {error['reason']}"
                    raise failure(said, result["create"]["status"], self._url)
        self._client.indices.refresh(index=name)


class AgreeingEngine:
    """Two engines, both asked; raises `EnginesDisagree` naming the rule where they differ."""

    def __init__(self, first: Engine, second: Engine) -> None:
        self._first = first
        self._second = second

    def run(
        self, rules: Sequence[EngineRule], source: Source, window: Window | None, now: datetime
    ) -> dict[str, Hits]:
        """What both say; see `Engine.run`. The source is read twice, so it is not an iterator."""
        one = self._first.run(rules, source, window, now)
        other = self._second.run(rules, source, window, now)
        for rule in rules:
            if one[rule.rule_id] != other[rule.rule_id]:
                raise EnginesDisagree(_difference(rule, one[rule.rule_id], other[rule.rule_id]))
        return one


def _difference(rule: EngineRule, one: Hits, other: Hits) -> str:
    """The rule, and the first events that only one of two answers has."""
    parts = []
    for name, mine, others in (("embedded", one, other), ("elasticsearch", other, one)):
        alone = sorted(set(mine.event_ids) - set(others.event_ids))
        hidden = {(item, event) for item, ids in mine.suppressed.items() for event in ids}
        theirs = {(item, event) for item, ids in others.suppressed.items() for event in ids}
        told = [f"alerts on {event}" for event in alone]
        told += [f"hides {event} by {item}" for item, event in sorted(hidden - theirs)]
        if told:
            parts.append(f"only {name} {', '.join(told[:3])}")
    return f"the engines disagree on rule {rule.rule_id}: {'; '.join(parts) or 'on the order'}"


def _placed(rules: Sequence[EngineRule], source: Source) -> dict[str, list[Document]]:
    """Documents by the index they lie in; one without an index lies where each rule looks."""
    firsts = {next(iter(_patterns(rule)), "logs-*") for rule in rules}
    anywhere = sorted(first.replace("*", "default") for first in firsts)
    placed: dict[str, list[Document]] = {}
    for one in documents(source):
        for index in [one.index] if one.index else anywhere:
            placed.setdefault(index, []).append(replace(one, index=index))
    return placed


def _patterns(rule: EngineRule) -> tuple[str, ...]:
    return esql_sources(rule.query) if rule.language == "esql" else rule.index


def _without(field: JsonObject, types: set[str]) -> dict[str, Any]:
    """A mapping with stand-ins for some types."""
    out = dict(field)
    if out.get("type") in types:
        out = {"fields": out["fields"]} if "fields" in out else {}
        out |= _STAND_IN[field["type"]]
    for children in ("properties", "fields"):
        if children in out:
            out[children] = {name: _without(one, types) for name, one in out[children].items()}
    return out


def _with_stream(source: JsonObject, index: str) -> JsonObject:
    """The event with the fields that a data stream's mapping fixes, where it lacks them."""
    parts = index.split("-", 2)
    given = "data_stream" in source or any(one.startswith("data_stream.") for one in source)
    if given or len(parts) != len(_STREAM):
        return source
    return {**source, "data_stream": dict(zip(_STREAM, parts, strict=True))}
