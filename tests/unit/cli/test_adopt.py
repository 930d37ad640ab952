"""`drift --adopt`: what people changed in Kibana, into the files, for review."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.deploy.normalise import SERVER_OWNED
from ruledeploy.kibana import Connection, Kibana, Request
from ruledeploy.stack import running_stack
from support.content import OVERLAY, RULE, RULE_ID, write_content

Captured = pytest.CaptureFixture[str]
DAY = ["--date", "2026-11-24"]
SETTINGS = """\
[project]
name = "acme"
[env.local]
kibana_url = "%s"
exceptions = ["base", "local"]
[env.other]
kibana_url = "embedded:"
exceptions = ["base"]
"""
OWN = """\
# Kept by the endpoint team.
title: 'Only here'   # quoted, as somebody liked it
id: 11111111-2222-4333-8444-555555555555
rules: [ 5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b ]
items:
  # The sensor comes with every machine.
  - id: sensor
    name: Sensor
    match:
      process.executable: 'C:\\Sensor\\sensor.exe'
    owner: me
    reason: It hooks
    expires: 2027-03-31   # renewed each year
"""
COMMENTED = RULE.replace("level: high", "level: high  # not critical, it is noisy") + "# the end\n"


@pytest.fixture
def kibana(tmp_path: Path) -> Iterator[Kibana]:
    """A client on a stack of its own."""
    with (
        running_stack(tmp_path / "stack", scheduler=False) as stack,
        Kibana(Connection(stack.kibana_url)) as client,
    ):
        yield client


@pytest.fixture
def root(tmp_path: Path, kibana: Kibana) -> Path:
    """A repository, pushed: a rule, a base overlay, and one of this environment alone."""
    root = write_content(
        tmp_path / "repo",
        rule=COMMENTED,
        settings=SETTINGS % kibana.connection.url,
        **{"exceptions__local__own.yml": OWN},
    )
    assert run(["push", "-e", "local", "-C", str(root), *DAY, "--health-wait", "0"]) == 4
    return root


def adopt(root: Path, capsys: Captured, exits: int = 0) -> Any:
    """`drift --adopt --json`, after which the plan is empty unless something was left."""
    capsys.readouterr()
    where = ["-e", "local", "-C", str(root), *DAY, "--json"]
    assert run(["drift", "--adopt", *where]) == exits
    adopted = json.loads(capsys.readouterr().out)
    if exits == 0:
        assert run(["plan", *where]) == 0
        assert json.loads(capsys.readouterr().out)["changes"] == []
        assert run(["drift", *where]) == 0
        assert run(["push", *where]) == 0
    return adopted


def edit_rule(kibana: Kibana, **fields: Any) -> None:
    """Change the rule as Kibana's editor does: a whole body."""
    body = {k: v for k, v in kibana.rules.get(RULE_ID).items() if k not in SERVER_OWNED["rule"]}
    kibana.rules.update({**body, **fields})


def items_of(kibana: Kibana, word: str) -> list[dict[str, Any]]:
    """Live items of our lists whose name has the word."""
    lists = [one["list_id"] for one in kibana.lists.find().objects]
    return [dict(one) for one in kibana.items.find(lists) if word in one["name"]]


def edit_item(kibana: Kibana, word: str, **fields: Any) -> None:
    """Change one item as Kibana's flyout does."""
    [item] = items_of(kibana, word)
    body = {k: v for k, v in item.items() if k not in SERVER_OWNED["item"]}
    kibana.items.update({**body, **fields})


