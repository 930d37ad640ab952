"""Rollback and its hold, push of one overlay, and rekey, as a user runs them, on a real stack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.cli.embedded import embedded_stack
from ruledeploy.deploy.normalise import SERVER_OWNED
from ruledeploy.errors import ServerError
from ruledeploy.kibana import Connection, Kibana, Request
from support.content import OVERLAY, RULE, RULE_ID, write_content
from support.deploy_world import _writable

DAY = ["--date", "2026-11-24"]
OTHER_ID = "c0ffee00-0000-4000-8000-000000000001"
OTHER_RULE = RULE.replace(RULE_ID, OTHER_ID).replace("title: Writers", "title: Others")
SOON = OVERLAY.replace("permanent: true\n    review_by: 2027-06-30", "expires: 2020-01-10")
Captured = pytest.CaptureFixture[str]


def git(root: Path, *arguments: str) -> None:
    """Run git quietly in `root`."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    command = ["git", "-C", str(root), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def commit(root: Path, **files: str) -> None:
    """Write files and commit everything."""
    write_content(root, **files)
    git(root, "add", ".")
    git(root, "commit", "-q", "--allow-empty", "-m", "a commit")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A content repository under Git, with one commit."""
    write_content(tmp_path, **{".gitignore": ".ruledeploy/\n"})
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def push(root: Path, *more: str) -> int:
    """`ruledeploy push --env local`."""
    return run(["push", "--env", "local", "-C", str(root), *DAY, *more])


def rollback(root: Path, *more: str) -> int:
    """`ruledeploy rollback --env local`."""
    return run(["rollback", "--env", "local", "-C", str(root), *more])


@contextmanager
def server(root: Path) -> Iterator[Kibana]:
    """A client of the stack that the commands start by themselves."""
    data = root / ".ruledeploy" / "stack"
    with (
        embedded_stack(data, ["default"]) as stack,
        Kibana(Connection(stack.kibana_url)) as kibana,
    ):
        yield kibana


def live(root: Path) -> dict[str, Any]:
    """Everything in the space but what the server owns, by kind and id."""
    with server(root) as kibana:
        rules = kibana.rules.find().objects
        lists = kibana.lists.find().objects
        items = kibana.items.find([one["list_id"] for one in lists])
    owned = SERVER_OWNED["rule"] | SERVER_OWNED["list"] | SERVER_OWNED["item"]
    found = {}
    for kind, bodies in (("rule", rules), ("list", lists), ("item", items)):
        for body in bodies:
            plain = {key: value for key, value in body.items() if key not in owned}
            for link in plain.get("exceptions_list", ()):
                link.pop("id")
            found[f"{kind}/{body[f'{kind}_id']}"] = plain
    return found


@pytest.fixture
def refusing(root: Path) -> Iterator[list[tuple[str, str]]]:
    """Requests, as (method, path), that the client is refused: a server with its own mind."""
    refused: list[tuple[str, str]] = []
    del root
    send = Kibana.send

    def sending(self: Kibana, request: Request) -> Any:
        for method, path in refused:
            if request.method == method and request.path == path:
                raise ServerError("it will not", url=self.connection.url, status=500)
        return send(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kibana, "send", sending)
        yield refused


def changed(overlay: str = OVERLAY) -> dict[str, str]:
    """Files of state B: another query, other entries, one rule more."""
    return {
        "rule": RULE.replace("  condition:", "    process.name: x.exe\n  condition:"),
        "overlay": overlay.replace("svchost.exe, ", ""),
        "rules__others.yml": OTHER_RULE,
    }


def test_a_rollback_restores_everything_and_holds(root: Path, capsys: Captured) -> None:
    """A, B, back: live equals A; B's commit is held until a newer one or --release."""
    assert push(root) == 0
    before = live(root)
    commit(root, **changed())
    assert push(root) == 0
    assert live(root) != before
    assert rollback(root, "--to", "1") == 0
    assert live(root) == before
    capsys.readouterr()
    assert push(root) == 3
    assert "held" in capsys.readouterr().err
    assert run(["plan", "--env", "local", "-C", str(root), *DAY]) == 0
    assert "a push would be refused" in capsys.readouterr().err
    assert push(root, "--release") == 0
    assert live(root) != before
    assert push(root) == 0


def test_a_newer_commit_goes_through_and_lifts_the_hold(root: Path) -> None:
    """The commit that mends it; after that the hold is gone."""
    assert push(root) == 0
    commit(root, **changed())
    assert push(root) == 0
    assert rollback(root, "--to", "1") == 0
    git(root, "checkout", "-q", "HEAD~1")
    assert push(root) == 3  # older
    git(root, "checkout", "-q", "-")
    assert push(root) == 3  # the same
    (root / "note.txt").write_text("dirty")
    assert push(root) == 3  # the same, with changes that no commit holds
    commit(root, overlay=OVERLAY.replace("owner: me", "owner: you"))
    assert push(root) == 0
    git(root, "checkout", "-q", "HEAD~1")
    assert push(root) == 0  # nothing holds any more


