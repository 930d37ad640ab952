"""Scenario files: the bundled ones, and what is said about wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import jsonschema
import pytest

from ruledeploy.errors import Problems, RuledeployError, ScenarioError
from ruledeploy.telemetry import SCENARIO_SCHEMA, load_scenarios, parse_scenarios, scenario_events
from ruledeploy.yamldoc import load_all

BUNDLED = load_scenarios()

# Sub-techniques that happen on Windows: libraries, PE images, threads, APC, TLS callbacks, window
# memory, hollowing, doppelgänging, lists.
INJECTION = ("001", "002", "003", "004", "005", "011", "012", "013", "015")

GOOD = """\
id: attack/example
title: An example
label: attack
technique: T1055
steps:
  - at: 2s
    event: defend/write-process-memory
    repeat: 3
    every: 500ms
    fields:
      process.executable: 'C:\\Users\\{user}\\a.exe'
      process.Ext.api.parameters.size: {each: [1, 2]}
"""


def errors_of(text: str) -> list[RuledeployError]:
    """What parsing the text as `s.yml` complains about."""
    with pytest.raises((ScenarioError, Problems)) as caught:
        parse_scenarios({"s.yml": text.encode()})
    error = caught.value
    return list(error.errors) if isinstance(error, Problems) else [error]


def test_enough_scenarios_are_bundled() -> None:
    """At least 12 attacks and 15 benign scenarios come along."""
    labels = [scenario.label for scenario in BUNDLED.values()]
    assert labels.count("attack") >= 12
    assert labels.count("benign") >= 15


def test_attacks_cover_what_the_rules_are_about() -> None:
    """Process injection in its sub-techniques for Windows; LSASS, side-loading, in-memory code."""
    found = {one.technique for one in BUNDLED.values() if one.label == "attack"}
    injection = {f"T1055.{number}" for number in INJECTION}
    assert injection | {"T1055", "T1003.001", "T1574.001", "T1620"} <= found


@pytest.mark.parametrize("scenario_id", ["attack/prototype", "attack/t1055.002-prototype"])
def test_ids_that_users_quote_stay(scenario_id: str) -> None:
    """The ids that the documentation names exist."""
    assert scenario_id in BUNDLED


def test_bundled_files_fit_the_published_schema() -> None:
    """Every bundled file is valid under the JSON Schema that editors complete from."""
    validator = jsonschema.Draft202012Validator(SCENARIO_SCHEMA)
    folder = files("ruledeploy.telemetry") / "scenarios"
    for entry in folder.iterdir():
        for doc in load_all(entry.read_bytes(), entry.name):
            errors = [error.message for error in validator.iter_errors(doc.value)]
            assert errors == [], entry.name


def test_a_scenario_is_read_with_its_times_in_milliseconds() -> None:
    """Durations become milliseconds; hosts default to all kinds; the place is kept."""
    scenario = parse_scenarios({"s.yml": GOOD.encode()})["attack/example"]
    step = scenario.steps[0]
    assert (step.at, step.repeat, step.every, step.late) == (2000, 3, 500, None)
    assert scenario.hosts == ("workstation", "developer", "server")
    assert scenario.size == 3
    assert str(scenario.location) == "s.yml:1:1"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("technique: T1055\n", "", 3, "names its technique"),
        ("technique: T1055", "technique: 1055", 4, "technique: must be a string"),
        ("technique: T1055", "technique: TA0005", 4, "does not look like T1055"),
        ("title: An example", "titel: An example", 2, "unknown key 'titel'"),
        ("id: attack/example", "id: benign/example", 1, "must begin with attack/"),
        ("id: attack/example", "id: Example", 1, "does not look like attack/"),
        ("label: attack", "label: malicious", 3, "is none of attack, benign"),
        ("at: 2s", "at: 2 seconds", 6, "does not look like 90s"),
        ("repeat: 3", "repeat: 0", 8, "between 1 and 1000"),
        ("repeat: 3", "repeat: true", 8, "must be an integer"),
        ("event: defend/write", "event: defender/write", 7, "is none of"),
        ("process.executable:", "process.executible:", 11, "is not a field of endpoint-api"),
        ("{each: [1, 2]}", "{each: []}", 12, "`each` must not be empty"),
        ("{each: [1, 2]}", "{any: [1]}", 12, "only allowed as {each"),
        ("{each: [1, 2]}", "{each: [1, x]}", 12, "is unsigned_long, and 'x' is not"),
        ("{each: [1, 2]}", "-1", 12, "is unsigned_long, and -1 is not"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: int, said: str) -> None:
    """Each mistake gives an error at its own line that says what is wrong."""
    assert old in GOOD
    errors = errors_of(GOOD.replace(old, new))
    assert any(
        error.location is not None and error.location.line == line and said in error.message
        for error in errors
    ), [str(error) for error in errors]


def test_a_misspelt_field_gets_the_nearest_known_name() -> None:
    """The hint names the field that was probably meant."""
    (error,) = errors_of(GOOD.replace("process.executable:", "process.executible:"))
    assert error.hint == "did you mean 'process.executable'?"


def test_all_mistakes_are_told_at_once() -> None:
    """Two wrong documents give both errors."""
    wrong = GOOD.replace("at: 2s", "at: later").replace("title: An example", "title: ''")
    assert len(errors_of(wrong)) == 2


def test_an_id_belongs_to_one_scenario() -> None:
    """The second scenario of an id is refused, and the first is named."""
    (error,) = errors_of(f"{GOOD}---\n{GOOD}")
    assert "first at s.yml:1:1" in error.message


@pytest.mark.parametrize("text", ["- 1\n", "steps: 3\n", "steps: [3]\nid: 1\n"])
def test_what_is_no_scenario_is_refused(text: str) -> None:
    """Other YAML gives errors, never a crash."""
    assert errors_of(text)


def test_an_alias_of_a_table_is_refused() -> None:
    """The Sysmon integration maps `dll.path` as an alias, which no event may hold."""
    text = GOOD.replace("defend/write-process-memory", "sysmon/image-load")
    text = text.replace("process.Ext.api.parameters.size: {each: [1, 2]}", "dll.path: x")
    (error,) = errors_of(text)
    assert error.message == "dll.path is an alias: write file.path"


COMPOSED = """\
id: attack/composed
title: Two after one another
label: attack
technique: T1003.001
steps:
  - at: 1m
    event: defend/process
    fields: {process.executable: 'C:\\a.exe'}
