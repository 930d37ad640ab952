"""Filters, placeholders, old collections and notes: what a rule owes to other files."""

from __future__ import annotations

from datetime import date

import pytest

from ruledeploy.compile import compile_release
from ruledeploy.errors import RuledeployError
from ruledeploy.model import Release
from ruledeploy.project import load_project

SETTINGS = """\
[project]
name = "acme"
[defaults.placeholders]
Admins = ["root", "adm_*"]
[env.local]
kibana_url = "embedded:"
[env.prod]
kibana_url = "http://k"
[env.prod.placeholders]
Admins = ["boss"]
"""
RULE = """\
title: Tools
name: tools
id: 11111111-1111-4111-8111-111111111111
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image: 'C:\\a.exe'}
  condition: selection
"""
FILTER = """\
title: No admins
id: 22222222-2222-4222-8222-222222222222
logsource: {product: windows}
filter:
  rules: [tools]
  admins: {CommandLine|contains: ADMIN}
  condition: not admins
"""


def release(env: str = "local", **files: str) -> Release:
    """The release of files by path, `__` written for `/`."""
    named = {"rules__tools": RULE, **files}
    contents = {f"{name.replace('__', '/')}.yml": text.encode() for name, text in named.items()}
    project = load_project({"ruledeploy.toml": SETTINGS.encode(), **contents})
    return compile_release(project, project.environment(env), date(2027, 1, 1))


def query(env: str = "local", **files: str) -> str:
    """The query of the rule `Tools`."""
    (rule,) = (rule for rule in release(env, **files).rules if rule.name == "Tools")
    return str(rule.body["query"])


def refusal(**files: str) -> str:
    """What is wrong with the files."""
    with pytest.raises(RuledeployError) as caught:
        release(**files)
    return str(caught.value)


BARE = query()
NARROW = f"({BARE}) AND (NOT process.command_line:/.*[Aa][Dd][Mm][Ii][Nn].*/)"


@pytest.mark.parametrize(
    "rules",
    ["[tools]", "tools", "[Tools]", "[11111111-1111-4111-8111-111111111111]", "any"],
)
def test_a_filter_narrows_the_rules_it_names(rules: str) -> None:
    """By id, name or title, or every rule of its log source."""
    assert query(rules__f=FILTER.replace("[tools]", rules)) == NARROW


def test_a_filter_leaves_other_rules_alone() -> None:
    """A rule that it does not name, and for `any` a rule of another log source."""
    other = RULE.replace("1111-", "3333-").replace("ools", "others")
    linux = RULE.replace("1111-", "4444-").replace("ools", "inux").replace("windows", "linux")
    found = release(rules__f=FILTER, rules__o=other, rules__l=linux)
    narrowed = {rule.name for rule in found.rules if "NOT" in str(rule.body["query"])}
    assert narrowed == {"Tools"}


def test_a_filter_changes_the_rules_hash() -> None:
    """The rule is made of both documents."""
    with_filter, without = release(rules__f=FILTER).rules, release().rules
    assert with_filter[0].body["meta"] != without[0].body["meta"]


def test_filters_lie_among_overlays_too() -> None:
    """In an environment's folders, where a later folder's filter replaces one of its id."""
    prod = FILTER.replace("ADMIN", "BOSS")
    files = {"exceptions__base__f": FILTER, "exceptions__prod__f": prod}
    assert query(**files) == NARROW
    assert "[Bb][Oo][Ss][Ss]" in query("prod", **files)
    assert "[Aa][Dd][Mm]" not in query("prod", **files)


def test_a_later_filter_may_retire_an_earlier_one() -> None:
    """A retired filter, or one for elsewhere, narrows nothing; wherever it lies."""
    retired = f"{FILTER}status: deprecated\n"
    elsewhere = f"{FILTER}elastic: {{environments: [prod]}}\n"
    for text in (retired, elsewhere):
        assert query(exceptions__base__f=text) == query(rules__f=text) == BARE
    assert query("prod", exceptions__base__f=FILTER, exceptions__prod__f=retired) == BARE


def test_filters_among_overlays_are_checked_as_rules_are() -> None:
    """Environments that are there, one filter of an id in a folder, and what loading says."""
    wrong = f"{FILTER}elastic: {{environments: [locl]}}\n"
    assert "f.yml:8:11: no environment 'locl'" in refusal(exceptions__base__f=wrong)
    twice = refusal(exceptions__base__f=FILTER, exceptions__base__g=FILTER)
    assert twice.startswith("exceptions/base/g.yml:2:1: the id 22222222-")
    bare = "".join(line for line in FILTER.splitlines(keepends=True) if "id: 2" not in line)
    codes = [finding.code for finding in release(exceptions__base__f=bare).findings]
    assert "rule-without-id" in codes


@pytest.mark.parametrize(
    "files",
    [
        {"exceptions__base__f": "filter: ["},
        {"rules__f": f"{FILTER}elastic: {{environments: [locl]}}\n"},
        {"exceptions__base__f": f"{FILTER}elastic: {{environments: [locl]}}\n"},
    ],
)
def test_a_mistake_is_told_once(files: dict[str, str]) -> None:
    """However many stages meet it."""
    assert len(refusal(**files).splitlines()) == 1


