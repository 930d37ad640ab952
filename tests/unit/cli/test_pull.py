"""`pull`: a space that people made in Kibana, into files that compile to what is live."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.kibana import Connection, Kibana, Request
from ruledeploy.stack import running_stack
from support.content import SETTINGS, write_content

Captured = pytest.CaptureFixture[str]
RULES = "/api/detection_engine/rules"
COMMON = {"description": "Made by hand", "severity": "medium", "risk_score": 47}
DEFAULT_INDEX = [
    "apm-*-transaction*", "auditbeat-*", "endgame-*", "filebeat-*", "logs-*", "packetbeat-*",
    "traces-apm*", "winlogbeat-*", "-*elastic-cloud-logs-*",
]  # fmt: skip
THREAT = [
    {
        "framework": "MITRE ATT&CK",
        "tactic": {"id": "TA0002", "name": "Execution",
                   "reference": "https://attack.mitre.org/tactics/TA0002/"},
        "technique": [],
    }
]  # fmt: skip
HAND_MADE: dict[str, dict[str, Any]] = {
    "kuery": {
        "rule_id": "a-name-not-a-uuid", "type": "query", "language": "kuery",
        "query": 'process.name : "x.exe" and not user.name : (a or b)', "index": DEFAULT_INDEX,
        "tags": ["Domain: Endpoint", "OS: Windows"], "threat": THREAT, "interval": "10m",
        "from": "now-900s", "to": "now", "enabled": True, "false_positives": ["Admins, at night"],
        "references": ["https://example.invalid/a"], "author": ["Jane Doe", "ACME, Inc."],
        "license": "MIT", "max_signals": 50, "note": "## Look\n\nat it", "setup": "Nothing",
        "version": 7,
        "filters": [{"meta": {"negate": True}, "query": {"match_phrase": {"host.name": "h"}}}],
    },
    "lucene without indices": {
        "rule_id": "3d5e2f51-9d7e-4c6a-8ad6-0a4b7d2e9f10", "type": "query", "language": "lucene",
        "query": "process.name:x.exe AND NOT user.name:svc*", "enabled": False,
        "building_block_type": "default", "note": " blanks around \n",
        "severity": "low", "risk_score": 99,
    },
    "data view": {
        "rule_id": "dv", "type": "query", "language": "kuery", "query": "a:*",
        "data_view_id": "logs-view", "timestamp_override": "event.ingested",
        "investigation_fields": {"field_names": ["a", "b.c"]},
        "alert_suppression": {"group_by": ["host.name"], "missing_fields_strategy": "suppress"},
        "severity_mapping": [{"field": "event.severity", "operator": "equals", "severity": "high",
                              "value": "3"}],
        "risk_score_mapping": [{"field": "event.risk_score", "operator": "equals", "value": ""}],
    },
    "eql sequence": {
        "rule_id": "eql", "type": "eql", "language": "eql", "index": ["logs-*"],
        "query": 'sequence by host.id [process where process.name == "a"] [file where true]',
        "tags": ["attack.t1059", "yes", "0x10"],
    },
    "esql aggregation": {
        "rule_id": "esql", "type": "esql", "language": "esql",
        "query": "from logs-* | stats n = count(*) by host.name\n| where n > 5",
    },
    "threshold": {
        "rule_id": "threshold", "type": "threshold", "language": "kuery", "query": "a:b",
        "index": ["logs-*"], "threshold": {"field": ["host.name"], "value": 10, "cardinality": []},
    },
    "new terms": {
        "rule_id": "new-terms", "type": "new_terms", "language": "kuery", "query": "*",
        "index": ["logs-*"], "new_terms_fields": ["user.name"], "history_window_start": "now-7d",
    },
    "threat match": {
        "rule_id": "threat-match", "type": "threat_match", "language": "kuery", "query": "*:*",
        "index": ["logs-*"], "threat_index": ["ti-*"], "threat_query": "*:*",
        "threat_mapping": [
            {"entries": [{"field": "file.hash", "type": "mapping", "value": "threat.hash"}]}
        ],
    },
}  # fmt: skip
ENTRIES: dict[str, list[dict[str, Any]]] = {
    "match": [{"field": "process.name", "type": "match", "operator": "included", "value": "A.exe"}],
    "match any, excluded": [
        {"field": "user.name", "type": "match_any", "operator": "excluded", "value": ["a", "b"]}
    ],
    "exists": [
        {"field": "a", "type": "exists", "operator": "included"},
        {"field": "b", "type": "exists", "operator": "excluded"},
    ],
    "wildcard": [
        {"field": "file.path", "type": "wildcard", "operator": "included", "value": "C:\\*\\?.tmp"},
        {"field": "file.path", "type": "wildcard", "operator": "excluded", "value": "*x y*"},
    ],
    "nested": [
        {
            "field": "process.Ext.code_signature", "type": "nested",
            "entries": [
                {"field": "subject_name", "type": "match", "operator": "included", "value": "X"},
                {"field": "trusted", "type": "match_any", "operator": "included",
                 "value": ["true", "errored"]},
                {"field": "exists", "type": "exists", "operator": "included"},
            ],
        }
    ],
    "value list": [
        {"field": "source.ip", "type": "list", "operator": "included",
         "list": {"id": "their-addresses", "type": "ip"}}
    ],
}  # fmt: skip


@pytest.fixture
def kibana(tmp_path: Path) -> Iterator[Kibana]:
    """A client on a stack that nobody has pushed to."""
    with (
        running_stack(tmp_path / "stack", scheduler=False) as stack,
        Kibana(Connection(stack.kibana_url)) as client,
    ):
        yield client


@pytest.fixture
def root(tmp_path: Path, kibana: Kibana) -> Path:
    """An empty content repository for that stack, under Git."""
    settings = '[project]\nname = "acme"\n[env.local]\nkibana_url = "%s"\n'
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "ruledeploy.toml").write_text(settings % kibana.connection.url)
    (folder / ".gitignore").write_text(".ruledeploy/\n")
    git(folder, "init", "-q")
    commit(folder)
    return folder


def git(root: Path, *arguments: str) -> str:
    """Run git in `root`."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(root: Path) -> None:
    """Commit everything."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")


def ruledeploy(capsys: Captured, command: str, root: Path, *more: str, exits: int = 0) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert run([command, "--env", "local", "-C", str(root), "--json", *more]) == exits
    return json.loads(capsys.readouterr().out)


def make_by_hand(kibana: Kibana) -> None:
    """Rules of every type, lists with every kind of entry, a rule's default list."""
    for name in ("shared", "unlinked"):
        kibana.lists.create(
            {"list_id": f"{name}-list", "name": f"The {name} list", "description": "By hand",
             "type": "detection", "tags": ["theirs"]}
        )  # fmt: skip
    for name, entries in ENTRIES.items():
        kibana.items.create(
            {"list_id": "shared-list", "item_id": f"item-{name.replace(' ', '-')}", "name": name,
             "type": "simple", "description": f"All about {name}", "entries": entries,
             "os_types": ["windows"] if name == "match" else [], "tags": ["vip"],
             "comments": [{"comment": "seen"}]}
        )  # fmt: skip
    timed = {"list_id": "shared-list", "type": "simple", "entries": ENTRIES["match"]}
    kibana.items.create(
        {**timed, "name": "ends", "description": "d", "expire_time": "2999-01-02T03:04:05.678Z"}
    )
    kibana.items.create(
        {**timed, "name": "ended", "description": "d", "expire_time": "2020-01-01T00:00:00.000Z"}
    )
    uuid = kibana.lists.get("shared-list")["id"]
    link = {"id": uuid, "list_id": "shared-list", "type": "detection", "namespace_type": "single"}
    for name, body in HAND_MADE.items():
        links = [link] if name in {"kuery", "eql sequence"} else []
        kibana.rules.create({**COMMON, "name": f"Rule {name}", **body, "exceptions_list": links})
    made = kibana.rules.get("threshold")
    item = {"name": "own", "description": "of one rule", "type": "simple"}
    body = {"items": [{**item, "entries": ENTRIES["nested"]}]}
    kibana.send(Request("POST", f"{RULES}/{made['id']}/exceptions", body=body))


