"""Value lists: files of values, and the entries that name them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from ruledeploy.compile import compile_release
from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.errors import RuledeployError
from ruledeploy.model import Release
from ruledeploy.project import load_project

RULE = b"""
title: Network tool
id: 11111111-1111-4111-8111-111111111111
status: test
level: high
logsource: {product: windows, category: network_connection}
detection:
  selection: {Image|endswith: '\\\\tool.exe'}
  condition: selection
"""
CONFIG = b"""
[project]
name = "acme"
[defaults.indices]
"windows/network_connection" = ["logs-endpoint.events.network-*"]
[env.local]
exceptions = ["base"]
"""


def release(match: str, **lists: bytes) -> Release:
    """One rule, one overlay with one item, and value lists by name."""
    overlay = f"""
title: Known
id: 0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10
rules: [11111111-1111-4111-8111-111111111111]
items:
  - {{id: known, name: Known, owner: o, reason: r, permanent: true, review_by: 2027-01-01, {match}}}
"""
    files = {
        "ruledeploy.toml": CONFIG,
        "rules/r.yml": RULE,
        "exceptions/base/o.yml": overlay.encode(),
        **{f"exceptions/value_lists/{name}.txt": data for name, data in lists.items()},
    }
    project = load_project(files)
    return compile_release(project, project.environment("local"), date(2026, 11, 24))


def test_a_list_of_texts_is_compared_without_regard_to_case() -> None:
    """The entry asks the lower-cased sibling, which normalises what it is asked."""
    made = release(
        "match: {process.name: {value_list: tools}}", tools=b"# ours\n\nTool.EXE\nb.exe\nb.exe\n"
    )
    [values] = made.value_lists
    assert values.body == {
        "id": "rd-acme-tools-keyword", "name": "tools (acme)", "type": "keyword",
        "description": "Kept in exceptions/value_lists/tools.txt by ruledeploy; edit it there.",
        "meta": {"ruledeploy": "ruledeploy:acme:local"},
    }  # fmt: skip
    assert values.values == ("Tool.EXE", "b.exe")
    [item] = made.items
    assert item.body["entries"] == [
        {"field": "process.name.caseless", "operator": "included", "type": "list",
         "list": {"id": "rd-acme-tools-keyword", "type": "keyword"}},
    ]  # fmt: skip
    assert hidden(made, {"process": {"name": "tool.exe", "executable": "c:\\tool.exe"}})
    assert not hidden(made, {"process": {"name": "tool2.exe", "executable": "c:\\tool.exe"}})


def hidden(made: Release, event: dict[str, object]) -> bool:
    """Whether the one item of a release hides an event, asked of the embedded engine."""
    [rule], items = made.rules, tuple(one.body for one in made.items)
    engine_rule = EngineRule(
        "r", "lucene", "*:*", tuple(rule.body["index"]), items,
        value_lists={str(one.body["id"]): one.values for one in made.value_lists},
    )  # fmt: skip
    document = Document("logs-endpoint.events.network-default", "e", event)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    found = EmbeddedEngine().run([engine_rule], Memory((document,)), None, now)
    return not found["r"].count


@pytest.mark.parametrize(
    ("data", "type_", "inside", "outside"),
    [
        (b"10.0.0.1\n10.0.0.2\n", "ip", "10.0.0.2", "10.0.0.3"),
        (b"10.0.0.0/8\n", "ip_range", "10.9.9.9", "11.0.0.1"),
        (b"10.0.0.1-10.0.0.9\n", "ip_range", "10.0.0.5", "10.0.0.10"),
    ],
)
def test_addresses_and_ranges(data: bytes, type_: str, inside: str, outside: str) -> None:
    """One range makes the whole list a list of ranges."""
    made = release("match: {destination.ip: {value_list: nets}}", nets=data)
    assert made.value_lists[0].body["type"] == type_
    assert hidden(made, {"destination": {"ip": inside}})
    assert not hidden(made, {"destination": {"ip": outside}})


@pytest.mark.parametrize(
    ("match", "data", "message"),
    [
        ("match: {process.name: {value_list: tool}}", b"a\n", r"did you mean 'tools'\?"),
        ("match: {destination.ip: {value_list: tools}}", b"1.2.3.4\n1.2.3\n",
         r"tools.txt:2: '1.2.3' is no address"),
        ("match: {destination.ip: {value_list: tools}}", b"10.0.0.9-10.0.0.1\n", "is no address"),
        ("match: {destination.port: {value_list: tools}}", b"80\n", "cannot be compared"),
        ("match: {process.name: {value_list: tools}}", b"# nothing\n", "is empty"),
        ("match: {process.name: {value_list: tools}}", b"\xff\n", "not UTF-8"),
        ("match: {process.name|cased: {value_list: tools}}", b"a\n", "takes no modifier"),
        ("match: {process.pid: 4}, not: {process.name: {value_list: tools}}", b"a\n",
         "cannot be excluded"),
        ("match: {process.pid: 4, process.name: {value_list: tools}}",
         b"\n".join(b"%d" % n for n in range(65_537)), "cannot be joined"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(match: str, data: bytes, message: str) -> None:
    """An item that would hide too little or too much is never built."""
    with pytest.raises(RuledeployError, match=message):
        release(match, tools=data)


def test_a_large_list_is_compared_with_the_field_itself() -> None:
    """Kibana applies it to the hits, where a lower-cased sibling is not to be found."""
    data = b"\n".join(b"%d" % n for n in range(65_537))
    made = release("match: {process.name: {value_list: many}}", many=data)
    assert made.items[0].body["entries"][0]["field"] == "process.name"


def test_an_unused_file_is_told() -> None:
    """A list that nothing uses is not pushed, and is worth a word."""
    made = release("match: {process.pid: 4}", spare=b"a\n")
    assert made.value_lists == ()
    assert [f.code for f in made.findings if f.code == "value-list-unused"]
