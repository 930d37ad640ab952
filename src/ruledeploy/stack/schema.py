"""Request schemas: check a body against the contract, drop unknown keys, fill in defaults.

`requests.json` holds the contract's request side in a compact form: `operations` by method and
path, each with a `body` schema and `query` parameters, and the `schemas` they refer to. The
messages are those of zod, in its version 3 (servers before 9.5) or 4 texts.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ruledeploy.stack import texts
from ruledeploy.stack.errors import platform
from ruledeploy.stack.texts import Zod

_MISSING = object()
_SHOWN_ISSUES = 5


@dataclass(frozen=True, slots=True)
class Issue:
    """One complaint: the path below the body and the text.

    `soft` says that the type is right and only the value is not. `members` are what the members of
    a union complain about; they are told in its place.
    """

    path: str
    text: str
    soft: bool = False
    members: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """One compiled schema: `allOf` merged, references resolved.

    `kind` is object, array, string, integer, number, boolean, any or union. `facts` holds the
    keywords that narrow it (`enum`, `minLength`, `pattern`, `format`, `minimum`, `nullable` …).
    """

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: Shape | None = None
    options: tuple[Shape, ...] = ()
    default: Any = _MISSING


_BOOLEAN_IN_QUERY = (Shape("string", {"enum": ["true", "false"]}), Shape("boolean"))


@dataclass(frozen=True, slots=True)
class _Walk:
    """One walk over a value: the texts to use, and the complaints so far."""

    zod: Zod
    issues: list[Issue] = field(default_factory=list)


@cache
def contract() -> dict[str, Any]:
    """The request side of the contract, read once."""
    text = (files("ruledeploy.stack") / "requests.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def named(name: str) -> Shape:
    """The compiled schema of that name."""
    return compile_schema(contract()["schemas"][name])


@cache
def body_shape(operation: str) -> Shape:
    """The compiled body of an operation, written `POST /api/…`."""
    return compile_schema(contract()["operations"][operation]["body"])


@cache
def query_shape(operation: str) -> Shape:
    """The query parameters of an operation as one object."""
    parameters = contract()["operations"].get(operation, {}).get("query", {})
    return Shape(
        "object",
        properties={name: _in_query(compile_schema(p["schema"])) for name, p in parameters.items()},
        required=frozenset(name for name, p in parameters.items() if p.get("required")),
    )


def _in_query(shape: Shape) -> Shape:
    """In a query a boolean is one of two words, or already a boolean: that is what is told."""
    if shape.kind != "boolean":
        return shape
    return Shape("union", shape.facts, options=_BOOLEAN_IN_QUERY, default=shape.default)


def compile_schema(raw: dict[str, Any]) -> Shape:
    """Compile one JSON schema of the subset the contract uses."""
    if "$ref" in raw:
        return named(raw["$ref"].rpartition("/")[2])
    if "allOf" in raw:
        return _merged([compile_schema(part) for part in raw["allOf"]], raw)
    default = raw.get("default", _MISSING)
    for key in ("anyOf", "oneOf"):
        if key in raw:
            options = tuple(compile_schema(part) for part in raw[key])
            return Shape("union", facts=dict(raw), options=options, default=default)
    kind = raw.get("type", "any")
    facts = {k: v for k, v in raw.items() if k not in {"type", "properties", "items", "required"}}
    if isinstance(kind, list):
        facts["nullable"] = "null" in kind
        kind = next(k for k in kind if k != "null")
    properties = raw.get("properties", {})
    required = raw.get("required", ())
    # Messages come in the schema's order; the contract keeps that of the required keys only.
    names = [*(name for name in required if name in properties), *properties]
    return Shape(
        kind,
        facts=facts,
        properties={name: compile_schema(properties[name]) for name in dict.fromkeys(names)},
        required=frozenset(required),
        items=compile_schema(raw["items"]) if raw.get("items") else None,
        default=default,
    )


def _merged(parts: list[Shape], raw: dict[str, Any]) -> Shape:
    """One shape for an `allOf`: the properties of all parts, or the one part with a default."""
    first = parts[0]
    if first.kind != "object":
        return Shape(
            first.kind, first.facts, items=first.items, options=first.options,
            default=raw.get("default", first.default),
        )  # fmt: skip
    properties: dict[str, Shape] = {}
    for part in parts:
        properties.update(part.properties)
    required = frozenset[str]().union(*(part.required for part in parts))
    default = raw.get("default", first.default)
    return Shape("object", first.facts, properties, required, default=default)


def parse_body(shape: Shape, value: Any, zod: Zod) -> Any:
    """The value with unknown keys dropped and defaults filled in; a platform 400 otherwise."""
    return _parse_or_refuse("body", shape, value, zod)


def parse_query(operation: str, query: dict[str, Any], zod: Zod) -> dict[str, Any]:
    """Query parameters, converted from text; a platform 400 when they do not fit."""
    shape = query_shape(operation)
    typed = {k: _from_text(shape.properties.get(k), v) for k, v in query.items()}
    parsed: dict[str, Any] = _parse_or_refuse("query", shape, typed, zod)
    return parsed


def _parse_or_refuse(where: str, shape: Shape, value: Any, zod: Zod) -> Any:
    walk = _Walk(zod)
    parsed = _parse(shape, value, "", walk)
    if walk.issues:
        raise platform(400, f"[request {where}]: {describe(walk.issues)}")
    return parsed


def complaints(shape: Shape, value: Any, zod: Zod) -> list[Issue]:
    """What is wrong with a value; empty when it fits."""
    walk = _Walk(zod)
    _parse(shape, value, "", walk)
    return walk.issues


def describe(issues: list[Issue]) -> str:
    """`a.b: text, c: text`, at most five, then how many more.

    What the members of a union say is put to the end, as Kibana walks its issues.
    """
    queue, shown = list(issues), []
    for issue in queue:
        if issue.members:
            queue.extend(issue.members)
        else:
            shown.append(f"{issue.path}: {issue.text}" if issue.path else issue.text)
    hidden = len(shown) - _SHOWN_ISSUES
    if hidden > 0:
        shown[_SHOWN_ISSUES:] = [f"and {hidden} more"]
    return ", ".join(shown)


def _from_text(shape: Shape | None, value: Any) -> Any:
    if shape is None or not isinstance(value, str):
        return value
    match shape.kind:
        case "union" if shape.options == _BOOLEAN_IN_QUERY and value in {"true", "false"}:
            return value == "true"
        case "integer":
            return _number(value)
        case "array":
            return [part for part in value.split(",") if part] if value else []
        case _:
            return value


def _number(text: str) -> float:
    """A text as JavaScript's `Number` takes it; NaN when it is none."""
    try:
        # Python alone takes 1_000 for a number.
        number = math.nan if "_" in text else float(text.strip() or 0)
    except ValueError:
        return math.nan
    return int(number) if number.is_integer() else number


