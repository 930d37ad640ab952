"""JSON as JavaScript reads it, where Python is laxer or stricter."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# An escape that may be one half of a character.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# A whole number that may be beyond a double's range, 1.8e308.
_LONG = re.compile(rb"[0-9]{309}")


def read_json(text: bytes, *, unique: bool = False) -> Any:
    """The value of a JSON text; `ValueError` when it is none.

    Of a key that comes twice the last counts, or with `unique` it is an error, as to Elasticsearch.

    NaN and Infinity are no JSON. A number beyond a double's range becomes null, as it would when
    it is written again, and half a character the replacement character.
    """
    whole = _whole_number if _LONG.search(text) else None
    try:
        value = json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=whole,
            object_pairs_hook=_unique if unique else None,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return _whole(value) if _SURROGATE.search(text) else value


def names_prototype(value: Any) -> bool:
    """Whether an object somewhere has the key `__proto__`, which Kibana's parser refuses."""
    match value:
        case dict():
            return "__proto__" in value or any(map(names_prototype, value.values()))
        case list():
            return any(map(names_prototype, value))
        case _:
            return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"Duplicate field '{key}'")
        out[key] = value
    return out


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _whole_number(text: str) -> int | None:
    return None if _finite(text) is None else int(text)


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {_whole(key): _whole(item) for key, item in value.items()}
        case _:
            return value
