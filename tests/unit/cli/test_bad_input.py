"""Bad input is one clear error with file and line or URL, a way out, exit 1, nothing written."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


def test_what_cannot_be_read_does_not_pass_for_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A push would switch off the rules of a folder that it cannot list."""
    root = write_content(tmp_path)
    for name in ("rules", "exceptions"):
        (root / name).rename(root / "aside")
        (root / name).symlink_to(name)  # a link to itself
        assert run(["push", "--env", "local", "-C", str(root)]) == 1
        assert f"error: {name}: cannot be read: " in capsys.readouterr().err
        (root / name).unlink()
        (root / "aside").rename(root / name)
    (root / "ruledeploy.toml").unlink()
    (root / "ruledeploy.toml").symlink_to("/proc/self/mem")
    assert run(["check", "-C", str(root)]) == 1
    assert "error: ruledeploy.toml: cannot be read: " in capsys.readouterr().err


def test_a_mistyped_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An allowlist that is not there reads as an empty one; `check` warns at the line."""
    root = write_content(tmp_path, settings=SETTINGS.replace('["base"]', '["base", "bsae"]'))
    assert run(["check", "-C", str(root)]) == 0
    said = "ruledeploy.toml:5: warning [empty-folder] the folder 'exceptions/bsae' holds nothing"
    assert said in capsys.readouterr().out
    assert run(["check", "-C", str(root), "--strict"]) == 1


@pytest.mark.parametrize("name", ["Bad Name!", 'a"b', "x\ny", "-"])
def test_a_name_that_no_project_may_have_starts_none(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`init` would write files that `check` refuses."""
    assert run(["init", str(tmp_path / "new"), "--name", name]) == 64
    assert "a project's name takes a-z, 0-9, - and _ only" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


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


class Refusing(BaseHTTPRequestHandler):
    """An Elasticsearch that forbids everything."""

    def answer(self) -> None:
        """403, as Elasticsearch says it."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        said = {"type": "security_exception", "reason": "action is unauthorized for user [me]"}
        body = json.dumps({"error": {"root_cause": [said], **said}, "status": 403}).encode()
        self.send_response(403)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(params=["down", "forbidden"])
def no_elasticsearch(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A URL where nothing good comes from, and what is said of it."""
    if request.param == "down":
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            yield f"127.0.0.1:{closed.getsockname()[1]}", "no answer"
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", "action is unauthorized for user [me]"
        server.shutdown()


@pytest.mark.parametrize(
    "command",
    [
        ["simulate", "attack/prototype", "--to", "elasticsearch"],
        ["test", "--engine", "elasticsearch"],
        ["backtest", "--since", "7d"],
        ["backtest", "--since", "1h", "--preview", "--rule", "Writers"],
        ["tune", "--since", "7d"],
        ["fields", "pull"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_an_elasticsearch_that_fails_us_is_named(
    command: list[str],
    no_elasticsearch: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit 1 with its address, without the credentials in it, and what it said; no bug of ours."""
    address, said = no_elasticsearch
    with running_stack(tmp_path / "stack") as stack:
        settings = REMOTE.format(url=stack.kibana_url)
        monkeypatch.setenv("ELASTICSEARCH_URL", f"http://me:swordfish@{address}")
        root = write_content(tmp_path / "repo", settings=settings, overlay=UNUSED)
        assert run([*command, "-C", str(root), "--env", "dev"]) == 1
    error = capsys.readouterr().err
    assert f"error: http://{address}: " in error
    assert said in error
    assert "→" in error
    assert "swordfish" not in error


# Lists that are not on the server would stop a preview before it asks Elasticsearch.
UNUSED = OVERLAY.replace("rules: [5a74d2c8-b24a-47a2-9b6b-1f2e1d7c9a0b]", "prebuilt: [x]")
