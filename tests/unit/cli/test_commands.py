"""The commands around a push, as a user runs them on this repository's own content."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.stack import running_stack
from support.content import OVERLAY, RULE, RULE_ID, SETTINGS, write_content

ROOT = Path(__file__).parents[3]
DAY = ["--date", "2026-11-24"]
Captured = pytest.CaptureFixture[str]


def answer(capsys: Captured, *arguments: str, exits: int = 0) -> Any:
    """The JSON that a command prints."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == exits
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def own_content(tmp_path: Path) -> Path:
    """A copy of this repository's rules and allowlists, where a stack may keep its data."""
    for name in ("rules", "exceptions", "ruledeploy.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_demo_tells_the_environments_apart(own_content: Path, capsys: Captured) -> None:
    """prototype.exe alerts in both; what each allowlist hides does not, and only there."""
    result = answer(capsys, "demo", "-C", str(own_content))
    dev, prod = result["environments"]
    assert (dev["env"], prod["env"]) == ("demo-dev", "demo-prod")
    for env in (dev, prod):
        alerting = {row["scenario"]: row["process"] for row in env["processes"]}
        assert alerting["attack/prototype"] == "prototype.exe"
        assert "benign/windows-core" not in alerting
        assert env["items"]["windows-core"] > 0
        assert env["alerts"] == sum(row["alerts"] for row in env["processes"])
        assert len(env["rules"]) == 4
    in_dev = {row["scenario"] for row in dev["processes"]}
    in_prod = {row["scenario"] for row in prod["processes"]}
    assert {"benign/debugger", "benign/community-debugger"} <= in_prod - in_dev
    assert "benign/edr-hooking" in in_dev - in_prod
    assert prod["items"]["edr-sensor"] > 0


def test_check_shows_what_a_name_alone_lets_through(own_content: Path, capsys: Captured) -> None:
    """The base overlay's warning names the renamed svchost; warnings alone exit 0."""
    found = answer(capsys, "check", "-C", str(own_content), *DAY)["findings"]
    hidden = [one for one in found if one["code"] == "hides-attack"]
    assert any("attack/renamed-svchost" in one["message"] for one in hidden)
    assert {one["path"] for one in hidden} == {"exceptions/base/trusted-memory-writers.yml"}
    assert not [one for one in found if one["severity"] == "error"]
    assert run(["check", "-C", str(own_content), *DAY, "--strict"]) == 1


def test_own_cases_and_evidence_pass(own_content: Path, capsys: Captured) -> None:
    """Every case of the shipped rules, and what the allowlists say of themselves."""
    results = answer(capsys, "test", "-C", str(own_content), *DAY)["results"]
    assert {one["outcome"] for one in results} == {"pass"}
    assert "edr-sensor suppresses benign/edr-hooking" in {one["case"] for one in results}


def test_a_failing_case_exits_1_and_says_why(tmp_path: Path, capsys: Captured) -> None:
    """Without the allowlist item, Windows' own processes alert."""
    root = write_content(tmp_path, overlay=OVERLAY.replace("svchost.exe, ", ""))
    results = answer(capsys, "test", "-C", str(root), *DAY, exits=1)["results"]
    (failed,) = [one for one in results if one["outcome"] == "fail"]
    assert failed["case"] == "Windows is trusted"
    assert "svchost.exe" in failed["why"]


def git(root: Path, *arguments: str) -> None:
    """Run git quietly in `root`."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    command = ["git", "-C", str(root), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_a_review_names_the_attack_that_falls_silent(tmp_path: Path, capsys: Captured) -> None:
    """An item too wide: exit 5, the item, the scenario; the commit against itself: exit 0."""
    root = write_content(tmp_path)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    review = ["review", "HEAD", "-C", str(root), *DAY]
    assert run(review) == 0
    assert run([*review, "--env", "lcoal"]) == 64
    wide = r"""
  - id: temp
    match:
      process.executable|contains: '\Temp\'
    owner: me
    reason: noise
    expires: 2026-12-31
"""
    write_content(tmp_path, overlay=OVERLAY + wide.removeprefix("\n"))
    (env,) = answer(capsys, *review, exits=5)["environments"]
    (item,) = env["items"]
    assert item["action"] == "added"
    assert item["source_id"].endswith("/temp")
    assert item["hides"]["before"] == 0 < item["hides"]["after"]
    assert "attack/prototype" in {one["scenario"] for one in env["blinded"]}
    assert run([*review, "--format", "markdown"]) == 5
    assert "attack/prototype" in capsys.readouterr().out


def test_one_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Events and labels, and another seed gives others."""

    def made(seed: int, name: str) -> tuple[bytes, bytes]:
        events, labels = tmp_path / f"{name}.ndjson", tmp_path / f"{name}.labels"
        options = ["--seed", str(seed), "--noise", "20", "--start", "2026-11-24"]
        out = ["-o", str(events), "--labels", str(labels)]
        assert run(["simulate", "-C", str(tmp_path), *options, *out]) == 0
        return events.read_bytes(), labels.read_bytes()

    assert made(7, "a") == made(7, "b") != made(8, "c")


def test_made_up_events_reach_no_cluster_by_mistake(tmp_path: Path, capsys: Captured) -> None:
    """`--to stack` is for the local stack alone."""
    remote = SETTINGS.replace('"embedded:"', '"https://kibana.example"')
    root = write_content(tmp_path, settings=remote)
    assert (
        run(["simulate", "attack/prototype", "--to", "stack", "-e", "local", "-C", str(root)]) == 64
    )
    assert "is not the local stack" in capsys.readouterr().err


@pytest.mark.parametrize("url", ['kibana_url = "https://kibana.example"', ""])
def test_the_demo_touches_no_server_but_its_own(
    url: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server is refused before anything is done, wherever its address comes from."""
    monkeypatch.setenv("KIBANA_URL", "https://kibana.example")
    settings = SETTINGS + f'[env.prod]\n{url}\nspace = "soc"\nexceptions = ["base"]\n'
    root = write_content(tmp_path, settings=settings)
    assert run(["demo", "-C", str(root), "-e", "local", "-e", "prod"]) == 64
    assert "env.prod is not the local stack" in capsys.readouterr().err
    assert not (root / ".ruledeploy").exists()
    seed = ["simulate", "attack/prototype", "--to", "stack", "-e", "prod", "-C", str(root)]
    assert run(seed) == 64


def test_the_demo_takes_the_local_stacks_environments(tmp_path: Path, capsys: Captured) -> None:
    """A project without environments for a demo shows those of the local stack, if it has any."""
    root = write_content(tmp_path)
    (env,) = answer(capsys, "demo", "-C", str(root))["environments"]
    assert env["env"] == "local"
    write_content(root, settings=SETTINGS.replace("embedded:", "https://kibana.example"))
    assert run(["demo", "-C", str(root)]) == 64
    assert "no environment of this project is the local stack" in capsys.readouterr().err


def test_a_folder_in_use_is_not_deleted(tmp_path: Path, capsys: Captured) -> None:
    """Neither by `stack reset` nor by the demo: a push may have its own stack there."""
    root = write_content(tmp_path)
    for name, command in {"stack": ["stack", "reset"], "demo": ["demo", "-e", "local"]}.items():
        folder = root / ".ruledeploy" / name
        with running_stack(folder):
            before = sorted(folder.iterdir())
            assert run([*command, "-C", str(root)]) == 3
            assert "is in use by process" in capsys.readouterr().err
            assert sorted(folder.iterdir()) == before
    assert run(["stack", "reset", "--data", str(root / "rules")]) == 3
    assert sorted((root / "rules").iterdir()) == [root / "rules" / "writers.yml"]


def test_seeding_twice_adds_nothing(tmp_path: Path, capsys: Captured) -> None:
    """Events keep their ids."""
    root = write_content(tmp_path)
    seed = ["simulate", "attack/prototype", "--to", "stack", "-e", "local", "-C", str(root)]
    day = ["--start", "2026-11-24"]
    first = answer(capsys, *seed, *day)
    assert first["created"] > 0
    assert answer(capsys, *seed, *day) == {"created": 0, "known": first["created"]}


def test_a_refused_rule_stops_no_other(tmp_path: Path, capsys: Captured) -> None:
    """The rest is printed, the refusal is named, and the exit code says so unless told not to."""
    (tmp_path / "good.yml").write_text(
        "title: a\nlogsource: {product: windows, category: api}\n"
        "detection: {s: {process.name: x}, condition: s}\n"
    )
    (tmp_path / "bad.yml").write_text("title: [\n")
    convert = ["convert", str(tmp_path), "-C", str(tmp_path), "--format", "ndjson"]
    assert run(convert) == 1
    printed = capsys.readouterr()
    assert [json.loads(line)["name"] for line in printed.out.splitlines()] == ["a"]
    assert "bad.yml" in printed.err
    assert run([*convert, "--skip-refused"]) == 0


def test_convert_takes_retired_rules_that_are_named_and_nothing_hidden(
    tmp_path: Path, capsys: Captured
) -> None:
    """A folder is converted whole; of the project, what is deployed."""
    root = write_content(tmp_path)
    old = (
        "title: old\nid: 3c1d7f52-1111-4222-8333-123456789abc\nstatus: deprecated\n"
        "logsource: {product: windows, category: process_access}\n"
        "detection: {s: {process.name: x}, condition: s}\n"
    )
    (root / "rules" / "old.yml").write_text(old)
    (root / "rules" / ".github").mkdir()
    (root / "rules" / ".github" / "workflow.yml").write_text("on: push\n")
    named = answer(capsys, "convert", str(root / "rules"), "-C", str(root))
    assert "old" in {rule["name"] for rule in named["rules"]}
    assert (named["refused"], named["not_deployed"]) == ([], 0)
    own = answer(capsys, "convert", "-C", str(root))
    assert own["not_deployed"] == 1
    assert own["converted"] == named["converted"] - 1


def test_a_stack_in_the_background_is_joined_and_stopped(tmp_path: Path, capsys: Captured) -> None:
    """`up --detach`, a push that uses it, `reset` refused meanwhile, `down`."""
    root = write_content(tmp_path)
    stack = ["stack"]
    where = ["-C", str(root)]
    assert run([*stack, "status", *where]) == 1
    # In a process of its own, as from a shell: the stack outlives whoever started it.
    up = ["up", "--detach", "--port", "0", "--es-port", "0"]
    code = "from ruledeploy.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *stack, *up, *where], check=True)
    try:
        status = answer(capsys, *stack, "status", *where)
        assert status["running"]
        assert run([*stack, "reset", *where]) == 3
        assert run(["push", "-e", "local", *where, *DAY]) == 0
        assert run(["drift", "-e", "local", *where]) == 0
    finally:
        assert run([*stack, "down", *where]) == 0
    assert run([*stack, "status", *where]) == 1
    assert run([*stack, "reset", *where]) == 0
    assert not (root / ".ruledeploy" / "stack").exists()


def test_results_come_in_the_forms_that_ci_reads(tmp_path: Path, capsys: Captured) -> None:
    """Any of them into a file, with the count on stderr; each names the failing case."""
    root = write_content(tmp_path, overlay=OVERLAY.replace("svchost.exe, ", ""))
    for form in ("text", "junit", "markdown", "json"):
        file = tmp_path / f"out.{form}"
        assert run(["test", "-C", str(root), *DAY, "--format", form, "-o", str(file)]) == 1
        assert "Windows is trusted" in file.read_text("utf-8")
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", f"1 passed, 1 failed: {file}\n")
    assert run(["test", "-C", str(root), *DAY, "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=rules/")


def test_scores_of_simulated_days_and_of_files_agree(tmp_path: Path, capsys: Captured) -> None:
    """What `simulate` writes scores as the days made in memory do."""
    root = write_content(tmp_path)
    events, labels = tmp_path / "events.ndjson", tmp_path / "labels.ndjson"
    days = ["attack-day", "benign-day", "--start", "2026-01-05", "--seed", "1"]
    assert run(["simulate", *days, "-o", str(events), "--labels", str(labels)]) == 0
    mine = answer(capsys, "test", "-C", str(root), *DAY, "--score")["scores"]
    files = ["--events", str(events), "--labels", str(labels)]
    assert answer(capsys, "test", "-C", str(root), *DAY, *files)["scores"] == mine
    assert 0 < mine[0]["precision"] <= 1
    assert run(["test", "-C", str(root), "--events", str(events)]) == 64
    capsys.readouterr()
    labels.write_text("", "utf-8")
    assert run(["test", "-C", str(root), *DAY, *files]) == 1
    assert "has no label" in capsys.readouterr().err


def test_cases_beside_the_rules_count(tmp_path: Path, capsys: Captured) -> None:
    """A file under tests/detection/ adds a case; an unknown rule in it is an error."""
    root = write_content(tmp_path)
    before = len(answer(capsys, "test", "-C", str(root), *DAY)["results"])
    folder = root / "tests" / "detection"
    folder.mkdir(parents=True)
    text = "rule: Writes\ntests: [{name: beside, expect: alert, scenario: benign/jit}]\n"
    title = next(line for line in RULE.splitlines() if line.startswith("title: "))
    (folder / "more.yml").write_text(text.replace("Writes", title.removeprefix("title: ")))
    results = answer(capsys, "test", "-C", str(root), *DAY)["results"]
    assert len(results) == before + 1
    (folder / "more.yml").write_text(text.replace("Writes", "nobody"))
    assert run(["test", "-C", str(root), *DAY]) == 1
    assert "no rule has the id or title 'nobody'" in capsys.readouterr().err
    assert run(["check", "-C", str(root), *DAY]) == 1


def test_watching_runs_again_after_a_change(tmp_path: Path) -> None:
    """A broken file is told and does not end it; a mended one is tried again."""
    root = write_content(tmp_path)
    command = [sys.executable, "-m", "ruledeploy", "test", "-C", str(root), *DAY, "--watch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None

        def until(text: str) -> None:
            for line in process.stdout or ():
                if text in line:
                    return
            raise AssertionError(f"ended before it said {text!r}")

        try:
            until(" passed, 0 failed")
            until("waiting")
            overlay = next(root.glob("exceptions/base/*.yml"))
            good = overlay.read_text("utf-8")
            overlay.write_text(good.replace("items:", "itmes:"), "utf-8")
            until("error: exceptions/base/")
            until("waiting")
            overlay.write_text(good, "utf-8")
            until(" passed, 0 failed")
        finally:
            process.terminate()


def test_tuning_on_files_and_on_the_cluster_agree(tmp_path: Path, capsys: Captured) -> None:
    """The same events, from files and from the stack's Elasticsearch side: the same proposals."""
    root = write_content(tmp_path)
    file = tmp_path / "events.ndjson"
    days = ["attack-day", "benign-day", "--start", "2026-01-05", "--seed", "1"]
    assert run(["simulate", *days, "-o", str(file)]) == 0
    assert run(["simulate", *days, "-C", str(root), "--to", "stack", "--env", "local"]) == 0
    tune = ["tune", "-C", str(root), "--env", "local", *DAY]
    (of_files,) = answer(capsys, *tune, "--events", str(file))["rules"]
    when = ["--since", "2026-01-01", "--until", "2026-02-01"]
    assert answer(capsys, *tune, *when)["rules"] == [of_files]
    assert of_files["left"] < of_files["alerts"]

    overlays = root / "exceptions" / "base" / "tuned.yml"
    assert run([*tune, "--events", str(file), "-o", str(overlays)]) == 0
    found = answer(capsys, "check", "-C", str(root), *DAY)["findings"]
    assert not [one for one in found if one["severity"] == "error"]
    (again,) = answer(capsys, *tune, "--events", str(file))["rules"]
    assert again["alerts"] == of_files["left"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say which events"),
        (["--since", "yesterday"], "'yesterday' is no time"),
        (["--since", "99999999999d"], "is beyond the years 1 to 9999"),
        (["--since", "9999999d"], "is beyond the years 1 to 9999"),
        (["--since", "0001-01-01T00:00+14:00"], "is beyond the years 1 to 9999"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "is not before"),
        (["--events", "nowhere.ndjson"], "no such file"),
        (["--events", "."], "no events in"),
    ],
)
def test_a_past_that_makes_no_sense_is_a_usage_error(
    options: list[str],
    said: str,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Named before anything is read; a folder without events must not read as "nothing alerts"."""
    root = write_content(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(["tune", "-C", str(root), "--env", "local", *options]) == 64
    assert said in capsys.readouterr().err


def test_a_backtest_on_files_and_on_the_cluster_agree(tmp_path: Path, capsys: Captured) -> None:
    """The same counts, days, values and schedule; Kibana's own preview counts what it would."""
    root = write_content(tmp_path)
    file = tmp_path / "events.ndjson"
    days = ["attack-day", "benign-day", "--start", "2026-01-05", "--seed", "1"]
    assert run(["simulate", *days, "-o", str(file)]) == 0
    assert run(["simulate", *days, "-C", str(root), "--to", "stack", "--env", "local"]) == 0
    backtest = ["backtest", "-C", str(root), "--env", "local", *DAY]
    when = ["--since", "2026-01-05", "--until", "2026-01-08"]
    of_files = answer(capsys, *backtest, *when, "--events", str(file))
    assert answer(capsys, *backtest, *when) == of_files
    (rule,) = of_files["rules"]
    assert rule["after"]["hidden"] > 0 < rule["after"]["alerts"]

    preview = [*backtest, "--preview", "--rule", "Writers", *when]
    assert run(preview) == 1
    assert "is not on the server" in capsys.readouterr().err
    assert run(["push", "-C", str(root), "--env", "local", "--yes", *DAY]) == 0
    made = answer(capsys, *preview)
    assert made["alerts"] == rule["after"]["schedule"]["alerted"]
    assert (made["errors"], made["aborted"]) == ([], False)
    assert run([*preview[:-2], "--until", "2028-01-01"]) == 1
    assert "name a shorter window" in capsys.readouterr().err


def test_a_preview_passes_over_no_option(tmp_path: Path, capsys: Captured) -> None:
    """What Kibana's preview cannot do is refused by name, before a server is asked."""
    root = write_content(tmp_path)
    preview = ["backtest", "-C", str(root), "-e", "local", "--preview", "--since", "1d"]
    more = ["--compare", "HEAD", "--top", "user.name", "--events", str(root / "rules")]
    assert run([*preview, *more, "--max-concurrent", "1", "--format", "markdown"]) == 64
    names = "--events, --compare, --top, --max-concurrent, --format markdown"
    assert f"--preview does not take {names}" in capsys.readouterr().err
    assert not (root / ".ruledeploy").exists()


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "tomorrow", "2026-02-30"])
def test_a_day_that_makes_no_sense_is_a_usage_error(day: str, tmp_path: Path) -> None:
    """Days are counted on from it, which the end of the calendar does not allow."""
    root = write_content(tmp_path)
    for command in ("check", "test"):
        assert run([command, "-C", str(root), "--date", day]) == 64