def test_a_space_made_by_hand_goes_round(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """Pull, and the plan is empty; pull again, and Git is clean; nothing was written to Kibana."""
    make_by_hand(kibana)
    before = kibana.rules.find().objects
    pulled = ruledeploy(capsys, "pull", root)
    assert {(one["object"]["name"], one["why"]) for one in pulled["left"]} == {
        ("ended", "it expired at 2020-01-01T00:00:00.000Z and hides nothing any more"),
        ("The unlinked list", "no rule links it"),
    }
    assert len([path for path in pulled["files"] if path.startswith("rules/")]) == len(HAND_MADE)
    assert len([path for path in pulled["files"] if path.startswith("exceptions/local/")]) == 2
    plan = ruledeploy(capsys, "plan", root)
    assert plan["changes"] == []
    assert plan["kept"] == []
    assert ruledeploy(capsys, "drift", root)["drift"] == []
    assert kibana.rules.find().objects == before
    commit(root)
    again = ruledeploy(capsys, "pull", root)
    assert (again["files"], again["record"]) == ([], 0)
    assert git(root, "status", "--porcelain") == ""
    assert ruledeploy(capsys, "push", root)["outcome"]["writes"] == 0


def test_what_was_pulled_makes_the_same_space_elsewhere(
    root: Path, kibana: Kibana, tmp_path: Path, capsys: Captured
) -> None:
    """The files alone: pushed to an empty server they give the same rules and items."""
    make_by_hand(kibana)
    ruledeploy(capsys, "pull", root)
    with (
        running_stack(tmp_path / "other", scheduler=False) as stack,
        Kibana(Connection(stack.kibana_url)) as other,
    ):
        settings = (root / "ruledeploy.toml").read_text()
        moved = settings.replace(kibana.connection.url, stack.kibana_url)
        (root / "ruledeploy.toml").write_text(moved)
        (root / ".ruledeploy").rename(tmp_path / "records-of-the-first")
        assert run(["push", "--env", "local", "-C", str(root), "--health-wait", "0"]) in {0, 4}
        for body in kibana.rules.find().objects:
            twin = other.rules.get(body["rule_id"])
            for name in body.keys() - _SERVERS:
                assert twin[name] == body[name], name
        ours = {one["item_id"]: one["entries"] for one in other.items.find(["shared-list"])}
        theirs = {one["item_id"]: one["entries"] for one in kibana.items.find(["shared-list"])}
        assert ours.items() <= theirs.items()
        assert len(ours) == len(theirs) - 1


# What a server keeps, and what says that a rule is ours.
_SERVERS = {
    "id", "created_at", "created_by", "updated_at", "updated_by", "revision", "meta", "version",
    "tags", "note", "exceptions_list", "execution_summary",
}  # fmt: skip


def test_a_first_edit_brings_our_mark(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """Pulled rules run with whose key they did, until their file asks for a change."""
    make_by_hand(kibana)
    ruledeploy(capsys, "pull", root)
    [file] = [path for path in (root / "rules/pulled").iterdir() if "kuery" in path.name]
    file.write_text(file.read_text().replace("max_signals: 50", "max_signals: 60"))
    [change] = ruledeploy(capsys, "plan", root)["changes"]
    assert change["action"] == "update"
    assert {"max_signals", "tags", "meta", "note"} == set(change["after"])
    assert run(["push", "--env", "local", "-C", str(root), "--health-wait", "0"]) in {0, 4}
    live = kibana.rules.get("a-name-not-a-uuid")
    assert live["max_signals"] == 60
    assert "ruledeploy:acme:local" in live["tags"]
    assert live["version"] == 7
    assert ruledeploy(capsys, "plan", root)["changes"] == []
    assert ruledeploy(capsys, "drift", root)["drift"] == []


def test_a_file_that_is_dropped_takes_its_rule_along(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """Pulled objects are ours: gone from the files, a rule is disabled and an item deleted."""
    make_by_hand(kibana)
    ruledeploy(capsys, "pull", root)
    next(path for path in (root / "rules/pulled").iterdir() if "new-terms" in path.name).unlink()
    kibana.rules.get("new-terms")
    plan = ruledeploy(capsys, "plan", root)
    assert [one["object"]["id"] for one in plan["changes"]] == ["new-terms"]


def test_dry_run_writes_nothing(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """Neither files nor a record."""
    make_by_hand(kibana)
    assert ruledeploy(capsys, "pull", root, "--dry-run")["files"]
    assert git(root, "status", "--porcelain") == ""
    assert ruledeploy(capsys, "history", root)["records"] == []


def test_pulled_rules_stay_in_their_environment(
    tmp_path: Path, kibana: Kibana, capsys: Captured
) -> None:
    """With several environments, what one holds does not spread by itself."""
    make_by_hand(kibana)
    settings = SETTINGS.replace('"embedded:"', f'"{kibana.connection.url}"').replace(
        '["base"]', '["base", "local"]'
    )
    settings += '[env.other]\nkibana_url = "embedded:"\nspace = "other"\nexceptions = ["base"]\n'
    root = write_content(tmp_path / "repo", settings=settings)
    ruledeploy(capsys, "pull", root)
    release = ["convert", "--env", "other", "-C", str(root), "--format", "ndjson"]
    capsys.readouterr()
    assert run(release) == 0
    names = [json.loads(line).get("name") for line in capsys.readouterr().out.splitlines()]
    assert not [name for name in names if name and name.startswith("Rule ")]
    assert "Writers" in names


def test_what_stays_in_kibana_is_named(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """Each with its reason; the rest is pulled, and drift is empty all the same."""
    shared = {"list_id": "shared", "name": "All", "description": "d", "type": "detection"}
    path = "/api/exception_lists"
    kibana.send(Request("POST", path, body={**shared, "namespace_type": "agnostic"}))
    links = [
        {"id": "x", "list_id": "shared", "type": "detection", "namespace_type": "agnostic"},
        {"id": "y", "list_id": "ghost", "type": "detection", "namespace_type": "single"},
    ]
    query = {**COMMON, "type": "query", "language": "lucene"}
    kibana.rules.create(
        {**query, "rule_id": "a b/é", "name": "Good", "query": "a:b", "exceptions_list": links}
    )
    kibana.rules.create({**query, "rule_id": "bad", "name": "Bad", "query": "a:(b"})
    kibana.rules.create(
        {**COMMON, "rule_id": "ml", "name": "ML", "type": "machine_learning",
         "anomaly_threshold": 5, "machine_learning_job_id": ["j"]}
    )  # fmt: skip
    kibana.rules.create(
        {**COMMON, "rule_id": "sq", "name": "SQ", "type": "saved_query", "saved_id": "s"}
    )
    pulled = ruledeploy(capsys, "pull", root)
    left = {one["object"]["id"]: one["why"] for one in pulled["left"]}
    assert left.keys() == {"bad", "ml", "sq", "shared", "ghost"}
    assert "does not parse" in left["bad"]
    assert pulled["files"] == ["rules/pulled/good.yml"]
    assert ruledeploy(capsys, "plan", root)["changes"] == []
    assert ruledeploy(capsys, "drift", root)["drift"] == []
    assert run(["check", "-C", str(root), "--strict"]) == 0


def test_names_with_blanks_around_are_kept(root: Path, kibana: Kibana, capsys: Captured) -> None:
    """A title is trimmed when it is read, so the exact name stands under `kibana`."""
    make_by_hand(kibana)
    shared = kibana.lists.get("shared-list")
    body = {key: shared[key] for key in ("list_id", "description", "type", "tags")}
    kibana.lists.update({**body, "name": " The list "})
    ruledeploy(capsys, "pull", root)
    assert ruledeploy(capsys, "plan", root)["changes"] == []
    kibana.lists.update({**body, "name": "Trimmed"})
    assert ruledeploy(capsys, "drift", root, "--adopt")["left"] == []
    [text] = [
        path.read_text()
        for path in (root / "exceptions/local").iterdir()
        if "shared-list" in path.read_text()
    ]
    assert re.search("title: '?Trimmed'?\n", text)
    assert "The list" not in text
    assert ruledeploy(capsys, "plan", root)["changes"] == []


def test_exceptions_of_a_prebuilt_rule_are_pulled_without_it(
    root: Path, kibana: Kibana, capsys: Captured
) -> None:
    """Elastic's rule stays Elastic's; its list becomes an overlay that manages the link alone."""
    made = kibana.rules.create(
        {**COMMON, "rule_id": "elastic-1", "name": "By Elastic", "type": "query", "query": "a:b"}
    )
    item = {"name": "own", "description": "d", "type": "simple", "entries": ENTRIES["match"]}
    body = {"items": [item]}
    kibana.send(Request("POST", f"{RULES}/{made['id']}/exceptions", body=body))
    # Nothing in Kibana's API makes a rule prebuilt but installing Elastic's package.
    with closing(sqlite3.connect(root.parent / "stack" / "stack.sqlite")) as database, database:
        database.execute(
            "UPDATE objects SET body = json_set(body, '$.immutable', json('true'))"
            " WHERE kind = 'rule'"
        )
    pulled = ruledeploy(capsys, "pull", root)
    assert pulled["files"] == ["exceptions/local/exceptions-for-rule-by-elastic.yml"]
    [left] = pulled["left"]
    assert "prebuilt" in left["why"]
    text = (root / pulled["files"][0]).read_text()
    assert "prebuilt:\n  - elastic-1" in text
    assert ruledeploy(capsys, "plan", root)["changes"] == []
    assert ruledeploy(capsys, "drift", root)["drift"] == []
    assert ruledeploy(capsys, "pull", root)["files"] == []
