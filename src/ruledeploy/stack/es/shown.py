"""Which part of a document's source an answer shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.stack.es import documents


def asked_source(query: Mapping[str, str], default: Any = True) -> Any:
    """What the parameters of a request say about `_source`; `default` when they say nothing."""
    includes, excludes = query.get("_source_includes"), query.get("_source_excludes")
    given = query.get("_source")
    if includes or excludes:
        out = {"includes": (includes or "*").split(",")}
        return {**out, "excludes": excludes.split(",")} if excludes else out
    if given in {"true", "false"}:
        return given == "true"
    return default if given is None else given.split(",")


def filtered_source(source: dict[str, Any], wanted: Any) -> dict[str, Any] | None:
    """`_source` as asked: all, nothing, or patterns to include and exclude."""
    match wanted:
        case bool():
            return source if wanted else None
        case str() | list():
            includes, excludes = [wanted] if isinstance(wanted, str) else wanted, []
        case _:
            includes = wanted.get("includes", wanted.get("include", [])) or ["*"]
            excludes = wanted.get("excludes", wanted.get("exclude", []))
    includes = [includes] if isinstance(includes, str) else includes
    excludes = [excludes] if isinstance(excludes, str) else excludes
    return _pruned(source, "", (includes, excludes))


def _pruned(
    source: Mapping[str, Any], prefix: str, rules: tuple[list[str], list[str]]
) -> dict[str, Any]:
    includes, excludes = rules
    out: dict[str, Any] = {}
    for key, value in source.items():
        path = f"{prefix}{key}"
        above = [path[:n] for n, char in enumerate(path) if char == "."] + [path]
        if any(documents.fits_any(a, excludes) for a in above):
            continue
        if isinstance(value, Mapping) and not any(documents.fits_any(a, includes) for a in above):
            inner = _pruned(value, f"{path}.", rules)
            if inner:
                out[key] = inner
        elif any(documents.fits_any(a, includes) for a in above):
            out[key] = value
    return out