@pytest.mark.parametrize(
    "path",
    ["/api/exception_lists/items", "/api/detection_engine/rules"],
    ids=["before the rules", "among the rules"],
)
def test_a_rollback_from_a_push_that_was_only_partly_applied(
    root: Path, refusing: list[tuple[str, str]], path: str
) -> None:
    """B stopped half-way (exit 4): back to A, and B's commit is held."""
    assert push(root) == 0
    before = live(root)
    commit(root, **changed())
    refusing.append(("POST" if path.endswith("rules") else "DELETE", path))
    assert push(root) == 4
    refusing.clear()
    assert live(root) != before
    assert rollback(root, "--to", "1") == 0
    assert live(root) == before
    assert push(root) == 3
    assert push(root, "--release") == 0


def test_a_rollback_that_breaks_off_holds_all_the_same(
    root: Path, refusing: list[tuple[str, str]]
) -> None:
    """Exit 4 half-way back: the pipeline stays out, and the rollback goes on when asked again."""
    assert push(root) == 0
    before = live(root)
    commit(root, **changed())
    assert push(root) == 0
    refusing.append(("DELETE", "/api/exception_lists/items"))
    assert rollback(root, "--to", "1") == 4
    refusing.clear()
    assert push(root) == 3
    assert rollback(root, "--to", "1") == 0
    assert live(root) == before


def test_a_rollback_that_writes_nothing_leaves_no_hold(
    root: Path, refusing: list[tuple[str, str]]
) -> None:
    """Refused at the first request, or with nothing to do: as it was."""
    assert push(root) == 0
    assert rollback(root, "--to", "1") == 0
    commit(root, **changed())
    assert push(root) == 0
    refusing.extend((m, "/api/exception_lists/items") for m in ("POST", "PUT"))
    assert rollback(root, "--to", "1") == 1
    refusing.clear()
    assert push(root) == 0


def test_an_expired_item_is_never_revived(root: Path) -> None:
    """Record 1 held an item whose time is over by now."""
    write_content(root, overlay=SOON)
    early = ["push", "--env", "local", "-C", str(root), "--date"]
    assert run([*early, "2020-01-01"]) == 0
    assert [key for key in live(root) if key.startswith("item")]
    assert run([*early, "2020-02-01"]) == 0
    write_content(root, rule=RULE.replace("level: high", "level: low"))
    assert push(root) == 0
    assert rollback(root, "--to", "1") == 0
    after = live(root)
    assert not [key for key in after if key.startswith("item")]
    assert after[f"rule/{RULE_ID}"]["severity"] == "high"


def test_what_a_push_had_disabled_stays_disabled(root: Path) -> None:
    """A rule that the files dropped belongs to the state: not deleted, not started."""
    commit(root, **{"rules__others.yml": OTHER_RULE})
    assert push(root) == 0
    (root / "rules/others.yml").unlink()
    commit(root)
    assert push(root) == 0
    before = live(root)
    assert before[f"rule/{OTHER_ID}"]["enabled"] is False
    commit(root, **changed())
    assert push(root) == 0
    assert rollback(root, "--to", "2") == 0
    assert live(root) == before


def test_connectors_that_analysts_added_come_back(root: Path, capsys: Captured) -> None:
    """A pruned rule has its actions again; one whose connector is gone is named, and lacks them."""
    commit(root, **{"rules__others.yml": OTHER_RULE})
    assert push(root) == 0
    action = {"id": "c1", "action_type_id": ".slack", "group": "default", "params": {}}
    connector = {"name": "c1", "connector_type_id": ".slack"}
    with server(root) as kibana:
        kibana._peer.request("POST", "/api/actions/connector/c1", body=connector)
        kibana.rules.update({**_writable(kibana.rules.get(OTHER_ID)), "actions": [action]})
    (root / "rules" / "others.yml").unlink()
    commit(root)
    assert push(root, "--prune") == 0
    plan = root / "plan.json"
    assert rollback(root, "--to", "1", "-o", str(plan)) == 0
    assert rollback(root, str(plan), "--to", "1") == 0
    assert [one["id"] for one in live(root)[f"rule/{OTHER_ID}"]["actions"]] == ["c1"]
    assert push(root, "--prune", "--release") == 0
    with server(root) as kibana:
        kibana._peer.request("DELETE", "/api/actions/connector/c1")
    capsys.readouterr()
    assert rollback(root, "--to", "1") == 0
    assert "without connector c1, which is gone" in capsys.readouterr().err
    assert live(root)[f"rule/{OTHER_ID}"]["actions"] == []


