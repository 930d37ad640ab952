"""Bad input is one clear error with file and line or URL, a way out, exit 1, nothing written."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.stack import ApiKey, running_stack
from support.content import OVERLAY, RULE, SETTINGS, write_content

REMOTE = '[project]\nname = "acme"\n[env.dev]\nkibana_url = "{url}"\nexceptions = ["base"]\n'


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own variables must not reach the tests."""
    for name in ("KIBANA_URL", "KIBANA_ENDPOINT", "KIBANA_API_KEY", "ELASTICSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"rule": RULE.replace("  selection:\n", "  selection: [\n")},
            "rules/writers.yml:",
        ),
        (
            {"overlay": OVERLAY.replace("rules: [5a74d2c8", "rules: [6a74d2c8")},
            "exceptions/base/writers.yml:3:9: no rule is named",
        ),
        (
            {"settings": SETTINGS + 'spaec = "soc"\n'},
            "ruledeploy.toml:6: unknown key 'env.local.spaec'",
        ),
        (
            {"overlay": OVERLAY.replace("process.name:", "process.nme:")},
            "exceptions/base/writers.yml:8:7: process.nme: no such field",
        ),
    ],
    ids=["YAML", "unknown rule", "unknown key", "unknown field"],
)
def test_a_broken_file_stops_the_push(
    tmp_path: Path, files: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file, the line and the way out are named, and no stack was even started."""
    root = write_content(tmp_path, **files)
    assert run(["push", "--env", "local", "-C", str(root)]) == 1
    error = capsys.readouterr().err
    assert f"error: {said}" in error
    assert "→" in error
    assert not (root / ".ruledeploy").exists()


def test_an_unreachable_kibana_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The URL and what to check."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    root = write_content(tmp_path, settings=REMOTE.format(url=url))
    assert run(["push", "--env", "dev", "-C", str(root)]) == 1
    error = capsys.readouterr().err
    assert url in error
    assert "→" in error


def writes(log: Path) -> list[str]:
    """The requests of a stack's log that change something."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    return [f"{one['method']} {one['url']}" for one in lines if one["method"] != "GET"]


def test_a_wrong_api_key_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kind of credential is named, never its value; nothing is written."""
    wrong = base64.b64encode(b"id:wrong-secret").decode()
    log = tmp_path / "requests.ndjson"
    key = ApiKey("id", "right-secret")
    with running_stack(tmp_path / "stack", api_keys=(key,), request_log=log) as stack:
        settings = REMOTE.format(url=stack.kibana_url) + 'api_key = "${KEY}"\n'
        root = write_content(tmp_path / "repo", settings=settings)
        monkeypatch.setenv("KEY", wrong)
        assert run(["push", "--env", "dev", "-C", str(root)]) == 1
    error = capsys.readouterr().err
    assert stack.kibana_url in error
    assert "API key" in error
    assert "→" in error
    assert wrong not in error
    assert "wrong-secret" not in error
    assert writes(log) == []


def test_a_missing_space_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kibana itself would take the objects into a space that nobody sees."""
    log = tmp_path / "requests.ndjson"
    with running_stack(tmp_path / "stack", request_log=log) as stack:
        settings = REMOTE.format(url=stack.kibana_url) + 'space = "nowhere"\n'
        root = write_content(tmp_path / "repo", settings=settings)
        assert run(["push", "--env", "dev", "-C", str(root)]) == 1
    error = capsys.readouterr().err
    assert "there is no space 'nowhere'" in error
    assert "→" in error
    assert writes(log) == []
