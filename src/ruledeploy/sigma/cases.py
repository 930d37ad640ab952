"""`tests:` of a rule: which events it must and must not alert on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ruledeploy.model import Event, Expectation, JsonObject, TestCase
from ruledeploy.sigma.reading import MAPPING, MAPPINGS, TEXT, Reader, one_of, whole

EXPECTATIONS = ("alert", "no_alert", "suppressed")
# Every key of a test case with its JSON Schema: what is not here is refused.
_KEYS: Mapping[str, JsonObject] = {
    "name": TEXT,
    "env": TEXT,
    "events": {"anyOf": [MAPPING, MAPPINGS]},
    "scenario": TEXT,
    "expect": one_of(EXPECTATIONS),
    "item": TEXT,
    "count": whole(0, 1_000_000),
}
CASE_SCHEMA: JsonObject = {
    "type": "object",
    "properties": _KEYS,
    "required": ["expect"],
    "additionalProperties": False,
}


def read_tests(reader: Reader, key: str = "tests") -> tuple[TestCase, ...]:
    """The test cases under `key`; what is wrong is noted in the reader and left out."""
    value = reader.value.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        reader.wrong(key, "must be a list of test cases")
        return ()
    inner = Reader(reader.doc, reader.errors, (*reader.keys, key))
    cases = (_case(inner.below(n, each), n) for n, each in enumerate(value))
    return tuple(case for case in cases if case is not None)


def _case(reader: Reader, number: int) -> TestCase | None:
    reader.refuse_unknown(_KEYS)
    before = len(reader.errors.errors)
    expect = reader.choice("expect", EXPECTATIONS)
    scenario = reader.text("scenario")
    events = _events(reader)
    if "expect" not in reader.value:
        reader.wrong("expect", "missing", f"one of {', '.join(EXPECTATIONS)}")
    if bool(events) == bool(scenario):
        reader.wrong("events", "a case needs either `events` or `scenario`")
    item = reader.text("item")
    if item and expect != "suppressed":
        reader.wrong("item", "only a case that expects `suppressed` names an item")
    case = TestCase(
        name=reader.text("name") or scenario or f"case {number + 1}",
        expect=cast("Expectation", expect),
        location=reader.doc.at(*reader.keys),
        env=reader.text("env"),
        events=events,
        scenario=scenario,
        item=item,
        count=reader.integer("count", 0, 1_000_000),
    )
    return case if len(reader.errors.errors) == before else None


def _events(reader: Reader) -> tuple[Event, ...]:
    """Events as written, with dotted keys unfolded into nested objects."""
    value = reader.value.get("events")
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, Mapping) for item in items):
        reader.wrong("events", "must be a list of events (mappings)")
        return ()
    try:
        return tuple(unfold(item) for item in items)
    except TypeError:
        reader.wrong("events", "a field is both a value and an object", "write it one way")
        return ()


def unfold(event: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1, "a": {"c": 2}}` as `{"a": {"b": 1, "c": 2}}`, at every depth."""
    out: dict[str, Any] = {}
    for key, value in event.items():
        here = out
        *above, last = str(key).split(".")
        for part in above:
            here = here.setdefault(part, {})
        plain = unfold(value) if isinstance(value, Mapping) else value
        if isinstance(plain, dict) and isinstance(here.get(last), dict):
            here[last] |= plain
        else:
            here[last] = plain
    return out
