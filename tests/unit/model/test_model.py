"""The nouns keep their shape, and secrets keep themselves."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.errors import Location
from ruledeploy.model import (
    DetectionRule,
    ExceptionItem,
    ExceptionList,
    Finding,
    Provenance,
    Release,
    Secret,
    ValueList,
    canonical,
    digest,
    event_id,
)

PLACE = Provenance("rules/r.yml", 3, "abc")
RELEASE = Release(
    env="prod",
    date="2026-11-24",
    rules=(
        DetectionRule(
            {"rule_id": "r", "exceptions_list": [{"list_id": "l"}]}, "endpoint-api", PLACE
        ),
    ),
    lists=(ExceptionList({"list_id": "l"}, "endpoint-api", PLACE),),
    items=(
        ExceptionItem({"item_id": "i", "list_id": "l"}, PLACE),
        ExceptionItem({"item_id": "j", "list_id": "other"}, PLACE),
    ),
    value_lists=(ValueList({"id": "v"}, ("a", "b"), PLACE),),
    findings=(Finding("warning", "wide", "m", Location("f", 1, 2), "h"),),
)


def test_a_release_survives_json() -> None:
    """`from_json(to_json)` through real JSON text gives the same value."""
    assert Release.from_json(json.loads(json.dumps(RELEASE.to_json()))) == RELEASE


def test_a_rule_knows_the_items_of_its_lists() -> None:
    """Only items of linked lists count."""
    assert [item.item_id for item in RELEASE.items_of(RELEASE.rules[0])] == ["i"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_key_order_does_not_change_a_digest(value: dict[str, object]) -> None:
    """Equal values have equal digests, whatever order they were built in."""
    turned = dict(reversed(value.items()))
    assert canonical(value) == canonical(turned)
    assert digest(value) == digest(turned)


def test_a_lone_surrogate_has_a_digest() -> None:
    """JSON from a peer may hold what UTF-8 cannot."""
    assert len(digest("\ud800")) == 64


def test_a_secret_never_shows_itself() -> None:
    """Printing and formatting hide the value, comparing does not need it."""
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert secret == Secret("hunter2") != Secret("other")
    assert len({secret, Secret("hunter2")}) == 1


def test_an_event_id_is_found_nested_or_dotted() -> None:
    """Both spellings of ECS JSON are in use."""
    assert event_id({"event": {"id": "1"}}) == event_id({"event.id": "1"}) == "1"
    assert event_id({"event": {}}) is None
