from __future__ import annotations

import pytest

from ruledeploy.errors import Location, OverlayError, Problems
from ruledeploy.sigma import FieldMatch, Pattern, Wildcard
from ruledeploy.sigma.selection import parse_selection
from ruledeploy.yamldoc import load_one

ANY = Wildcard.ANY


def parse(text: str) -> tuple[FieldMatch, ...]:
    """The selection under `match:` of a file that holds just that."""
    indented = "".join(f"  {line}\n" for line in text.strip("\n").splitlines())
    return parse_selection(load_one(f"match:\n{indented}".encode(), "o.yml"), "match")


def one(text: str) -> FieldMatch:
    """The only line of a selection."""
    (found,) = parse(text)
    return found


def test_lines_keep_file_order_and_place() -> None:
    """Each line becomes one match that knows where it is written."""
    first, second = parse("process.name: a.exe\nuser.name: [x, y]")
    assert first == FieldMatch(
        "process.name", "match", (Pattern(("a.exe",)),), Location("o.yml", 2, 3)
    )
    assert second.values == (Pattern(("x",)), Pattern(("y",)))
    assert second.location.line == 3
    assert not second.all_of


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (r"f: C:\Windows\*", ("C:\\Windows", ANY)),
        (r"f: C:\Windows\\*", ("C:\\Windows\\", ANY)),
        (r"f: C:\Windows\a.exe", (r"C:\Windows\a.exe",)),
        (r"f: a\*b", ("a*b",)),
        ("f: a?c", ("a", Wildcard.ONE, "c")),
        ("f|contains: evil", (ANY, "evil", ANY)),
        ("f|startswith: evil", ("evil", ANY)),
        ("f|endswith: evil", (ANY, "evil")),
        ("f: true", ("true",)),
        ("f: 12", ("12",)),
        ("f: ''", ()),
    ],
)
def test_values_become_patterns(line: str, parts: tuple[str | Wildcard, ...]) -> None:
    """Wildcards and modifiers are read as Sigma reads them; backslashes stay."""
    if line == r"f: C:\Windows\*":
        parts = ("C:\\Windows*",)  # Sigma: a backslash before a star makes it a literal star
    assert one(line).values == (Pattern(parts),)


def test_modifiers_that_change_the_line() -> None:
    """`all`, `cased`, `cidr` and `exists` are told beside the values."""
    assert one("f|contains|all: [a, b]").all_of
    assert not one("f|contains|all: [a]").all_of
    assert one("f|cased: A").cased
    network = one("f|cidr: 10.0.0.0/8")
    assert (network.kind, network.values) == ("cidr", (Pattern(("10.0.0.0/8",)),))
    assert one("f|exists: true").present
    assert not one("f|exists: false").present
    assert one("f: null").kind == "exists"
    assert not one("f: null").present


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("f|re: a.*", "modifier `re`", 2),
        ("a: b\nf|gt: 5", "modifier `gt`", 3),
        ("f|neq: 5", "modifier `neq`", 2),
        ("f|startwith: 5", "modifier `startwith`", 2),
        ("'|contains': x", "keyword without a field", 2),
        ("- a: b\n- c: d", "OR across fields", 1),
        ("- word", "OR across fields", 1),
        ("f: []", "empty list", 2),
        ("f: {g: h}", "nested value", 2),
        ("f: [a, null]", "mixes presence", 2),
        ("f|cidr: 10.0.0.1/8", "host bits", 2),
        ("f|contains: 5", "incompatible", 2),
    ],
)
def test_what_entries_cannot_say_is_refused(text: str, message: str, line: int) -> None:
    """A refusal names the construct, the line and a way out."""
    with pytest.raises(OverlayError, match=message) as raised:
        parse(text)
    assert raised.value.location is not None
    assert raised.value.location.line == line


def test_all_wrong_lines_are_reported_at_once() -> None:
    """Two mistakes give two errors."""
    with pytest.raises(Problems) as raised:
        parse("f|re: a\ng|gt: 1")
    assert len(raised.value.errors) == 2


def test_patterns_speak_kibanas_wildcard_language() -> None:
    """Literal wildcards and backslashes are escaped, wildcards are not."""
    pattern = one(r"f: C:\a\\*b\*").values[0]
    assert pattern.to_wildcard() == r"C:\\a\\*b\*"
    assert pattern.plain is None
    assert one("f: '*'").values[0].matches_anything
    assert not Pattern(()).matches_anything


def test_lower_case_is_per_character() -> None:
    """One character never becomes two, as in Lucene's filter."""
    assert Pattern(("AÉİ", ANY)).lowered() == Pattern(("aéi", ANY))
