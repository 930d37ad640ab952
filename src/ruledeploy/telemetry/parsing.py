"""Scenario files: their schema, and reading them with an error for every line that is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.resources import files as resources
from typing import Any

from ruledeploy.errors import Collector, ScenarioError
from ruledeploy.fields import load_table
from ruledeploy.telemetry.fleet import HOST_KINDS
from ruledeploy.telemetry.scenario import Part, Scenario, Step
from ruledeploy.telemetry.shapes import TEMPLATES
from ruledeploy.telemetry.validate import field_problem
from ruledeploy.yamldoc import YamlDoc, load_all

_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
_MILLIS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_DURATION_TEXT = r"^\d+(ms|s|m|h)$"
_ID = r"^(attack|benign)/[a-z0-9]+([.-][a-z0-9]+)*$"
_TECHNIQUE = r"^T\d{4}(\.\d{3})?$"
_EXAMPLES = {
    _DURATION_TEXT: "90s, 5m or 250ms",
    _ID: "attack/process-hollowing or benign/backup",
    _TECHNIQUE: "T1055 or T1055.002",
}
_MAX_REPEAT = 1000

_VALUE: dict[str, Any] = {
    "anyOf": [
        {"type": ["string", "number", "boolean", "null", "array"]},
        {
            "type": "object",
            "properties": {"each": {"type": "array", "minItems": 1}},
            "required": ["each"],
            "additionalProperties": False,
        },
    ]
}
_STEP: dict[str, Any] = {
    "type": "object",
    "properties": {
        "at": {"type": "string", "pattern": _DURATION_TEXT},
        "event": {"enum": sorted(TEMPLATES)},
        "fields": {"type": "object", "additionalProperties": _VALUE},
        "repeat": {"type": "integer", "minimum": 1, "maximum": _MAX_REPEAT},
        "every": {"type": "string", "pattern": _DURATION_TEXT},
        "late": {"type": "string", "pattern": _DURATION_TEXT},
    },
    "required": ["at", "event"],
    "additionalProperties": False,
}
_PART: dict[str, Any] = {
    "type": "object",
    "properties": {
        "at": {"type": "string", "pattern": _DURATION_TEXT},
        "scenario": {"type": "string", "pattern": _ID},
    },
    "required": ["at", "scenario"],
    "additionalProperties": False,
}
SCENARIO_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ruledeploy telemetry scenario",
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": _ID},
        "title": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "label": {"enum": ["attack", "benign"]},
        "technique": {"type": "string", "pattern": _TECHNIQUE},
        "hosts": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": list(HOST_KINDS)},
        },
        "steps": {"type": "array", "minItems": 1, "items": _STEP},
        "parts": {"type": "array", "minItems": 1, "items": _PART},
    },
    "required": ["id", "title", "label"],
    "anyOf": [{"required": ["steps"]}, {"required": ["parts"]}],
    "additionalProperties": False,
    "if": {"properties": {"label": {"const": "attack"}}},
    "then": {"required": ["technique"]},
}


def load_scenarios() -> dict[str, Scenario]:
    """The scenarios that come with ruledeploy, by id, sorted."""
    folder = resources("ruledeploy.telemetry") / "scenarios"
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return parse_scenarios(
        {entry.name: entry.read_bytes() for entry in entries if entry.name.endswith(".yml")}
    )


def parse_scenarios(
    files: Mapping[str, bytes], library: Mapping[str, Scenario] | None = None
) -> dict[str, Scenario]:
    """Scenarios by id, sorted, from files of one or more YAML documents each.

    A scenario may have others as parts: those of the same files, or of `library`. Raises
    `ScenarioError` or `YamlError` with file and line; `Problems` when there are several.
    """
    collector = Collector()
    found: dict[str, Scenario] = {}
    for path in sorted(files):
        with collector.collect():
            for doc in load_all(files[path], path):
                with collector.collect():
                    scenario = _scenario(doc)
                    _refuse_second(scenario, found)
                    found[scenario.id] = scenario
    whole: dict[str, Scenario] = {}
    for scenario in found.values():
        with collector.collect():
            whole[scenario.id] = _composed(scenario, {**(library or {}), **found})
    collector.raise_if_any()
    return dict(sorted(whole.items()))


def _composed(scenario: Scenario, known: Mapping[str, Scenario]) -> Scenario:
    """The scenario with the steps of its parts among its own, in order of time."""
    collector = Collector()
    steps = list(scenario.steps)
    for part in scenario.parts:
        with collector.collect():
            steps += _taken_over(part, known)
    collector.raise_if_any()
    return replace(scenario, steps=tuple(sorted(steps, key=lambda step: step.at)))


def _taken_over(part: Part, known: Mapping[str, Scenario]) -> Iterable[Step]:
    other = known.get(part.scenario)
    if other is None:
        hint = _nearest(part.scenario, known)
        message = f"there is no scenario {part.scenario!r}"
        raise ScenarioError(message, location=part.location, hint=hint)
    if other.parts:
        message = f"{part.scenario!r} is made of parts itself"
        hint = "name its parts here; composition goes one level deep"
        raise ScenarioError(message, location=part.location, hint=hint)
    return [
        replace(step, at=part.at + step.at, technique=other.technique, own=False)
        for step in other.steps
    ]


def _refuse_second(scenario: Scenario, found: Mapping[str, Scenario]) -> None:
    first = found.get(scenario.id)
    if first is not None:
        message = f"the scenario {scenario.id!r} is written twice (first at {first.location})"
        raise ScenarioError(message, location=scenario.location, hint="give one another id")


def _scenario(doc: YamlDoc) -> Scenario:
    value = doc.value
    if not isinstance(value, dict):
        raise ScenarioError("a scenario is a mapping", location=doc.at())
    collector = Collector()
    for error in _object_errors(doc, value, SCENARIO_SCHEMA, ()):
        collector.add(error)
    if value.get("label") == "attack" and "technique" not in value:
        hint = "add `technique: T1055`, say"
        collector.add(
            ScenarioError("an attack names its technique", location=doc.at("label"), hint=hint)
        )
    if not collector.errors and not value["id"].startswith(f"{value['label']}/"):
        message = f"the id of this scenario must begin with {value['label']}/"
        collector.add(ScenarioError(message, location=doc.at("id")))
    if "steps" not in value and "parts" not in value:
        collector.add(ScenarioError("'steps' is missing", location=doc.at()))
    steps: tuple[Step, ...] = ()
    parts: tuple[Part, ...] = ()
    with collector.collect():
        steps = tuple(_steps(doc, _list(value, "steps")))
    with collector.collect():
        parts = tuple(_parts(doc, _list(value, "parts")))
    collector.raise_if_any()
    return Scenario(
        id=value["id"],
        title=value["title"],
        label=value["label"],
        hosts=tuple(value.get("hosts", HOST_KINDS)),
        steps=steps,
        parts=parts,
        location=doc.at("id"),
        technique=value.get("technique"),
        description=value.get("description", ""),
    )


def _object_errors(
    doc: YamlDoc, value: Mapping[str, Any], schema: Mapping[str, Any], at: tuple[str | int, ...]
) -> Iterable[ScenarioError]:
    known = schema["properties"]
    for key in value:
        if key not in known:
            yield ScenarioError(
                f"unknown key {key!r}", location=doc.at(*at, key), hint=_nearest(key, known)
            )
    for key in schema["required"]:
        if key not in value:
            yield ScenarioError(f"{key!r} is missing", location=doc.at(*at))
    for key in known:
        if key in value:
            problem = _value_problem(value[key], known[key])
            if problem:
                yield ScenarioError(f"{key}: {problem}", location=doc.at(*at, key))


_PYTHON: dict[str, type] = {"string": str, "object": dict, "array": list, "integer": int}


def _value_problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Why a value does not fit its entry in the schema, in a user's words; None when it does."""
    if "enum" in schema:
        allowed = schema["enum"]
        return None if value in allowed else f"{value!r} is none of {', '.join(allowed)}"
    expected = str(schema["type"])
    fits = isinstance(value, _PYTHON[expected]) and not isinstance(value, bool)
    if not fits:
        return f"must be {'an' if expected[0] in 'aio' else 'a'} {expected}, not {value!r}"
    if not value and ("minItems" in schema or "minLength" in schema):
        return "must not be empty"
    match expected:
        case "string" if not re.search(str(schema.get("pattern", "")), value):
            return f"{value!r} does not look like {_EXAMPLES[schema['pattern']]}"
        case "integer" if not schema["minimum"] <= value <= schema["maximum"]:
            return f"must lie between {schema['minimum']} and {schema['maximum']}"
        case "array" if "enum" in schema["items"]:
            problems = (_value_problem(one, schema["items"]) for one in value)
            return next(filter(None, problems), None)
    return None


