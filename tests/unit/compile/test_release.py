"""From files to the release of one environment."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ruledeploy.compile import compile_release
from ruledeploy.errors import Problems, RuleError
from ruledeploy.model import DetectionRule, Release
from ruledeploy.project import load_project
from support.content import OVERLAY, RULE, RULE_ID, SETTINGS

TODAY = date(2026, 11, 24)


def release(rule: str = RULE, settings: str = SETTINGS, **more: str) -> Release:
    """The release of environment `local`; `more` are further rule files by name."""
    files = {
        "ruledeploy.toml": settings,
        "rules/r.yml": rule,
        "exceptions/base/o.yml": OVERLAY,
        **{f"rules/{name}.yml": text for name, text in more.items()},
    }
    project = load_project({path: text.encode() for path, text in files.items()})
    return compile_release(project, project.environment("local"), TODAY)


def only(rule: str = RULE, **more: Any) -> DetectionRule:
    """The one rule of a release."""
    (found,) = release(rule, **more).rules
    return found


def test_a_rule_becomes_kibanas_body() -> None:
    """Severity, risk, schedule, look-back, indices, marker and link, as Kibana takes them."""
    body = only().body
    assert body["rule_id"] == RULE_ID
    assert (body["severity"], body["risk_score"], body["type"]) == ("high", 73, "query")
    assert (body["interval"], body["from"], body["to"]) == ("5m", "now-9m", "now")
    assert body["index"] == ["logs-endpoint.events.api-*"]
    assert body["timestamp_override"] == "event.ingested"
    assert "ruledeploy:acme:local" in body["tags"]
    assert [link["list_id"] for link in body["exceptions_list"]] == [
        "rd-acme-0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10-endpoint-api"
    ]
    assert body["threat"][0]["technique"][0]["subtechnique"][0]["id"] == "T1055.002"


@pytest.mark.parametrize(
    ("block", "from_"),
    [
        ("interval: 1h\n  lookback: 10m", "now-70m"),
        ("interval: 30s", "now-270s"),
        ("interval: 1h\n  lookback: 1h", "now-2h"),
    ],
)
def test_the_look_back_is_said_exactly(block: str, from_: str) -> None:
    """Interval plus look-back, in the largest unit that says it."""
    assert only(f"{RULE}elastic:\n  {block}\n").body["from"] == from_


def test_an_esql_rule_names_its_indices_itself() -> None:
    """Kibana refuses `index` beside an ES|QL query."""
    body = only(f"{RULE}elastic:\n  language: esql\n").body
    assert body["type"] == "esql"
    assert "index" not in body
    assert str(body["query"]).startswith("from logs-endpoint.events.api-* metadata")


def test_an_eql_rule_is_one_of_its_own_type() -> None:
    """Kibana's type `eql`, beside its indices."""
    body = only(f"{RULE}elastic:\n  language: eql\n").body
    assert (body["type"], body["language"]) == ("eql", "eql")
    assert body["index"] == ["logs-endpoint.events.api-*"]
    assert body["query"] == (
        'any where event.category == "api" and process.Ext.api.name == "WriteProcessMemory"'
    )


def test_two_families_in_one_rule_are_refused() -> None:
    """A query means something else on other mappings."""
    block = "elastic:\n  index: [logs-endpoint.events.api-*, winlogbeat-*]\n"
    with pytest.raises(RuleError, match=r"endpoint-api and winlogbeat.*elastic\.variants"):
        release(RULE + block)


def test_a_variant_is_a_rule_of_its_own_with_a_stable_id() -> None:
    """One mapping family per compiled rule; the base keeps the Sigma id."""
    rule = RULE.replace("windows, category: api", "windows, category: image_load").replace(
        "    event.category: api\n    process.Ext.api.name: WriteProcessMemory\n",
        "    ImageLoaded|endswith: '\\evil.dll'\n",
    )
    made = release(f"{rule}elastic:\n  variants: [defend]\n").rules
    families = {one.family: one for one in made}
    assert set(families) == {"sysmon-integration", "endpoint-library"}
    assert families["sysmon-integration"].rule_id == RULE_ID
    assert "dll.path" in str(families["endpoint-library"].body["query"])
    assert families["endpoint-library"].name == "Writers (defend)"


def test_a_hand_written_query_that_does_not_parse_is_refused() -> None:
    """Nothing that does not parse may be planned."""
    with pytest.raises(RuleError, match="the lucene query does not parse"):
        release(f"{RULE}elastic:\n  query: 'process.name:(a OR'\n")


def test_a_retired_rule_and_one_for_elsewhere_are_not_deployed() -> None:
    """`status: deprecated`, or another environment's rule."""
    other = SETTINGS + '[env.prod]\nkibana_url = "https://k.example"\n'
    assert release(RULE.replace("experimental", "deprecated")).rules == ()
    assert release(f"{RULE}elastic:\n  environments: [prod]\n", settings=other).rules == ()
    with pytest.raises(RuleError, match="did you mean 'local'"):
        release(f"{RULE}elastic:\n  environments: [locl]\n")


def test_a_logsource_without_indices_is_searched_everywhere_and_said_so() -> None:
    """The rule works, and the author learns what to add."""
    rule = RULE.replace("product: windows, category: api", "product: linux, category: x")
    made = release(rule.replace("process.Ext.api.name", "process.name"))
    assert made.rules[0].body["index"] == ["logs-*"]
    assert "no-index" in {finding.code for finding in made.findings}


def test_every_broken_file_is_reported_at_once() -> None:
    """One bad file never hides another."""
    with pytest.raises(Problems) as caught:
        release(one="title: [", two="- x")
    assert {error.location.path for error in caught.value.errors if error.location} == {
        "rules/one.yml",
        "rules/two.yml",
    }


CONNECTOR = """
[env.local.connectors.chat]
id = "4f1b"
type = ".slack"
params = { message = "hello" }
"""


def test_actions_name_the_connectors_of_the_environment() -> None:
    """The same rule speaks through another connector elsewhere; none named leaves them alone."""
    rule = f"{RULE}\nelastic: {{actions: [chat]}}\n" if "elastic:" not in RULE else RULE
    assert only(rule, settings=SETTINGS + CONNECTOR).body["actions"] == [
        {"id": "4f1b", "action_type_id": ".slack", "group": "default",
         "params": {"message": "hello"}},
    ]  # fmt: skip
    assert "actions" not in only().body
    with pytest.raises(RuleError, match="has no connector 'chat'"):
        release(rule)
    with pytest.raises(RuleError, match="did you mean 'chat'"):
        release(rule.replace("[chat]", "[chta]"), settings=SETTINGS + CONNECTOR)
