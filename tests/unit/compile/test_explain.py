"""`explain`: what each comparison became and why, filters, and what exceptions take away."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest

from ruledeploy.allowlist.compile import Scope
from ruledeploy.compile.explain import explain_rule
from ruledeploy.errors import RuledeployError, UsageError
from ruledeploy.project import load_project
from ruledeploy.report.explain import print_explanation
from support.content import OVERLAY, RULE_ID, SETTINGS

RULE = f"""\
title: Writers
name: writers
id: {RULE_ID}
logsource: {{product: windows, category: api}}
detection:
  selection:
    event.category: api
    process.name|endswith: .EXE
    process.command_line|contains: Secret
    process.pid: 4
    process.parent.name|cased: Foo
    process.executable|re: ^c:.*$
  other:
    process.parent.pid: null
  condition: selection and other
"""
FILTER = f"""\
title: Not here
id: 22222222-2222-4222-8222-222222222222
logsource: {{product: windows}}
filter: {{rules: [{RULE_ID}], s: {{host.name: Lab}}, condition: not s}}
"""


def explained(wanted: str = "writers", *, compare: bool = False, **more: str) -> dict[str, Any]:
    """The explanation in environment `local`."""
    files = {
        "ruledeploy.toml": SETTINGS,
        "rules/r.yml": RULE,
        "exceptions/base/o.yml": OVERLAY,
        **{f"rules/{name}.yml": text for name, text in more.items()},
    }
    project = load_project({path: text.encode() for path, text in files.items()})
    scope = Scope(project.name, project.environment("local"), date(2027, 1, 1))
    return explain_rule(project, scope, wanted, compare=compare)


def reasons() -> dict[str, str]:
    """Why, by field."""
    (rule,) = explained()["rules"]
    return {step["field"]: step["why"] for step in rule["steps"]}


def test_each_comparison_says_why() -> None:
    """A fixed vocabulary, a lower-cased sibling, a sibling that truncates, a number, `cased`."""
    found = reasons()
    assert "always spells it the same way" in found["event.category"]
    assert "in lower case" in found["process.name.caseless"]
    assert "drops values over" in found["process.command_line"]
    assert "neither numbers" in found["process.pid"]
    assert "`cased`" in found["process.parent.name"]
    assert "regular expression" in found["process.executable"]
    assert "only that the field has a value" in found["process.parent.pid"]


def test_every_part_of_the_query_is_explained() -> None:
    """What is asked is what stands in the query."""
    (rule,) = explained()["rules"]
    for step in rule["steps"]:
        assert step["asked"].strip("()") in rule["query"]
        assert step["location"]["line"] >= 6


@pytest.mark.parametrize("wanted", [RULE_ID, RULE_ID.upper(), "writers", "Writers", "rules/r.yml"])
def test_a_rule_has_many_names(wanted: str) -> None:
    """Id, name, title and path, in any letter case."""
    assert explained(wanted)["source"]["id"] == RULE_ID


def test_a_title_of_two_rules_explains_neither() -> None:
    """Nor the path of a file of several; with the ids to choose from."""
    other = RULE.replace(RULE_ID, "33333333-3333-4333-8333-333333333333")
    with pytest.raises(UsageError, match=r"'writers' is the name of 2 rules .*33333333-"):
        explained("Writers", o=other)
    with pytest.raises(UsageError, match="is the name of 2 rules"):
        explained("rules/o.yml", o=f"{other}---\n{FILTER}")


def test_filters_and_exceptions_are_shown() -> None:
    """The filter that narrows it, the items that it links, the clause that Kibana adds."""
    found = explained(f=FILTER)
    assert found["filters"] == [{"path": "rules/f.yml", "title": "Not here"}]
    (rule,) = found["rules"]
    assert [item["name"] for item in rule["items"]] == ["Windows"]
    assert "svchost.exe" in str(rule["exception_filter"])
    out = io.StringIO()
    print_explanation(found, out)
    text = out.getvalue()
    for part in ("narrowed by 'Not here'", "but not 'Windows'", "svchost.exe", rule["query"]):
        assert part in text


def test_what_a_terminal_obeys_is_shown() -> None:
    """A tab and a carriage return of a query, which would pass for blanks or for nothing."""
    weeds = RULE.replace("5a74", "6a74").replace("riters", "eeds").replace("^c:", r"a\sb")
    found = explained("Weeds", o=weeds)
    out = io.StringIO()
    (rule,) = found["rules"]
    assert "\t" in rule["query"]
    print_explanation(found, out)
    shown = out.getvalue()
    assert rule["query"].replace("\t", "␉").replace("\r", "␍") in shown
    assert not {"\t", "\r"} & {*shown}


def test_an_unknown_rule_is_a_usage_error() -> None:
    """With the nearest name."""
    with pytest.raises(UsageError, match="did you mean 'writers'"):
        explained("writer")
    with pytest.raises(UsageError, match=r"did you mean 'rules/deep_name\.yml'"):
        explained("deep_name", deep_name=RULE.replace("5a74", "6a74").replace("riters", "eeds"))


def test_a_broken_rule_says_what_is_wrong() -> None:
    """Its own error beside, since a rule that does not load has no name."""
    bad = RULE.replace("Writers", "Bad").replace("5a74", "6a74")
    with pytest.raises(RuledeployError, match=r"rules/b\.yml.*'x' is not allowed"):
        explained("Bad", b=f"{bad}level: x\n")


PLAIN_RULE = """\
title: Plain
id: 33333333-3333-4333-8333-333333333333
logsource: {product: windows, category: process_creation}
detection:
  s: {Image|endswith: '\\A.exe'}
  condition: s
"""


def test_what_the_published_backend_makes_of_it() -> None:
    """Its own query beside ours, or its refusal; nothing where nobody asks."""
    (rule,) = explained("Plain", compare=True, plain=PLAIN_RULE)["rules"]
    assert rule["published"]["query"] == r"process.executable.caseless:*\\A.exe"
    assert rule["query"].endswith(r"process.executable:/.*\\[Aa]\.[Ee][Xx][Ee]/")
    keywords = PLAIN_RULE.replace("s: {Image|endswith: '\\A.exe'}", "s: [mimikatz]")
    esql = keywords + "elastic: {language: esql}\n"
    (rule,) = explained("Plain", compare=True, plain=esql)["rules"]
    assert rule["published"]["query"] is None
    assert rule["published"]["refused"]
    out = io.StringIO()
    print_explanation(explained("Plain", compare=True, plain=PLAIN_RULE), out)
    assert "published backend" in out.getvalue()
    assert "published" not in explained("Plain", plain=PLAIN_RULE)["rules"][0]


def test_a_query_written_by_hand_has_no_other() -> None:
    """There is nothing to convert."""
    by_hand = PLAIN_RULE.partition("detection:")[0] + "elastic: {language: lucene, query: 'a:b'}\n"
    (rule,) = explained("Plain", compare=True, plain=by_hand)["rules"]
    assert rule["published"] is None
