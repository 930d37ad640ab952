"""`ruledeploy tune`: what it writes, and where; what it would not write in silence."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ruledeploy.cli.boundary import run
from support.content import OVERLAY, write_content

DAY = ["--date", "2026-11-24"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The small content repository, and six alerts of one program."""
    event = {
        "@timestamp": "2026-11-20T08:00:00.000Z",
        "event": {"category": "api"},
        "process.Ext.api.name": "WriteProcessMemory",
        "process.executable": r"C:\Program Files\Tool\tool.exe",
        "data_stream": {"type": "logs", "dataset": "endpoint.events.api", "namespace": "x"},
    }
    (tmp_path / "events.ndjson").write_text(f"{json.dumps(event)}\n" * 6)
    return write_content(tmp_path)


def tune(root: Path, *options: str) -> int:
    """The exit code on those alerts."""
    events = ["--events", str(root / "events.ndjson")]
    return run(["tune", "-C", str(root), "-e", "local", *DAY, *events, *options])


def test_taking_proposals_over_twice_loses_none(root: Path, capsys: Captured) -> None:
    """The second time nothing alerts, nothing is written, and the items in force are there."""
    file = root / "exceptions" / "base" / "tuned.yml"
    assert tune(root, "-o", str(file)) == 0
    assert f"1 item added to {file}" in capsys.readouterr().err
    text = file.read_text("utf-8")
    assert tune(root, "-o", str(file)) == 0
    assert "nothing to propose, nothing written" in capsys.readouterr().err
    assert file.read_text("utf-8") == text


def test_proposals_join_the_overlays_of_a_file(root: Path, capsys: Captured) -> None:
    """A file that holds another overlay keeps it, word for word; `check` tells the TODO."""
    file = root / "exceptions" / "base" / "writers.yml"
    assert tune(root, "-o", str(file)) == 0
    assert file.read_text("utf-8").startswith(OVERLAY)
    capsys.readouterr()
    assert run(["check", "-C", str(root), *DAY]) == 0
    assert "the item 'tool' still says TODO for owner and reason" in capsys.readouterr().out


def test_a_file_elsewhere_gets_the_proposals_alone(root: Path) -> None:
    """To look at, or to send on: the project stays as it is."""
    file = root / "proposals.yml"
    assert tune(root, "-o", str(file)) == 0
    assert "id: tool" in file.read_text("utf-8")
    assert sorted(one.name for one in (root / "exceptions" / "base").iterdir()) == ["writers.yml"]


@pytest.mark.parametrize("name", ["prod/tuned.yml", "base/tuned.txt", "tuned.yml"])
def test_a_file_that_would_not_be_read_is_refused(name: str, root: Path, capsys: Captured) -> None:
    """Before anything is looked at: items there would silently hide nothing."""
    assert tune(root, "-o", str(root / "exceptions" / name)) == 64
    assert "env.local would not read" in capsys.readouterr().err


def test_a_mistyped_rule_is_no_quiet_month(root: Path, capsys: Captured) -> None:
    """`--rule` that fits nothing exits 64, here and for a backtest; the nearest name is told."""
    assert tune(root, "--rule", "Wirters") == 64
    assert "no rule has 'Wirters' in its name" in capsys.readouterr().err
    backtest = ["backtest", "-C", str(root), "-e", "local", *DAY]
    assert run([*backtest, "--events", str(root / "events.ndjson"), "--rule", "Wirters"]) == 64
    assert "did you mean 'Writers'?" in capsys.readouterr().err


def test_kept_events_outlive_the_command(
    root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the cache folder, once the file has rested; what is proposed is the same."""
    cache = root / "cache"
    monkeypatch.setenv("RULEDEPLOY_CACHE_DIR", str(cache))
    time.sleep(2.1)
    said = []
    for options in ([], ["--keep"], ["--keep"]):
        assert tune(root, *options) == 0
        said.append(capsys.readouterr().out)
        assert (cache / "events.sqlite").is_file() is bool(options)
    assert said[0] == said[1] == said[2]


def test_a_cluster_keeps_its_own(root: Path, capsys: Captured) -> None:
    """Of it there is nothing to keep here."""
    options = ["-C", str(root), "-e", "local", *DAY, "--since", "7d", "--keep"]
    assert run(["backtest", *options]) == 64
    assert "--keep is about --events" in capsys.readouterr().err
    assert run(["backtest", "-C", str(root), "-e", "local", *DAY, "--preview", "--keep"]) == 64
    assert "--keep" in capsys.readouterr().err