@pytest.mark.parametrize("name", [".", "", "/", "rules"])
def test_a_folder_is_no_file_to_write(
    name: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1, and no bug of ours; nor is a revision that Git would take for an option."""
    monkeypatch.chdir(write_content(tmp_path))
    assert run(["test", "-o", name, *DAY]) == 1
    assert "it is a folder" in capsys.readouterr().err
    assert run(["check", f"--changed=--output={tmp_path / 'x'}"]) == 64
    assert "is no revision" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "test", "backtest", "review", "plan", "promote"])
def test_two_forms_at_once_are_refused(command: str, tmp_path: Path, capsys: Captured) -> None:
    """Whoever reads the output could not tell which one it is."""
    root = write_content(tmp_path)
    operands = {"review": ["HEAD"], "promote": ["local", "local"]}.get(command, [])
    env = ["-e", "local"] if command in {"backtest", "plan"} else []
    form = "sarif" if command == "check" else "markdown"
    assert run([command, *operands, *env, "-C", str(root), "--json", "--format", form]) == 64
    assert f"--json and --format {form} exclude one another" in capsys.readouterr().err


def test_a_backtest_compares_with_a_git_revision(tmp_path: Path, capsys: Captured) -> None:
    """An item added since the revision silences alerts, and the text says so."""
    root = write_content(tmp_path, overlay=OVERLAY.replace("svchost.exe, ", ""))
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    write_content(tmp_path)
    file = tmp_path / "events.ndjson"
    assert run(["simulate", "benign-day", "--start", "2026-01-05", "-o", str(file)]) == 0
    compare = ["backtest", "-C", str(root), "--env", "local", *DAY, "--compare", "HEAD"]
    (rule,) = answer(capsys, *compare, "--events", str(file))["rules"]
    assert rule["new"] == 0 < rule["gone"]
    assert rule["before"]["alerts"] - rule["after"]["alerts"] == rule["gone"]
    for form in ("text", "markdown"):
        assert run([*compare, "--events", str(file), "--format", form]) == 0
        assert f"{rule['gone']} gone" in capsys.readouterr().out


def test_a_scenario_on_several_days_is_several_runs(tmp_path: Path) -> None:
    """Each day's events have their own time and ids, as those of whole days do."""
    file = tmp_path / "events.ndjson"
    made = ["simulate", "attack/prototype", "-C", str(tmp_path), "--start", "2026-01-05"]
    assert run([*made, "--days", "3", "-o", str(file)]) == 0
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert len({one["_id"] for one in lines}) == len(lines)
    days = [one["_source"]["@timestamp"][:10] for one in lines]
    assert sorted(set(days)) == ["2026-01-05", "2026-01-06", "2026-01-07"]
    assert days.count("2026-01-05") == len(lines) / 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["attack/prototyp"], "did you mean 'attack/prototype'?"),
        (["attack/prototype", "attack/prototype"], "attack/prototype is named twice"),
        (["--days", "999999999999"], "beyond the year 9999"),
        (["--start", "9999-12-31"], "beyond the year 9999"),
        (["--start", "0900-01-01"], "is before 1970"),
        (["--start", "someday"], "is no date"),
        (["--env", "local"], "say which: --to"),
        (["--env", "local", "--to", "stack"], "leave out -o, or --to"),
        (["--to", "stack"], "--to stack needs --env"),
        (["--profile", "loud"], "known: mixed, office"),
    ],
)
def test_a_simulation_that_makes_no_sense_writes_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: Captured
) -> None:
    """Exit 64 before the file is opened, so that what it holds stays."""
    file = tmp_path / "events.ndjson"
    file.write_text("mine", "utf-8")
    assert run(["simulate", "-C", str(write_content(tmp_path)), "-o", str(file), *options]) == 64
    assert said in capsys.readouterr().err
    assert file.read_text("utf-8") == "mine"


