"""Laws of the conversion: any detection over any event, against Sigma's own meaning."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.fields import load_table
from ruledeploy.query.parse import parse_query
from ruledeploy.sigma import load_rules
from ruledeploy.sigma.convert import LANGUAGES, Target, convert
from ruledeploy.sigma.selection import parse_selection
from ruledeploy.yamldoc import load_one

NOW = datetime(2026, 11, 24, tzinfo=UTC)
# A keyword without sibling, one with a lower-cased sibling, a wildcard, and event data.
FIELDS = {
    "endpoint-process": ("process.name", "process.command_line", "user.name"),
    "sysmon-integration": ("process.name", "user.name", "winlog.event_data.Details"),
}
NASTY = "aBz9 \\/*?\"'<>=&|!(){}[]^~:.,@#+-$%;\t\u00e9\u00c9"
texts = st.text(st.sampled_from(NASTY), max_size=6)
MODIFIERS = ("", "|contains", "|startswith", "|endswith")


def escaped(text: str) -> str:
    """The text as a Sigma value without wildcards."""
    return re.sub(r"[\\*?]", r"\\\g<0>", text)


@st.composite
def selections(draw: st.DrawFn, fields: tuple[str, ...]) -> dict[str, Any]:
    """Some fields, each with a modifier and one to three values."""
    chosen = draw(st.lists(st.sampled_from(fields), min_size=1, max_size=2, unique=True))
    return {
        f"{name}{draw(st.sampled_from(MODIFIERS))}": draw(
            st.lists(texts.filter(bool), min_size=1, max_size=3)
        )
        for name in chosen
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, Any], str, list[dict[str, str]]]:
    """A family, named selections, a condition, and events that are near misses or hits."""
    family = draw(st.sampled_from(sorted(FIELDS)))
    fields = FIELDS[family]
    names = ("a", "b", "c")
    named = {name: draw(selections(fields)) for name in names}
    condition = draw(
        st.sampled_from(
            (
                "a",
                "not a",
                "a and not b",
                "a or not b",
                "not (a or b) and c",
                "not (a and b) or c",
                "all of them",
                "not 1 of them",
                "a or b and not c",
            )
        )
    )
    near = [text for s in named.values() for values in s.values() for text in values]
    values = st.one_of(
        texts,
        st.sampled_from(near),
        st.sampled_from(near).map(str.swapcase),
        st.tuples(st.sampled_from(near), texts).map("".join),
        st.tuples(texts, st.sampled_from(near)).map("".join),
    ).filter(lambda text: text != "")
    event = st.dictionaries(st.sampled_from(fields), values, max_size=len(fields))
    return family, named, condition, draw(st.lists(event, min_size=1, max_size=6))


def low(text: str) -> str:
    """Lower case per character."""
    return "".join(char.lower() for char in text)


def selected(selection: dict[str, Any], event: dict[str, str]) -> bool:
    """Sigma's meaning of a selection of plain values: case does not count, missing is false."""
    for key, values in selection.items():
        name, _, modifier = key.partition("|")
        value = event.get(name)
        if value is None or not any(fits(low(value), low(each), modifier) for each in values):
            return False
    return True


def fits(value: str, wanted: str, modifier: str) -> bool:
    """One comparison."""
    match modifier:
        case "contains":
            return wanted in value
        case "startswith":
            return value.startswith(wanted)
        case "endswith":
            return value.endswith(wanted)
        case _:
            return value == wanted


def expected(named: dict[str, Any], condition: str, event: dict[str, str]) -> bool:
    """The condition in Python's words, over Sigma's two truth values."""
    truths = {name: selected(selection, event) for name, selection in named.items()}
    python = condition.replace("all of them", "a and b and c").replace("1 of them", "(a or b or c)")
    return bool(eval(python, {}, truths))  # noqa: S307 - one of our own nine conditions


def rule_text(named: dict[str, Any], condition: str) -> bytes:
    """The rule as a file; values are escaped so that they hold no wildcards."""
    detection = {
        name: {key: [escaped(each) for each in values] for key, values in selection.items()}
        for name, selection in named.items()
    }
    whole = {"title": "T", "logsource": {"category": "x"}, "detection": detection}
    whole["detection"] = {**detection, "condition": condition}
    whole["logsource"] = {"product": "windows"}
    return yaml.safe_dump(whole, allow_unicode=True).encode()


@settings(max_examples=120, deadline=None)
@given(cases())
def test_every_language_says_what_sigma_says(
    case: tuple[str, dict[str, Any], str, list[dict[str, str]]],
) -> None:
    """The same events match, whatever the language, the case, or the special characters."""
    family, named, condition, events = case
    loaded = load_rules({"r.yml": rule_text(named, condition)})
    assert not loaded.errors, loaded.errors
    table = load_table(family)
    index = table.index.replace("*", "default")
    documents = [Document(index, str(number), event) for number, event in enumerate(events)]
    wanted = {
        str(number) for number, event in enumerate(events) if expected(named, condition, event)
    }
    for language in LANGUAGES:
        query = convert(loaded.rules[0], Target(language, (table.index,), table)).query
        parse_query(language, query)
        rule = EngineRule("r", language, query, (table.index,))
        hits = EmbeddedEngine().run([rule], Memory(documents), None, NOW)["r"]
        assert set(hits.event_ids) == wanted, query


@settings(max_examples=100, deadline=None)
@given(texts)
def test_an_escaped_value_is_itself(text: str) -> None:
    """A value without wildcards comes back as it was, and so does its wildcard pattern."""
    raw = yaml.safe_dump({"match": {"f": escaped(text)}}, allow_unicode=True).encode()
    (match,) = parse_selection(load_one(raw, "o.yml"), "match")
    (pattern,) = match.values
    assert pattern.plain == text
    assert re.sub(r"\\(.)", r"\1", pattern.to_wildcard(), flags=re.DOTALL) == text
