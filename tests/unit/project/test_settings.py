"""`ruledeploy.toml` is checked whole, and every problem has a line and a way out."""

from __future__ import annotations

import pytest

from ruledeploy.errors import ConfigError, Problems
from ruledeploy.project.settings import parse_settings

GOOD = """\
[project]
name = "acme"

[env.prod]
kibana_url = "https://kibana.example"
api_key = "${KEY}"
"""


def test_a_good_file_is_read() -> None:
    """A valid file gives its tables."""
    settings = parse_settings(GOOD.encode(), "ruledeploy.toml")
    assert settings.project["name"] == "acme"
    assert settings.at("env", "prod", "api_key").line == 6


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (GOOD + 'spaec = "soc"\n', 7, "did you mean 'space'?"),
        (GOOD.replace('"${KEY}"', '"abc123"'), 6, "is written out in the file"),
        (GOOD.replace("//kibana", "//me:pw@kibana"), 5, "written out in kibana_url"),
        (GOOD + 'language = "sql"\n', 7, "unknown language 'sql'"),
        (GOOD + 'interval = "5 minutes"\n', 7, "is no duration"),
        (GOOD + 'client_key = "k.pem"\n', 7, "client_key without client_cert"),
        (GOOD + 'ca_fingerprint = "ab:cd"\n', 7, "no SHA-256 fingerprint"),
        (GOOD + 'proxy = "http://me:pw@proxy:3128"\n', 7, "written out in proxy"),
        (GOOD + "[env.prod.connectors.chat]\nid = 'x'\n", 7, "needs type"),
        (
            GOOD + "[env.prod.connectors.chat]\nid = 'x'\ntype = 'x'\ntypo = 'x'\n",
            10,
            "did you mean 'type'?",
        ),
        (GOOD + "confirm = 1\n", 7, "must be true or false"),
        (GOOD + 'space = "SOC Team"\n', 7, "a space id takes"),
        (GOOD + "[env.prod.policy.exceptions]\nrequire = ['owners']\n", 8, "cannot require"),
        (GOOD + "[env.prod.policy]\nexceptionz = {}\n", 8, "did you mean 'exceptions'?"),
        ('[projekt]\nname = "x"\n', 1, "did you mean 'project'?"),
        ("[project]\n", 1, "needs a name"),
        ('[project]\nname = "acme\\n"\n', 2, "takes a-z"),
        (GOOD + 'space = "soc\\n"\n', 7, "takes a-z"),
        ('[project]\nname = "x"\nname = "y"\n', 3, "not TOML"),
        ('[project]\nname = "x\n', 2, "not TOML"),
    ],
)
def test_a_problem_names_its_line_and_the_way_out(text: str, line: int, said: str) -> None:
    """Unknown keys, wrong types and secrets are refused at the line that writes them."""
    with pytest.raises((ConfigError, Problems)) as caught:
        parse_settings(text.encode(), "ruledeploy.toml")
    error = caught.value.errors[0] if isinstance(caught.value, Problems) else caught.value
    assert error.location is not None
    assert (error.location.path, error.location.line) == ("ruledeploy.toml", line)
    assert said in str(error)


def test_all_problems_are_reported_at_once() -> None:
    """Two mistakes in one file give two errors."""
    with pytest.raises(Problems) as caught:
        parse_settings((GOOD + 'spaec = "x"\nlanguage = "sql"\n').encode(), "ruledeploy.toml")
    assert len(caught.value.errors) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"x = " + b"[" * 100_000, "it nests too deep"),
        (b"x = " + b"9" * 5000, "too many digits"),
        (b"a." * 50_000 + b"b = 1", r"toml:1: not TOML: a key of more than 64 parts"),
        (b"x = 1\n" * 200_000, "more than 1,000,000 bytes"),
        ("name = 'ä'".encode("utf-16"), "toml:1: the file is not UTF-8"),
    ],
    ids=["deep", "digits", "key", "large", "utf-16"],
)
def test_a_file_that_would_hurt_is_refused(text: bytes, said: str) -> None:
    """An error of the file, never a crash or a minute's work."""
    with pytest.raises(ConfigError, match=said):
        parse_settings(text, "ruledeploy.toml")


def test_a_byte_order_mark_does_not_count() -> None:
    """Some editors write one."""
    assert parse_settings(b'\xef\xbb\xbf[project]\nname = "a"\n', "x").project == {"name": "a"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[project]\nname = "a"\nrules = ["rules", "/etc"]', ":3: the folder '/etc' does not lie"),
        ('[project]\nname = "a"\nexceptions = "../x"', ":3: the folder '../x' does not lie"),
        ('[project]\nname = "a"\n[env.x]\nkibana_url = "http://[::1"', ":4: kibana_url is no URL"),
        ('[project]\nname = "a"\n[env.x]\nproxy = "http://a:99999"', ":4: proxy is no URL"),
        ('[project]\nname = "a"\n[env.x.indices]\n"windows" = []', ":4: windows names no index"),
        ('[project]\nname = "a"\n[env.x.indices]\n"a" = ["x", " "]', ":4: a names no index"),
        ('[project]\nname = "a"\n[env.x]\ninterval = "9999999d"', "is no duration"),
        ('[project]\nname = "a"\n[env.x.policy.exceptions]\nmax_days = -1', ":4: max_days is no"),
        ('[project]\nname = "a"\n[env.x.policy.exceptions]\nwarn_days = 99999', ":4: warn_days is"),
    ],
)
def test_values_that_nothing_could_take_are_refused(line: str, said: str) -> None:
    """At their line, before anything runs into them."""
    with pytest.raises(ConfigError, match=said):
        parse_settings(line.encode(), "ruledeploy.toml")
