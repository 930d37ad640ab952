"""`doctor` on servers in every state, as a user runs it."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.deploy.lock import locked
from ruledeploy.deploy.store import open_store
from ruledeploy.errors import ServerError
from ruledeploy.kibana import Peer
from ruledeploy.model import Environment, Secret
from ruledeploy.stack import ApiKey, Running, running_stack
from support.content import OVERLAY, RULE, RULE_ID, write_content

Captured = pytest.CaptureFixture[str]
SETTINGS = """\
[project]
name = "acme"
[env.dev]
kibana_url = "{kibana}"
exceptions = ["base"]
"""


@pytest.fixture(autouse=True)
def _no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has set up is no part of them."""
    for name in ("ELASTICSEARCH_URL", "KIBANA_URL"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def secured(tmp_path: Path, **key: Any) -> Iterator[tuple[Running, str]]:
    """A stack that wants a key, and that key as `api_key` takes it."""
    made = ApiKey("the-id", "the-secret", "ci", **key)
    encoded = base64.b64encode(b"the-id:the-secret").decode()
    with running_stack(tmp_path / "stack", api_keys=(made,), scheduler=False) as stack:
        yield stack, encoded


def content(root: Path, stack: Running, *, elasticsearch: bool = True, **files: str) -> Path:
    """A repository whose environment `dev` is that stack, with `${KEY}` as its key."""
    settings = SETTINGS.format(kibana=stack.kibana_url) + 'api_key = "${KEY}"\n'
    if elasticsearch:
        settings += f'elasticsearch_url = "{stack.elasticsearch_url}"\n'
    return write_content(root / "repo", settings=settings, **files)


def doctor(root: Path, capsys: Captured, exits: int = 0) -> dict[str, dict[str, str]]:
    """The lines by what they are about."""
    capsys.readouterr()
    assert run(["doctor", "--env", "dev", "-C", str(root), "--json"]) == exits
    return {one["what"]: one for one in json.loads(capsys.readouterr().out)["checks"]}


def push(root: Path) -> int:
    """`ruledeploy push`; 4 is said of rules that find no index."""
    return run(["push", "--env", "dev", "-C", str(root), "--yes"])


def test_all_is_well(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that does not end, data that the rule matches: no error, no warning."""
    with secured(tmp_path) as (stack, key):
        monkeypatch.setenv("KEY", key)
        root = content(tmp_path, stack)
        ingest(root, stack, 3)
        assert push(root) == 0
        found = doctor(root, capsys)
        assert {one["state"] for one in found.values()} == {"ok"}
        assert found["credential"]["said"] == "ci (realm _es_api_key)"
        assert found["matches Writers"]["said"].startswith("2 in 7 days, 1 allowlist items")
        assert found["events logs-endpoint.events.api-*"]["said"] == "3 in 7 days"
        assert found["run-as"]["said"] == "1 rules run with a key that was sent by ci"
        assert found["rules"]["said"] == "1 of 1 enabled rules ran well"
        assert found["clock"]["said"].startswith("within")
        assert run(["doctor", "--env", "dev", "-C", str(root)]) == 0
        out = capsys.readouterr().out
        assert "1 of 1 rules in 7 days; most by Writers 2" in out
        assert "matches Writers" not in out


def test_many_rules_are_counted_in_one_request(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty-one rules; what is counted alone are the events of their index pattern."""
    log = tmp_path / "log"
    made = ApiKey("the-id", "the-secret", "ci")
    monkeypatch.setenv("KEY", base64.b64encode(b"the-id:the-secret").decode())
    with running_stack(
        tmp_path / "stack", api_keys=(made,), scheduler=False, request_log=log
    ) as stack:
        root = content(tmp_path, stack)
        text = RULE.partition("tests:")[0]
        for n in range(20):
            named = text.replace("Writers", f"Rule {n}").replace("5a74d2c8", f"5a74d2{n:02d}")
            (root / f"rules/r{n}.yml").write_text(named, "utf-8")
        ingest(root, stack, 3)
        found = doctor(root, capsys)
    assert found["matches Writers"]["said"].startswith("2 in 7 days, 1 allowlist items")
    assert {found[f"matches Rule {n}"]["said"] for n in range(20)} == {"3 in 7 days"}
    urls = [json.loads(line)["url"] for line in log.read_text().splitlines()]
    assert urls.count("/_msearch") == 1
    assert len([url for url in urls if "/_count" in url]) == 1  # of the one index pattern


def test_a_refused_msearch_loses_no_count(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be counted together is counted alone."""
    whole = Peer.request

    def refusing(peer: Peer, method: str, path: str, **more: Any) -> Any:
        if path == "/_msearch":
            raise ServerError("one of them does not parse", url="u", status=400)
        return whole(peer, method, path, **more)

    with secured(tmp_path) as (stack, key):
        monkeypatch.setenv("KEY", key)
        root = content(tmp_path, stack)
        ingest(root, stack, 3)
        monkeypatch.setattr(Peer, "request", refusing)
        assert doctor(root, capsys)["matches Writers"]["said"].startswith("2 in 7 days")


def ingest(root: Path, stack: Running, count: int) -> None:
    """Events of today that the rule matches; one of them the allowlist hides."""
    del root
    connection = open_store("acme", env(stack), Path()).documents
    peer: Peer = connection._peer  # type: ignore[attr-defined]
    for n in range(count):
        event = {
            "@timestamp": datetime.now(UTC).isoformat(),
            "event": {"category": ["api"], "ingested": datetime.now(UTC).isoformat()},
            "process": {
                "name": "svchost.exe" if n == 0 else f"p{n}.exe",
                "Ext": {"api": {"name": "WriteProcessMemory"}},
            },
        }
        index = "logs-endpoint.events.api-default"
        peer.request("POST", f"/{index}/_doc", body=event)


def env(stack: Running) -> Environment:
    """The environment as the project has it."""
    key = base64.b64encode(b"the-id:the-secret").decode()
    return Environment(
        "dev",
        kibana_url=stack.kibana_url,
        elasticsearch_url=stack.elasticsearch_url,
        api_key=Secret(key),
    )


def test_a_key_about_to_end_is_named_with_what_stops(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The date, and the rules that were sent with it; a warning is no failure."""
    with secured(tmp_path, expires=datetime.now(UTC) + timedelta(days=3)) as (stack, key):
        monkeypatch.setenv("KEY", key)
        root = content(tmp_path, stack)
        push(root)
        said = capsys.readouterr().err
        assert "warning: key's end: " in said
        assert "1 rules are written; those enabled run with API key from then on" in said
        found = doctor(root, capsys)
    assert found["key's end"]["state"] == "warning"
    assert "rekey" in found["key's end"]["remedy"]
    assert found["run-as"]["state"] == "warning"


def test_no_data_hints_at_defends_policy(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No API event in a week: the setting that switches them on."""
    with secured(tmp_path) as (stack, key):
        monkeypatch.setenv("KEY", key)
        root = content(tmp_path, stack)
        assert push(root) == 4
        found = doctor(root, capsys)
    assert "api_verbose" in found["events logs-endpoint.events.api-*"]["remedy"]
    assert found["rule Writers"]["state"] == "warning"
    assert "no index fits" in found["rule Writers"]["remedy"]


def test_a_reader_may_not_push(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The missing Kibana privilege is an error, with the way to a role that has it."""
    with secured(tmp_path, role="reader") as (stack, key):
        monkeypatch.setenv("KEY", key)
        found = doctor(content(tmp_path, stack), capsys, exits=1)
    assert found["Kibana privilege"]["state"] == "error"
    assert "--print-role" in found["Kibana privilege"]["remedy"]


def test_what_cannot_be_known_is_unknown(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a Kibana alone: never `ok` for what nobody looked at."""
    with secured(tmp_path) as (stack, key):
        monkeypatch.setenv("KEY", key)
        found = doctor(content(tmp_path, stack, elasticsearch=False), capsys)
    for what in ("key's end", "Kibana privilege", "index privileges", "events"):
        assert found[what]["state"] == "unknown"
        assert found[what]["remedy"] == "set elasticsearch_url"
    assert found["credential"]["state"] == "ok"
    assert found["records"]["state"] == "warning"


def test_lock_hold_and_a_push_that_stopped(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds the lock, who rolled back, which record is open."""
    with secured(tmp_path) as (stack, key):
        monkeypatch.setenv("KEY", key)
        root = content(tmp_path, stack)
        push(root)
        write_content(root, rule=RULE.replace("level: high", "level: low"),
                      settings=(root / "ruledeploy.toml").read_text())  # fmt: skip
        push(root)
        rollback = ["rollback", "--env", "dev", "-C", str(root), "--to", "1"]
        assert run(rollback) in {0, 4}
        with locked(open_store("acme", env(stack), root).documents):
            found = doctor(root, capsys)
    assert "rolled back to record 1" in found["hold"]["said"]
    assert found["lock"]["state"] == "warning"
    assert "process" in found["lock"]["said"]
    assert found["last push"]["said"] == "record 3"


def test_an_unreachable_server_is_one_error(tmp_path: Path, capsys: Captured) -> None:
    """Said once; the checks that need it are left out, the records are still looked at."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    root = write_content(tmp_path, settings=SETTINGS.format(kibana=url))
    found = doctor(root, capsys, exits=1)
    assert found["Kibana"]["state"] == "error"
    assert "is the server running" in found["Kibana"]["remedy"]
    assert found["last push"]["said"] == "none yet"
    assert "version" not in found


def test_a_wrong_key_and_a_missing_space(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is its own line."""
    with secured(tmp_path) as (stack, key):
        monkeypatch.setenv("KEY", base64.b64encode(b"the-id:wrong").decode())
        root = content(tmp_path, stack)
        assert "does not accept us" in doctor(root, capsys, exits=1)["Kibana"]["said"]
        monkeypatch.setenv("KEY", key)
        settings = (root / "ruledeploy.toml").read_text() + 'space = "nowhere"\n'
        write_content(root, settings=settings)
        assert doctor(root, capsys, exits=1)["space"]["state"] == "error"


def test_plain_http_and_files_that_do_not_compile(tmp_path: Path, capsys: Captured) -> None:
    """A broken file is a line like the others; what is on the server is still examined."""
    broken = RULE.replace("title:", "titel:")
    url = "http://kibana.invalid:1"
    root = write_content(tmp_path, settings=SETTINGS.format(kibana=url), rule=broken)
    found = doctor(root, capsys, exits=1)
    assert found["files"]["state"] == "error"
    assert "rules/writers.yml" in found["files"]["said"]
    assert found["TLS"]["state"] == "warning"


@pytest.mark.parametrize("language", ["lucene", "esql"])
def test_the_least_role_needs_no_server(language: str, tmp_path: Path, capsys: Captured) -> None:
    """What PUT /_security/role takes: one space, the rules' indices, the records' index."""
    settings = SETTINGS.format(kibana="https://kibana.invalid") + 'space = "soc"\n'
    settings += f'language = "{language}"\n'
    root = write_content(tmp_path, settings=settings)
    assert run(["doctor", "--env", "dev", "-C", str(root), "--print-role"]) == 0
    role = json.loads(capsys.readouterr().out)
    assert set(role) == {"cluster", "indices", "applications"}
    assert role["applications"][0]["resources"] == ["space:soc"]
    names = [name for one in role["indices"] for name in one["names"]]
    assert "ruledeploy-acme" in names
    assert "logs-endpoint.events.api-*" in names
    assert RULE_ID not in json.dumps(role)


def test_the_least_role_of_files_that_do_not_compile_is_refused(
    tmp_path: Path, capsys: Captured
) -> None:
    """It would lack what the broken rule searches; every mistake is named."""
    broken = RULE.replace("title:", "titel:")
    settings = SETTINGS.format(kibana="https://kibana.invalid")
    root = write_content(tmp_path, settings=settings, rule=broken)
    assert run(["doctor", "--env", "dev", "-C", str(root), "--print-role"]) == 1
    said = capsys.readouterr()
    assert "rules/writers.yml" in said.err
    assert not said.out


def test_what_has_compiled_before_is_not_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of rules take seconds: doctor keeps and uses what every command keeps."""
    monkeypatch.setenv("RULEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    root = write_content(tmp_path, settings=SETTINGS.format(kibana="https://kibana.invalid"))
    assert run(["doctor", "--env", "dev", "-C", str(root), "--print-role"]) == 0
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_values_of_a_value_list_count_too(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a value list hides is no match."""
    overlay = OVERLAY.replace(
        "[svchost.exe, lsass.exe, csrss.exe, wininit.exe, services.exe, smss.exe]",
        "{value_list: known}",
    )
    with secured(tmp_path) as (stack, key):
        monkeypatch.setenv("KEY", key)
        root = content(
            tmp_path,
            stack,
            overlay=overlay,
            exceptions__value_lists__known__txt="svchost.exe\np1.exe\n",
        )
        folder = root / "exceptions/value_lists"
        (folder / "known/txt").rename(folder / "known.txt")
        ingest(root, stack, 3)
        found = doctor(root, capsys)
    assert found["matches Writers"]["said"].startswith("1 in 7 days")
