"""The table of `doctor`: short however many rules there are, and nothing unwell left out."""

from __future__ import annotations

import io

from ruledeploy.report.doctor import MAX_LINES, print_checks


def check(what: str, state: str = "ok", said: str = "fine", group: str = "") -> dict[str, str]:
    """A check as `doctor --json` has it."""
    remedy = "" if state == "ok" else f"mend {said}"
    return {"what": what, "state": state, "said": said, "remedy": remedy, "group": group}


def table(*checks: dict[str, str]) -> list[str]:
    """The lines of the table."""
    stream = io.StringIO()
    print_checks(checks, stream)
    return stream.getvalue().splitlines()


def matches(number: int, state: str = "ok", said: str = "2 in 7 days") -> dict[str, str]:
    """One rule's check."""
    return check(f"matches rule {number}", state, said, "matches")


def test_what_is_well_in_a_group_shares_the_line_that_sums_it_up() -> None:
    """Three thousand rules are one line, and still counted."""
    rules = [matches(number) for number in range(3000)]
    lines = table(check("TLS"), check("matches", said="9 of 3,000 rules"), *rules)
    assert lines == ["✓ TLS      fine", "✓ matches  9 of 3,000 rules", "3002 ok"]


def test_what_is_not_well_is_listed_with_its_remedy() -> None:
    """Alike ones in one line that names the first."""
    eql = [matches(number, "unknown", "EQL") for number in range(5)]
    lines = table(matches(7), *eql, matches(8, "error", "bad query"))
    assert lines == [
        "? matches         5 alike: EQL (rule 0, rule 1, rule 2 and 2 more)",
        "  → mend EQL",
        "✗ matches rule 8  bad query",
        "  → mend bad query",
        "1 ok, 1 error, 5 unknown",
    ]


def test_more_than_a_page_of_different_troubles_are_counted() -> None:
    """The first of them by name, the others by number; none is left out of the count."""
    many = [matches(number, "error", f"reason {number}") for number in range(MAX_LINES + 7)]
    lines = table(*many, check("TLS"))
    assert sum(line.startswith("✗ matches rule") for line in lines) == MAX_LINES
    assert "7 more are not well" in lines[2 * MAX_LINES]
    assert lines[-2].startswith("✓ TLS")
    assert lines[-1] == f"1 ok, {MAX_LINES + 7} error"
