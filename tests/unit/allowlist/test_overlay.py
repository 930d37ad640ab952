"""Overlay files: what is read, what is refused, and how folders refine one another."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ruledeploy.allowlist import compile_overlays, effective_overlays, parse_overlays
from ruledeploy.errors import OverlayError, Problems
from support.overlays import OVERLAY, RULE, compiled, known, overlays, scope


@pytest.mark.parametrize(
    ("items", "said", "line"),
    [
        ("- id: x\n  mach: {process.pid: 1}", "did you mean 'match'", 6),
        ("- match: {process.pid: 1}", "needs an id", 5),
        ("- id: x", "needs a `match:`", 5),
        ("- id: x\n  match: {process.pid: 1}\n- id: x\n  match: {process.pid: 2}", "used twice", 7),
        ("- id: x\n  match: {process.pid: 1}\n  expires: soon", "is no date", 7),
        ("- id: x\n  match: {process.pid: 1}\n  os: [win]", "unknown os 'win'", 7),
        ("- id: x\n  match: {process.pid: 1}\n  state: gone", "unknown state", 7),
        ("- id: x\n  match: {process.pid: 1}\n  permanent: yes please", "true or false", 7),
    ],
)
def test_a_mistake_is_named_with_its_line(items: str, said: str, line: int) -> None:
    """Every mistake in an overlay has a place and a way out."""
    with pytest.raises((OverlayError, Problems)) as caught:
        overlays(items)
    errors = caught.value.errors if isinstance(caught.value, Problems) else (caught.value,)
    assert any(said in str(e) and e.location and e.location.line == line for e in errors)


def test_two_overlays_with_one_id_in_a_folder_are_refused() -> None:
    """The second is an accident: ids name lists."""
    text = f"id: {OVERLAY}\nrules: [any]\nitems: []\n".encode()
    with pytest.raises(OverlayError, match=r"already used in a\.yml"):
        parse_overlays({"a.yml": text, "b.yml": text})


def test_a_date_means_the_end_of_that_day() -> None:
    """`expires: 2027-03-31` counts through the whole day, UTC."""
    (overlay,) = overlays("- id: x\n  match: {process.pid: 1}\n  expires: 2027-03-31")
    assert overlay.items[0].expires == datetime(2027, 3, 31, 23, 59, 59, 999000, tzinfo=UTC)
    allowlist = compiled("- id: x\n  match: {process.pid: 1}\n  expires: 2027-03-31")
    assert allowlist.items[0].body["expire_time"] == "2027-03-31T23:59:59.999Z"


def test_a_later_folder_adds_replaces_and_removes() -> None:
    """Items of the same overlay id are refined one by one."""
    base = overlays("- {id: a, match: {process.pid: 1}}\n- {id: b, match: {process.pid: 2}}")
    env = overlays(
        "- {id: a, match: {process.pid: 9}}\n- {id: b, state: absent}\n"
        "- {id: c, match: {process.pid: 3}}",
        path="exceptions/prod/o.yml",
        rules="",
    )
    (merged,) = effective_overlays([base, env])
    assert merged.title == "Trusted"
    assert [(item.id, item.match[0].values[0].plain) for item in merged.items] == [
        ("a", "9"),
        ("c", "3"),
    ]


def test_removing_what_was_never_there_is_an_error() -> None:
    """A typo in an `absent` item must not leave the item in force."""
    base = overlays("- {id: a, match: {process.pid: 1}}")
    env = overlays("- {id: aa, state: absent}", path="exceptions/prod/o.yml")
    with pytest.raises(OverlayError, match="items so far: a"):
        effective_overlays([base, env])


@pytest.mark.parametrize("name", [RULE, RULE.upper(), "Writers", "tag:attack.t1055.002", "any"])
def test_rules_are_named_by_id_title_tag_or_any(name: str) -> None:
    """Each way of naming the rule links it."""
    found = overlays("- {id: a, match: {process.pid: 1}}", rules=f"'{name}'")
    allowlist = compile_overlays(found, known(), scope())
    assert allowlist.links == {RULE: (f"rd-acme-{OVERLAY}-endpoint-api",)}


def test_a_rule_that_does_not_exist_is_an_error() -> None:
    """An overlay for nothing would silently do nothing."""
    found = overlays("- {id: a, match: {process.pid: 1}}", rules="Writer")
    with pytest.raises(OverlayError, match="did you mean Writers"):
        compile_overlays(found, known(), scope())


def test_a_rule_that_is_not_deployed_here_is_information() -> None:
    """The overlay is right; this environment does not need it."""
    found = overlays("- {id: a, match: {process.pid: 1}}", rules="Elsewhere")
    allowlist = compile_overlays(found, known(), scope())
    assert not allowlist.lists
    assert [(f.severity, f.code) for f in allowlist.findings if f.code.startswith("rule")] == [
        ("info", "rule-not-deployed")
    ]


def test_an_overlay_without_rules_is_an_error() -> None:
    """No folder gave it rules."""
    with pytest.raises(OverlayError, match="names no rules"):
        effective_overlays([overlays("- {id: a, match: {process.pid: 1}}", rules="")])


def test_ids_follow_the_entries_and_nothing_else() -> None:
    """Changed entries make a new item; changed texts keep it."""
    first = compiled("- {id: a, match: {process.pid: 1}, owner: x}").items[0]
    reworded = compiled("- {id: a, match: {process.pid: 1}, owner: y}").items[0]
    changed = compiled("- {id: a, match: {process.pid: 2}, owner: x}").items[0]
    assert first.item_id == reworded.item_id != changed.item_id
    assert first.body["tags"] == ["ruledeploy:acme:prod", "owner:x"]


@pytest.mark.parametrize(
    ("item", "policy", "codes"),
    [
        ("owner: x, expires: 2026-11-23", {}, {"expired"}),
        ("expires: 2026-11-24", {}, {"expires-soon"}),
        ("expires: 2027-11-24", {"max_days": 180}, {"too-long"}),
        ("permanent: true", {}, {"no-end"}),
        ("permanent: true, review_by: 2026-11-01", {}, {"review-due"}),
        ("permanent: true, review_by: 2027-11-01, expires: 2027-01-01", {}, {"no-end"}),
        ("permanent: true, review_by: 2027-11-01", {}, set()),
    ],
)
def test_policy_and_dates_are_checked(item: str, policy: dict[str, int], codes: set[str]) -> None:
    """What never ends, ends too late or has ended is reported."""
    found = overlays(f"- {{id: a, match: {{process.pid: 1}}, {item}}}")
    assert {f.code for f in compile_overlays(found, known(), scope(**policy)).findings} == codes


def test_an_expired_item_is_left_out() -> None:
    """It is reported and not sent."""
    assert not compiled("- {id: a, match: {process.pid: 1}, expires: 2026-11-23}").items


@pytest.mark.parametrize(
    ("match", "code"),
    [
        ("{process.name: svchost.exe}", "name-only"),
        ("{process.name: svchost.exe, process.executable: 'C:\\x\\svchost.exe'}", None),
        ("{process.pid|exists: true}", "wide"),
        ("{process.executable|contains: '\\AppData\\'}", "writable-path"),
        ("{process.executable: 'C:\\Users\\*', process.code_signature.subject_name: A}", None),
    ],
)
def test_what_lets_too_much_through_is_a_warning(match: str, code: str | None) -> None:
    """Names can be forged, and anyone can write below a profile."""
    item = f"- {{id: a, match: {match}, permanent: true, review_by: 2027-01-01}}"
    found = {f.code for f in compiled(item).findings if f.severity == "warning"}
    assert found == ({code} if code else set())


def test_prebuilt_rules_are_linked_to_the_lists_of_the_overlay() -> None:
    """By their rule_ids alone; with rules beside them they share the lists of those."""
    text = f"title: T\nid: {OVERLAY}\nprebuilt: [elastic-1]\nitems:\n"
    text += "  - {id: a, match: {process.name: a.exe}}\n"
    found = effective_overlays([parse_overlays({"exceptions/base/o.yml": text.encode()})])
    alone = compile_overlays(found, known(), scope())
    [links] = alone.prebuilt
    assert (links.rule_id, links.list_ids) == ("elastic-1", (f"rd-acme-{OVERLAY}-ecs",))
    assert links.provenance.line == 3
    both = text.replace("prebuilt:", f"rules: [{RULE}]\nprebuilt:")
    found = effective_overlays([parse_overlays({"exceptions/base/o.yml": both.encode()})])
    beside = compile_overlays(found, known(), scope())
    assert beside.prebuilt[0].list_ids == (f"rd-acme-{OVERLAY}-endpoint-api",)
    wrong = text.replace("[elastic-1]", "7")
    with pytest.raises(OverlayError, match="prebuilt must list"):
        parse_overlays({"exceptions/base/o.yml": wrong.encode()})
