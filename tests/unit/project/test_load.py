"""Environments: defaults, variables, fallbacks, and what is refused."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from ruledeploy.errors import ConfigError, Problems, RefusedError, UsageError
from ruledeploy.project import Project, load_project, read_commit, read_folder

CONFIG = """\
[project]
name = "acme"
[defaults]
interval = "10m"
[defaults.indices]
"windows/api" = ["logs-endpoint.events.api-*"]
[env.dev]
kibana_url = "http://localhost:5601"
[env.prod]
kibana_url = "${KIBANA_URL}"
api_key = "${PUSH_KEY}"
space = "soc"
exceptions = ["base", "shared", "prod"]
interval = "1m"
[env.cloud]
"""


def project(text: str = CONFIG) -> Project:
    """A project with nothing but settings."""
    return load_project({"ruledeploy.toml": text.encode()})


def test_an_environment_overrides_the_defaults() -> None:
    """Settings come from the environment, then `[defaults]`, then the program."""
    dev, prod = project().environment("dev"), project().environment("prod")
    assert (dev.interval, prod.interval) == ("10m", "1m")
    assert (dev.overlays, prod.overlays) == (("base", "dev"), ("base", "shared", "prod"))
    assert dev.lookback == "4m"


def test_compiling_needs_no_variables() -> None:
    """Without an environment to read, the connection stays as written."""
    assert project().environment("prod").kibana_url == "${KIBANA_URL}"


def test_variables_are_filled_in_and_secrets_hide() -> None:
    """`${VAR}` is replaced, and a secret never prints."""
    prod = project().environment("prod", {"KIBANA_URL": "https://k.example", "PUSH_KEY": "s3cret"})
    assert prod.kibana_url == "https://k.example"
    assert prod.api_key is not None
    assert prod.api_key.reveal() == "s3cret"
    assert "s3cret" not in repr(prod)


def test_a_missing_variable_is_named_with_its_line() -> None:
    """An unset variable is an error at the line that uses it."""
    with pytest.raises(ConfigError, match="PUSH_KEY") as caught:
        project().environment("prod", {"KIBANA_URL": "https://k.example"})
    assert caught.value.location is not None
    assert caught.value.location.line == 11


def test_all_missing_variables_are_named_at_once() -> None:
    """Whoever exports them need not come back for the next one."""
    with pytest.raises(Problems) as caught:
        project().environment("prod", {"OTHER": "x"})
    said = [error.message for error in caught.value.errors]
    assert ["KIBANA_URL" in said[0], "PUSH_KEY" in said[1]] == [True, True]


@pytest.mark.parametrize("url", ["htp://k.example", "k.example:5601", "user:s3cret@k.example"])
def test_a_url_that_is_none_is_refused_at_its_line(url: str) -> None:
    """Named by the setting alone: what was pasted there may hold a password."""
    with pytest.raises(ConfigError, match="kibana_url is not an http") as caught:
        project().environment("prod", {"KIBANA_URL": url, "PUSH_KEY": "x"})
    assert caught.value.location is not None
    assert caught.value.location.line == 10
    assert url not in str(caught.value)


def test_the_ecosystems_variables_are_fallbacks() -> None:
    """`KIBANA_URL` and friends serve where the file is silent, and only there."""
    environ = {"KIBANA_URL": "https://k.example", "KIBANA_API_KEY": "key"}
    cloud, dev = (project().environment(name, environ) for name in ("cloud", "dev"))
    assert cloud.kibana_url == "https://k.example"
    assert dev.kibana_url == "http://localhost:5601"
    assert cloud.api_key == dev.api_key is not None


def test_a_cloud_id_gives_both_urls() -> None:
    """`name:base64(host$es$kibana)` is Elastic Cloud's address form."""
    encoded = base64.b64encode(b"eu.example$abc$def").decode()
    cloud = project().environment("cloud", {"ELASTIC_CLOUD_ID": f"mine:{encoded}"})
    assert cloud.kibana_url == "https://def.eu.example"
    assert cloud.elasticsearch_url == "https://abc.eu.example"