def test_a_rollback_is_a_plan_like_any_other(root: Path, tmp_path: Path, capsys: Captured) -> None:
    """-o writes it and applies nothing; the file is applied exactly, once."""
    assert push(root) == 0
    before = live(root)
    commit(root, **changed())
    assert push(root) == 0
    after = live(root)
    file = tmp_path / "back.json"
    assert rollback(root, "--to", "1", "-o", str(file)) == 0
    assert live(root) == after
    capsys.readouterr()
    assert rollback(root, str(file), "--to", "1", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["plan"] == json.loads(file.read_text("utf-8"))
    assert result["outcome"]["record"] == 3
    assert live(root) == before
    assert rollback(root, str(file), "--to", "1") == 3  # stale
    assert rollback(root, "--to", "9") == 3
    assert rollback(root, str(file), "--to", "1", "-o", str(file)) == 64


def test_history_shows_the_hold(root: Path, capsys: Captured) -> None:
    """Who rolled back to which record, and which commit is held."""
    assert push(root) == 0
    commit(root, **changed())
    assert push(root) == 0
    assert rollback(root, "--to", "1") == 0
    capsys.readouterr()
    history = ["history", "--env", "local", "-C", str(root)]
    assert run([*history, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["hold"]["to"] == 1
    assert shown["hold"]["commit"] == shown["records"][1]["commit"]
    assert run(history) == 0
    assert "rolled back to 1" in capsys.readouterr().out


def test_one_overlay_is_pushed_alone(root: Path, capsys: Captured) -> None:
    """By id, title or path; the branch's other edits stay out."""
    assert push(root) == 0
    query = live(root)[f"rule/{RULE_ID}"]["query"]
    write_content(root, **changed())
    for name in ("Trusted writers", "exceptions/base/writers.yml"):
        plan = ["plan", "--env", "local", "-C", str(root), *DAY, "--only", name, "--json"]
        capsys.readouterr()
        assert run(plan) == 0
        actions = [one["action"] for one in json.loads(capsys.readouterr().out)["changes"]]
        assert sorted(actions) == ["create", "delete"]
    assert push(root, "--only", "0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10") == 0
    after = live(root)
    [item] = [body for key, body in after.items() if key.startswith("item")]
    assert "svchost.exe" not in json.dumps(item)
    assert after[f"rule/{RULE_ID}"]["query"] == query
    assert f"rule/{OTHER_ID}" not in after
    assert push(root, "--only", "no such overlay") == 64


def test_rekey_shows_asks_and_moves(root: Path, capsys: Captured) -> None:
    """Enabled rules of ours; without a terminal it wants --yes."""
    assert push(root) == 0
    rekey = ["rekey", "--env", "local", "-C", str(root)]
    assert run(rekey) == 3
    shown = capsys.readouterr()
    assert "rule Writers" in shown.out
    assert "--yes" in shown.err
    assert run([*rekey, "--yes", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["moved"], [one["rule_id"] for one in result["rules"]]) == (1, [RULE_ID])
    drift = ["drift", "--env", "local", "-C", str(root)]
    assert run(drift) == 0


def test_ctrl_c_stops_between_two_writes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 130, the record says how far it came, and the next push ends where it should."""
    send = Kibana.send
    sent: list[str] = []

    def sending(self: Kibana, request: Request) -> Any:
        answer = send(self, request)
        if request.method != "GET":
            sent.append(request.path)
            if len(sent) == 1:
                os.kill(os.getpid(), signal.SIGINT)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Kibana, "send", sending)
        before = signal.getsignal(signal.SIGINT)
        assert push(root, "--jobs", "1") == 130
        assert signal.getsignal(signal.SIGINT) is before
    assert sent == ["/api/exception_lists"]
    assert list(live(root)) == [key for key in live(root) if key.startswith("list/")]
    assert push(root) == 0
    assert {key.split("/")[0] for key in live(root)} == {"rule", "list", "item"}


def test_a_rollback_asks_whether_to_roll_back(root: Path) -> None:
    """On a terminal, in its own words; no is exit 3, and nothing is written."""
    settings = (root / "ruledeploy.toml").read_text() + "confirm = true\n"
    commit(root, settings=settings)
    assert push(root, "--yes") == 0
    commit(root, settings=settings, rule=RULE.replace("level: high", "level: low"))
    assert push(root, "--yes") == 0
    ours, theirs = os.openpty()
    os.write(ours, b"n\n")
    command = [sys.executable, "-m", "ruledeploy", "rollback", "-e", "local", "-C", str(root)]
    done = subprocess.run(
        [*command, "--to", "1"], stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert "roll local back to record 1? [y/N]" in done.stderr
    assert "push to" not in done.stderr
    assert done.returncode == 3
    assert live(root)[f"rule/{RULE_ID}"]["severity"] == "low"