def _steps(doc: YamlDoc, raw: list[Any]) -> Iterable[Step]:
    collector = Collector()
    for number, value in enumerate(raw):
        at = ("steps", number)
        if not isinstance(value, dict):
            collector.add(ScenarioError("a step is a mapping", location=doc.at(*at)))
            continue
        errors = [*_object_errors(doc, value, _STEP, at)]
        errors = errors or [*_field_errors(doc, value, at)]
        for error in errors:
            collector.add(error)
        if not errors:
            yield Step(
                at=_millis(value["at"]),
                event=value["event"],
                fields=value.get("fields", {}),
                repeat=value.get("repeat", 1),
                every=_millis(value.get("every", "1s")),
                late=_millis(value["late"]) if "late" in value else None,
            )
    collector.raise_if_any()


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def _parts(doc: YamlDoc, raw: list[Any]) -> Iterable[Part]:
    collector = Collector()
    for number, value in enumerate(raw):
        at = ("parts", number)
        if not isinstance(value, dict):
            collector.add(ScenarioError("a part is a mapping", location=doc.at(*at)))
            continue
        errors = [*_object_errors(doc, value, _PART, at)]
        for error in errors:
            collector.add(error)
        if not errors:
            yield Part(_millis(value["at"]), value["scenario"], doc.at(*at, "scenario"))
    collector.raise_if_any()


