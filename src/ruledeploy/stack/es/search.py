"""Searching: which documents a query holds for, sorted, cut and shown."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from ruledeploy.engine import Document
from ruledeploy.engine.binding import Binder
from ruledeploy.engine.program import Program, Query
from ruledeploy.engine.sources import stream_name
from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldTable
from ruledeploy.query.dsl import parse_dsl
from ruledeploy.query.ir import Node, simplify
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.aggregations import Reader, Search, aggregate
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.shown import filtered_source
from ruledeploy.stack.es.sorting import Ordered, Tables, field_reader, sort_keys, sort_values
from ruledeploy.stack.es.tables import table_of
from ruledeploy.stack.jsontext import read_json
from ruledeploy.stack.paging import WINDOW
from ruledeploy.stack.store import Store

_KNOWN = {
    "query", "size", "from", "sort", "_source", "fields", "aggs", "aggregations", "search_after",
    "track_total_hits", "runtime_mappings", "pit", "timeout", "docvalue_fields", "stored_fields",
    "version", "seq_no_primary_term", "track_scores", "highlight", "collapse", "min_score",
}  # fmt: skip
_REFUSED = {"collapse", "runtime_mappings", "min_score"}


class Matching:
    """One query over the documents of any index, bound to each index's table once."""

    def __init__(self, store: Store, query: Mapping[str, Any] | Node | None, now: datetime) -> None:
        self._store = store
        self._now = now
        self.tables: dict[str, FieldTable] = {}
        self._programs: dict[str, tuple[Program, Query]] = {}
        if query == {}:
            raise elastic(400, "illegal_argument_exception", "query malformed, empty clause found")
        try:
            asked = {"match_all": {}} if query is None else query
            parsed = asked if isinstance(asked, Node) else parse_dsl(asked)
            self._node = simplify(parsed)
        except QueryError as error:
            raise unreadable(error) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise elastic(400, "parsing_exception", f"malformed query: {error}") from error

    def table(self, index: str) -> FieldTable:
        """The table of an index, looked up once."""
        if index not in self.tables:
            self.tables[index] = table_of(self._store, index)
        return self.tables[index]

    def holds(self, stored: Stored) -> bool:
        """Whether the query holds for a document."""
        found = self._programs.get(stored.index)
        if found is None:
            program = Program()
            try:
                bound = Binder(self.table(stored.index), self._now).bind(self._node)
            except QueryError as error:
                raise unreadable(error) from error
            found = self._programs[stored.index] = (program, program.add(bound))
        program, query = found
        document = Document(stream_name(stored.index), stored.id, stored.source)
        return query(program.read(document))


def unreadable(error: QueryError) -> Exception:
    """A 400 for a query that does not parse, or that this stack does not evaluate."""
    return elastic(400, "parsing_exception", str(error))


def named_indices(store: Store, expression: str, query: Mapping[str, str]) -> list[str]:
    """Backing indices of a search; a plain name that does not exist is a 404."""
    found = documents.resolve(store, expression)
    if query.get("ignore_unavailable") != "true":
        for part in expression.split(","):
            plain = part and "*" not in part and not part.startswith("-") and part != "_all"
            if plain and not documents.resolve(store, part):
                raise elastic(
                    404, "index_not_found_exception", f"no such index [{part}]", index=part
                )
    return found


def search(
    store: Store,
    backings: Sequence[str],
    body: Mapping[str, Any],
    now: datetime,
    *,
    scrolling: bool = False,
) -> dict[str, Any]:
    """The answer of `_search` over backing indices; a 400 for a body that makes no sense.

    Only `scrolling` gets beyond the first ten thousand hits.
    """
    try:
        return _search(store, backings, body, now, scrolling=scrolling)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # One border for all the shapes a search may not have; a server names them one by one.
        raise elastic(400, "parsing_exception", f"malformed search: {error}") from error


def _search(
    store: Store,
    backings: Sequence[str],
    body: Mapping[str, Any],
    now: datetime,
    *,
    scrolling: bool,
) -> dict[str, Any]:
    whole = {key: int(float(body[key])) for key in ("size", "from") if key in body}
    body = {**body, **whole}
    _check(body)
    if not scrolling:
        _check_window(body)
    matching = Matching(store, body.get("query"), now)
    found = (stored for stored in documents.scan(store, list(backings)) if matching.holds(stored))
    aggregations = body.get("aggs", body.get("aggregations")) or {}
    # Only aggregations look at documents again: otherwise those not shown are not kept.
    hits = list(found) if aggregations else found
    reader = field_reader(matching.table)
    answer: dict[str, Any] = {
        "took": 1,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        **shown(hits, body, reader, matching.table),
    }
    if isinstance(hits, list):
        around = Search(
            reader,
            lambda query: Matching(store, query, now).holds,
            lambda some, options: shown(some, options, reader, matching.table),
        )
        answer["aggregations"] = aggregate(aggregations, hits, around)
    return answer


