"""Three-way merge, field by field: who changed it since we last applied it decides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.deploy.merge import Side, merge
from ruledeploy.deploy.normalise import differing, fingerprint, instant, normalise

ITEM = {"item_id": "i", "list_id": "l", "type": "simple", "name": "n", "description": "d"}
ENTRIES: list[dict[str, Any]] = [
    {"field": "f", "type": "match", "operator": "included", "value": "v"}
]


def body(**fields: Any) -> dict[str, Any]:
    """An item."""
    return {**ITEM, "entries": ENTRIES, **fields}


@pytest.mark.parametrize(
    ("base", "live", "desired", "side", "value", "told"),
    [
        ("a", "a", "b", None, "b", ""),
        ("a", "b", "a", None, "b", "kept"),
        ("a", "b", "b", None, "b", ""),
        ("a", "b", "c", None, "b", "conflict"),
        ("a", "b", "c", "ours", "c", ""),
        ("a", "b", "c", "theirs", "b", "kept"),
        ("a", "b", "a", "ours", "a", ""),
        ("a", "b", "a", "theirs", "b", "kept"),
        (None, "b", "c", None, "c", ""),
    ],
)
def test_one_field(  # noqa: PLR0913, PLR0917  # a row of the table above
    base: str | None, live: str, desired: str, side: Side | None, value: str, told: str
) -> None:
    """Each row is one case of who changed what; `base` None is an adopted object."""
    was = body(description=base) if base else None
    merged = merge("item", was, body(description=live), body(description=desired), side)
    assert merged.body["description"] == value
    assert [states.field for states in merged.kept] == ["description"] * (told == "kept")
    assert [states.field for states in merged.conflicts] == ["description"] * (told == "conflict")


def test_sets_keep_what_others_added_and_hold_what_we_want() -> None:
    """Tags: ours come back, theirs stay, what we stopped wanting goes."""
    merged = merge("item", body(tags=["o", "p"]), body(tags=["p", "t"]), body(tags=["o", "n"]))
    assert merged.body["tags"] == ["o", "n", "t"]


def test_silence_of_the_files_is_no_wish() -> None:
    """A field that the files never spoke of stays, also one that we do not know."""
    merged = merge("item", body(), body(expire_time="x", unheard_of=1), body())
    assert merged.body["expire_time"] == "x"
    assert merged.body["unheard_of"] == 1
    merged = merge("item", body(expire_time="x"), body(expire_time="x"), body())
    assert "expire_time" not in merged.body


TEXTS = st.sampled_from("abc")
BODIES = st.builds(
    lambda text, tags, until: body(
        description=text, tags=sorted(tags), **({"expire_time": until} if until else {})
    ),
    TEXTS,
    st.sets(TEXTS),
    st.sampled_from(["", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]),
)


@given(BODIES, BODIES)
def test_without_analysts_the_files_win(base: dict[str, Any], desired: dict[str, Any]) -> None:
    """Live as applied: the result is what is desired, and nobody is told anything."""
    merged = merge("item", base, base, desired)
    assert differing("item", merged.body, desired) == ()
    assert not merged.kept
    assert not merged.conflicts


@given(BODIES, BODIES, BODIES, st.sampled_from(["ours", "theirs"]))
def test_a_side_leaves_no_conflict_and_a_second_merge_changes_nothing(
    base: dict[str, Any], live: dict[str, Any], desired: dict[str, Any], side: Side
) -> None:
    """What was merged, pushed again from the same files with the new base, stays as it is."""
    first = merge("item", base, live, desired, side)
    assert not first.conflicts
    second = merge("item", desired, first.body, desired, side)
    assert differing("item", second.body, first.body) == ()


def test_what_means_the_same_does_not_differ() -> None:
    """Order of tags and entries, spelling of an instant, and what the server adds."""
    two = [
        *ENTRIES,
        {"field": "g", "type": "match_any", "operator": "included", "value": ["x", "y"]},
    ]
    other = [{**two[1], "value": ["y", "x"]}, two[0]]
    one = body(entries=two, tags=["a", "b"], expire_time="2026-11-24T01:00:00+01:00")
    live = {
        **body(entries=other, tags=["b", "a"], expire_time="2026-11-24T00:00:00.000Z"),
        "id": "u",
        "_version": "v",
        "comments": [{"id": "c", "comment": "x"}],
        "os_types": [],
        "namespace_type": "single",
        "created_at": "now",
    }
    assert differing("item", one, live) == ()
    assert instant("2026-11-24") == "2026-11-24T00:00:00.000Z"


def test_a_fingerprint_moves_with_what_matters() -> None:
    """Another version or comment moves it; who touched it last does not."""
    live = {**body(), "id": "u", "_version": "v", "updated_by": "alice"}
    assert fingerprint("item", live) == fingerprint("item", {**live, "updated_by": "bob"})
    assert fingerprint("item", live) != fingerprint("item", {**live, "_version": "w"})
    assert fingerprint("item", None) is None


def test_defaults_of_a_rule_follow_its_type() -> None:
    """A query rule without a language is a KQL rule; a null is as good as nothing."""
    assert normalise("rule", {"type": "query"})["language"] == "kuery"
    assert normalise("rule", {"type": "eql"})["language"] == "eql"
    assert "note" not in normalise("rule", {"type": "query", "note": None})
