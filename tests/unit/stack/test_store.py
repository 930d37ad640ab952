"""The data folder: what is acknowledged stays, one process at a time, nothing left locked."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ruledeploy.errors import RefusedError
from ruledeploy.stack import running_stack
from ruledeploy.stack.store import Saved, Store

SERVE = """
import sys
from pathlib import Path
from ruledeploy.stack import StackConfig, serve
serve(StackConfig(data=Path(sys.argv[1])))
"""
RULES = "/api/detection_engine/rules"


def rule(rule_id: str) -> dict[str, Any]:
    """The smallest create request."""
    return {
        "rule_id": rule_id, "type": "query", "name": "r", "description": "d",
        "severity": "low", "risk_score": 21,
    }  # fmt: skip


def start(data: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A stack in a process of its own, and its Kibana URL."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(data)])
    state = data / "stack.json"
    for _ in range(500):
        if state.exists() and state.read_text("utf-8").endswith("\n"):
            break
        time.sleep(0.02)
    url = str(json.loads(state.read_text("utf-8"))["kibana_url"])
    urllib3.request("GET", f"{url}/api/status", retries=urllib3.Retry(20, backoff_factor=0.02))
    return process, url


def test_no_acknowledged_write_is_lost_to_kill_9(tmp_path: Path) -> None:
    """Every rule whose create was answered is there after the process was killed."""
    process, url = start(tmp_path)
    try:
        made = []
        for n in range(40):
            reply = urllib3.request(
                "POST", url + RULES, json=rule(f"r{n}"), headers={"kbn-xsrf": "x"}
            )
            made.append(reply.json()["rule_id"])
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with running_stack(tmp_path) as running:
        url = f"{running.kibana_url}{RULES}/_find?per_page=100"
        found = [r["rule_id"] for r in urllib3.request("GET", url).json()["data"]]
    assert found == made


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    """Exit code 0, and `stack.json` is gone."""
    process, _ = start(tmp_path)
    process.terminate()
    assert process.wait(10) == 0
    assert not (tmp_path / "stack.json").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """The message names the process that holds it; afterwards the folder is free again."""
    with running_stack(tmp_path), pytest.raises(RefusedError, match=str(os.getpid())):  # noqa: SIM117
        with running_stack(tmp_path):
            pass
    with running_stack(tmp_path):
        pass


def test_the_next_process_finds_what_the_last_one_wrote(tmp_path: Path) -> None:
    """Two runs of the program share one data folder."""
    headers = {"kbn-xsrf": "x"}
    with running_stack(tmp_path) as running:
        urllib3.request("POST", running.kibana_url + RULES, json=rule("r"), headers=headers)
    with running_stack(tmp_path) as running:
        found = urllib3.request("GET", f"{running.kibana_url}{RULES}?rule_id=r")
    assert found.status == 200


def test_sequence_numbers_never_repeat(tmp_path: Path) -> None:
    """Also not after the newest object was deleted and the store opened again."""
    store = Store(tmp_path / "x.sqlite")
    first = store.put(Saved("rule", "default", "a", "a", {}))
    store.delete(first)
    store.close()
    store = Store(tmp_path / "x.sqlite")
    assert store.put(Saved("rule", "default", "b", "b", {})).seq > first.seq
    store.close()


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    """All or nothing."""
    store = Store(tmp_path / "x.sqlite")

    def write_and_fail() -> None:
        with store.transaction():
            store.put(Saved("rule", "default", "a", "a", {}))
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_and_fail()
    assert store.get("rule", "default", "a") is None
    store.close()


def test_another_layout_is_refused(tmp_path: Path) -> None:
    """A file of another version is named, with the way out; it is not touched."""
    Store(tmp_path / "x.sqlite").close()
    with sqlite3.connect(tmp_path / "x.sqlite") as db:
        db.execute("PRAGMA user_version=1")
    db.close()
    with pytest.raises(RefusedError, match="reset"):
        Store(tmp_path / "x.sqlite")
