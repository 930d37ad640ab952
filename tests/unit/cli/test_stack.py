"""`ruledeploy stack` as a user runs it: a process of its own, with the mistakes people make."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from ruledeploy.stack import running_stack

PROGRAM = [sys.executable, "-m", "ruledeploy", "stack"]


def stack(*words: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, timeout=60, check=False
    )


def up(data: Path, *more: str) -> list[str]:
    """The words of `stack up` on free ports."""
    return ["up", "--data", str(data), "--port", "0", "--es-port", "0", *more]


@pytest.fixture
def foreground(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`stack up` without `--detach`, serving `tmp_path / "data"`."""
    process = subprocess.Popen(
        [*PROGRAM, *up(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def urls(process: subprocess.Popen[str]) -> dict[str, str]:
    """What it prints once it answers."""
    assert process.stdout is not None
    return dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_serves_until_a_signal(
    foreground: subprocess.Popen[str], signum: signal.Signals, tmp_path: Path
) -> None:
    """It prints where, answers there, ends with 0 and leaves no note behind."""
    found = urls(foreground)
    assert urllib3.request("GET", f"{found['KIBANA_URL']}/api/status").status == 200
    assert urllib3.request("GET", found["ELASTICSEARCH_URL"]).status == 200
    foreground.send_signal(signum)
    assert foreground.wait(10) == 0
    assert not (tmp_path / "data" / "stack.json").exists()


def test_two_stacks_do_not_share_a_folder(
    foreground: subprocess.Popen[str], tmp_path: Path
) -> None:
    """The second is refused and told who; a reset too."""
    urls(foreground)
    second = stack(*up(tmp_path / "data"))
    assert second.returncode == 3
    assert f"in use by process {foreground.pid}" in second.stderr
    assert stack("reset", "--data", str(tmp_path / "data")).returncode == 3
    assert foreground.poll() is None


def test_a_stack_behind_is_found_and_stopped(tmp_path: Path) -> None:
    """`--detach`, `status`, `logs`, `down`, `reset`, each with its exit code."""
    data = ["--data", str(tmp_path / "data")]
    log = tmp_path / "requests.ndjson"
    started = stack(*up(tmp_path / "data", "--detach", "--request-log", str(log)))
    assert started.returncode == 0
    try:
        told = json.loads(stack("status", *data, "--json").stdout)
        assert told["running"] is True
        assert f"KIBANA_URL={told['kibana_url']}" in started.stdout
        urllib3.request("GET", f"{told['kibana_url']}/api/status")
        assert json.loads(log.read_text())["url"] == "/api/status"
        again = stack(*up(tmp_path / "data", "--detach"))
        assert (again.returncode, again.stdout) == (0, started.stdout)
        assert stack("logs", *data).returncode == 0
    finally:
        assert stack("down", *data).returncode == 0
    assert stack("status", *data).returncode == 1
    assert stack("down", *data).returncode == 0
    assert stack("reset", *data).returncode == 0
    assert not (tmp_path / "data").exists()


def test_a_note_of_a_dead_stack_harms_nobody(tmp_path: Path) -> None:
    """Its process id may be another program's by now."""
    with running_stack(tmp_path):
        pass
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        note = {"pid": other.pid, "kibana_url": "http://127.0.0.1:1", "elasticsearch_url": ""}
        (tmp_path / "stack.json").write_text(json.dumps(note))
        assert stack("status", "--data", str(tmp_path)).returncode == 1
        stopped = stack("down", "--data", str(tmp_path))
        assert "no stack is running" in stopped.stderr + stopped.stdout
        time.sleep(0.1)
        assert other.poll() is None


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """In the foreground and behind, where an earlier failure in the log is not told again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for more in ([], ["--detach"], ["--detach"]):
            refused = stack("up", "--data", str(tmp_path), "--port", port, *more)
            assert refused.returncode == 1
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in refused.stderr
            assert refused.stderr.count("choose another port") == 1


@pytest.mark.parametrize("option", ["--port", "--es-port"])
@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_no_port_is_a_usage_error(tmp_path: Path, option: str, port: str) -> None:
    """Exit code 64, before anything is made; in the background too."""
    for more in ([], ["--detach"]):
        refused = stack(*up(tmp_path / "data"), option, port, *more)
        assert refused.returncode == 64
        assert f"Invalid value for '{option}'" in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "{file}"], "cannot be used: "),
        (["--data", "{file}/below", "--detach"], "cannot be used: "),
        (["--request-log", "{file}/below"], "cannot be written: Not a directory"),
        (["--elasticsearch", "nonsense"], "the URL of the Elasticsearch node is none"),
        (["--elasticsearch", "http://127.0.0.1:9"], "http://127.0.0.1:9: no answer"),
    ],
)
def test_mistakes_are_told_in_a_sentence(tmp_path: Path, words: list[str], message: str) -> None:
    """Exit code 1, nothing started."""
    (tmp_path / "file").touch()
    given = [word.format(file=tmp_path / "file") for word in words]
    refused = stack(*up(tmp_path / "data"), *given)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "bug" not in refused.stderr
