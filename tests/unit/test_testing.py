"""The pytest plugin, used as any project would: a fresh folder, another pytest, no import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "stack.md").read_text("utf-8")


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Another pytest, in a project that knows nothing of this one."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write(project: Path, name: str, text: str) -> None:
    """One file of the project."""
    (project / name).write_text(text, "utf-8")


def test_the_documented_example_runs(tmp_path: Path) -> None:
    """Word for word as docs/stack.md has it."""
    example = re.search(r'```python\n("""test_detection\.py.*?)```', PAGE, re.DOTALL)
    assert example is not None
    write(tmp_path, "test_detection.py", example[1])
    done = run(tmp_path)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_every_test_finds_the_stack_empty(tmp_path: Path) -> None:
    """Objects, events, time, trouble and the log of requests do not leak."""
    write(
        tmp_path,
        "test_leaks.py",
        """
import pytest
from datetime import UTC, datetime

@pytest.mark.parametrize("n", range(3))
def test_empty(ruledeploy_stack, n):
    stack = ruledeploy_stack
    assert stack.requests == []
    assert stack.kibana("GET", "/api/detection_engine/rules/_find")["total"] == 0
    assert stack.elasticsearch("POST", "/_count")["count"] == 0
    assert stack.now.year > 2000
    stack.set_time(datetime(1999, 1, 1, tzinfo=UTC))
    rule = {"type": "query", "name": "r", "description": "d", "severity": "low", "risk_score": 1}
    stack.kibana("POST", "/api/detection_engine/rules", rule)
    stack.ingest("logs-a-default", [{"@timestamp": "1999-01-01T00:00:00Z"}])
    assert [r.status for r in stack.requests] == [200] * 4
    assert stack.requests[2].answer["name"] == stack.requests[2].body["name"] == "r"
    stack.faults(seed=1, server_error=1.0)
""",
    )
    done = run(tmp_path)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_options_come_from_the_projects_conftest(tmp_path: Path) -> None:
    """Users switch security on; the fixture logs in, others do not."""
    write(
        tmp_path,
        "conftest.py",
        """
import pytest
from ruledeploy.stack import User

@pytest.fixture(scope="session")
def ruledeploy_stack_options():
    return {"users": (User("ann", "secret"),), "profile": "8.19"}
""",
    )
    write(
        tmp_path,
        "test_options.py",
        """
import urllib.error
import urllib.request

import pytest

def test_options(ruledeploy_stack):
    status = ruledeploy_stack.kibana("GET", "/api/status")
    assert status["version"]["number"].startswith("8.19")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(ruledeploy_stack.kibana_url + "/api/detection_engine/rules/_find")
""",
    )
    done = run(tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "check",
    [
        'assert "_find" not in request.url, "somebody listed the rules"',
        '"_find" in request.url and pytest.fail("somebody listed the rules")',
    ],
)
def test_a_failed_check_fails_the_test(tmp_path: Path, check: str) -> None:
    """Although it was the server's thread that looked, whose client has its answer."""
    write(
        tmp_path,
        "test_check.py",
        f"""
import pytest

def test_check(ruledeploy_stack):
    def no_find(request):
        {check}
    ruledeploy_stack.check_each_request(no_find)
    ruledeploy_stack.kibana("GET", "/api/detection_engine/rules/_find")
""",
    )
    done = run(tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "somebody listed the rules" in done.stdout


def test_a_session_without_the_fixture_loads_no_server(tmp_path: Path) -> None:
    """The plugin is there in every session of the environment: it must cost nothing."""
    write(
        tmp_path,
        "test_other.py",
        """
import sys

def test_other():
    assert "ruledeploy.testing" in sys.modules
    assert not {"ruledeploy.stack", "uvicorn", "starlette"} & set(sys.modules)
""",
    )
    done = run(tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