def test_an_unknown_environment_suggests_the_nearest() -> None:
    """A typo in `--env` gets a suggestion: it is the command line that is wrong, not the file."""
    with pytest.raises(UsageError, match="did you mean 'prod'"):
        project().environment("prd")


@pytest.mark.parametrize("url", ["${SERVER}", "HTTP://LOCALHOST:5601", "http://localhost:5601/"])
def test_two_spellings_of_one_space_are_refused(url: str) -> None:
    """A variable is what it holds; case and a trailing slash do not make another server."""
    text = CONFIG + f'[env.twin]\nkibana_url = "{url}"\n'
    files = {"ruledeploy.toml": text.encode()}
    with pytest.raises(RefusedError, match="same server and space"):
        load_project(files).environment("twin", {"SERVER": "http://localhost:5601"})


def test_two_environments_on_one_space_are_refused() -> None:
    """They would prune each other's objects."""
    text = CONFIG + '[env.twin]\nkibana_url = "http://localhost:5601/"\n'
    with pytest.raises(RefusedError, match="same server and space"):
        project(text).environment("dev")


def git(root: Path, *arguments: str) -> None:
    """Run git quietly in `root`."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    command = ["git", "-C", str(root), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_a_commit_and_its_folder_are_the_same_files(tmp_path: Path) -> None:
    """Reading a commit gives what reading its work tree gives, later edits aside."""
    (tmp_path / "rules" / "sub").mkdir(parents=True)
    (tmp_path / "exceptions" / "base").mkdir(parents=True)
    (tmp_path / "ruledeploy.toml").write_text(CONFIG)
    (tmp_path / "rules" / "sub" / "ä rule.yml").write_text("title: ä\n")
    (tmp_path / "exceptions" / "base" / "x.yml").write_text("title: x\n")
    (tmp_path / "rules" / "notes.bin").write_bytes(b"\0")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    folder = read_folder(tmp_path)
    assert list(folder) == ["exceptions/base/x.yml", "ruledeploy.toml", "rules/sub/ä rule.yml"]
    (tmp_path / "rules" / "sub" / "ä rule.yml").write_text("title: changed\n")
    assert read_commit(tmp_path, "HEAD") == folder


def test_links_in_a_commit_lead_where_they_do_in_its_folder(tmp_path: Path) -> None:
    """Over other links too; one that leads out of the commit or in circles is what Git keeps."""
    (tmp_path / "rules" / "sub").mkdir(parents=True)
    (tmp_path / "ruledeploy.toml").write_text(CONFIG)
    (tmp_path / "rules" / "a.yml").write_text("title: a\n")
    (tmp_path / "rules" / "sub" / "b.yml").symlink_to("../a.yml")
    (tmp_path / "rules" / "c.yml").symlink_to("sub/b.yml")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    assert read_commit(tmp_path, "HEAD") == read_folder(tmp_path)
    (tmp_path / "rules" / "out.yml").symlink_to("/etc/hostname")
    (tmp_path / "rules" / "loop.yml").symlink_to("loop.yml")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "two")
    found = read_commit(tmp_path, "HEAD")
    assert found["rules/out.yml"] == b"/etc/hostname"
    assert found["rules/loop.yml"] == b"loop.yml"


def test_an_unknown_revision_is_a_usage_error(tmp_path: Path) -> None:
    """Git's own words are passed on."""
    git(tmp_path, "init", "-q")
    with pytest.raises(UsageError, match="ls-tree"):
        read_commit(tmp_path, "no-such-branch")


def test_a_folder_without_settings_says_where_it_looked(tmp_path: Path) -> None:
    """The message names the folder and the option."""
    with pytest.raises(ConfigError, match="--project"):
        read_folder(tmp_path)


def test_an_environment_without_a_server_is_an_error() -> None:
    """A missing `KIBANA_URL` must not turn a production push into a local one."""
    with pytest.raises(ConfigError, match="no kibana_url"):
        project().environment("cloud", {})