parts:
  - {at: 2m, scenario: attack/example}
  - {at: 10s, scenario: attack/example}
"""


def test_parts_bring_their_steps_and_their_technique() -> None:
    """In order of time, each step under the technique of the scenario it comes from."""
    found = parse_scenarios({"a.yml": GOOD.encode(), "b.yml": COMPOSED.encode()})
    steps = found["attack/composed"].steps
    assert [(step.at, step.technique) for step in steps] == [
        (12_000, "T1055"),
        (60_000, None),
        (122_000, "T1055"),
    ]
    assert found["attack/composed"].size == 7
    labels = {
        one.label.technique
        for one in scenario_events(
            "attack/composed", 1, datetime(2026, 1, 5, tzinfo=UTC), library=found
        )
    }
    assert labels == {"T1055", "T1003.001"}


def test_a_part_must_be_a_scenario_of_steps() -> None:
    """An unknown one gets the nearest name; one made of parts is refused, so no circle is drawn."""
    own = COMPOSED.replace("scenario: attack/example}\n  -", "scenario: attack/composed}\n  -")
    with pytest.raises((ScenarioError, Problems)) as caught:
        parse_scenarios({"b.yml": own.encode()}, {"attack/examples": BUNDLED["attack/apc"]})
    assert isinstance(caught.value, Problems)
    assert [(str(e.location), e.message, e.hint) for e in caught.value.errors] == [
        (
            "b.yml:10:14",
            "'attack/composed' is made of parts itself",
            "name its parts here; composition goes one level deep",
        ),
        (
            "b.yml:11:15",
            "there is no scenario 'attack/example'",
            "did you mean 'attack/examples'?",
        ),
    ]
