"""`_find` over lists and items: the words of `search`, sort fields, pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ruledeploy.stack.errors import siem
from ruledeploy.stack.exceptions.common import type_of
from ruledeploy.stack.filter import attributes_of_list
from ruledeploy.stack.paging import WINDOW, Object, find_page

DEFAULT_PER_PAGE = 20


def find_objects(
    objects: list[Object], query: Mapping[str, Any], namespaces: Sequence[str]
) -> dict[str, Any]:
    """The answer of `_find`: `{data, page, per_page, total}`.

    A filter may name only the saved-object types of the namespaces that are searched.
    """
    types = [type_of(namespace) for namespace in dict.fromkeys(namespaces)]
    page, size = query.get("page") or 1, query.get("per_page") or DEFAULT_PER_PAGE
    if page * size > WINDOW:
        raise siem(
            400,
            "Result window is too large, from + size must be less than or equal to: "
            f"[{WINDOW}] but was [{page * size}]",
        )
    words = (query.get("search") or "").lower().split()
    if words:
        objects = [o for o in objects if _contains(o, words)]
    asked = {**query, "page": page, "per_page": size}
    data, total = find_page(objects, asked, attributes_of_list, _sort_key, types)
    return {"data": data, "page": page, "per_page": size, "total": total}


def _contains(body: Object, words: list[str]) -> bool:
    text = " ".join(str(body.get(k, "")) for k in ("name", "description", "item_id", "list_id"))
    return any(word.strip("*") in text.lower() for word in words)


def _sort_key(body: Object, field: str) -> tuple[int, Any]:
    value = body.get(field.rpartition(".")[2])
    return (1, "") if value is None else (0, value)
