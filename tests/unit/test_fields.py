"""Field tables answer what a field is in the index."""

from __future__ import annotations

import json

import pytest

from ruledeploy.errors import ConfigError
from ruledeploy.fields import FAMILIES, family_of, load_table


@pytest.mark.parametrize("family", FAMILIES)
def test_every_table_loads_and_becomes_a_mapping(family: str) -> None:
    """Each family's table is readable, and its mapping is plain JSON."""
    table = load_table(family)
    assert table.family == family
    assert json.loads(json.dumps(table.mappings()))["properties"]["@timestamp"] == {"type": "date"}


def test_defend_lower_cases_names_and_paths_in_a_sibling() -> None:
    """Where Elastic Defend has `.caseless`, it is found; where not, there is none."""
    table = load_table("endpoint-api")
    assert table.caseless("process.name") == "process.name.caseless"
    assert table.caseless("process.name.caseless") == "process.name.caseless"
    assert table.caseless("process.code_signature.subject_name") is None
    assert load_table("sysmon-integration").caseless("process.name") is None


def test_aliases_lead_to_their_target() -> None:
    """The Sysmon integration names a DLL's signer by an alias."""
    table = load_table("sysmon-integration")
    assert table.resolve("dll.path") == "file.path"
    assert table.get("dll.path") == table.get("file.path")


def test_what_is_not_mapped_is_not_searchable() -> None:
    """Documented for the event, absent from the mapping: nothing can find it."""
    table = load_table("endpoint-api")
    assert table.get("process.parent.executable") is None
    found = table.get("process.Ext.memory_region.strings")
    assert found is not None
    assert not found.searchable


def test_event_data_is_mapped_as_it_comes() -> None:
    """Unknown event data of Windows logs becomes a keyword."""
    found = load_table("winlogbeat").get("winlog.event_data.Anything")
    assert found is not None
    assert (found.type, found.ignore_above) == ("keyword", 1024)


def test_a_nested_object_is_found_from_inside() -> None:
    """Fields below `nested` need a nested query."""
    table = load_table("endpoint-api")
    assert table.nested_path("process.Ext.code_signature.status") == "process.Ext.code_signature"
    assert table.nested_path("process.code_signature.status") is None


@pytest.mark.parametrize(
    ("pattern", "family"),
    [
        ("logs-endpoint.events.api-*", "endpoint-api"),
        ("remote:logs-endpoint.events.api-prod", "endpoint-api"),
        ("logs-windows.sysmon_operational-*", "sysmon-integration"),
        ("winlogbeat-*", "winlogbeat"),
        ("logs-*", "ecs"),
    ],
)
def test_an_index_pattern_belongs_to_one_family(pattern: str, family: str) -> None:
    """Users' own suffixes and clusters do not change the family."""
    assert family_of(pattern) == family


def test_an_unknown_family_names_the_known_ones() -> None:
    """A typo is an error with the list."""
    with pytest.raises(ConfigError, match="endpoint-api"):
        load_table("endpoint-apis")
