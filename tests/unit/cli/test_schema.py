"""`schema`: JSON Schemas that cannot differ from what the loaders take."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from ruledeploy.allowlist import parse_overlays
from ruledeploy.cli.boundary import run
from ruledeploy.cli.schema import Which, schemas
from ruledeploy.errors import RuledeployError
from ruledeploy.project.settings import parse_settings
from ruledeploy.sigma import load_rules
from ruledeploy.yamldoc import load_one

ROOT = Path(__file__).parents[3]
ALL = schemas()
SAMPLES: dict[str, Any] = {
    "text": "abc",
    "empty": "",
    "number": 7,
    "large": 999_999,
    "negative": -1,
    "fraction": 1.5,
    "true": True,
    "list": ["a", "b"],
    "list of numbers": [1, 2],
    "list of mappings": [{"a": "b"}],
    "list of lists": [["a"]],
    "empty list": [],
    "mapping": {"a": "b"},
    "nested": {"a": {"b": ["c"]}},
    "duration": "5m",
    "date": "2027-03-31",
}
RULE = {
    "title": "T",
    "logsource": {"product": "windows"},
    "detection": {"s": {"a": "b"}, "condition": "s"},
}
CASE = {"expect": "alert", "scenario": "attack/prototype"}
ITEM = {"id": "i", "match": {"a": "b"}}
OVERLAY = {"id": "0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10", "rules": ["any"], "items": [ITEM]}
SETTINGS = {"project": {"name": "acme"}, "env": {"prod": {"kibana_url": "http://k"}}}


def rule_loads(value: Any) -> bool:
    """Whether the loader takes a rule."""
    loaded = load_rules({"r.yml": yaml.safe_dump(value).encode()})
    return not loaded.errors


def overlay_loads(value: Any) -> bool:
    """Whether the loader takes an overlay."""
    try:
        parse_overlays({"o.yml": yaml.safe_dump(value).encode()})
    except RuledeployError:
        return False
    return True


def toml(table: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """A table as TOML: enough of it for these tests."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    for key, value in table.items():
        if key not in inner:
            yield f"{json.dumps(key)} = {inline(value)}"
    for key, value in inner.items():
        yield f"[{above}{json.dumps(key)}]"
        yield from toml(value, f"{above}{json.dumps(key)}.")


def inline(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps(value)


def settings_load(value: Any) -> bool:
    """Whether the loader takes the settings."""
    text = "\n".join(toml(value))
    assert tomllib.loads(text) == value
    try:
        parse_settings(text.encode(), "ruledeploy.toml")
    except RuledeployError:
        return False
    return True


def fits(which: str, value: Any) -> bool:
    """Whether a value holds to a schema."""
    return bool(jsonschema.Draft202012Validator(ALL[which]).is_valid(value))


# A schema, its loader, the keys of one table, and a file that gives a key a value.
Place = tuple[str, Callable[[Any], bool], Mapping[str, Any], Callable[[Any, Any], Any]]


def variations() -> Iterator[Any]:
    """Every key of every table with every sample, in a file that is right otherwise."""
    places: list[Place] = [
        ("rule", rule_loads, ALL["rule"]["properties"]["elastic"]["properties"],
         lambda key, value: {**RULE, "elastic": {key: value}}),
        ("rule", rule_loads, ALL["cases"]["properties"]["tests"]["items"]["properties"],
         lambda key, value: {**RULE, "tests": [{**CASE, key: value}]}),
        ("rule", rule_loads, ALL["rule"]["properties"],
         lambda key, value: {**RULE, key: value}),
        ("overlay", overlay_loads, ALL["overlay"]["properties"],
         lambda key, value: {**OVERLAY, key: value}),
        ("overlay", overlay_loads,
         ALL["overlay"]["properties"]["items"]["items"]["properties"],
         lambda key, value: {**OVERLAY, "items": [{**ITEM, key: value}]}),
        ("settings", settings_load, ALL["settings"]["properties"]["project"]["properties"],
         lambda key, value: {**SETTINGS, "project": {"name": "acme", key: value}}),
        ("settings", settings_load, ALL["settings"]["properties"]["defaults"]["properties"],
         lambda key, value: {**SETTINGS, "defaults": {key: value}}),
        ("settings", settings_load,
         ALL["settings"]["properties"]["env"]["additionalProperties"]["properties"],
         lambda key, value: {**SETTINGS, "env": {"prod": {key: value}}}),
    ]  # fmt: skip
    for which, loads, keys, build in places:
        for key in [*keys, "no_such_key"]:
            yield pytest.param(which, loads, build, key, id=f"{which}-{key}")


@pytest.mark.parametrize(("which", "loads", "build", "key"), list(variations()))
def test_what_loads_fits(
    which: str, loads: Callable[[Any], bool], build: Callable[[Any, Any], Any], key: str
) -> None:
    """An editor never marks what the program takes; and some value of each key does load."""
    for name, sample in SAMPLES.items():
        value = build(key, sample)
        assert fits(which, value) or not loads(value), name


@pytest.mark.parametrize(
    ("which", "value"),
    [
        ("rule", {**RULE, "elastic": {"indx": ["a"]}}),
        ("rule", {**RULE, "elastic": {"risk_score": 101}}),
        ("rule", {**RULE, "elastic": {"language": "sql"}}),
        ("rule", {**RULE, "elastic": {"variants": {"defend": {"indx": ["a"]}}}}),
        ("rule", {**RULE, "tests": [{"expect": "maybe"}]}),
        ("rule", {**RULE, "level": "severe"}),
        ("overlay", {**OVERLAY, "item": []}),
        ("overlay", {**OVERLAY, "items": [{**ITEM, "os": ["beos"]}]}),
        ("settings", {**SETTINGS, "defaults": {"interval": "soon"}}),
        ("settings", {**SETTINGS, "env": {"prod": {"spaec": "x"}}}),
        ("settings", {"project": {}}),
        ("cases", {"tests": []}),
        ("scenario", {"id": "attack/x"}),
    ],
)
def test_mistakes_are_marked(which: str, value: Any) -> None:
    """Wrong keys, words and numbers."""
    assert not fits(which, value)


def test_our_own_files_fit() -> None:
    """Settings, rules and overlays of this repository."""
    assert fits("settings", tomllib.loads((ROOT / "ruledeploy.toml").read_text()))
    for folder, which in (("rules", "rule"), ("exceptions", "overlay")):
        paths = sorted((ROOT / folder).rglob("*.yml"))
        assert paths
        for path in paths:
            assert fits(which, load_one(path.read_bytes(), str(path)).value), path


@pytest.mark.parametrize("which", list(Which))
def test_each_is_a_schema(which: Which, capsys: pytest.CaptureFixture[str]) -> None:
    """Valid JSON Schema, printed by name."""
    assert run(["schema", which.value]) == 0
    printed = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == json.loads(json.dumps(ALL[which.value]))


def test_all_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name, every schema by its name."""
    assert run(["schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {which.value for which in Which}