def test_a_name_of_two_rules_narrows_neither() -> None:
    """It is an error that says both ids; the id itself stays good."""
    other = RULE.replace("11111111-", "33333333-").replace("name: tools\n", "name: others\n")
    said = refusal(rules__f=FILTER.replace("[tools]", "[Tools]"), rules__o=other)
    assert said.startswith("rules/f.yml:5:11: 'Tools' is the name of 2 rules (use the id: ")
    assert "11111111-1111-4111-8111-111111111111 in rules/tools.yml" in said
    assert "33333333-1111-4111-8111-111111111111 in rules/o.yml" in said
    one = FILTER.replace("[tools]", "[11111111-1111-4111-8111-111111111111]")
    found = [str(rule.body["query"]) for rule in release(rules__f=one, rules__o=other).rules]
    assert sum("NOT" in text for text in found) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[tools]", "[tool]", "f.yml:5:11: no rule is named 'tool' (did you mean 'tools'"),
        ("windows}", "linux}", "f.yml:5:11: the filter is for linux, but 'Tools' is for windows/"),
        ("  rules: [tools]\n", "", "says which rules it narrows"),
        ("  condition: not admins\n", "", "a filter needs one condition"),
        ("  admins: {CommandLine|contains: ADMIN}\n", "", "a filter needs a selection"),
        ("logsource: {product: windows}\n", "", "logsource"),
        ("not admins", "not others", "others"),
        ("|contains", "|contained", "f.yml:6:12: CommandLine|contained"),
    ],
)
def test_a_wrong_filter_is_an_error(old: str, new: str, said: str) -> None:
    """PySigma passes over such filters; a rule would stay wide in silence."""
    assert old in FILTER
    assert said in refusal(rules__f=FILTER.replace(old, new))


def test_a_filter_for_nothing_is_said() -> None:
    """`any` rule of a log source that no rule has."""
    text = FILTER.replace("[tools]", "any").replace("windows", "macos")
    (finding,) = (f for f in release(rules__f=text).findings if f.code == "filter-without-rule")
    assert finding.location.path == "rules/f.yml"


def test_a_hand_written_query_cannot_be_narrowed() -> None:
    """Nobody can add a condition to a text."""
    rule = RULE.partition("detection")[0] + "elastic: {query: 'a:b'}\n"
    assert "written by hand" in refusal(rules__tools=rule, rules__f=FILTER)


EXPANDS = RULE.replace("Image: 'C:\\a.exe'", "CommandLine|contains|expand: 'x%Admins%y'")


def test_placeholders_take_the_projects_values() -> None:
    """Several values are alternatives, wildcards count, and an environment has its own."""
    assert "[Rr][Oo][Oo][Tt]" in query(rules__tools=EXPANDS)
    assert "[Aa][Dd][Mm]_.*[Yy].*/" in query(rules__tools=EXPANDS)
    assert " OR " in query(rules__tools=EXPANDS)
    assert query("prod", rules__tools=EXPANDS).endswith("/.*[Xx][Bb][Oo][Ss][Ss][Yy].*/")


def test_a_placeholder_without_a_value_is_refused_by_name() -> None:
    """At its line, with the table to write it in; without `expand`, `%x%` is text."""
    said = refusal(rules__tools=EXPANDS.replace("Admins", "Admin"))
    assert said.startswith("rules/tools.yml:6:15: the placeholder %Admin% has no value")
    assert "did you mean %Admins%" in said
    assert "placeholders]" in said
    assert "%[Tt][Ee][Mm][Pp]%" in query(rules__tools=RULE.replace("C:\\a.exe", "%temp%"))


OLD = """\
action: global
title: Tools
id: 55555555-5555-4555-8555-555555555555
logsource: {product: windows, category: process_creation}
detection: {condition: selection}
---
detection: {selection: {Image: a}}
---
title: Second
detection: {selection: {Image: b}}
---
action: repeat
title: Third
level: low
---
action: reset
---
title: Fourth
id: 66666666-6666-4666-8666-666666666666
logsource: {product: windows, category: process_creation}
detection: {selection: {Image: d}, condition: selection}
"""


def test_old_collections_are_written_out() -> None:
    """`global` is shared, `repeat` is the rule before, `reset` ends both; each id is its own."""
    found = {rule.name: rule for rule in release(rules__tools=OLD).rules}
    assert set(found) == {"Tools", "Second", "Third", "Fourth"}
    assert found["Tools"].rule_id == "55555555-5555-4555-8555-555555555555"
    assert len({rule.rule_id for rule in found.values()}) == 4
    assert found["Third"].body["query"] == found["Second"].body["query"]
    assert found["Third"].body["severity"] == "low"
    assert found["Second"].provenance.line == 9


def test_a_shared_mistake_is_named_where_it_is_written() -> None:
    """A place in the global part, although the rule is further down."""
    shared = "detection: {condition: selection}"
    wrong = "detection: {condition: selection, other: {Image|nosuch: a}}"
    assert "rules/tools.yml:5:43: Image|nosuch" in refusal(rules__tools=OLD.replace(shared, wrong))