def test_nothing_changed_is_nothing_to_write(root: Path, capsys: Captured) -> None:
    """Exit 0, the files as they are."""
    capsys.readouterr()
    assert run(["drift", "--adopt", "-e", "local", "-C", str(root)]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_its_json_is_drifts_and_pulls(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """What changed and what became of it in one document, which is the same for no change."""
    capsys.readouterr()
    where = ["-e", "local", "-C", str(root), "--json"]
    assert run(["drift", "--adopt", *where]) == 0
    nothing = json.loads(capsys.readouterr().out)
    assert run(["pull", "--dry-run", *where]) == 0
    pulled = json.loads(capsys.readouterr().out)
    edit_rule(kibana, max_signals=7)
    adopted = adopt(root, capsys)
    assert set(nothing) == set(adopted) == {"drift", *pulled}
    assert (nothing["drift"], nothing["files"], nothing["left"]) == ([], [], [])
    assert [one["object"]["id"] for one in adopted["drift"]] == [RULE_ID]


def test_a_changed_rule_is_changed_in_its_file(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """Under the keys that say it; comments, order and the detection stay."""
    edit_rule(kibana, severity="low", risk_score=21, enabled=False, note="See the wiki",
              max_signals=7, interval="10m", threat=[], **{"from": "now-14m"})  # fmt: skip
    adopted = adopt(root, capsys)
    assert adopted["files"] == ["rules/writers.yml"]
    text = (root / "rules/writers.yml").read_text()
    assert re.search("level: low +# not critical, it is noisy", text)
    assert text.index("logsource:") < text.index("detection:") < text.index("elastic:")
    assert "# the end" in text
    for line in ("enabled: false", "note: See the wiki", "max_signals: 7", "interval: 10m"):
        assert line in text
    assert "kibana:\n    threat: []" in text


def test_a_changed_query_is_kept_as_written_by_hand(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """Sigma's detection stays for whoever carries the change over to it."""
    edit_rule(kibana, query="process.name:other.exe")
    adopt(root, capsys)
    text = (root / "rules/writers.yml").read_text()
    assert "query: process.name:other.exe" in text
    assert "process.Ext.api.name: WriteProcessMemory" in text


def test_items_made_by_hand_become_items_of_the_environment(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """In its own folder: the base overlay, which others read too, is refined, not edited."""
    [base] = [one for one in kibana.lists.find().objects if one["name"] == "Trusted writers"]
    entry = {"field": "process.name", "type": "wildcard", "operator": "included", "value": "b*.exe"}
    kibana.items.create(
        {"list_id": base["list_id"], "type": "simple", "name": "Backup (UI)", "entries": [entry],
         "description": "At night", "comments": [{"comment": "ok"}]}
    )  # fmt: skip
    before = (root / "exceptions/base/writers.yml").read_bytes()
    assert adopt(root, capsys)["files"] == ["exceptions/local/trusted-writers.yml"]
    assert (root / "exceptions/base/writers.yml").read_bytes() == before
    text = (root / "exceptions/local/trusted-writers.yml").read_text()
    assert "id: 0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10" in text
    assert "value: b*.exe" in text
    [item] = items_of(kibana, "Backup")
    assert [one["comment"] for one in item["comments"]] == ["ok"]


def test_changed_entries_and_expiry(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """The item keeps its id in Kibana; its author's words and comments stay."""
    entry = {"field": "process.name", "type": "match", "operator": "included", "value": "S.exe"}
    edit_item(kibana, "Sensor", entries=[entry], expire_time="2027-01-15T12:00:00.000Z")
    [before] = items_of(kibana, "Sensor")
    assert adopt(root, capsys)["files"] == ["exceptions/local/own.yml"]
    text = (root / "exceptions/local/own.yml").read_text()
    assert text.startswith("# Kept by the endpoint team.\ntitle: 'Only here'   # quoted")
    assert "# The sensor comes with every machine." in text
    assert "match:" not in text
    assert "value: S.exe" in text
    assert re.search(r"expires: '2027-01-15T12:00:00.000Z' +# renewed each year", text)
    [after] = items_of(kibana, "Sensor")
    assert after["item_id"] == before["item_id"]


def test_an_inherited_item_is_refined_where_it_was_changed(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """A copy in the environment's folder; the other environment keeps the base."""
    edit_item(kibana, "Windows", description="Changed here", os_types=["windows"])
    assert adopt(root, capsys)["files"] == ["exceptions/local/trusted-writers.yml"]
    text = (root / "exceptions/local/trusted-writers.yml").read_text()
    assert "description: Changed here" in text
    assert "svchost.exe" in text
    assert "owner: me" in text


def test_deleted_items_are_absent(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """Gone from its own file; said to be absent where a base folder gives it."""
    for word in ("Sensor", "Windows"):
        [item] = items_of(kibana, word)
        kibana.items.delete(item["item_id"])
    adopt(root, capsys)
    assert "sensor" not in (root / "exceptions/local/own.yml").read_text()
    refined = (root / "exceptions/local/trusted-writers.yml").read_text()
    assert "id: core\n    state: absent" in refined


def test_a_deleted_rule_is_deployed_elsewhere_only(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """Its file stays, for the other environments."""
    kibana.rules.delete(RULE_ID)
    capsys.readouterr()
    where = ["-e", "local", "-C", str(root), *DAY, "--json"]
    assert run(["drift", "--adopt", *where]) == 0
    assert "environments:\n    - other" in (root / "rules/writers.yml").read_text()
    capsys.readouterr()
    assert run(["plan", *where]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    # What nothing here uses any more: lists and items of the rule.
    assert {(one["action"], one["object"]["kind"]) for one in changes} == {
        ("delete", "item"),
        ("delete", "list"),
    }


def test_one_of_several_patterns_is_changed(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """An item that became several is written out, each as it is in Kibana."""
    patterns = OVERLAY.replace(
        "[svchost.exe, lsass.exe, csrss.exe, wininit.exe, services.exe, smss.exe]", "['a*', 'b*']"
    )
    write_content(root, rule=COMMENTED, overlay=patterns,
                  settings=(root / "ruledeploy.toml").read_text())  # fmt: skip
    push = ["push", "-e", "local", "-C", str(root), *DAY, "--health-wait", "0"]
    assert run(push) in {0, 4}
    edit_item(kibana, "Windows #2", name="Only b.exe", entries=[
        {"field": "process.name", "type": "match", "operator": "included", "value": "b.exe"}
    ])  # fmt: skip
    adopt(root, capsys)
    text = (root / "exceptions/local/trusted-writers.yml").read_text()
    assert "value: b.exe" in text
    assert "value: a*" in text
    assert "id: core\n    state: absent" in text


def test_a_list_renamed_in_kibana(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """Title and description."""
    [own] = [one for one in kibana.lists.find().objects if one["name"] == "Only here"]
    body = {k: v for k, v in own.items() if k not in SERVER_OWNED["list"]}
    kibana.lists.update({**body, "name": "Renamed", "description": "By hand"})
    adopt(root, capsys)
    text = (root / "exceptions/local/own.yml").read_text()
    assert re.search(r"title: 'Renamed' +# quoted, as somebody liked it", text)
    assert "description: By hand" in text


def test_what_files_cannot_say_is_named(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """A variant shares its file with its rule: exit 2, the reason, and the file untouched."""
    varied = COMMENTED.replace(
        "# the end\n",
        "elastic: {variants: {beats: {index: [winlogbeat-*]}}}\n",
    )
    write_content(root, rule=varied, settings=(root / "ruledeploy.toml").read_text())
    assert run(["push", "-e", "local", "-C", str(root), *DAY, "--health-wait", "0"]) in {0, 4}
    [variant] = [one for one in kibana.rules.find().objects if one["name"].endswith("(beats)")]
    body = {k: v for k, v in variant.items() if k not in SERVER_OWNED["rule"]}
    kibana.rules.update({**body, "max_signals": 9})
    before = (root / "rules/writers.yml").read_bytes()
    [left] = adopt(root, capsys, exits=2)["left"]
    assert "variant" in left["why"]
    assert (root / "rules/writers.yml").read_bytes() == before


def test_an_exception_added_to_a_rule_in_kibana(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """Kibana makes a default list for the rule; it becomes an overlay of this environment."""
    rule = kibana.rules.get(RULE_ID)
    entry = {"field": "user.name", "type": "match", "operator": "included", "value": "bob"}
    item = {"name": "Bob", "description": "He may", "type": "simple", "entries": [entry]}
    path = f"/api/detection_engine/rules/{rule['id']}/exceptions"
    kibana.send(Request("POST", path, body={"items": [item]}))
    adopted = adopt(root, capsys)
    assert adopted["files"] == ["exceptions/local/exceptions-for-rule-writers.yml"]
    text = (root / adopted["files"][0]).read_text()
    assert "type: rule_default" in text
    assert f"rules:\n  - {RULE_ID}" in text


def test_links_to_lists_of_all_spaces_are_no_drift(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """Kibana links Elastic Defend's own list; no file could say it, and a push keeps it."""
    link = {"id": "e", "list_id": "endpoint_list", "type": "endpoint", "namespace_type": "agnostic"}
    edit_rule(kibana, exceptions_list=[*kibana.rules.get(RULE_ID)["exceptions_list"], link])
    capsys.readouterr()
    assert run(["drift", "-e", "local", "-C", str(root), "--json"]) == 0
    write_content(root, rule=COMMENTED.replace("level: high", "level: low"),
                  settings=(root / "ruledeploy.toml").read_text())  # fmt: skip
    assert run(["push", "-e", "local", "-C", str(root), *DAY, "--health-wait", "0"]) == 0
    linked = [one["list_id"] for one in kibana.rules.get(RULE_ID)["exceptions_list"]]
    assert "endpoint_list" in linked


def test_value_lists_stay_recorded(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """They are not read for adoption, and neither forgotten nor planned anew."""
    listed = OWN.replace(
        "    match:\n      process.executable: 'C:\\Sensor\\sensor.exe'\n",
        "    match:\n      user.name: {value_list: people}\n",
    )
    write_content(root, rule=COMMENTED, settings=(root / "ruledeploy.toml").read_text(),
                  **{"exceptions__local__own.yml": listed,
                     "exceptions__value_lists__people.txt": "bob\nalice\n"})  # fmt: skip
    assert run(["push", "-e", "local", "-C", str(root), *DAY, "--health-wait", "0"]) in {0, 4}
    edit_rule(kibana, note="See the wiki")
    adopt(root, capsys)
    rollback = ["rollback", "-e", "local", "-C", str(root), "--to", "2", "--health-wait", "0"]
    assert run(rollback) in {0, 4}
