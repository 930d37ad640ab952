"""Plan and push on the embedded stack, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.applying import read_plan
from ruledeploy.cli.boundary import run
from ruledeploy.cli.embedded import embedded_stack
from ruledeploy.errors import RefusedError
from ruledeploy.kibana import Connection, Kibana
from ruledeploy.stack import running_stack
from support.content import OVERLAY, RULE_ID, SETTINGS, write_content

DAY = ["--date", "2026-11-24"]


def push(root: Path, *more: str) -> int:
    """`ruledeploy push --env local`."""
    return run(["push", "--env", "local", "-C", str(root), *DAY, *more])


def planned(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The actions of a plan, with the kind of object."""
    capsys.readouterr()
    assert run(["plan", "--env", "local", "-C", str(root), *DAY, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    return sorted(f"{change['action']} {change['object']['kind']}" for change in plan["changes"])


def test_the_second_push_has_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was pushed is what is live."""
    root = write_content(tmp_path)
    assert planned(root, capsys) == ["create item", "create list", "create rule"]
    assert push(root) == 0
    assert "3 writes" in capsys.readouterr().out
    assert push(root) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert planned(root, capsys) == []


def test_detailed_exit_codes(tmp_path: Path) -> None:
    """2 says there are changes, 0 that there are none."""
    root = write_content(tmp_path)
    plan = ["plan", "--env", "local", "-C", str(root), *DAY, "--detailed-exitcode"]
    assert run(plan) == 2
    assert push(root) == 0
    assert run(plan) == 0


def test_a_changed_text_is_shown_field_by_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new owner changes the item in place."""
    root = write_content(tmp_path)
    assert push(root) == 0
    write_content(tmp_path, overlay=OVERLAY.replace("owner: me", "owner: you"))
    assert planned(root, capsys) == ["update item"]
    assert run(["plan", "--env", "local", "-C", str(root), *DAY]) == 0
    shown = capsys.readouterr().out
    assert "owner:me" in shown
    assert "owner:you" in shown


def test_a_reviewed_plan_is_applied_and_a_stale_one_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`push FILE` does what the file says, once."""
    root = write_content(tmp_path)
    file = tmp_path / "plan.json"
    assert run(["plan", "--env", "local", "-C", str(root), *DAY, "-o", str(file)]) == 0
    assert push(root, str(file)) == 0
    assert push(root, str(file)) == 3
    assert "stale" in capsys.readouterr().err


def test_an_edited_plan_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The checksum covers everything."""
    root = write_content(tmp_path)
    file = tmp_path / "plan.json"
    assert run(["plan", "--env", "local", "-C", str(root), *DAY, "-o", str(file)]) == 0
    file.write_text(file.read_text("utf-8").replace('"enabled": true', '"enabled": false'), "utf-8")
    assert push(root, str(file)) == 3
    assert "checksum" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["[]", "7", "null", '"x"', "", "{}", '{"schema": 2}', "[" * 100_000, '{"schema": 1']
)
def test_what_is_no_plan_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any other JSON, or half of it: exit 3, the file is named, and no server was asked."""
    root = write_content(tmp_path)
    file = tmp_path / "plan.json"
    file.write_text(text, "utf-8")
    for command in ("push", "rollback"):
        to = ["--to", "1"] if command == "rollback" else []
        assert run([command, "--env", "local", "-C", str(root), *to, str(file)]) == 3
        assert f"{file}: " in capsys.readouterr().err
    assert not (root / ".ruledeploy").exists()


def test_an_odd_value_anywhere_makes_it_no_plan(tmp_path: Path) -> None:
    """Whatever stands in whatever place: refused, unless it says the same in other words."""
    root = write_content(tmp_path)
    file = tmp_path / "plan.json"
    assert run(["plan", "--env", "local", "-C", str(root), *DAY, "-o", str(file)]) == 0
    made = json.loads(file.read_text("utf-8"))
    assert read_plan(file).to_json() == made
    odds: tuple[Any, ...] = ([], {}, 7, None, "x", [[]], {"a": 1})
    for keys in list(places(made)):
        for odd in odds:
            changed = json.loads(file.read_text("utf-8"))
            inner = changed
            for key in keys[:-1]:
                inner = inner[key]
            inner[keys[-1]] = odd
            other = tmp_path / "other.json"
            other.write_text(json.dumps(changed), "utf-8")
            with suppress(RefusedError):
                assert read_plan(other).to_json() == made


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The keys to every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (key,)
        if isinstance(one, dict | list):
            yield from ((key, *rest) for rest in places(one))


def test_a_broken_policy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3 at the item that breaks it, and nothing is written."""
    root = write_content(tmp_path, overlay=OVERLAY.replace("    owner: me\n", ""))
    assert push(root) == 3
    assert (
        "exceptions/base/writers.yml:5:5: the item 'core' has no owner" in capsys.readouterr().err
    )
    assert not (root / ".ruledeploy").exists()


def test_a_confirmation_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal to ask on, push refuses; `--yes` answers."""
    root = write_content(tmp_path, settings=SETTINGS + "confirm = true\n")
    assert push(root) == 3
    assert "--yes" in capsys.readouterr().err
    assert push(root, "--yes") == 0


def test_an_expired_item_is_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A later push, without any edit, removes what has expired."""
    overlay = OVERLAY.replace(
        "    permanent: true\n    review_by: 2027-06-30\n", "    expires: 2026-12-01\n"
    )
    root = write_content(tmp_path, overlay=overlay)
    assert push(root) == 0
    assert run(["push", "--env", "local", "-C", str(root), "--date", "2026-12-02"]) == 0
    out = capsys.readouterr().out
    assert "1 to delete" in out


def test_history_lists_pushes_newest_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every push that wrote something is a record; one with nothing to do is none."""
    root = write_content(tmp_path)
    assert push(root) == 0
    assert push(root) == 0
    write_content(tmp_path, overlay=OVERLAY.replace("owner: me", "owner: you"))
    assert push(root) == 0
    capsys.readouterr()
    assert run(["history", "--env", "local", "-C", str(root), "--json"]) == 0
    records = json.loads(capsys.readouterr().out)["records"]
    assert [(one["n"], one["state"]) for one in records] == [(2, "done"), (1, "done")]
    assert records[0]["changes"] == {"update": 1}


def test_drift_shows_what_an_analyst_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing right after a push; then the field that was changed by hand, and exit 2."""
    root = write_content(tmp_path)
    drift = ["drift", "--env", "local", "-C", str(root)]
    assert push(root) == 0
    assert run(drift) == 0
    with embedded_stack(root / ".ruledeploy" / "stack", ["default"]) as stack:
        connection = Connection(stack.kibana_url)
        with Kibana(connection) as kibana:
            rule = dict(kibana.rules.get(RULE_ID))
            kept = {key: rule[key] for key in ("rule_id", "name", "description", "type", "query")}
            kept |= {key: rule[key] for key in ("language", "index", "severity", "risk_score")}
            kept |= {key: rule[key] for key in ("tags", "threat", "interval", "from", "meta")}
            kept |= {key: rule[key] for key in ("exceptions_list", "timestamp_override")}
            kibana.rules.update({**kept, "note": "looked at by hand"})
    capsys.readouterr()
    assert run(drift) == 2
    shown = capsys.readouterr().out
    assert "rule Writers" in shown
    assert "looked at by hand" in shown


def test_ours_and_theirs_exclude_one_another(tmp_path: Path) -> None:
    """Asking for both is a usage error."""
    root = write_content(tmp_path)
    assert push(root, "--ours", "--theirs") == 64


def test_the_stages_shown_are_the_requests_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan --stages` and `push` go by the same list: object by object, in that order."""
    log = tmp_path / "requests.ndjson"
    with running_stack(tmp_path / "stack", request_log=log, scheduler=False) as stack:
        settings = SETTINGS.replace("embedded:", stack.kibana_url)
        root = write_content(tmp_path / "repo", settings=settings)
        assert push(root, "--health-wait", "0") == 4
        write_content(
            root,
            settings=settings,
            overlay=OVERLAY.replace("svchost.exe, ", "").replace("title: Trusted", "title: Known"),
        )
        capsys.readouterr()
        plan = ["plan", "--env", "local", "-C", str(root), *DAY, "--stages"]
        assert run([*plan, "--json"]) == 0
        steps = json.loads(capsys.readouterr().out)["stages"]
        assert run(plan) == 0
        assert "1. write lists" in capsys.readouterr().out
        before = len(log.read_text("utf-8").splitlines())
        assert push(root, "--jobs", "1") == 0
        sent = [json.loads(line) for line in log.read_text("utf-8").splitlines()[before:]]
    kinds = {"rules": "rule", "exception_lists": "list", "items": "item"}
    verbs = {"POST": "create", "PUT": "update", "DELETE": "delete"}
    made = [
        (verbs[one["method"]], kinds[one["url"].split("?")[0].rsplit("/", 1)[1]])
        for one in sent
        if one["method"] != "GET"
    ]
    shown = [
        (write["operation"], write["object"].split("/")[0])
        for step in steps
        if not step["step"].startswith("read")
        for write in step["writes"]
    ]
    assert made == shown
    assert [step["step"] for step in steps] == [
        "write lists", "write items", "read items back", "remove items", "write record",
    ]  # fmt: skip


def test_what_a_plan_has_settled_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`push PLAN --prune` would not prune: refused by name, before the plan is even read."""
    root = write_content(tmp_path)
    assert push(root, "plan.json", "--prune", "--adopt", "--only", "x") == 64
    said = "a plan in a file and --only, --prune, --adopt exclude one another"
    assert said in capsys.readouterr().err
    rollback = ["rollback", "--env", "local", "-C", str(root), "--to", "1", "plan.json"]
    assert run([*rollback, "-o", "other.json", "--ours"]) == 64
    assert "a plan in a file and -o, --ours exclude one another" in capsys.readouterr().err


def test_before_the_first_push_there_is_nothing_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`drift` and `history` say so, instead of an empty table or "nothing changed"."""
    root = write_content(tmp_path)
    for command in ("drift", "history"):
        assert run([command, "--env", "local", "-C", str(root)]) == 0
        assert capsys.readouterr().out == "nothing was pushed yet\n"
    assert push(root) == 0
    capsys.readouterr()
    assert run(["drift", "--env", "local", "-C", str(root)]) == 0
    assert capsys.readouterr().out == "nothing changed since the last push\n"
    file = tmp_path / "plan.json"
    where = ["--env", "local", "-C", str(root), *DAY]
    assert run(["plan", *where, "-o", str(file), "--stages"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("local: nothing to do\n", f"the plan is in {file}\n")
