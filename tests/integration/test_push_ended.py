"""A push that is ended from outside: signals, a closed pipe, no room on the disk, nobody to ask."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ruledeploy.stack import Running, running_stack
from ruledeploy.stack.http import Answer, Call
from support.content import OVERLAY, write_content

MAIN = "from ruledeploy.cli import main; main()"
ITEMS = "".join(
    f"  - {{id: i{n}, name: N{n}, match: {{process.name: n{n}.exe}}, owner: me, reason: why,"
    " permanent: true, review_by: 2027-06-30}\n"
    for n in range(6)
)
SETTINGS = """\
[project]
name = "acme"
[env.local]
kibana_url = "{url}"
exceptions = ["base"]
"""


class Ender:
    """Sends signals to a process after a chosen write; with `hang` the answer waits for its end."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.writes = 0
        self.signals: tuple[signal.Signals, ...] = ()
        self.hang = False

    def __call__(self, call: Call, _: Answer) -> None:
        """Count down, and act."""
        process = self.process
        if process is None or call.method == "GET" or "/api/" not in call.path:
            return
        self.writes -= 1
        if self.writes == 0:
            for one in self.signals:
                process.send_signal(one)
                time.sleep(0.2)
            if self.hang:
                process.wait(20)


@pytest.fixture
def ender() -> Ender:
    """Quiet until it is given a process."""
    return Ender()


@pytest.fixture
def server(tmp_path: Path, ender: Ender) -> Iterator[Running]:
    """A stack that shows each call to the ender."""
    with running_stack(tmp_path / "stack", hook=ender, scheduler=False) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path, server: Running) -> Path:
    """A repository with a rule and seven items; its records are in a folder."""
    settings = SETTINGS.format(url=server.kibana_url)
    return write_content(tmp_path / "repo", overlay=OVERLAY + ITEMS, settings=settings)


def command(root: Path, name: str, *more: str, **options: object) -> subprocess.Popen[bytes]:
    """`ruledeploy NAME` in a process of its own."""
    env = ("--env", "local", "--date", "2026-11-24")
    command = [sys.executable, "-c", MAIN, name, "-C", str(root), *env, *more]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, **piped)  # type: ignore[call-overload, no-any-return]


def ended(root: Path, name: str, *more: str, **options: object) -> tuple[int, str, str]:
    """Exit code, output and messages of a command."""
    process = command(root, name, *more, **options)
    out, err = process.communicate(timeout=60)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def push_ended_by(
    ender: Ender, root: Path, *signals: signal.Signals, hang: bool = False
) -> tuple[int, str]:
    """A push that gets signals after its third write."""
    ender.writes, ender.signals, ender.hang = 3, signals, hang
    ender.process = command(root, "push", "--jobs", "1", "--health-wait", "0")
    _, err = ender.process.communicate(timeout=60)
    code = ender.process.returncode
    ender.process = None
    return code, err.decode()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_write_in_flight_finish(
    ender: Ender, root: Path, signum: signal.Signals
) -> None:
    """Ctrl-C, or a cancelled job.

    The record says how far it came, no lock stays, and the next push goes on from there.
    """
    code, said = push_ended_by(ender, root, signum)
    assert code == 130, said
    assert "3 of 9 writes are done" in said
    records = root / ".ruledeploy" / "records" / "local"
    assert not (records / "lock.json").exists()
    assert json.loads((records / "0001.json").read_text())["state"] == "partial"
    assert "6 writes" in ended(root, "push", "--health-wait", "0")[1]


def test_a_second_signal_ends_at_once(ender: Ender, root: Path) -> None:
    """Also while a request is in flight and is not answered."""
    start = time.monotonic()
    code, said = push_ended_by(ender, root, signal.SIGINT, signal.SIGINT, hang=True)
    assert code == 130, said
    assert "ended at once" in said
    assert time.monotonic() - start < 20
    assert "6 writes" in ended(root, "push", "--health-wait", "0")[1]


def test_a_reader_that_goes_away_ends_a_command_quietly(root: Path) -> None:
    """`ruledeploy plan | head -1` is no error; a push whose plan nobody reads writes nothing."""
    for name in ("plan", "push"):
        read, write = os.pipe()
        os.close(read)
        code, _, err = ended(root, name, stdout=write)
        os.close(write)
        assert (code, err.count("\n")) == (141, 1), err  # where records are kept
    assert not (root / ".ruledeploy" / "records" / "local").exists()


def test_a_connection_that_breaks_under_a_request_is_told() -> None:
    """The server hangs up while we still send: that is its error, not the end of the process."""
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # Unread bytes make closing a reset: what is sent next meets a closed connection.
            connection.recv(10)
            connection.close()

    threading.Thread(target=hang_up, daemon=True).start()
    text = (
        "import sys\nfrom ruledeploy.cli import boundary\n"
        "from ruledeploy.errors import AnswerLost\n"
        "from ruledeploy.kibana import Connection, Kibana, Request\n"
        "def run(_):\n"
        "    with Kibana(Connection(sys.argv[1])) as kibana:\n"
        "        try:\n"
        "            kibana.send(Request('POST', '/x', body={'a': 'b' * 50_000_000}))\n"
        "        except AnswerLost:\n"
        "            return 7\n"
        "boundary.run = run\nboundary.main()\n"
    )
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    process = subprocess.run([sys.executable, "-c", text, url], timeout=60, check=False)
    listener.close()
    assert process.returncode == 7


def no_room() -> None:
    """In the child: files of more than 100 bytes cannot be written."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_without_room_for_the_record_nothing_is_written(root: Path) -> None:
    """The record of intent comes before the first write; a full disk is no bug of ours."""
    code, _, err = ended(root, "push", preexec_fn=no_room)
    assert code == 1, err
    assert "the record cannot be kept: File too large" in err
    assert "bug" not in err
    records = root / ".ruledeploy" / "records" / "local"
    assert [path.name for path in records.iterdir()] == [".exclusive"]
    assert "9 writes" in ended(root, "push", "--health-wait", "0")[1]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_without_room_for_the_plan_no_half_plan_stays(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    """`plan -o` writes a file whole or not at all; half an output is told, in containers too."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    kept = tmp_path / "plan.json"
    code, _, err = ended(root, "plan", "-o", str(kept), preexec_fn=no_room)
    assert (code, "cannot write" in err, "bug" in err) == (1, True, False), err
    assert not list(tmp_path.glob("*plan.json*"))
    with kept.open("w") as file:
        code, _, err = ended(root, "plan", "--json", preexec_fn=no_room, stdout=file)
    assert (code, "standard output: File too large" in err) == (1, True), err


@pytest.mark.parametrize("stdin", ["closed", "empty"])
def test_with_nobody_to_ask_nothing_is_written(root: Path, stdin: str) -> None:
    """`confirm` without a terminal is a refusal that says `--yes`."""
    settings = root / "ruledeploy.toml"
    settings.write_text(settings.read_text() + "confirm = true\n")
    close = {"preexec_fn": lambda: os.close(0)} if stdin == "closed" else {}
    code, _, err = ended(root, "push", stdin=subprocess.DEVNULL, **close)
    assert (code, "--yes" in err) == (3, True), err


def test_closed_outputs_do_no_harm(root: Path) -> None:
    """`>&- 2>&-`: no file of ours gets the numbers of the closed streams."""

    def close() -> None:
        os.close(1)
        os.close(2)

    ended(root, "push", "--health-wait", "0", preexec_fn=close, stdout=None, stderr=None)
    records = root / ".ruledeploy" / "records" / "local"
    assert json.loads((records / "0001.json").read_text())["state"] == "done"
