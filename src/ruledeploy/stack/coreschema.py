"""Bodies of the routes that Kibana's core checks in its own words, not zod's.

Spaces, connectors and data views: `[request body.name]: expected value of type [string] but got
[number]`, one complaint at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.stack import texts
from ruledeploy.stack.errors import platform
from ruledeploy.stack.http import Call

_NAMES = {"array": "Array", "object": "Object"}


def body_of(call: Call, required: Mapping[str, str], optional: Mapping[str, str]) -> dict[str, Any]:
    """The call's JSON object; keys with their types (`string`, `object`, `array of string`)."""
    return checked(call.json(), "request body", required, optional)


def checked(
    sent: Any, where: str, required: Mapping[str, str], optional: Mapping[str, str]
) -> dict[str, Any]:
    """The value as an object; a platform 400 that names the first key that does not fit."""
    if not isinstance(sent, dict):
        raise platform(
            400, f"[{where}]: expected a plain object value, but found [{_name(sent)}] instead."
        )
    for key, kind in {**required, **optional}.items():
        if key in sent:
            _check(sent[key], f"{where}.{key}", kind)
        elif key in required:
            raise platform(
                400, f"[{where}.{key}]: expected value of type [{kind}] but got [undefined]"
            )
    return sent


def _check(value: Any, where: str, kind: str) -> None:
    wanted, _, items = kind.partition(" of ")
    if texts.type_name(value) != wanted:
        raise platform(
            400, f"[{where}]: expected value of type [{wanted}] but got [{_name(value)}]"
        )
    if items:
        for n, item in enumerate(value):
            _check(item, f"{where}.{n}", items)


def _name(value: Any) -> str:
    kind = texts.type_name(value)
    return _NAMES.get(kind, kind)