def _field_errors(
    doc: YamlDoc, step: Mapping[str, Any], at: tuple[str | int, ...]
) -> Iterable[ScenarioError]:
    table = load_table(TEMPLATES[step["event"]])
    for name, value in step.get("fields", {}).items():
        problem = _choice_problem(value)
        hint = None
        for one in [] if problem else _single_values(value):
            problem = field_problem(name, one, table)
            if problem:
                hint = _nearest(name, table.fields) if "not a field" in problem else None
                break
        if problem:
            message = problem if name in problem else f"{name}: {problem}"
            yield ScenarioError(message, location=doc.at(*at, "fields", name), hint=hint)


def _choice_problem(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    if set(value) != {"each"} or not isinstance(value["each"], list):
        return "an object is only allowed as {each: [...]}"
    return None if value["each"] else "`each` must not be empty"


def _single_values(value: Any) -> list[Any]:
    """What a field may come to hold, one by one; None takes a field away, so it always fits."""
    choices = value["each"] if isinstance(value, dict) else [value]
    lists = (choice if isinstance(choice, list) else [choice] for choice in choices)
    return [one for values in lists for one in values if one is not None]


def _nearest(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def _millis(text: str) -> int:
    match = _DURATION.fullmatch(text)
    assert match is not None, text  # noqa: S101  # the schema has let it pass
    return int(match[1]) * _MILLIS[match[2]]
