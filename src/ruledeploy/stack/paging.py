"""Filter, sort and cut a list of objects as the `_find` routes do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ruledeploy.stack.errors import siem
from ruledeploy.stack.filter import Attributes, FilterError, parse_filter
from ruledeploy.stack.filterkeys import ScopeError

# Elasticsearch serves no page beyond this many hits.
WINDOW = 10_000

Object = dict[str, Any]


def find_page(
    objects: list[Object],
    query: Mapping[str, Any],
    attributes: Callable[[Object], Attributes],
    sort_key: Callable[[Object, str], Any],
    types: Sequence[str],
) -> tuple[list[Object], int]:
    """The page's objects and the total that fit `filter`; `query` as the contract parsed it.

    `types` are the saved-object types that a filter may name.
    """
    text = query.get("filter")
    if text is not None:
        fits = compiled(text, types)
        objects = [o for o in objects if fits(attributes(o))]
    field = query.get("sort_field")
    if field is not None:
        ascending = query.get("sort_order") != "desc"
        present = [o for o in objects if sort_key(o, field)[0] == 0]
        absent = [o for o in objects if sort_key(o, field)[0] != 0]
        present.sort(key=lambda o: sort_key(o, field), reverse=not ascending)
        objects = present + absent
    page, size = query.get("page") or 1, query.get("per_page", 20)
    return objects[(page - 1) * size : page * size], len(objects)


def compiled(text: str, types: Sequence[str]) -> Callable[[Attributes], bool]:
    """The filter as a predicate; a siem 400 when it does not parse or names other types."""
    try:
        return parse_filter(text, types)
    except FilterError as error:
        raise siem(400, f"KQLSyntaxError: {error}") from error
    except ScopeError as error:
        raise siem(400, str(error)) from error