def shown(
    hits: Iterable[Stored], body: Mapping[str, Any], reader: Reader, tables: Tables
) -> dict[str, Any]:
    """Hits sorted, cut and told as the body asks."""
    counted = _Counted(hits)
    keys = sort_keys(body.get("sort"))
    keyed = ((sort_values(stored, keys, reader, tables), stored) for stored in counted)
    after = body.get("search_after")
    if after is not None:
        bound = Ordered(after, keys)
        keyed = (pair for pair in keyed if bound < Ordered(pair[0], keys))
    start, end = body.get("from", 0), body.get("from", 0) + body.get("size", 10)
    if keys:
        first = heapq.nsmallest(end, keyed, key=lambda pair: Ordered(pair[0], keys))
    else:
        first = list(islice(keyed, end))
    counted.finish()
    return {
        "hits": {
            **_total(counted.count, body.get("track_total_hits", WINDOW)),
            "max_score": None if keys or not counted.count else 1.0,
            "hits": [
                _hit(stored, values, body, sorting=bool(keys)) for values, stored in first[start:]
            ],
        }
    }


class _Counted:
    """Documents that are counted as they pass."""

    def __init__(self, hits: Iterable[Stored]) -> None:
        self._hits = iter(hits)
        self.count = 0

    def __iter__(self) -> Iterator[Stored]:
        for stored in self._hits:
            self.count += 1
            yield stored

    def finish(self) -> None:
        """Count those that nobody asked for."""
        for _ in self:
            pass


def _check(body: Mapping[str, Any]) -> None:
    for key in body:
        if key not in _KNOWN:
            raise elastic(400, "parsing_exception", f"unknown key [{key}] in a search")
        if key in _REFUSED and body[key]:
            raise elastic(400, "parsing_exception", f"the local stack does not support [{key}]")
    for key in ("size", "from"):
        if body.get(key, 0) < 0:
            reason = f"[{key}] parameter cannot be negative, found [{body[key]}]"
            raise elastic(400, "illegal_argument_exception", reason)
    if body.get("search_after") is not None and not body.get("sort"):
        reason = "Sort must contain at least one field."
        raise elastic(400, "illegal_argument_exception", reason)


def _check_window(body: Mapping[str, Any]) -> None:
    if body.get("from", 0) + body.get("size", 10) > WINDOW:
        raise elastic(
            400,
            "illegal_argument_exception",
            "Result window is too large, from + size must be less than or equal to: "
            f"[{WINDOW}] but was [{body.get('from', 0) + body.get('size', 10)}]",
        )


def _total(count: int, track: Any) -> dict[str, Any]:
    if track is False:
        return {}
    limit = count if track is True else int(track)
    relation = "eq" if count <= limit else "gte"
    return {"total": {"value": min(count, limit), "relation": relation}}


def _hit(
    stored: Stored, values: list[Any], body: Mapping[str, Any], *, sorting: bool
) -> dict[str, Any]:
    hit: dict[str, Any] = {
        "_index": stored.index,
        "_id": stored.id,
        "_score": None if sorting else 1.0,
    }
    if body.get("version"):
        hit["_version"] = stored.version
    if body.get("seq_no_primary_term"):
        hit |= {"_seq_no": stored.seq, "_primary_term": 1}
    shown = filtered_source(stored.source, body.get("_source", True))
    if shown is not None:
        hit["_source"] = shown
    wanted = [f if isinstance(f, str) else f["field"] for f in body.get("fields", ())]
    if wanted:
        flat = _flat_values(stored.source, "")
        chosen = {k: v for k, v in flat.items() if documents.fits_any(k, wanted)}
        hit["fields"] = chosen
    if sorting:
        hit["sort"] = values
    return hit


def _flat_values(value: Any, path: str) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for key, inner in value.items():
        name = f"{path}.{key}" if path else key
        for element in inner if isinstance(inner, list) else [inner]:
            if isinstance(element, Mapping):
                for below, found in _flat_values(element, name).items():
                    out.setdefault(below, []).extend(found)
            elif element is not None:
                out.setdefault(name, []).append(element)
    return out


def matching_documents(
    store: Store, backings: Iterable[str], query: Mapping[str, Any] | None, now: datetime
) -> list[Stored]:
    """All documents a query holds for, in the order they were written."""
    matching = Matching(store, query, now)
    return [stored for stored in documents.scan(store, list(backings)) if matching.holds(stored)]


def count_documents(
    store: Store, backings: Iterable[str], query: Mapping[str, Any] | None, now: datetime
) -> int:
    """How many documents a query holds for."""
    matching = Matching(store, query, now)
    return sum(matching.holds(stored) for stored in documents.scan(store, list(backings)))


def search_body(text: bytes) -> dict[str, Any]:
    """A search request's body; empty means everything."""
    try:
        loaded = read_json(text, unique=True) if text.strip() else {}
    except ValueError as error:
        reason = f"request body is not valid JSON: {error}"
        raise elastic(400, "x_content_parse_exception", reason) from error
    if not isinstance(loaded, dict):
        raise elastic(400, "parsing_exception", "a search is a JSON object")
    return loaded