def _parse(shape: Shape, value: Any, path: str, walk: _Walk) -> Any:
    if value is None and shape.facts.get("nullable"):
        return None
    match shape.kind:
        case "object":
            return _parse_object(shape, value, path, walk)
        case "array":
            return _parse_array(shape, value, path, walk)
        case "union":
            return _parse_union(shape, value, path, walk)
        case "any":
            return value
        case _:
            text = texts.scalar_complaint(shape.kind, shape.facts, value, walk.zod)
            if text is not None:
                soft = "enum" not in shape.facts and texts.is_kind(shape.kind, value)
                walk.issues.append(Issue(path, text, soft=soft))
            return value


def _parse_object(shape: Shape, value: Any, path: str, walk: _Walk) -> Any:
    if not isinstance(value, dict):
        walk.issues.append(Issue(path, texts.wrong_type("object", value, walk.zod)))
        return value
    if not shape.properties:
        return value
    out: dict[str, Any] = {}
    for key, sub in shape.properties.items():
        below = f"{path}.{key}" if path else key
        if key in value:
            out[key] = _parse(sub, value[key], below, walk)
        elif sub.default is not _MISSING:
            out[key] = json.loads(json.dumps(sub.default))
        elif key in shape.required:
            walk.issues.append(Issue(below, texts.missing(sub.kind, sub.facts, walk.zod)))
    return out


def _parse_array(shape: Shape, value: Any, path: str, walk: _Walk) -> Any:
    if not isinstance(value, list):
        walk.issues.append(Issue(path, texts.wrong_type("array", value, walk.zod)))
        return value
    text = texts.length_complaint(shape.facts, value, walk.zod)
    if text is not None:
        walk.issues.append(Issue(path, text, soft=True))
    item = shape.items
    if item is None:
        return value
    return [_parse(item, v, f"{path}.{n}", walk) for n, v in enumerate(value)]


def _parse_union(shape: Shape, value: Any, path: str, walk: _Walk) -> Any:
    key = shape.facts.get("discriminator", {}).get("propertyName")
    if key is not None:
        return _parse_discriminated(shape, key, value, path, walk)
    trials = []
    for option in shape.options:
        trial = _Walk(walk.zod)
        parsed = _parse(option, value, path, trial)
        if not trial.issues:
            return parsed
        trials.append(trial.issues)
    # The member whose types fit is the one that was meant.
    meant = [issues for issues in trials if all(issue.soft for issue in issues)]
    if meant:
        walk.issues.extend(meant[0])
    else:
        members = tuple(issue for issues in trials for issue in issues)
        walk.issues.append(Issue(path, texts.NO_OPTION, members=members))
    return value


def _parse_discriminated(shape: Shape, key: str, value: Any, path: str, walk: _Walk) -> Any:
    if not isinstance(value, dict):
        walk.issues.append(Issue(path, texts.wrong_type("object", value, walk.zod)))
        return value
    names: list[str] = []
    for option in shape.options:
        kinds = option.properties[key].facts["enum"]
        if value.get(key) in kinds:
            return _parse(option, value, path, walk)
        names.extend(kinds)
    below = f"{path}.{key}" if path else key
    walk.issues.append(Issue(below, texts.no_discriminator(names, walk.zod)))
    return value