def test_simulated_events_are_one_json_document(tmp_path: Path, capsys: Captured) -> None:
    """With `--json` the events themselves, or, when they went into a file, how many."""
    made = ["simulate", "attack/prototype", "--start", "2026-01-05", "-C", str(tmp_path)]
    events = answer(capsys, *made)["events"]
    assert {event["_index"] for event in events} >= {"logs-endpoint.events.api-default"}
    file = tmp_path / "events.ndjson"
    told = answer(capsys, *made, "-o", str(file))
    assert told == {"schema": 1, "events": len(events), "path": str(file)}
    assert run([*made, "-o", str(tmp_path / "none" / "x")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["foo", "http://", "ftp://h", "http://h:99999999", "http://[::1"])
def test_what_is_no_url_is_a_usage_error(url: str, tmp_path: Path, capsys: Captured) -> None:
    """Said before anything runs; so is a URL that the embedded engine would never ask."""
    root = write_content(tmp_path)
    test = ["test", "-C", str(root), "--elasticsearch"]
    assert run([*test, url, "--engine", "elasticsearch"]) == 64
    assert "--elasticsearch takes a URL" in capsys.readouterr().err
    assert run([*test, "http://localhost:9200"]) == 64
    assert "add  --engine elasticsearch" in capsys.readouterr().err


def test_a_mistyped_case_is_no_green_run(tmp_path: Path, capsys: Captured) -> None:
    """`-k` that fits nothing exits 64: in a pipeline it would pass for ever."""
    root = write_content(tmp_path)
    for more in ([], ["--score"]):
        assert run(["test", "-C", str(root), "-k", "Wirters", *DAY, *more]) == 64
        assert "no rule or case has 'Wirters' in its name" in capsys.readouterr().err


def test_a_mistyped_environment_is_a_usage_error(tmp_path: Path, capsys: Captured) -> None:
    """Among good ones too, wherever several may be named."""
    root = write_content(tmp_path)
    for command in ("check", "test", "demo"):
        assert run([command, "-C", str(root), "-e", "local", "-e", "lcoal"]) == 64
        assert "no environment 'lcoal'" in capsys.readouterr().err
    assert run(["push", "-C", str(root), "-e", "lcoal"]) == 64


def test_many_rules_with_one_trouble_are_a_few_lines(tmp_path: Path, capsys: Captured) -> None:
    """Eight rules without an index are five warnings, a count and one remedy."""
    root = write_content(tmp_path)
    (first,) = root.glob("rules/*.yml")
    for n in range(7):
        text = first.read_text("utf-8").replace(RULE_ID, f"{n}{n}{RULE_ID[2:]}")
        text = text.replace("title: Writers", f"title: Writers {n}")
        (root / "rules" / f"more-{n}.yml").write_text(text, "utf-8")
    assert run(["push", "-C", str(root), "--env", "local", *DAY]) == 0
    said = capsys.readouterr().err
    assert said.count("warning: Writers") == 5
    assert "warning: 3 more rules: partial failure" in said
    assert said.count("no index fits") == 1


def test_a_server_named_by_a_variable_is_no_local_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that is not well there exits 4, as on any server; the local stack may be empty."""
    root = write_content(tmp_path, settings='[project]\nname = "acme"\n[env.base]\n')
    with running_stack(tmp_path / "stack") as stack:
        monkeypatch.setenv("KIBANA_URL", stack.kibana_url)
        assert run(["push", "-C", str(root), "--env", "base", *DAY]) == 4
